#include "analyzers/vectors/layout.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"
#include "analyzers/vectors/window.h"

namespace qatgap::vectors {
namespace {

using Axes = std::vector<std::size_t>;

// About ten seconds of one core.
constexpr double kMaxProducts = 0x1p34;

Axes InOrder(std::size_t count) {
  Axes axes(count);
  std::iota(axes.begin(), axes.end(), std::size_t{0});
  return axes;
}

// N, spatial, C -> N, C, spatial; of a weight O, spatial, I -> O, I, spatial.
Axes LastToSecond(std::size_t rank) {
  Axes axes = InOrder(rank);
  std::rotate(axes.begin() + 1, axes.end() - 1, axes.end());
  return axes;
}

// O, spatial, I -> I, O, spatial; 1, spatial, C -> C, 1, spatial.
Axes LastToFirst(std::size_t rank) {
  Axes axes = InOrder(rank);
  std::rotate(axes.begin(), axes.end() - 1, axes.end());
  return axes;
}

graph::Shape PermutedShape(const graph::Shape& shape, const Axes& axes) {
  graph::Shape result;
  for (const std::size_t axis : axes) result.push_back(shape[axis]);
  return result;
}

std::vector<std::int64_t> Spatial(const graph::Shape& shape) { return {shape.begin() + 2, shape.end()}; }

graph::Tensor Reshaped(const graph::Tensor& tensor, graph::Shape shape) {
  return {tensor.dtype(), std::move(shape), tensor.storage()};
}

// How the files' axes are read; the name is for messages.
struct Arrangement {
  std::string_view name;
  Axes activation, weight;
};

// Runtimes whose tensors have their channels last, where a file does not say so.
bool LooksChannelsLast(const CaseDescription& description) {
  const std::string words = Plain(description.runtime + " " + description.target);
  return !description.layout && (words.find("tflite") != std::string::npos ||
                                 words.find("litert") != std::string::npos || words.find("cmsis") != std::string::npos);
}

std::vector<Arrangement> ConvolutionArrangements(const CaseDescription& description, std::size_t rank) {
  const bool transposed = description.op.op == CaseOp::kTransposedConvolution;
  std::vector<Arrangement> arrangements;
  if (description.layout != Layout::kChannelsLast) {
    arrangements.push_back({transposed ? "NCHW with weights I, O, spatial" : "NCHW with weights O, I, spatial",
                            InOrder(rank), InOrder(rank)});
  }
  if (description.layout == Layout::kChannelsFirst) return arrangements;
  arrangements.push_back(
      {"NHWC with weights O, spatial, I", LastToSecond(rank), transposed ? LastToFirst(rank) : LastToSecond(rank)});
  if (!transposed) arrangements.push_back({"NHWC with weights 1, spatial, C", LastToSecond(rank), LastToFirst(rank)});
  if (LooksChannelsLast(description)) std::rotate(arrangements.begin(), arrangements.begin() + 1, arrangements.end());
  return arrangements;
}

absl::Status CheckProducts(const Case& layer, const std::string& where, double products) {
  if (products <= kMaxProducts) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat(where, ": ", OpName(layer), " needs ", products,
                   " products, more than 2^34; a case of a few thousand outputs tells as much"));
}

// Fills `layer`'s attributes. A reason comes back when the shapes do not fit.
absl::StatusOr<std::string> FitConvolution(const CaseDescription& description, const std::string& where,
                                           const graph::Shape& input, const graph::Shape& weight,
                                           const graph::Shape& output, Case* layer) {
  const bool transposed = description.op.op == CaseOp::kTransposedConvolution;
  graph::ConvolutionAttributes& attributes = layer->convolution;
  std::int64_t groups = description.groups.value_or(1);
  // A depthwise layer with the groups of an ordinary one is a default that was written out.
  if (description.op.depthwise && groups == 1) groups = input[1];
  const std::int64_t weight_in = transposed ? weight[0] : weight[1] * groups;
  const std::int64_t weight_out = transposed ? weight[1] * groups : weight[0];
  if (input[0] != output[0]) return absl::StrCat("input has ", input[0], " images, output ", output[0]);
  if (weight_in != input[1]) {
    return absl::StrCat("weight takes ", weight_in, " input channels in ", groups, groups == 1 ? " group" : " groups",
                        ", input has ", input[1]);
  }
  if (weight_out != output[1])
    return absl::StrCat("weight gives ", weight_out, " output channels, output has ", output[1]);
  if (input[1] % groups != 0 || output[1] % groups != 0) {
    return absl::StrCat(groups, " groups do not divide ", input[1], " input and ", output[1], " output channels");
  }
  const auto kernel = Spatial(weight), in = Spatial(input), out = Spatial(output);
  QATGAP_ASSIGN_OR_RETURN(const Window window,
                          MakeWindow(description, where, kernel, std::vector<std::int64_t>(kernel.size(), 1), in, out));
  for (std::size_t i = 0; i < kernel.size(); ++i) {
    const std::int64_t extent =
        transposed ? TransposedOutputExtent(window, i, in[i]) : OutputExtent(window, i, in[i], false);
    if (extent != out[i]) {
      return absl::StrCat("spatial axis ", i, " of ", in[i], " gives ", extent, " outputs (kernel ", kernel[i],
                          ", stride ", window.stride[i], ", padding ", window.begin[i], " and ", window.end[i],
                          ", dilation ", window.dilation[i], "), output has ", out[i]);
    }
  }
  attributes = {.stride = window.stride,
                .padding = window.begin,
                .dilation = window.dilation,
                .groups = groups,
                .transposed = transposed,
                .output_padding = transposed ? window.output_padding : std::vector<std::int64_t>()};
  layer->padding_end = window.end == window.begin ? std::vector<std::int64_t>() : window.end;
  return std::string();
}

absl::Status NoFit(const std::string& where, const std::vector<std::pair<std::string_view, graph::Shape>>& shapes,
                   const std::vector<std::string>& reasons) {
  std::vector<std::string> parts;
  for (const auto& [name, shape] : shapes) parts.push_back(absl::StrCat(Text(name), " ", graph::ToString(shape)));
  return absl::InvalidArgumentError(
      absl::StrCat(where, ": shapes do not fit: ", absl::StrJoin(parts, ", "), "; ", absl::StrJoin(reasons, "; ")));
}

absl::Status ArrangeConvolution(const CaseDescription& description, const std::string& where, Case* layer) {
  graph::Tensor& input = layer->input_codes.front();
  const std::vector<std::pair<std::string_view, graph::Shape>> shapes = {
      {"input", input.shape()}, {"weight", layer->weight_codes.shape()}, {"output", layer->output_codes.shape()}};
  const std::size_t rank = input.shape().size();
  for (const auto& [name, shape] : shapes) {
    if (shape.size() != rank || rank < 3 || rank > 5) {
      return NoFit(where, shapes, {"each needs N, C and one to three spatial axes"});
    }
  }
  if (description.op.spatial_axes && static_cast<std::size_t>(*description.op.spatial_axes) + 2 != rank) {
    return NoFit(where, shapes,
                 {absl::StrCat(description.op_name, " has ", *description.op.spatial_axes, " spatial axes")});
  }
  std::vector<std::string> reasons;
  for (const Arrangement& arrangement : ConvolutionArrangements(description, rank)) {
    const graph::Shape weight = PermutedShape(shapes[1].second, arrangement.weight);
    QATGAP_ASSIGN_OR_RETURN(const std::string reason,
                            FitConvolution(description, where, PermutedShape(shapes[0].second, arrangement.activation),
                                           weight, PermutedShape(shapes[2].second, arrangement.activation), layer));
    if (!reason.empty()) {
      reasons.push_back(absl::StrCat(Text(arrangement.name), ": ", reason));
      continue;
    }
    input = Permuted(input, arrangement.activation);
    layer->weight_codes = Permuted(layer->weight_codes, arrangement.weight);
    layer->output_codes = Permuted(layer->output_codes, arrangement.activation);
    const bool transposed = layer->op == CaseOp::kTransposedConvolution;
    const double taps =
        static_cast<double>(graph::ElementCount(weight)) / static_cast<double>(weight[transposed ? 1 : 0]);
    const double per_group = transposed ? static_cast<double>(layer->convolution.groups) : 1;
    return CheckProducts(*layer, where, taps / per_group * static_cast<double>(layer->output_codes.elements()));
  }
  return NoFit(where, shapes, reasons);
}

absl::Status ArrangeLinear(const std::string& where, Case* layer) {
  const graph::Shape input = layer->input_codes.front().shape(), weight = layer->weight_codes.shape(),
                     output = layer->output_codes.shape();
  const auto no_fit = [&](const std::string& reason) {
    return NoFit(where, {{"input", input}, {"weight", weight}, {"output", output}}, {reason});
  };
  if (weight.size() != 2 || input.empty() || output.empty())
    return no_fit("input is N, K, weight O, K and output N, O");
  const std::int64_t k = input.back(), o = output.back();
  // QLinearMatMul and Gemm without transB keep K, O.
  const bool swapped = weight[1] != k && weight[0] == k && weight[1] == o;
  if (swapped) layer->weight_codes = Permuted(layer->weight_codes, {1, 0});
  if (!swapped && (weight[1] != k || weight[0] != o)) {
    return no_fit(absl::StrCat("weight must be O, K: ", o, " outputs of ", k, " inputs"));
  }
  if (graph::ElementCount(input) / k != graph::ElementCount(output) / o) {
    return no_fit(
        absl::StrCat("input has ", graph::ElementCount(input) / k, " rows, output ", graph::ElementCount(output) / o));
  }
  return CheckProducts(*layer, where, static_cast<double>(k) * static_cast<double>(graph::ElementCount(output)));
}

absl::Status ArrangePool(const CaseDescription& description, const std::string& where, Case* layer) {
  graph::Tensor& input = layer->input_codes.front();
  const std::vector<std::pair<std::string_view, graph::Shape>> shapes = {{"input", input.shape()},
                                                                         {"output", layer->output_codes.shape()}};
  const std::size_t rank = input.shape().size();
  if (rank < 3 || rank > 5 || shapes[1].second.size() != rank)
    return NoFit(where, shapes, {"each needs N, C and one to three spatial axes"});
  if (description.kernel.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": attributes.kernel is missing; a pool needs its window"));
  }
  std::vector<std::int64_t> kernel = description.kernel;
  if (kernel.size() == 1) kernel.resize(rank - 2, kernel.front());
  if (kernel.size() != rank - 2) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": attributes.kernel is [", absl::StrJoin(kernel, ", "),
                                                   "]; give one entry, or one for each of the ", rank - 2,
                                                   " spatial axes"));
  }
  std::vector<std::string> reasons;
  std::vector<Layout> layouts = {Layout::kChannelsFirst, Layout::kChannelsLast};
  if (LooksChannelsLast(description)) std::swap(layouts.front(), layouts.back());
  for (const Layout layout : layouts) {
    if (description.layout && description.layout != layout) continue;
    const Axes axes = layout == Layout::kChannelsFirst ? InOrder(rank) : LastToSecond(rank);
    const graph::Shape in = PermutedShape(shapes[0].second, axes), out = PermutedShape(shapes[1].second, axes);
    QATGAP_ASSIGN_OR_RETURN(const Window window,
                            MakeWindow(description, where, kernel, kernel, Spatial(in), Spatial(out)));
    bool fits = in[0] == out[0] && in[1] == out[1];
    for (std::size_t i = 0; i < kernel.size(); ++i) {
      fits = fits && OutputExtent(window, i, in[i + 2], description.ceil_mode) == out[i + 2];
      fits = fits && window.begin[i] < window.dilation[i] * kernel[i] && window.end[i] < window.dilation[i] * kernel[i];
    }
    if (!fits) {
      reasons.push_back(absl::StrCat("under ", layout == Layout::kChannelsFirst ? "NCHW" : "NHWC", " a window of [",
                                     absl::StrJoin(kernel, ", "), "], stride [", absl::StrJoin(window.stride, ", "),
                                     "] gives another output"));
      continue;
    }
    layer->pool = {.kernel = kernel,
                   .stride = window.stride,
                   .padding = window.begin,
                   .dilation = window.dilation,
                   .ceil_mode = description.ceil_mode,
                   .count_include_pad = description.count_include_pad,
                   .divisor_override = description.divisor_override};
    layer->padding_end = window.end == window.begin ? std::vector<std::int64_t>() : window.end;
    input = Permuted(input, axes);
    layer->output_codes = Permuted(layer->output_codes, axes);
    double products = static_cast<double>(layer->output_codes.elements());
    for (const std::int64_t extent : kernel) products *= static_cast<double>(extent);
    return CheckProducts(*layer, where, products);
  }
  return NoFit(where, shapes, reasons);
}

// add, mul: broadcast. concat: joined along the axis. mean: without the axes.
absl::Status ArrangeElementwise(const CaseDescription& description, const std::string& where, Case* layer) {
  std::vector<std::pair<std::string_view, graph::Shape>> shapes;
  for (const graph::Tensor& input : layer->input_codes) shapes.push_back({"input", input.shape()});
  const graph::Shape output = layer->output_codes.shape();
  shapes.push_back({"output", output});
  const bool broadcast = layer->op == CaseOp::kAdd || layer->op == CaseOp::kMul;
  const std::size_t rank = broadcast ? output.size() : shapes.front().second.size();
  const Axes axes = description.layout == Layout::kChannelsLast && rank >= 3 ? LastToSecond(rank) : InOrder(rank);

  std::vector<bool> chosen(rank, false);
  for (const std::int64_t axis : description.axes) {
    const std::int64_t index = axis < 0 ? axis + static_cast<std::int64_t>(rank) : axis;
    if (index < 0 || index >= static_cast<std::int64_t>(rank)) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": attributes.axes holds ", axis, "; the input has ", rank, " axes"));
    }
    chosen[static_cast<std::size_t>(index)] = true;
  }
  const auto count = std::count(chosen.begin(), chosen.end(), true);
  if (!broadcast && (count == 0 || (layer->op == CaseOp::kConcat && count != 1))) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": attributes.",
                                                   layer->op == CaseOp::kConcat ? "axis" : "axes",
                                                   " is missing; say which axes ", OpName(*layer), " works along"));
  }

  graph::Shape expected(rank, 1);
  for (std::size_t i = 0; i < layer->input_codes.size(); ++i) {
    graph::Shape shape = layer->input_codes[i].shape();
    if (broadcast && shape.size() < rank) shape.insert(shape.begin(), rank - shape.size(), 1);
    if (shape.size() != rank) return NoFit(where, shapes, {"the inputs have different numbers of axes"});
    for (std::size_t axis = 0; axis < rank; ++axis) {
      const bool joined = layer->op == CaseOp::kConcat && chosen[axis];
      if (i == 0)
        expected[axis] = shape[axis];
      else if (joined)
        expected[axis] += shape[axis];
      else if (broadcast && expected[axis] == 1)
        expected[axis] = shape[axis];
      else if (shape[axis] != expected[axis] && !(broadcast && shape[axis] == 1)) {
        return NoFit(where, shapes, {absl::StrCat("axis ", axis, " differs between the inputs")});
      }
    }
    layer->input_codes[i] = Permuted(Reshaped(layer->input_codes[i], shape), axes);
  }
  Axes output_axes = axes;
  if (layer->op == CaseOp::kMean) {
    graph::Shape kept;
    std::vector<std::size_t> position(rank, 0);
    for (std::size_t axis = 0; axis < rank; ++axis) {
      position[axis] = kept.size();
      if (!chosen[axis])
        kept.push_back(expected[axis]);
      else if (description.keep_dims)
        kept.push_back(1);
    }
    expected = kept;
    output_axes.clear();
    for (const std::size_t axis : axes) {
      if (!chosen[axis] || description.keep_dims) output_axes.push_back(position[axis]);
    }
  }
  if (expected != output) return NoFit(where, shapes, {absl::StrCat("the inputs give ", graph::ToString(expected))});
  layer->output_codes = Permuted(layer->output_codes, output_axes);
  layer->keep_dims = description.keep_dims;
  for (std::size_t i = 0; i < rank && !broadcast; ++i) {
    if (chosen[axes[i]]) layer->axes.push_back(static_cast<std::int64_t>(i));
  }
  return absl::OkStatus();
}

}  // namespace

graph::Tensor Permuted(const graph::Tensor& tensor, const Axes& axes) {
  if (axes == InOrder(axes.size())) return tensor;
  const graph::Shape& from = tensor.shape();
  const std::size_t rank = from.size();
  std::vector<std::size_t> stride(rank, 1);  // of the source, in elements
  for (std::size_t axis = rank; axis > 1; --axis)
    stride[axis - 2] = stride[axis - 1] * static_cast<std::size_t>(from[axis - 1]);
  graph::Tensor result(tensor.dtype(), PermutedShape(from, axes));
  const std::span<const std::int32_t> source = tensor.data<std::int32_t>();
  std::vector<std::int64_t> index(rank, 0);
  std::size_t at = 0;
  for (std::int32_t& value : result.mutable_data<std::int32_t>()) {
    value = source[at];
    for (std::size_t axis = rank; axis > 0; --axis) {
      const std::size_t step = stride[axes[axis - 1]];
      at += step;
      if (++index[axis - 1] < result.shape()[axis - 1]) break;
      at -= step * static_cast<std::size_t>(index[axis - 1]);
      index[axis - 1] = 0;
    }
  }
  return result;
}

absl::Status Arrange(const CaseDescription& description, const std::string& where, Case* layer) {
  switch (layer->op) {
    case CaseOp::kConvolution:
    case CaseOp::kTransposedConvolution:
      return ArrangeConvolution(description, where, layer);
    case CaseOp::kLinear:
      return ArrangeLinear(where, layer);
    case CaseOp::kAveragePool:
    case CaseOp::kMaxPool:
      return ArrangePool(description, where, layer);
    case CaseOp::kAdd:
    case CaseOp::kMul:
    case CaseOp::kConcat:
    case CaseOp::kMean:
      return ArrangeElementwise(description, where, layer);
  }
  return absl::OkStatus();
}

}  // namespace qatgap::vectors
