#include "analyzers/frontends/onnx/shape_arithmetic.h"

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <limits>

namespace qatgap::frontends::onnx {
namespace {

// Exact, or nullopt where 64 bits do not hold it.
std::optional<std::int64_t> Compute(const std::string& op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (op == "Add") return __builtin_add_overflow(a, b, &result) ? std::nullopt : std::optional(result);
  if (op == "Sub") return __builtin_sub_overflow(a, b, &result) ? std::nullopt : std::optional(result);
  if (op == "Mul") return __builtin_mul_overflow(a, b, &result) ? std::nullopt : std::optional(result);
  if (op == "Div" && b != 0 && !(b == -1 && a == std::numeric_limits<std::int64_t>::min())) return a / b;
  return std::nullopt;
}

}  // namespace

std::string OperatorTypeOf(const NodeView& node) { return node.proto().op_type(); }

std::optional<Extents> AsExtents(const Slot& slot) {
  if (const auto* extents = std::get_if<Extents>(&slot)) return *extents;
  const auto* literal = std::get_if<Literal>(&slot);
  if (literal == nullptr || literal->value.shape().size() > 1 || literal->value.elements() > 64) return std::nullopt;
  if (literal->type != element::kInt64 && literal->type != element::kInt32) return std::nullopt;
  Extents extents{.items = {}, .scalar = literal->value.shape().empty()};
  const auto integers = Integers(*literal);
  extents.items.assign(integers->begin(), integers->end());
  return extents;
}

std::optional<Slot> ShapeArithmetic(const NodeView& node) {
  if (node.size() != 2) return std::nullopt;
  const auto a = AsExtents(node.in(0)), b = AsExtents(node.in(1));
  if (!a || !b) return std::nullopt;
  const std::size_t count = std::max(a->items.size(), b->items.size());
  if ((a->items.size() != 1 && a->items.size() != count) || (b->items.size() != 1 && b->items.size() != count)) return std::nullopt;
  Extents result{.items = {}, .scalar = a->scalar && b->scalar};
  for (std::size_t i = 0; i < count; ++i) {
    const auto* left = std::get_if<std::int64_t>(&a->items[a->items.size() == 1 ? 0 : i]);
    const auto* right = std::get_if<std::int64_t>(&b->items[b->items.size() == 1 ? 0 : i]);
    if (left == nullptr || right == nullptr) return std::nullopt;
    const auto value = Compute(OperatorTypeOf(node), *left, *right);
    if (!value) return std::nullopt;
    result.items.emplace_back(*value);
  }
  return result;
}

}  // namespace qatgap::frontends::onnx
