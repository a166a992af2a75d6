#include "analyzers/execution/layer_kernel.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_empty_affine_quantized.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/int_repr.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mkldnn_convolution.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "analyzers/execution/layer_kernel_impl.h"
#include "analyzers/execution/sum_loops.h"
#include "analyzers/graph/tensor_rows.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::execution {
namespace {

constexpr double kFloat32Exact = 0x1p24;
constexpr double kInt32Max = 2147483647.0;

// max over output channels of sum |w - z_w|.
double LargestAbsoluteSum(const graph::MacLayer& layer) {
  const auto codes = layer.weight.data<std::int32_t>();
  const auto channels = static_cast<std::size_t>(layer.output_channels);
  std::vector<double> sums(channels, 0.0);
  if (layer.convolution.transposed) {
    // [in, out / groups, ...]: any bound will do, take the sum over everything.
    double total = 0;
    for (const std::int32_t code : codes) total += std::abs(static_cast<double>(code));
    return total;
  }
  const std::size_t taps = codes.size() / std::max<std::size_t>(channels, 1);
  for (std::size_t c = 0; c < channels; ++c) {
    const std::int64_t zero_point = layer.weight_params.zero_point(c);
    for (std::size_t k = 0; k < taps; ++k) {
      sums[c] += std::abs(static_cast<double>(codes[c * taps + k] - zero_point));
    }
  }
  return *std::max_element(sums.begin(), sums.end());
}

}  // namespace

struct LayerKernel::Impl {
  // Input channels [first, first + count) of every group, whose sums are exact in binary32.
  struct Piece {
    std::int64_t first = 0, count = 0;
    mutable at::Tensor weight;  // made when first needed: an engine never reads it
  };

  graph::MacLayer layer;
  numerics::QuantParams input;
  std::vector<Piece> pieces;    // empty: binary64
  mutable at::Tensor weight64;  // made when first needed
  mutable std::map<numerics::Engine, absl::StatusOr<PackedLayer>> packed;

  // w - z_w, int32.
  at::Tensor WeightSteps() const {
    std::vector<std::int64_t> shape(layer.weight.shape().size(), 1);
    const numerics::QuantParams& params = layer.weight_params;
    if (params.per_channel()) shape[static_cast<std::size_t>(params.axis)] = static_cast<std::int64_t>(params.zero_points.size());
    const at::Tensor zero_point = at::tensor(params.zero_points, at::kLong).view(shape);
    return (ToTorch(layer.weight).to(at::kLong) - zero_point).to(at::kInt);
  }

  const at::Tensor& Weight64() const {
    if (!weight64.defined()) weight64 = WeightSteps().to(at::kDouble);
    return weight64;
  }

  const at::Tensor& WeightOf(const Piece& piece) const {
    if (!piece.weight.defined()) {
      const at::Tensor steps = WeightSteps();
      piece.weight = pieces.size() == 1 ? steps.to(at::kFloat).contiguous()
                                        : steps.narrow(1, piece.first, piece.count).to(at::kFloat).contiguous();
    }
    return piece.weight;
  }

  // A product of matrices: [output channels, input channels] by [input channels, elements].
  bool IsMatrixProduct() const {
    if (layer.kind == graph::OpKind::kLinear) return true;
    const graph::ConvolutionAttributes& conv = layer.convolution;
    const auto all = [](const std::vector<std::int64_t>& values, std::int64_t wanted) {
      return std::all_of(values.begin(), values.end(), [wanted](std::int64_t v) { return v == wanted; });
    };
    const graph::Shape& shape = layer.weight.shape();
    return !conv.transposed && conv.groups == 1 && all(conv.stride, 1) && all(conv.padding, 0) &&
           std::all_of(shape.begin() + 2, shape.end(), [](std::int64_t extent) { return extent == 1; });
  }

  // Consecutive input channels as long as their sums stay below 2^24; none when a single one does not, or where groups or a
  // transposed layout leave no axis to cut.
  void Cut(double range) {
    const auto codes = layer.weight.data<std::int32_t>();
    const bool cuttable = layer.kind == graph::OpKind::kLinear || (!layer.convolution.transposed && layer.convolution.groups == 1);
    if (!cuttable || layer.output_channels == 0) return;
    const auto outputs = static_cast<std::size_t>(layer.output_channels);
    const auto inputs = static_cast<std::size_t>(layer.weight.dim(1));
    const std::size_t taps = codes.size() / std::max<std::size_t>(outputs * inputs, 1);
    std::vector<double> sums(outputs, 0.0), added(outputs);
    std::int64_t first = 0;
    std::vector<std::pair<std::int64_t, std::int64_t>> cuts;
    for (std::size_t i = 0; i < inputs; ++i) {
      for (std::size_t o = 0; o < outputs; ++o) {
        const std::int64_t zero_point = layer.weight_params.zero_point(o);
        added[o] = 0;
        for (std::size_t k = 0; k < taps; ++k) {
          added[o] += range * std::abs(static_cast<double>(codes[(o * inputs + i) * taps + k] - zero_point));
        }
      }
      if (*std::max_element(added.begin(), added.end()) >= kFloat32Exact) return;
      bool over = false;
      for (std::size_t o = 0; o < outputs; ++o) over |= (sums[o] += added[o]) >= kFloat32Exact;
      if (!over) continue;
      cuts.emplace_back(first, static_cast<std::int64_t>(i) - first);
      first = static_cast<std::int64_t>(i);
      sums = added;
    }
    cuts.emplace_back(first, static_cast<std::int64_t>(inputs) - first);
    for (const auto& [begin, count] : cuts) pieces.push_back({begin, count, {}});
  }

  at::Tensor Product64(const at::Tensor& x) const {
    if (layer.kind == graph::OpKind::kLinear) return at::linear(x, Weight64());
    const graph::ConvolutionAttributes& conv = layer.convolution;
    const std::vector<std::int64_t> no_output_padding(conv.stride.size(), 0);
    return at::convolution(x, Weight64(), {}, conv.stride, conv.padding, conv.dilation, conv.transposed,
                           conv.transposed ? conv.output_padding : no_output_padding, conv.groups);
  }

  // [output channels, elements] by products of matrices. x is [N, C, ...] or [..., C].
  graph::Tensor MultiplyMatrices(const graph::Tensor& codes) const {
    const bool linear = layer.kind == graph::OpKind::kLinear;
    const std::int64_t channels = linear ? codes.shape().back() : codes.dim(1);
    const std::int64_t elements = channels == 0 ? 0 : codes.elements() / channels;
    const std::int64_t samples = linear ? elements : codes.dim(0);
    at::Tensor x = at::empty({channels, elements}, at::kFloat);
    ToChannelMajorReals(codes.data<std::int32_t>(), {samples, channels, samples == 0 ? 0 : elements / samples},
                        static_cast<std::int32_t>(input.zero_point()), x.data_ptr<float>());
    graph::Tensor sums = graph::Uninitialized(graph::DType::kInt32, {layer.output_channels, elements});
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const Piece& piece = pieces[i];
      const at::Tensor product =
          at::mm(WeightOf(piece).view({layer.output_channels, piece.count}), x.narrow(0, piece.first, piece.count));
      StoreSums({product.const_data_ptr<float>(), static_cast<std::size_t>(product.numel())},
                {1, layer.output_channels, elements}, /*add=*/i != 0, sums.mutable_data<std::int32_t>());
    }
    return sums;
  }

  // [output channels, elements] by convolutions; oneDNN's in binary32 is direct: no Winograd, whose transforms would not be
  // exact.
  graph::Tensor Convolve(const graph::Tensor& codes) const {
    const graph::ConvolutionAttributes& conv = layer.convolution;
    at::Tensor x = at::empty(codes.shape(), at::kFloat);
    ToChannelMajorReals(codes.data<std::int32_t>(), {1, 1, codes.elements()},
                        static_cast<std::int32_t>(input.zero_point()), x.data_ptr<float>());
    graph::Tensor sums;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const Piece& piece = pieces[i];
      const at::Tensor part = pieces.size() == 1 ? x : x.narrow(1, piece.first, piece.count).contiguous();
      const at::Tensor product =
          at::mkldnn_convolution(part, WeightOf(piece), {}, conv.padding, conv.stride, conv.dilation, conv.groups)
              .contiguous();
      const std::int64_t samples = product.size(0), channels = product.size(1);
      const std::int64_t inner = samples * channels == 0 ? 0 : product.numel() / (samples * channels);
      if (!sums.defined()) sums = graph::Uninitialized(graph::DType::kInt32, {channels, samples * inner});
      StoreSums({product.const_data_ptr<float>(), static_cast<std::size_t>(product.numel())},
                {samples, channels, inner}, /*add=*/i != 0, sums.mutable_data<std::int32_t>());
    }
    return sums;
  }
};

at::Tensor ChannelMajor(const graph::MacLayer& layer, const at::Tensor& output) {
  if (layer.kind == graph::OpKind::kLinear) return output.reshape({-1, output.size(-1)}).t().contiguous();
  return output.transpose(0, 1).contiguous().view({output.size(1), -1});
}

namespace {

// [channels, elements] of what an engine wrote: channels last in memory, for a linear and as a rule for a convolution.
graph::Tensor EngineRows(const graph::MacLayer& layer, const at::Tensor& output) {
  const bool linear = layer.kind == graph::OpKind::kLinear;
  const std::int64_t channels = linear ? output.size(-1) : output.size(1);
  const std::int64_t elements = channels == 0 ? 0 : output.numel() / channels;
  const bool channels_last = linear ? output.is_contiguous() : output.is_contiguous(at::MemoryFormat::ChannelsLast);
  if (output.scalar_type() != at::kQUInt8 || !channels_last || (!linear && output.dim() != 4)) {
    return *FromTorch(ChannelMajor(layer, at::int_repr(output).to(at::kInt)));
  }
  graph::Tensor rows = graph::Uninitialized(graph::DType::kInt32, {channels, elements});
  TransposeBytes({static_cast<const std::uint8_t*>(output.const_data_ptr()), static_cast<std::size_t>(output.numel())},
                 elements, channels, rows.mutable_data<std::int32_t>());
  return rows;
}

// quint8 as engines want images: channels last in memory. Else what QuantizedInput makes.
at::Tensor EngineInput(const graph::Tensor& codes, const numerics::QuantParams& params) {
  if (codes.shape().size() != 4 || params.quant_min < 0) return QuantizedInput(ToTorch(codes), params);
  at::Tensor input = at::_empty_affine_quantized(codes.shape(), at::TensorOptions(at::kQUInt8), params.scale(),
                                                 params.zero_point(), at::MemoryFormat::ChannelsLast);
  const std::int64_t inner = codes.dim(2) * codes.dim(3), sample = codes.dim(1) * inner;
  auto* bytes = static_cast<std::uint8_t*>(input.data_ptr());
  for (std::int64_t s = 0; s < codes.dim(0); ++s) {
    TransposeCodes(codes.data<std::int32_t>().subspan(static_cast<std::size_t>(s * sample)), codes.dim(1), inner,
                   bytes + s * sample);
  }
  return input;
}

// Samples, channels, elements of a sample.
ChannelLayout LayoutOf(const graph::Shape& shape) {
  const std::int64_t outer = shape[0] * shape[1];
  return {shape[0], shape[1], outer == 0 ? 0 : graph::ElementCount(shape) / outer};
}

}  // namespace

LayerKernel::LayerKernel(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

absl::StatusOr<LayerKernel> LayerKernel::Create(const graph::MacLayer& layer, const numerics::QuantParams& input) {
  const double range = std::max(std::abs(static_cast<double>(input.quant_min - input.zero_point())),
                                std::abs(static_cast<double>(input.quant_max - input.zero_point())));
  const double bound = LargestAbsoluteSum(layer) * range;
  if (bound > kInt32Max) {
    return absl::FailedPreconditionError(
        absl::StrCat("layer '", layer.name, "': its accumulator can reach ", bound,
                     ", beyond int32; such layers are not analysed"));
  }
  auto impl = std::make_shared<Impl>();
  impl->layer = layer;
  impl->input = input;
  try {
    const at::NoGradGuard no_grad;
    const bool direct = impl->IsMatrixProduct() || (!layer.convolution.transposed && at::globalContext().hasMKLDNN());
    if (direct && bound < kFloat32Exact) {
      impl->pieces.push_back({0, layer.weight.dim(1), {}});
    } else if (direct) {
      impl->Cut(range);
    }
  } catch (const std::exception& error) {
    return TorchError(error, absl::StrCat("preparing layer '", layer.name, "'"));
  }
  return LayerKernel(std::move(impl));
}

bool LayerKernel::uses_float32() const { return impl_->pieces.size() == 1; }
std::size_t LayerKernel::pieces() const { return impl_->pieces.size(); }

absl::StatusOr<graph::Tensor> LayerKernel::Accumulate(const graph::Tensor& codes) const {
  try {
    const at::NoGradGuard no_grad;
    if (impl_->pieces.empty()) {
      const at::Tensor x = (ToTorch(codes) - impl_->input.zero_point()).to(at::kDouble);
      return FromTorch(ChannelMajor(impl_->layer, impl_->Product64(x)).to(at::kInt));
    }
    return impl_->IsMatrixProduct() ? impl_->MultiplyMatrices(codes) : impl_->Convolve(codes);
  } catch (const std::exception& error) {
    return TorchError(error, absl::StrCat("accumulating layer '", impl_->layer.name, "'"));
  }
}

absl::StatusOr<graph::Tensor> LayerKernel::SumReals(const graph::Tensor& x) const {
  try {
    const at::NoGradGuard no_grad;
    return FromTorch(ChannelMajor(impl_->layer, impl_->Product64(ToTorch(x).to(at::kDouble))));
  } catch (const std::exception& error) {
    return TorchError(error, absl::StrCat("summing layer '", impl_->layer.name, "'"));
  }
}

absl::StatusOr<graph::Tensor> LayerKernel::RunEngine(numerics::Engine engine, const graph::Tensor& codes) const {
  if (impl_->input.quant_min < 0 || impl_->input.quant_max > 255) {
    return absl::FailedPreconditionError("PyTorch's engines read quint8");
  }
  auto it = impl_->packed.find(engine);
  if (it == impl_->packed.end()) {
    it = impl_->packed.emplace(engine, PackedLayer::Create(impl_->layer, engine)).first;
  }
  QATGAP_RETURN_IF_ERROR(it->second.status());
  try {
    const at::NoGradGuard no_grad;
    const EngineScope scope(engine);
    graph::Tensor rows = EngineRows(impl_->layer, it->second->Run(EngineInput(codes, impl_->input)));
    // The engine knows quint8 and ReLU alone; a narrower range (0..127 in an ONNX file) and ReLU6 are clamps of codes behind
    // it, as quantized::relu6 is.
    const numerics::OutputRange range = numerics::MakeOutputRange(impl_->layer.output, impl_->layer.activation,
                                                                  numerics::ActivationLimit::kReciprocalHalfToEven);
    if (range.min > 0 || range.max < 255) {
      for (std::int32_t& code : rows.mutable_data<std::int32_t>()) {
        code = static_cast<std::int32_t>(std::clamp<std::int64_t>(code, range.min, range.max));
      }
    }
    return rows;
  } catch (const std::exception& error) {
    const absl::Status status = TorchError(error, "the engine");
    return absl::IsResourceExhausted(status) ? status : absl::FailedPreconditionError(status.message());
  }
}

absl::StatusOr<graph::Shape> OutputShape(const graph::MacLayer& layer, const graph::Shape& input) {
  graph::Shape output = input;
  if (layer.kind == graph::OpKind::kLinear) {
    output.back() = layer.output_channels;
    return output;
  }
  output[1] = layer.output_channels;
  const graph::ConvolutionAttributes& conv = layer.convolution;
  for (std::size_t axis = 0; axis < conv.stride.size(); ++axis) {
    const std::int64_t kernel = conv.dilation[axis] * (layer.weight.dim(axis + 2) - 1) + 1;
    if (conv.transposed) {
      output[axis + 2] =
          (input[axis + 2] - 1) * conv.stride[axis] - 2 * conv.padding[axis] + kernel + conv.output_padding[axis];
    } else {
      output[axis + 2] = (input[axis + 2] + 2 * conv.padding[axis] - kernel) / conv.stride[axis] + 1;
    }
  }
  return output;
}

graph::Tensor ToChannelMajor(const graph::MacLayer& layer, const graph::Tensor& output) {
  if (layer.kind == graph::OpKind::kLinear) return *FromTorch(ChannelMajor(layer, ToTorch(output)));
  const ChannelLayout layout = LayoutOf(output.shape());
  graph::Tensor rows = graph::Uninitialized(graph::DType::kInt32, {layout.channels, layout.samples * layout.inner});
  SwapOuterAxes(output.data<std::int32_t>(), layout.samples, layout.channels, layout.inner,
                rows.mutable_data<std::int32_t>());
  return rows;
}

void FromChannelMajor(const graph::MacLayer& layer, const graph::Tensor& rows, graph::Tensor& output) {
  // A linear is one sample of [channels][rows] turned round.
  const ChannelLayout layout = layer.kind == graph::OpKind::kLinear ? ChannelLayout{rows.dim(1), rows.dim(0), 1}
                                                                    : LayoutOf(output.shape());
  SwapOuterAxes(rows.data<std::int32_t>(), layout.channels, layout.samples, layout.inner,
                output.mutable_data<std::int32_t>());
}

std::int64_t SamplesOfPart(std::int64_t samples, std::int64_t elements) {
  constexpr std::int64_t kPartElements = std::int64_t{1} << 18;
  const std::int64_t part = samples * kPartElements / std::max<std::int64_t>(1, elements);
  return std::clamp<std::int64_t>(part, 1, std::max<std::int64_t>(1, samples));
}

}  // namespace qatgap::execution
