// Integers that a model computes from shapes (Shape, Gather, Concat, ...): evaluated while it is read. Internal to
// frontends/onnx.
#pragma once

#include <optional>

#include "analyzers/frontends/onnx/node_view.h"

namespace qatgap::frontends::onnx {

// A literal of integers with at most one axis, or extents; nullopt for anything else.
std::optional<Extents> AsExtents(const Slot& slot);

// Add, Sub, Mul and Div on extents that are all known; nullopt where the node computes something else.
std::optional<Slot> ShapeArithmetic(const NodeView& node);

std::string OperatorTypeOf(const NodeView& node);

}  // namespace qatgap::frontends::onnx
