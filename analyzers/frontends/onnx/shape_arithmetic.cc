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
  if (op == "Mod" && a >= 0 && b > 0) return a % b;
  if (op == "Equal") return a == b ? 1 : 0;
  return std::nullopt;
}

using Item = std::variant<std::int64_t, Extent>;

std::optional<Item> ComputeItem(const std::string& op, const Item& a, const Item& b) {
  const auto* left = std::get_if<std::int64_t>(&a);
  const auto* right = std::get_if<std::int64_t>(&b);
  if (left != nullptr && right != nullptr) {
    const auto value = Compute(op, *left, *right);
    return value ? std::optional<Item>(*value) : std::nullopt;
  }
  if (left == nullptr && right == nullptr) return std::nullopt;
  Extent extent = std::get<Extent>(left == nullptr ? a : b);
  const std::int64_t number = left == nullptr ? *right : *left;
  if (op == "Equal" && number < 0) return Item(std::int64_t{0});
  if (number == 1 && (op == "Mul" || (op == "Div" && left == nullptr))) return Item(extent);
  if (extent.factor < 1 || number < 1) return std::nullopt;
  extent.rank = 0;  // no axis is that long
  if (op == "Mul" && !__builtin_mul_overflow(extent.factor, number, &extent.factor)) return Item(extent);
  if (op == "Div" && left == nullptr && extent.factor % number == 0) {
    extent.factor /= number;
    return Item(extent);
  }
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
  const std::string op = OperatorTypeOf(node);
  if (node.size() != 2) return std::nullopt;
  // A comparison of constants is one of values.
  if (op == "Equal" && !std::holds_alternative<Extents>(node.in(0)) && !std::holds_alternative<Extents>(node.in(1)))
    return std::nullopt;
  const auto a = AsExtents(node.in(0)), b = AsExtents(node.in(1));
  if (!a || !b) return std::nullopt;
  const std::size_t count = std::max(a->items.size(), b->items.size());
  if ((a->items.size() != 1 && a->items.size() != count) || (b->items.size() != 1 && b->items.size() != count))
    return std::nullopt;
  Extents result{.items = {}, .scalar = a->scalar && b->scalar};
  for (std::size_t i = 0; i < count; ++i) {
    auto item = ComputeItem(op, a->items[a->items.size() == 1 ? 0 : i], b->items[b->items.size() == 1 ? 0 : i]);
    if (!item) return std::nullopt;
    result.items.push_back(*item);
  }
  return result;
}

std::optional<Slot> ShapeChoice(const NodeView& node) {
  const auto* condition = std::get_if<Extents>(&node.in(0));
  const auto a = AsExtents(node.in(1)), b = AsExtents(node.in(2));
  if (condition == nullptr || !a || !b) return std::nullopt;
  const std::size_t count = condition->items.size();
  if ((a->items.size() != 1 && a->items.size() != count) || (b->items.size() != 1 && b->items.size() != count))
    return std::nullopt;
  Extents result{.items = {}, .scalar = condition->scalar};
  for (std::size_t i = 0; i < count; ++i) {
    const auto* flag = std::get_if<std::int64_t>(&condition->items[i]);
    if (flag == nullptr) return std::nullopt;
    const Extents& from = *flag != 0 ? *a : *b;
    result.items.push_back(from.items[from.items.size() == 1 ? 0 : i]);
  }
  return result;
}

}  // namespace qatgap::frontends::onnx
