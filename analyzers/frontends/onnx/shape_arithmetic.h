// Integers that a model computes from shapes (Shape, Gather, Concat, ...): evaluated while it is read. Internal to
// frontends/onnx.
#pragma once

#include <optional>

#include "analyzers/frontends/onnx/node_view.h"

namespace qatgap::frontends::onnx {

// A literal of integers with at most one axis, or extents; nullopt for anything else.
std::optional<Extents> AsExtents(const Slot& slot);

// Add, Sub, Mul, Div, Mod and Equal on extents; nullopt where they are not known well enough, or the node computes
// something else.
std::optional<Slot> ShapeArithmetic(const NodeView& node);

// Where on extents, by a condition that ShapeArithmetic gave.
std::optional<Slot> ShapeChoice(const NodeView& node);

std::string OperatorTypeOf(const NodeView& node);

}  // namespace qatgap::frontends::onnx
