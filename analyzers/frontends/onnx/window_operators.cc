// Padding, and pools.
#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/onnx/mac_operators.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::frontends::onnx {

using graph::OpKind;
using graph::ValueId;

namespace {
constexpr std::int64_t kLargestWindow = 1 << 20;  // of a kernel, stride, dilation or padding: no overflow in shapes
}

bool Window::padded() const {
  const auto is_zero = [](std::int64_t v) { return v == 0; };
  return !std::all_of(begin.begin(), begin.end(), is_zero) || !std::all_of(end.begin(), end.end(), is_zero);
}

absl::StatusOr<Window> WindowOf(const NodeView& node, std::vector<std::int64_t> kernel, const MaybeShape& shape) {
  const std::size_t axes = kernel.size();
  Window window{.kernel = std::move(kernel),
                .stride = node.Ints("strides"),
                .dilation = node.Ints("dilations"),
                .begin = {},
                .end = {}};
  if (window.stride.empty()) window.stride.assign(axes, 1);
  if (window.dilation.empty()) window.dilation.assign(axes, 1);
  std::vector<std::int64_t> pads = node.Ints("pads");
  if (pads.empty()) pads.assign(2 * axes, 0);
  if (axes < 1 || axes > 3 || window.stride.size() != axes || window.dilation.size() != axes ||
      pads.size() != 2 * axes || (shape && shape->size() != axes + 2)) {
    return node.Broken(absl::StrCat("has kernel_shape, strides, dilations or pads that do not fit an input of ", axes,
                                    " spatial axes"));
  }
  const auto within = [](std::int64_t low) {
    return [low](std::int64_t v) { return v >= low && v <= kLargestWindow; };
  };
  if (!std::all_of(window.kernel.begin(), window.kernel.end(), within(1)) ||
      !std::all_of(window.stride.begin(), window.stride.end(), within(1)) ||
      !std::all_of(window.dilation.begin(), window.dilation.end(), within(1)) ||
      !std::all_of(pads.begin(), pads.end(), within(0))) {
    return node.Refuse("has a kernel, stride, dilation or padding out of range",
                       "use positive ones, and crop with a Slice");
  }
  window.begin.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(axes));
  window.end.assign(pads.begin() + static_cast<std::ptrdiff_t>(axes), pads.end());
  const std::string auto_pad = node.String("auto_pad", "NOTSET");
  if (auto_pad == "NOTSET" || auto_pad.empty()) return window;
  std::fill(window.begin.begin(), window.begin.end(), 0);
  std::fill(window.end.begin(), window.end.end(), 0);
  if (auto_pad == "VALID") return window;
  if (auto_pad != "SAME_UPPER" && auto_pad != "SAME_LOWER")
    return node.Broken(absl::StrCat("has the auto_pad '", auto_pad, "'"));
  for (std::size_t i = 0; i < axes; ++i) {
    const std::int64_t extent = shape ? (*shape)[i + 2] : -1;
    if (extent < 1 && window.stride[i] != 1) {
      return node.Refuse(
          absl::StrCat("has auto_pad ", auto_pad, " and a stride, but its input's size is not in the model"),
          "run onnx.shape_inference.infer_shapes first, or export with pads");
    }
    const std::int64_t stride = window.stride[i];
    const std::int64_t reach = (window.kernel[i] - 1) * window.dilation[i] + 1;
    const std::int64_t steps = extent < 1 ? 0 : (extent + stride - 1) / stride;
    const std::int64_t total =
        stride == 1 ? reach - 1 : std::max<std::int64_t>(0, (steps - 1) * stride + reach - extent);
    const std::int64_t small = total / 2;
    window.begin[i] = auto_pad == "SAME_UPPER" ? small : total - small;
    window.end[i] = total - window.begin[i];
  }
  return window;
}

MaybeShape WindowShape(const MaybeShape& input, const Window& window, std::int64_t channels, bool ceil_mode) {
  const std::size_t axes = window.kernel.size();
  graph::Shape shape(axes + 2, -1);
  if (input) shape[0] = (*input)[0];
  shape[1] = channels >= 0 || !input ? channels : (*input)[1];
  for (std::size_t i = 0; input && i < axes; ++i) {
    const std::int64_t extent = (*input)[i + 2];
    if (extent < 0) continue;
    const std::int64_t room =
        extent + window.begin[i] + window.end[i] - (window.kernel[i] - 1) * window.dilation[i] - 1;
    if (room < 0) continue;
    std::int64_t count = room / window.stride[i] + 1;
    // A last window that would start in the padding is left out.
    if (ceil_mode && room % window.stride[i] != 0 && count * window.stride[i] < extent + window.begin[i]) ++count;
    shape[i + 2] = count;
  }
  return shape;
}

ValueId PadSpatially(Importer& importer, ValueId x, const Window& window, double value) {
  std::vector<std::int64_t> pads;  // LibTorch's order: from the last axis, begin and end
  for (std::size_t i = window.kernel.size(); i-- > 0;) {
    pads.push_back(window.begin[i]);
    pads.push_back(window.end[i]);
  }
  return importer.Call("aten::constant_pad_nd", "", {x}, {graph::TensorArgument{0}, std::move(pads), value});
}

MaybeShape PaddedShape(const MaybeShape& input, const Window& window) {
  MaybeShape shape = input;
  for (std::size_t i = 0; shape && i < window.kernel.size(); ++i) {
    if ((*shape)[i + 2] >= 0) (*shape)[i + 2] += window.begin[i] + window.end[i];
  }
  return shape;
}

absl::StatusOr<Symbol> AveragePoolOf(Importer& importer, const NodeView& node, const Symbol& x) {
  QATGAP_ASSIGN_OR_RETURN(Window window, WindowOf(node, node.Ints("kernel_shape"), x.shape));
  const bool ceil_mode = node.Int("ceil_mode", 0) != 0;
  const bool count_padding = node.Int("count_include_pad", 0) != 0;
  if (std::any_of(window.dilation.begin(), window.dilation.end(), [](std::int64_t d) { return d != 1; })) {
    return node.Refuse("averages a dilated window", "use dilations of 1");
  }
  Symbol y{.value = x.value, .shape = WindowShape(x.shape, window, -1, ceil_mode)};
  bool too_wide = !window.symmetric();  // LibTorch pads both sides alike, by half a kernel at most
  for (std::size_t i = 0; i < window.kernel.size(); ++i) too_wide = too_wide || window.begin[i] > window.kernel[i] / 2;
  if (too_wide) {
    if (!count_padding || ceil_mode) {
      return node.Refuse("averages windows that are padded differently at the two ends",
                         "use equal pads, or count_include_pad without ceil_mode");
    }
    y.value = PadSpatially(importer, y.value, window, 0);
    std::fill(window.begin.begin(), window.begin.end(), 0);
  }
  if (window.kernel.size() == 2) {
    y.value = importer.Emit(OpKind::kAvgPool2d, {y.value},
                            graph::PoolAttributes{.kernel = window.kernel,
                                                  .stride = window.stride,
                                                  .padding = window.begin,
                                                  .dilation = {},
                                                  .ceil_mode = ceil_mode,
                                                  .count_include_pad = count_padding,
                                                  .divisor_override = std::nullopt});
    return y;
  }
  y.value =
      importer.Call(window.kernel.size() == 1 ? "aten::avg_pool1d" : "aten::avg_pool3d", "", {y.value},
                    {graph::TensorArgument{0}, window.kernel, window.stride, window.begin, ceil_mode, count_padding});
  return y;
}

absl::StatusOr<Symbol> GlobalAveragePoolOf(Importer& importer, const NodeView& node, const Symbol& x) {
  const std::size_t rank = RankOf(x.shape).value_or(4);  // images where the model does not tell
  if (rank < 3 || rank > 5) return node.Broken(absl::StrCat("pools an input of ", rank, " axes"));
  Symbol y{.value = -1, .shape = x.shape};
  for (std::size_t axis = 2; y.shape && axis < rank; ++axis) (*y.shape)[axis] = 1;
  const std::vector<std::int64_t> ones(rank - 2, 1);
  if (rank == 4) {
    y.value = importer.Emit(OpKind::kAdaptiveAvgPool2d, {x.value}, graph::SizesAttributes{ones});
  } else {
    y.value = importer.Call(rank == 3 ? "aten::adaptive_avg_pool1d" : "aten::adaptive_avg_pool3d", "", {x.value},
                            {graph::TensorArgument{0}, ones});
  }
  return y;
}

namespace {

Results MaxPool(Importer& importer, const NodeView& node) {
  if (node.Int("storage_order", 0) != 0) return node.Refuse("stores columns first", "use storage_order 0");
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.MovingOperand(node, 0));
  QATGAP_ASSIGN_OR_RETURN(Window window, WindowOf(node, node.Ints("kernel_shape"), x.shape));
  const bool ceil_mode = node.Int("ceil_mode", 0) != 0;
  const MaybeShape shape = WindowShape(x.shape, window, -1, ceil_mode);
  ValueId value = x.value;
  bool too_wide = !window.symmetric();
  for (std::size_t i = 0; i < window.kernel.size(); ++i) too_wide = too_wide || window.begin[i] > window.kernel[i] / 2;
  if (too_wide) {
    if (ceil_mode)
      return node.Refuse("pads the two ends differently in ceil_mode", "use equal pads, or a Pad in front of it");
    // Never the largest of a window, since every window holds an element of the input: the result stays on its grid.
    value = PadSpatially(importer, value, window, -std::numeric_limits<double>::infinity());
    std::fill(window.begin.begin(), window.begin.end(), 0);
  }
  if (window.kernel.size() == 2) {
    value = importer.Emit(OpKind::kMaxPool2d, {value},
                          graph::PoolAttributes{.kernel = window.kernel,
                                                .stride = window.stride,
                                                .padding = window.begin,
                                                .dilation = window.dilation,
                                                .ceil_mode = ceil_mode,
                                                .count_include_pad = true,
                                                .divisor_override = std::nullopt});
  } else {
    value = importer.Call(
        window.kernel.size() == 1 ? "aten::max_pool1d" : "aten::max_pool3d", "", {value},
        {graph::TensorArgument{0}, window.kernel, window.stride, window.begin, window.dilation, ceil_mode});
  }
  return One(importer.Moved(x, value, shape));
}

Results AveragePool(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  QATGAP_ASSIGN_OR_RETURN(Symbol y, AveragePoolOf(importer, node, x));
  return One(std::move(y));
}

Results GlobalAveragePool(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  QATGAP_ASSIGN_OR_RETURN(Symbol y, GlobalAveragePoolOf(importer, node, x));
  return One(std::move(y));
}

Results GlobalMaxPool(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.MovingOperand(node, 0));
  const std::size_t rank = RankOf(x.shape).value_or(4);
  if (rank < 3 || rank > 5) return node.Broken(absl::StrCat("pools an input of ", rank, " axes"));
  std::vector<std::int64_t> axes;
  for (std::size_t axis = 2; axis < rank; ++axis) axes.push_back(static_cast<std::int64_t>(axis));
  MaybeShape shape = x.shape;
  for (std::size_t axis = 2; shape && axis < rank; ++axis) (*shape)[axis] = 1;
  const ValueId value = importer.Call("aten::amax", "", {x.value}, {graph::TensorArgument{0}, std::move(axes), true});
  return One(importer.Moved(x, value, std::move(shape)));
}

// Pad(x, pads, value, axes): all begins, then all ends, in the order of the axes.
Results Pad(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.MovingOperand(node, 0));
  std::vector<std::int64_t> pads = node.Ints("pads");
  if (node.has(1)) {
    QATGAP_ASSIGN_OR_RETURN(pads, importer.KnownIntegers(node, 1, "padding"));
  }
  std::vector<std::int64_t> axes;
  if (node.has(3)) {
    QATGAP_ASSIGN_OR_RETURN(axes, importer.KnownIntegers(node, 3, "list of axes"));
  } else {
    for (std::size_t i = 0; i < pads.size() / 2; ++i) axes.push_back(static_cast<std::int64_t>(i));
  }
  const std::optional<std::size_t> rank = x.shape        ? RankOf(x.shape)
                                          : !node.has(3) ? std::optional(axes.size())
                                                         : std::nullopt;
  if (!rank || pads.size() != 2 * axes.size() || axes.size() > *rank || *rank > 8) {
    return node.Refuse("pads axes of an input whose number of axes is not in the model", "give pads for every axis");
  }
  std::vector<std::int64_t> begin(*rank, 0), end(*rank, 0);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto axis = NormalAxis(axes[i], graph::Shape(*rank, -1));
    if (!axis || std::abs(pads[i]) > kLargestWindow || std::abs(pads[i + axes.size()]) > kLargestWindow) {
      return node.Broken("has an axis or padding out of range");
    }
    begin[static_cast<std::size_t>(*axis)] = pads[i];
    end[static_cast<std::size_t>(*axis)] = pads[i + axes.size()];
  }
  std::vector<std::int64_t> order;
  std::size_t last = 0;  // axes that are padded, from the last one
  MaybeShape shape = x.shape;
  for (std::size_t axis = *rank; axis-- > 0;) {
    order.push_back(begin[axis]);
    order.push_back(end[axis]);
    if (begin[axis] != 0 || end[axis] != 0) last = order.size();
    if (!shape || (begin[axis] == 0 && end[axis] == 0)) continue;
    (*shape)[axis] = (*shape)[axis] < 0 ? kUnknown : (*shape)[axis] + begin[axis] + end[axis];
  }
  order.resize(last);
  const std::string mode = node.String("mode", "constant");
  double value = 0;
  if (mode == "constant" && node.has(2)) {
    QATGAP_ASSIGN_OR_RETURN(value, importer.KnownNumber(node, 2, "padding value"));
    if (x.codes != nullptr) value = (value - static_cast<double>(x.codes->zero_point())) * x.codes->scale();
  } else if (mode == "constant" && x.codes != nullptr) {
    value = -static_cast<double>(x.codes->zero_point()) * x.codes->scale();
  }
  if (order.empty()) return One(importer.Moved(x, x.value, std::move(shape)));
  ValueId result = -1;
  if (mode == "constant" && value == 0) {
    result = importer.Call("aten::constant_pad_nd", "", {x.value}, {graph::TensorArgument{0}, std::move(order), 0.0});
  } else if (mode == "constant") {  // a number that need not be on the input's grid
    result = importer.Call("aten::pad", "", {x.value},
                           {graph::TensorArgument{0}, std::move(order), std::string("constant"), value});
  } else if ((mode == "reflect" || mode == "edge") && order.size() <= 4) {
    order.resize(order.size() <= 2 ? 2 : 4, 0);
    const bool one = order.size() == 2;
    const char* name = mode == "reflect" ? (one ? "aten::reflection_pad1d" : "aten::reflection_pad2d")
                                         : (one ? "aten::replication_pad1d" : "aten::replication_pad2d");
    result = importer.Call(name, "", {x.value}, {graph::TensorArgument{0}, std::move(order)});
  } else {
    return node.Refuse(absl::StrCat("pads in mode '", mode, "' along ", order.size() / 2, " axes"),
                       "use constant padding, or reflect and edge along the last two axes");
  }
  return One(importer.Moved(x, result, std::move(shape)));
}

constexpr std::array<std::pair<std::string_view, Importer::Handler>, 5> kOperators = {{
    {"MaxPool", MaxPool},
    {"AveragePool", AveragePool},
    {"GlobalAveragePool", GlobalAveragePool},
    {"GlobalMaxPool", GlobalMaxPool},
    {"Pad", Pad},
}};

}  // namespace

Importer::Handler FindWindowOperator(std::string_view op_type) {
  const auto it =
      std::find_if(kOperators.begin(), kOperators.end(), [&](const auto& entry) { return entry.first == op_type; });
  return it == kOperators.end() ? nullptr : it->second;
}

}  // namespace qatgap::frontends::onnx
