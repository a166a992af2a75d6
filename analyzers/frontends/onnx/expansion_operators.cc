// Operators that repeat elements.
#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/onnx/importer.h"
#include "analyzers/frontends/onnx/shape_arithmetic.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::frontends::onnx {
namespace {

using graph::TensorArgument;
using graph::ValueId;

// As many zeros as the axis is long when the model runs: indices that repeat what stands at 0.
ValueId ZerosAlong(Importer& importer, const Extent& extent) {
  ValueId value = extent.value;
  for (int axis = extent.rank; axis-- > 0;) {
    if (axis == extent.axis) continue;
    value = importer.Call("aten::select", "int", {value}, {TensorArgument{0}, std::int64_t{axis}, std::int64_t{0}});
  }
  value = importer.Call("aten::zeros_like", "", {value}, {TensorArgument{0}});
  return importer.Call("aten::to", "dtype", {value}, {TensorArgument{0}, std::int64_t{4}});  // int64
}

// Expand(x, shape): a size of 1 keeps the input's extent.
Results Expand(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.MovingOperand(node, 0));
  const auto extents = AsExtents(node.in(1));
  if (!extents || !x.shape || extents->items.size() > 8) {
    return node.Refuse("expands to a shape that is not in the model",
                       "export the model with fixed shapes beyond the batch axis");
  }
  ValueId source = x.value;
  std::vector<std::pair<std::size_t, std::int64_t>>
      open;  // axes that become as long as one of the input, that many batches
  std::vector<std::int64_t> sizes(std::max(extents->items.size(), x.shape->size()), -1);
  const std::size_t added = sizes.size() - x.shape->size(), skipped = sizes.size() - extents->items.size();
  for (std::size_t i = skipped; i < sizes.size(); ++i) {
    const auto* number = std::get_if<std::int64_t>(&extents->items[i - skipped]);
    const bool has_axis = i >= added;
    const std::int64_t own = has_axis ? (*x.shape)[i - added] : 1;
    if (number == nullptr) {
      if (own != 1 && has_axis) continue;  // the extent that it has already
      const Extent& extent = std::get<Extent>(extents->items[i - skipped]);
      const bool is_axis = extent.rank > 0 && (extent.factor == 0 || extent.factor == 1);
      if (!has_axis || !is_axis) {
        return node.Refuse("adds an axis as long as one of the input",
                           "export the model with a fixed batch, or let operators broadcast");
      }
      const ValueId zeros = ZerosAlong(importer, extent);
      source = importer.Call("aten::index_select", "", {source, zeros},
                             {TensorArgument{0}, static_cast<std::int64_t>(i - added), TensorArgument{1}});
      open.emplace_back(i, extent.factor);
      continue;
    }
    if (*number < 1 || *number > (std::int64_t{1} << 31)) return node.Broken(absl::StrCat("expands to ", *number));
    if (*number != 1 || !has_axis) sizes[i] = own > 1 || BatchFactor(own) > 0 ? -1 : *number;
  }
  MaybeShape shape = graph::Shape(sizes.begin(), sizes.end());
  for (std::size_t i = added; i < sizes.size(); ++i) {
    if (sizes[i] == -1) (*shape)[i] = (*x.shape)[i - added];
  }
  for (const auto& [i, factor] : open) (*shape)[i] = factor > 0 ? BatchTimes(factor) : kUnknown;
  const ValueId value = importer.Call("aten::expand", "", {source}, {TensorArgument{0}, std::move(sizes)});
  return One(importer.Moved(x, value, std::move(shape)));
}

Results Tile(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.MovingOperand(node, 0));
  QATGAP_ASSIGN_OR_RETURN(std::vector<std::int64_t> repeats, importer.KnownIntegers(node, 1, "number of repeats"));
  MaybeShape shape = x.shape;
  if ((shape && shape->size() != repeats.size()) ||
      std::any_of(repeats.begin(), repeats.end(), [](std::int64_t r) { return r < 1 || r > 1 << 20; })) {
    return node.Broken("has repeats out of range, or for another number of axes");
  }
  for (std::size_t i = 0; shape && i < repeats.size(); ++i) {
    if (repeats[i] != 1) (*shape)[i] = (*shape)[i] < 0 ? kUnknown : (*shape)[i] * repeats[i];
  }
  return One(importer.Moved(x, importer.Call("aten::repeat", "", {x.value}, {TensorArgument{0}, std::move(repeats)}),
                            std::move(shape)));
}

constexpr std::array<std::pair<std::string_view, Importer::Handler>, 2> kOperators = {{
    {"Expand", Expand},
    {"Tile", Tile},
}};

}  // namespace

Importer::Handler FindExpansionOperator(std::string_view op_type) {
  const auto it =
      std::find_if(kOperators.begin(), kOperators.end(), [&](const auto& entry) { return entry.first == op_type; });
  return it == kOperators.end() ? nullptr : it->second;
}

}  // namespace qatgap::frontends::onnx
