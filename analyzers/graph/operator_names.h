// What qatgap knows of LibTorch's operators by name, beside those that have an OpKind of their own.
#pragma once

#include <string_view>

namespace qatgap::graph {

// The operators that a kOperator node may call: pure ones, deterministic, without files, random numbers or callbacks.
// `name` is without an overload: "aten::layer_norm".
bool IsAllowedOperator(std::string_view name);

// Every output is made of elements of the first tensor operand, moved, repeated or selected (transpose, slice, chunk,
// max_pool1d, ...): codes of one grid stay codes of that grid. Zero padding counts, since 0 is on every grid.
bool MovesElements(std::string_view name);

// An average over elements (avg_pool1d, ...): PyTorch's quantized operator rounds it to its input's grid.
bool Averages(std::string_view name);

}  // namespace qatgap::graph
