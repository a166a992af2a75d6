#include "analyzers/execution/layer_kernel.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/int_repr.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mkldnn_convolution.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "analyzers/execution/layer_kernel_impl.h"
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
  graph::MacLayer layer;
  numerics::QuantParams input;
  at::Tensor weight32, weight64;  // w - z_w; weight32 is undefined where binary32 is not proved exact
  mutable std::map<numerics::Engine, absl::StatusOr<PackedLayer>> packed;

  at::Tensor Product(const at::Tensor& x, const at::Tensor& weight) const {
    if (layer.kind == graph::OpKind::kLinear) return at::linear(x, weight);
    const graph::ConvolutionAttributes& conv = layer.convolution;
    // oneDNN's binary32 convolution is direct: no Winograd, whose transforms would not be exact.
    if (x.scalar_type() == at::kFloat && !conv.transposed && at::globalContext().hasMKLDNN()) {
      return at::mkldnn_convolution(x, weight, {}, conv.padding, conv.stride, conv.dilation, conv.groups);
    }
    const std::vector<std::int64_t> no_output_padding(conv.stride.size(), 0);
    return at::convolution(x.to(at::kDouble), weight64, {}, conv.stride, conv.padding, conv.dilation, conv.transposed,
                           conv.transposed ? conv.output_padding : no_output_padding, conv.groups);
  }
};

at::Tensor ChannelMajor(const graph::MacLayer& layer, const at::Tensor& output) {
  if (layer.kind == graph::OpKind::kLinear) return output.reshape({-1, output.size(-1)}).t().contiguous();
  return output.transpose(0, 1).contiguous().view({output.size(1), -1});
}

LayerKernel::LayerKernel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LayerKernel::LayerKernel(LayerKernel&&) noexcept = default;
LayerKernel& LayerKernel::operator=(LayerKernel&&) noexcept = default;
LayerKernel::~LayerKernel() = default;

absl::StatusOr<LayerKernel> LayerKernel::Create(const graph::MacLayer& layer, const numerics::QuantParams& input) {
  const double range = std::max(std::abs(static_cast<double>(input.quant_min - input.zero_point())),
                                std::abs(static_cast<double>(input.quant_max - input.zero_point())));
  const double bound = LargestAbsoluteSum(layer) * range;
  if (bound > kInt32Max) {
    return absl::FailedPreconditionError(
        absl::StrCat("layer '", layer.name, "': its accumulator can reach ", bound,
                     ", beyond int32; such layers are not analysed"));
  }
  auto impl = std::make_unique<Impl>();
  impl->layer = layer;
  impl->input = input;
  try {
    const at::NoGradGuard no_grad;
    const at::Tensor codes = ToTorch(layer.weight);
    std::vector<std::int64_t> shape(layer.weight.shape().size(), 1);
    const numerics::QuantParams& params = layer.weight_params;
    if (params.per_channel()) shape[static_cast<std::size_t>(params.axis)] = static_cast<std::int64_t>(params.zero_points.size());
    const at::Tensor zero_point = at::tensor(params.zero_points, at::kLong).view(shape);
    impl->weight64 = (codes.to(at::kLong) - zero_point).to(at::kDouble);
    if (bound < kFloat32Exact) impl->weight32 = impl->weight64.to(at::kFloat);
  } catch (const std::exception& error) {
    return TorchError(error, absl::StrCat("preparing layer '", layer.name, "'"));
  }
  return LayerKernel(std::move(impl));
}

bool LayerKernel::uses_float32() const { return impl_->weight32.defined(); }

absl::StatusOr<graph::Tensor> LayerKernel::Accumulate(const graph::Tensor& codes) const {
  try {
    const at::NoGradGuard no_grad;
    const at::Tensor x = ToTorch(codes) - impl_->input.zero_point();
    const at::Tensor product = uses_float32() ? impl_->Product(x.to(at::kFloat), impl_->weight32)
                                              : impl_->Product(x.to(at::kDouble), impl_->weight64);
    return FromTorch(ChannelMajor(impl_->layer, product).to(at::kInt));
  } catch (const std::exception& error) {
    return TorchError(error, absl::StrCat("accumulating layer '", impl_->layer.name, "'"));
  }
}

absl::StatusOr<graph::Tensor> LayerKernel::SumReals(const graph::Tensor& x) const {
  try {
    const at::NoGradGuard no_grad;
    return FromTorch(ChannelMajor(impl_->layer, impl_->Product(ToTorch(x).to(at::kDouble), impl_->weight64)));
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
    const at::Tensor output = it->second->Run(QuantizedInput(ToTorch(codes), impl_->input));
    at::Tensor rows = ChannelMajor(impl_->layer, at::int_repr(output).to(at::kInt));
    // The engine knows quint8 and ReLU alone; a narrower range (0..127 in an ONNX file) and ReLU6 are clamps of codes behind
    // it, as quantized::relu6 is.
    const numerics::OutputRange range = numerics::MakeOutputRange(impl_->layer.output, impl_->layer.activation,
                                                                  numerics::ActivationLimit::kReciprocalHalfToEven);
    if (range.min > 0 || range.max < 255) rows = at::clamp(rows, range.min, range.max);
    return FromTorch(rows);
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
  return *FromTorch(ChannelMajor(layer, ToTorch(output)));
}

graph::Tensor FromChannelMajor(const graph::MacLayer& layer, const graph::Tensor& rows, const graph::Shape& output) {
  const at::Tensor torch_rows = ToTorch(rows);
  if (layer.kind == graph::OpKind::kLinear) return *FromTorch(torch_rows.t().contiguous().view(output));
  graph::Shape channel_first = output;
  std::swap(channel_first[0], channel_first[1]);
  return *FromTorch(torch_rows.view(channel_first).transpose(0, 1));
}

}  // namespace qatgap::execution
