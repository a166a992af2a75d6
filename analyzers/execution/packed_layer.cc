#include <ATen/core/grad_mode.h>
#include <ATen/ops/_make_per_channel_quantized_tensor.h>
#include <ATen/ops/_make_per_tensor_quantized_tensor.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "analyzers/execution/engine_check.h"
#include "analyzers/execution/layer_kernel_impl.h"

namespace qatgap::execution {
namespace {

std::string WhyNot(const graph::MacLayer& layer) {
  if (layer.convolution.transposed && layer.activation == numerics::Activation::kRelu) {
    return "PyTorch's engines have no transposed convolution with a fused activation";
  }
  if (layer.output.quant_min < 0 || layer.output.quant_max > 255) {
    return absl::StrCat("PyTorch's engines write quint8, this layer's codes are ", layer.output.quant_min, "..",
                        layer.output.quant_max);
  }
  if (layer.kind == graph::OpKind::kConvolution && (layer.convolution.stride.empty() || layer.convolution.stride.size() > 3)) {
    return absl::StrCat("PyTorch's engines have no convolution of ", layer.convolution.stride.size(), " axes");
  }
  if (layer.weight_params.quant_min < -128 || layer.weight_params.quant_max > 127) {
    return "PyTorch's engines take qint8 weights";
  }
  return "";
}

at::Tensor QuantizedWeight(const graph::MacLayer& layer) {
  const at::Tensor codes = ToTorch(layer.weight).to(at::kChar);
  const numerics::QuantParams& params = layer.weight_params;
  if (!params.per_channel()) {
    return at::_make_per_tensor_quantized_tensor(codes, params.scale(), params.zero_point());
  }
  return at::_make_per_channel_quantized_tensor(codes, at::tensor(params.scales, at::kDouble),
                                                at::tensor(params.zero_points, at::kLong), params.axis);
}

// quantized::conv2d, conv2d_relu, conv_transpose2d, ... and the operator that packs for them.
struct ConvolutionOperator {
  const char* prepack;
  const char* plain;
  const char* relu;        // nullptr: none
  const char* overload;
};

const ConvolutionOperator& OperatorOf(const graph::ConvolutionAttributes& conv) {
  static constexpr ConvolutionOperator kPlain[] = {
      {"quantized::conv1d_prepack", "quantized::conv1d", "quantized::conv1d_relu", ""},
      {"quantized::conv2d_prepack", "quantized::conv2d", "quantized::conv2d_relu", "new"},
      {"quantized::conv3d_prepack", "quantized::conv3d", "quantized::conv3d_relu", "new"},
  };
  static constexpr ConvolutionOperator kTransposed[] = {
      {"quantized::conv_transpose1d_prepack", "quantized::conv_transpose1d", nullptr, ""},
      {"quantized::conv_transpose2d_prepack", "quantized::conv_transpose2d", nullptr, ""},
      {"quantized::conv_transpose3d_prepack", "quantized::conv_transpose3d", nullptr, ""},
  };
  return (conv.transposed ? kTransposed : kPlain)[conv.stride.size() - 1];
}

c10::List<std::int64_t> Ints(const std::vector<std::int64_t>& values) { return c10::List<std::int64_t>(c10::ArrayRef(values)); }

}  // namespace

absl::Status CheckEngine(const graph::MacLayer& layer, numerics::Engine engine) {
  if (layer.input_grids.empty()) return absl::OkStatus();
  for (const numerics::QuantParams& grid : layer.input_grids) {
    if (grid.quant_min >= 0 && grid.quant_max <= 255) continue;
    return absl::FailedPreconditionError(absl::StrCat("PyTorch's engines read quint8, codes ", grid.quant_min, "..",
                                                      grid.quant_max, " reach this layer"));
  }
  if (const std::string reason = WhyNot(layer); !reason.empty()) return absl::FailedPreconditionError(reason);
  // These pack everywhere; packing the others tells, and takes milliseconds.
  const bool plain = layer.kind == graph::OpKind::kLinear || (layer.convolution.stride.size() == 2 && !layer.convolution.transposed);
  return plain ? absl::OkStatus() : PackedLayer::Create(layer, engine).status();
}

absl::StatusOr<PackedLayer> PackedLayer::Create(const graph::MacLayer& layer, numerics::Engine engine) {
  if (const std::string reason = WhyNot(layer); !reason.empty()) return absl::FailedPreconditionError(reason);
  const at::NoGradGuard no_grad;
  PackedLayer packed;
  packed.output_scale_ = layer.output.scale();
  packed.output_zero_point_ = layer.output.zero_point();
  const bool relu = layer.activation == numerics::Activation::kRelu;
  try {
    const EngineScope scope(engine);
    c10::IValue bias;
    if (!layer.shipped_bias.empty()) bias = at::tensor(layer.shipped_bias, at::kFloat);
    if (layer.kind == graph::OpKind::kLinear) {
      packed.packed_ = CallOperator("quantized::linear_prepack", "", {QuantizedWeight(layer), bias});
      packed.op_ = relu ? "quantized::linear_relu" : "quantized::linear";
    } else {
      const graph::ConvolutionAttributes& conv = layer.convolution;
      const ConvolutionOperator& op = OperatorOf(conv);
      torch::jit::Stack stack{QuantizedWeight(layer), bias, Ints(conv.stride), Ints(conv.padding)};
      if (conv.transposed) stack.emplace_back(Ints(conv.output_padding));
      stack.emplace_back(Ints(conv.dilation));
      stack.emplace_back(conv.groups);
      packed.packed_ = CallOperator(op.prepack, "", std::move(stack));
      packed.op_ = relu ? op.relu : op.plain;
      packed.overload_ = op.overload;
      if (conv.transposed) {
        if (std::string wrong = ProbeTransposed(layer, packed, QuantizedWeight(layer).dequantize()); !wrong.empty()) {
          return absl::FailedPreconditionError(wrong);
        }
      }
    }
  } catch (const std::exception& error) {
    const absl::Status status = TorchError(error, "packing the layer");
    return absl::IsResourceExhausted(status) ? status : absl::FailedPreconditionError(status.message());
  }
  return packed;
}

at::Tensor PackedLayer::Run(const at::Tensor& input) const {
  return CallOperator(op_, overload_, {input, packed_, output_scale_, output_zero_point_}).toTensor();
}

}  // namespace qatgap::execution
