// Constants, and the shapes of values.
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/onnx/importer.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::frontends::onnx {
namespace {

constexpr std::int64_t kLargestFill = 1 << 24;  // elements of ConstantOfShape, Range

Results Constant(Importer&, const NodeView& node) {
  if (const auto* value = node.Find("value"); value != nullptr && value->has_t()) {
    QATGAP_ASSIGN_OR_RETURN(Literal literal, DecodeTensor(value->t(), node.Label()));
    return One(std::move(literal));
  }
  const auto floats = [](graph::Shape shape, std::vector<float> values) {
    return One(Literal{.type = element::kFloat, .value = graph::Tensor::Of<float>(std::move(shape), values)});
  };
  const auto longs = [](graph::Shape shape, std::vector<std::int64_t> values) {
    return One(Literal{.type = element::kInt64, .value = graph::Tensor::Of<std::int64_t>(std::move(shape), values)});
  };
  if (node.HasAttribute("value_float")) return floats({}, {node.Float("value_float", 0)});
  if (node.HasAttribute("value_int")) return longs({}, {node.Int("value_int", 0)});
  if (const auto* list = node.Find("value_floats"))
    return floats({list->floats_size()}, {list->floats().begin(), list->floats().end()});
  if (node.HasAttribute("value_ints")) {
    std::vector<std::int64_t> values = node.Ints("value_ints");
    return longs({static_cast<std::int64_t>(values.size())}, std::move(values));
  }
  return node.Refuse("is no tensor of numbers", "export the model with dense constants");
}

Results ConstantOfShape(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const graph::Shape shape, importer.KnownIntegers(node, 0, "shape"));
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 0 || shape.size() > 8 || __builtin_mul_overflow(count, extent, &count) || count > kLargestFill) {
      return node.Broken(absl::StrCat("fills the shape ", graph::ToString(shape)));
    }
  }
  Literal one{.type = element::kFloat, .value = graph::Tensor(graph::DType::kFloat32, {1})};
  if (const auto* value = node.Find("value"); value != nullptr && value->has_t()) {
    QATGAP_ASSIGN_OR_RETURN(one, DecodeTensor(value->t(), node.Label()));
  }
  if (one.value.elements() != 1) return node.Broken("fills with more than one value");
  Literal literal{.type = one.type, .value = graph::Tensor(one.value.dtype(), shape)};
  const std::size_t size = graph::SizeOf(one.value.dtype());
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    std::copy_n(static_cast<const char*>(one.value.storage().get()), size,
                static_cast<char*>(literal.value.storage().get()) + i * size);
  }
  return One(std::move(literal));
}

Results Range(Importer& importer, const NodeView& node) {
  std::array<std::int64_t, 3> limits{};
  for (std::size_t i = 0; i < 3; ++i) {
    QATGAP_ASSIGN_OR_RETURN(const std::vector<std::int64_t> number, importer.KnownIntegers(node, i, "limit"));
    if (number.size() != 1) return node.Broken("has a limit that is not one number");
    limits[i] = number[0];
  }
  const auto [start, limit, step] = limits;
  const auto far = [](std::int64_t v) { return v > (std::int64_t{1} << 40) || v < -(std::int64_t{1} << 40); };
  if (step == 0 || far(start) || far(limit) || far(step) || (limit - start) / step > kLargestFill)
    return node.Broken("counts out of range");
  std::vector<std::int64_t> values;
  for (std::int64_t v = start; step > 0 ? v < limit : v > limit; v += step) values.push_back(v);
  return One(Literal{.type = element::kInt64,
                     .value = graph::Tensor::Of<std::int64_t>({static_cast<std::int64_t>(values.size())}, values)});
}

Results ShapeOperator(Importer&, const NodeView& node) {
  Extents extents;
  if (const auto* literal = std::get_if<Literal>(&node.in(0))) {
    for (const std::int64_t extent : literal->value.shape()) extents.items.emplace_back(extent);
  } else if (const auto* list = std::get_if<Extents>(&node.in(0))) {
    if (!list->scalar) extents.items.emplace_back(static_cast<std::int64_t>(list->items.size()));
  } else if (const auto* symbol = std::get_if<Symbol>(&node.in(0)); symbol != nullptr && symbol->shape) {
    for (std::size_t axis = 0; axis < symbol->shape->size(); ++axis) {
      const std::int64_t extent = (*symbol->shape)[axis];
      if (extent >= 0) {
        extents.items.emplace_back(extent);
      } else {
        extents.items.emplace_back(
            Extent{.value = symbol->value,
                   .axis = static_cast<int>(axis),
                   .rank = symbol->codes != nullptr ? 0 : static_cast<int>(symbol->shape->size()),
                   .factor = BatchFactor(extent)});
      }
    }
  } else {
    return node.Refuse("asks for the shape of a value whose number of axes is not in the model",
                       "run onnx.shape_inference.infer_shapes first");
  }
  const auto rank = static_cast<std::int64_t>(extents.items.size());
  const auto place = [rank](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const std::int64_t start = place(std::max(node.Int("start", 0), -rank)),
                     end = place(std::max(node.Int("end", rank), -rank));
  extents.items = {extents.items.begin() + start, extents.items.begin() + std::max(start, end)};
  return One(std::move(extents));
}

constexpr std::array<std::pair<std::string_view, Importer::Handler>, 4> kOperators = {{
    {"Constant", Constant},
    {"ConstantOfShape", ConstantOfShape},
    {"Range", Range},
    {"Shape", ShapeOperator},
}};

}  // namespace

Importer::Handler FindConstantOperator(std::string_view op_type) {
  const auto it =
      std::find_if(kOperators.begin(), kOperators.end(), [&](const auto& entry) { return entry.first == op_type; });
  return it == kOperators.end() ? nullptr : it->second;
}

}  // namespace qatgap::frontends::onnx
