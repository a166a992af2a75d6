// Resize, where LibTorch's upsampling follows the same rule, and channels as space.
#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/onnx/importer.h"
#include "analyzers/frontends/onnx/shape_arithmetic.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::frontends::onnx {
namespace {

using graph::TensorArgument;
using graph::ValueId;

struct Sizes {
  std::vector<double> scales;           // of the spatial axes; empty: `sizes`
  std::vector<std::int64_t> sizes;
  bool whole = false;                   // every scale is an integer
  std::size_t spatial() const { return std::max(scales.size(), sizes.size()); }
};

// Resize(x, roi, scales, sizes): the batch and channel axes must stay.
absl::StatusOr<Sizes> SizesOf(const NodeView& node, const MaybeShape& shape) {
  Sizes result;
  const auto* scales = std::get_if<Literal>(&node.in(2));
  if (scales != nullptr && scales->type == element::kFloat && scales->value.elements() != 0) {
    const auto values = scales->value.data<float>();
    if (values.size() < 3 || values.size() > 5 || values[0] != 1 || values[1] != 1) {
      return node.Refuse("resizes other than one to three spatial axes", "keep the batch and channel axes");
    }
    for (const float value : values.subspan(2)) {
      if (!(value > 0) || std::isinf(value) || value > 1024) return node.Broken(absl::StrCat("has the scale ", value));
      result.scales.push_back(static_cast<double>(value));
    }
    result.whole = std::all_of(result.scales.begin(), result.scales.end(), [](double s) { return s == std::floor(s); });
    return result;
  }
  const auto sizes = AsExtents(node.in(3));
  if (!sizes || sizes->items.size() < 3 || sizes->items.size() > 5) {
    return node.Refuse("has neither constant scales nor constant sizes", "export the model with a fixed output size");
  }
  for (std::size_t i = 2; i < sizes->items.size(); ++i) {
    const auto* size = std::get_if<std::int64_t>(&sizes->items[i]);
    if (size == nullptr || *size < 1 || *size > 1 << 20)
      return node.Refuse("has sizes that are not constants", "export the model with a fixed output size");
    result.sizes.push_back(*size);
  }
  const auto* channels = std::get_if<std::int64_t>(&sizes->items[1]);
  if (shape && channels != nullptr && (*shape)[1] >= 0 && *channels != (*shape)[1])
    return node.Refuse("resizes the channel axis", "resize the spatial axes");
  result.whole = shape && shape->size() == sizes->items.size();
  for (std::size_t i = 0; result.whole && i < result.sizes.size(); ++i) {
    const std::int64_t extent = (*shape)[i + 2];
    result.whole = extent > 0 && result.sizes[i] % extent == 0;
  }
  return result;
}

// floor(i / scale), LibTorch's nearest rule, as ONNX writes it.
bool IsFloorNearest(const NodeView& node, const Sizes& sizes) {
  const std::string transform = node.String("coordinate_transformation_mode", "half_pixel");
  const std::string rounding = node.String("nearest_mode", "round_prefer_floor");
  if (transform == "asymmetric") return rounding == "floor";
  // (i + 0.5) / s - 0.5 lies within half a step of floor(i / s) for whole s, and never at a tie.
  return transform == "half_pixel" && sizes.whole && rounding.starts_with("round_prefer");
}

Results Resize(Importer& importer, const NodeView& node) {
  if (node.Int("antialias", 0) != 0 || node.HasAttribute("axes") || node.Int("exclude_outside", 0) != 0 ||
      node.String("keep_aspect_ratio_policy", "stretch") != "stretch") {
    return node.Refuse("uses antialias, axes, exclude_outside or keep_aspect_ratio_policy", "resize without them");
  }
  const std::string mode = node.String("mode", "nearest");
  const bool nearest = mode == "nearest";
  Symbol x;
  if (nearest) {
    QATGAP_ASSIGN_OR_RETURN(x, importer.MovingOperand(node, 0));
  } else {
    QATGAP_ASSIGN_OR_RETURN(x, importer.Operand(node, 0));
  }
  QATGAP_ASSIGN_OR_RETURN(const Sizes sizes, SizesOf(node, x.shape));
  const std::string transform = node.String("coordinate_transformation_mode", "half_pixel");
  const bool corners = transform == "align_corners";
  const bool same_rule =
      nearest ? IsFloorNearest(node, sizes) : corners || transform == "half_pixel" || transform == "pytorch_half_pixel";
  const double cubic = static_cast<double>(node.Float("cubic_coeff_a", -0.75F));
  if (!same_rule || (mode == "cubic" && (sizes.spatial() != 2 || cubic != -0.75)) ||
      (!nearest && mode != "linear" && mode != "cubic")) {
    return node.Refuse(
        absl::StrCat("resizes in mode '", mode, "' with '", transform, "' coordinates",
                     nearest ? " and nearest_mode '" + node.String("nearest_mode", "round_prefer_floor") + "'" : ""),
        "use torch.nn.Upsample, or nearest with 'asymmetric' and 'floor', linear with 'half_pixel' or 'align_corners'");
  }
  constexpr std::array<const char*, 3> kNearest = {"aten::upsample_nearest1d", "aten::upsample_nearest2d",
                                                   "aten::upsample_nearest3d"};
  constexpr std::array<const char*, 3> kLinear = {"aten::upsample_linear1d", "aten::upsample_bilinear2d",
                                                  "aten::upsample_trilinear3d"};
  const char* name = nearest            ? kNearest[sizes.spatial() - 1]
                     : mode == "linear" ? kLinear[sizes.spatial() - 1]
                                        : "aten::upsample_bicubic2d";
  const auto optional = [](auto list) { return list.empty() ? graph::Argument() : graph::Argument(std::move(list)); };
  std::vector<graph::Argument> arguments{TensorArgument{0}, optional(sizes.sizes)};
  if (!nearest) arguments.emplace_back(corners);
  arguments.push_back(optional(sizes.scales));
  MaybeShape shape = x.shape;
  for (std::size_t i = 0; shape && i < sizes.spatial(); ++i) {
    std::int64_t& extent = (*shape)[i + 2];
    extent = !sizes.sizes.empty() ? sizes.sizes[i]
             : extent < 0         ? -1
                          : static_cast<std::int64_t>(std::floor(static_cast<double>(extent) * sizes.scales[i]));
  }
  return One(importer.Moved(x, importer.Call(name, "vec", {x.value}, std::move(arguments)), std::move(shape)));
}

// Channels in LibTorch's order, (channel, y, x), from those of mode DCR, (y, x, channel), and back.
std::vector<std::int64_t> BlockOrder(std::int64_t channels, std::int64_t block, bool to_torch) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(channels * block * block));
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t b = 0; b < block * block; ++b) {
      const std::int64_t torch_at = c * block * block + b, onnx_at = b * channels + c;
      order[static_cast<std::size_t>(to_torch ? torch_at : onnx_at)] = to_torch ? onnx_at : torch_at;
    }
  }
  return order;
}

// DepthToSpace and SpaceToDepth.
Results Blocks(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.MovingOperand(node, 0));
  const bool to_space = OperatorTypeOf(node) == "DepthToSpace";
  const std::int64_t block = node.Int("blocksize", 0), area = block * block;
  const std::string mode = node.String("mode", "DCR");
  if (block < 1 || block > 64 || RankOf(x.shape).value_or(4) != 4)
    return node.Broken("has a blocksize or an input out of range");
  const std::int64_t channels = x.shape ? (*x.shape)[1] : -1;
  const bool reorders = !to_space || mode == "DCR";
  if (reorders && (channels < 1 || (to_space && channels % area != 0))) {
    return node.Refuse("reorders channels whose number is not in the model",
                       "run onnx.shape_inference.infer_shapes first");
  }
  if (channels > 1 << 20) return node.Broken(absl::StrCat("has ", channels, " channels"));
  ValueId value = x.value;
  const auto select = [&](std::int64_t groups, bool to_torch) {
    const std::vector<std::int64_t> order = BlockOrder(groups, block, to_torch);
    const ValueId index =
        importer.Constant(graph::Tensor::Of<std::int64_t>({static_cast<std::int64_t>(order.size())}, order));
    value = importer.Call("aten::index_select", "", {value, index},
                          {TensorArgument{0}, std::int64_t{1}, TensorArgument{1}});
  };
  if (to_space && reorders) select(channels / area, true);
  value = importer.Call(to_space ? "aten::pixel_shuffle" : "aten::pixel_unshuffle", "", {value},
                        {TensorArgument{0}, block});
  if (!to_space) select(channels, false);
  MaybeShape shape = x.shape;
  if (shape) {
    (*shape)[1] = channels < 0 ? -1 : to_space ? channels / area : channels * area;
    for (std::size_t i = 2; i < 4; ++i) {
      if ((*shape)[i] >= 0) (*shape)[i] = to_space ? (*shape)[i] * block : (*shape)[i] / block;
    }
  }
  return One(importer.Moved(x, value, std::move(shape)));
}

constexpr std::array<std::pair<std::string_view, Importer::Handler>, 3> kOperators = {{
    {"Resize", Resize},
    {"DepthToSpace", Blocks},
    {"SpaceToDepth", Blocks},
}};

}  // namespace

Importer::Handler FindResizeOperator(std::string_view op_type) {
  const auto it =
      std::find_if(kOperators.begin(), kOperators.end(), [&](const auto& entry) { return entry.first == op_type; });
  return it == kOperators.end() ? nullptr : it->second;
}

}  // namespace qatgap::frontends::onnx
