// Fake-quant operators of QAT models.
#include <ATen/ops/fused_moving_avg_obs_fake_quant.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/torchscript/evaluator.h"
#include "analyzers/frontends/torchscript/weight_origin.h"
#include "analyzers/numerics/fake_quantize.h"

namespace qatgap::frontends::torchscript {
namespace {

using graph::OpKind;
using numerics::QuantParams;

// Codes of a weight, with the arithmetic of the operator itself.
graph::Tensor QuantizeWeight(const Evaluator& evaluator, const at::Tensor& weight, const QuantParams& params) {
  if (weight.scalar_type() != at::kFloat) {
    evaluator.Refuse(absl::StrCat("a fake-quant of a weight of type ", at::toString(weight.scalar_type())),
                     "keep weights in float32");
  }
  const graph::Tensor real = evaluator.Copy(weight);
  graph::Tensor codes(graph::DType::kInt32, real.shape());
  if (params.per_channel()) {
    const auto axis = static_cast<std::size_t>(params.axis);
    if (axis >= real.shape().size() || real.dim(axis) != static_cast<std::int64_t>(params.scales.size())) {
      evaluator.Refuse(absl::StrCat("a fake-quant with ", params.scales.size(), " scales along axis ", axis,
                                    " of a weight of shape ", graph::ToString(real.shape())),
                       "export the model again");
    }
  }
  const numerics::ChannelExtents e = numerics::ExtentsAlong(real.shape(), params);
  const absl::Status status = numerics::QuantizeReals(real.data<float>(), params, e.outer, e.channels, e.inner,
                                                      codes.mutable_data<std::int32_t>());
  if (!status.ok()) {
    evaluator.Refuse(absl::StrCat("a weight that cannot be quantized: ", status.message()), "train the model again");
  }
  return codes;
}

// Quantize and dequantize: nodes for what depends on the input, a code constant for what does not.
Slot FakeQuantize(Evaluator& evaluator, const Slot& x, QuantParams params, std::shared_ptr<const graph::ObservedRange> observed) {
  evaluator.Check(params, "a fake-quant");
  evaluator.set_saw_fake_quant();
  if (const auto* value = std::get_if<c10::IValue>(&x)) {
    const at::Tensor& weight = value->toTensor();
    graph::Tensor codes = QuantizeWeight(evaluator, weight, params);
    return Symbol{evaluator.CodeConstant({.value = std::move(codes),
                                          .qparams = std::move(params),
                                          .origin = OriginOfWeight(evaluator, weight, observed)})};
  }
  const graph::ValueId codes = evaluator.Emit(OpKind::kQuantize, {evaluator.Real(x)},
                                              graph::QuantizeAttributes{std::move(params), std::move(observed)});
  return Symbol{evaluator.Emit(OpKind::kDequantize, {codes})};
}

// Axis of per-channel qparams.
int ChannelAxis(const Evaluator& evaluator, const Slot& slot) {
  const std::int64_t axis = evaluator.Int(slot, "channel axis");
  if (axis < 0 || axis > 7) {
    evaluator.Refuse(absl::StrCat("a per-channel fake-quant along axis ", axis), "give the axis as 0 to 7");
  }
  return static_cast<int>(axis);
}

QuantParams ParamsFrom(const Evaluator& evaluator, const at::Tensor& scale, const at::Tensor& zero_point, std::int64_t quant_min,
                       std::int64_t quant_max, int axis) {
  QuantParams params;
  params.quant_min = quant_min;
  params.quant_max = quant_max;
  params.axis = axis;
  if (zero_point.is_floating_point() && !zero_point.equal(zero_point.round())) {
    evaluator.Refuse("a fake-quant with zero points that are not integers", "use affine or symmetric quantization");
  }
  const at::Tensor scales = scale.detach().to(at::kDouble).reshape({-1}).contiguous();
  const at::Tensor zero_points = zero_point.detach().to(at::kLong).reshape({-1}).contiguous();
  params.scales.assign(scales.const_data_ptr<double>(), scales.const_data_ptr<double>() + scales.numel());
  params.zero_points.assign(zero_points.const_data_ptr<std::int64_t>(),
                            zero_points.const_data_ptr<std::int64_t>() + zero_points.numel());
  return params;
}

// fused_moving_avg_obs_fake_quant(x, observer_on, fake_quant_on, min, max, scale, zero_point, averaging_constant,
//                                 quant_min, quant_max, channel_axis, per_channel, symmetric).
// The operator recomputes scale and zero point from min and max whatever the buffers say (PyTorch 2.13), so they are
// taken from one run of the operator itself on copies of the buffers, with the observer off.
Slot FusedFakeQuant(Evaluator& evaluator, const Evaluator::Inputs& in) {
  evaluator.set_saw_fake_quant();
  const auto tensor = [&](std::size_t i) { return evaluator.Concrete(in[i], "fake-quant buffer").toTensor(); };
  if (tensor(2).reshape({-1})[0].item<std::int64_t>() == 0) {
    evaluator.Notice(graph::NoticeKind::kFakeQuantDisabled, "fake_quant_enabled is 0: the value passes unrounded");
    return in[0];
  }
  if (tensor(1).reshape({-1})[0].item<std::int64_t>() != 0) {
    evaluator.Notice(graph::NoticeKind::kObserverFrozen,
                     "observer_enabled is not 0: every run of the model would move this range");
  }
  const at::Tensor observer_off = at::zeros({1}, at::kLong);
  at::Tensor minimum = tensor(3).detach().clone(), maximum = tensor(4).detach().clone();
  at::Tensor scale = tensor(5).detach().clone(), zero_point = tensor(6).detach().clone();
  const std::int64_t quant_min = evaluator.Int(in[8], "quant_min"), quant_max = evaluator.Int(in[9], "quant_max");
  const bool per_channel = evaluator.Concrete(in[11], "per_channel").toBool();
  const int axis = per_channel ? ChannelAxis(evaluator, in[10]) : QuantParams::kPerTensor;
  const bool symmetric = evaluator.Concrete(in[12], "symmetric").toBool();
  if (minimum.numel() == 0 || !minimum.isfinite().all().item<bool>() || !maximum.isfinite().all().item<bool>()) {
    evaluator.Refuse("a fake-quant that has never observed data",
                     "run training or calibration data through the model before exporting it");
  }
  std::vector<std::int64_t> shape{1, 1};  // per channel the operator wants two axes at least
  if (per_channel) {
    shape.assign(static_cast<std::size_t>(axis) + 2, 1);
    shape[static_cast<std::size_t>(axis)] = minimum.numel();
  }
  at::fused_moving_avg_obs_fake_quant(at::zeros(shape), observer_off, tensor(2), minimum, maximum, scale, zero_point,
                                      evaluator.Concrete(in[7], "averaging constant").toDouble(), quant_min, quant_max,
                                      axis, per_channel, symmetric);
  QuantParams params = ParamsFrom(evaluator, scale, zero_point, quant_min, quant_max, axis);
  std::shared_ptr<const graph::ObservedRange> observed =
      RangeOfFusedModule(evaluator, tensor(3), tensor(4), params, symmetric);
  if (observed != nullptr && tensor(1).reshape({-1})[0].item<std::int64_t>() != 0) {
    auto watching = std::make_shared<graph::ObservedRange>(*observed);
    watching->averaging = static_cast<float>(evaluator.Concrete(in[7], "averaging constant").toDouble());
    observed = std::move(watching);
  }
  return FakeQuantize(evaluator, in[0], std::move(params), std::move(observed));
}

// fake_quantize_per_tensor_affine(x, scale, zero_point, quant_min, quant_max), numbers or tensors.
Slot PerTensor(Evaluator& evaluator, const Evaluator::Inputs& in) {
  const auto as_tensor = [](const c10::IValue& value) {
    return value.isTensor() ? value.toTensor() : at::scalar_tensor(value.toScalar(), at::kDouble);
  };
  QuantParams params =
      ParamsFrom(evaluator, as_tensor(evaluator.Concrete(in[1], "scale")), as_tensor(evaluator.Concrete(in[2], "zero point")),
                 evaluator.Int(in[3], "quant_min"), evaluator.Int(in[4], "quant_max"), QuantParams::kPerTensor);
  if (params.scales.size() != 1) evaluator.Refuse("a per-tensor fake-quant with several scales", "export the model again");
  auto observed = RangeOfPlainModule(evaluator, params);
  return FakeQuantize(evaluator, in[0], std::move(params), std::move(observed));
}

// fake_quantize_per_channel_affine(x, scale, zero_point, axis, quant_min, quant_max).
Slot PerChannel(Evaluator& evaluator, const Evaluator::Inputs& in) {
  QuantParams params = ParamsFrom(evaluator, evaluator.Concrete(in[1], "scale").toTensor(),
                                  evaluator.Concrete(in[2], "zero point").toTensor(), evaluator.Int(in[4], "quant_min"),
                                  evaluator.Int(in[5], "quant_max"), ChannelAxis(evaluator, in[3]));
  auto observed = RangeOfPlainModule(evaluator, params);
  return FakeQuantize(evaluator, in[0], std::move(params), std::move(observed));
}

}  // namespace

Evaluator::Handler FindFakeQuantOperator(std::string_view name) {
  if (name == "aten::fused_moving_avg_obs_fake_quant") return FusedFakeQuant;
  if (name == "aten::fake_quantize_per_tensor_affine") return PerTensor;
  if (name == "aten::fake_quantize_per_channel_affine") return PerChannel;
  return nullptr;
}

}  // namespace qatgap::frontends::torchscript
