// Fake-quant operators of QAT models.
#include <ATen/ops/empty.h>
#include <ATen/ops/fused_moving_avg_obs_fake_quant.h>
#include <ATen/ops/zeros.h>

#include "absl/strings/str_cat.h"
#include "analyzers/execution/torch_bridge.h"
#include "analyzers/frontends/torchscript/evaluator.h"
#include "analyzers/numerics/fake_quantize.h"

namespace qatgap::frontends::torchscript {
namespace {

using graph::OpKind;
using numerics::QuantParams;

// Quantize and dequantize: nodes for what depends on the input, a code constant for what does not.
Slot FakeQuantize(Evaluator& evaluator, const Slot& x, QuantParams params) {
  if (const absl::Status status = numerics::Validate(params, absl::StrCat("fake-quant in module '", evaluator.path(), "'"));
      !status.ok()) {
    throw ImportError(absl::FailedPreconditionError(status.message()));
  }
  evaluator.set_saw_fake_quant();
  if (const auto* value = std::get_if<c10::IValue>(&x)) {
    auto real = execution::FromTorch(value->toTensor().detach());
    if (!real.ok()) throw ImportError(real.status());
    graph::Tensor codes(graph::DType::kInt32, real->shape());
    std::int64_t outer = 1, channels = 1, inner = real->elements();
    if (params.per_channel()) {
      const auto axis = static_cast<std::size_t>(params.axis);
      channels = real->dim(axis);
      for (std::size_t i = 0; i < axis; ++i) outer *= real->dim(i);
      inner = real->elements() / std::max<std::int64_t>(outer * channels, 1);
    }
    const absl::Status status = numerics::QuantizeReals(real->data<float>(), params, outer, channels, inner,
                                                        codes.mutable_data<std::int32_t>());
    if (!status.ok()) {
      throw ImportError(absl::FailedPreconditionError(
          absl::StrCat("the weight in module '", evaluator.path(), "': ", status.message())));
    }
    return Symbol{evaluator.CodeConstant(std::move(codes), std::move(params)), false};
  }
  const graph::ValueId codes =
      evaluator.Emit(OpKind::kQuantize, {evaluator.Real(x)}, graph::QuantizeAttributes{std::move(params)});
  return Symbol{evaluator.Emit(OpKind::kDequantize, {codes}), false};
}

QuantParams ParamsFrom(const at::Tensor& scale, const at::Tensor& zero_point, std::int64_t quant_min,
                       std::int64_t quant_max, int axis) {
  QuantParams params;
  params.quant_min = quant_min;
  params.quant_max = quant_max;
  params.axis = axis;
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
  const std::int64_t axis = evaluator.Int(in[10], "channel axis");
  const bool per_channel = evaluator.Concrete(in[11], "per_channel").toBool();
  const bool symmetric = evaluator.Concrete(in[12], "symmetric").toBool();
  if (minimum.numel() == 0 || !minimum.isfinite().all().item<bool>() || !maximum.isfinite().all().item<bool>()) {
    evaluator.Refuse("a fake-quant that has never observed data",
                     "run training or calibration data through the model before exporting it");
  }
  std::vector<std::int64_t> shape{1};
  if (per_channel) {
    shape.assign(static_cast<std::size_t>(axis) + 1, 1);
    shape.back() = minimum.numel();
  }
  at::fused_moving_avg_obs_fake_quant(at::zeros(shape), observer_off, tensor(2), minimum, maximum, scale, zero_point,
                                      evaluator.Concrete(in[7], "averaging constant").toDouble(), quant_min, quant_max,
                                      axis, per_channel, symmetric);
  return FakeQuantize(evaluator, in[0],
                      ParamsFrom(scale, zero_point, quant_min, quant_max,
                                 per_channel ? static_cast<int>(axis) : QuantParams::kPerTensor));
}

// fake_quantize_per_tensor_affine(x, scale, zero_point, quant_min, quant_max), numbers or tensors.
Slot PerTensor(Evaluator& evaluator, const Evaluator::Inputs& in) {
  const c10::IValue& scale = evaluator.Concrete(in[1], "scale");
  const c10::IValue& zero_point = evaluator.Concrete(in[2], "zero point");
  QuantParams params;
  params.scales = {scale.isTensor() ? scale.toTensor().item<double>() : scale.toDouble()};
  params.zero_points = {zero_point.isTensor() ? zero_point.toTensor().item<std::int64_t>() : zero_point.toInt()};
  params.quant_min = evaluator.Int(in[3], "quant_min");
  params.quant_max = evaluator.Int(in[4], "quant_max");
  return FakeQuantize(evaluator, in[0], std::move(params));
}

// fake_quantize_per_channel_affine(x, scale, zero_point, axis, quant_min, quant_max).
Slot PerChannel(Evaluator& evaluator, const Evaluator::Inputs& in) {
  return FakeQuantize(evaluator, in[0],
                      ParamsFrom(evaluator.Concrete(in[1], "scale").toTensor(),
                                 evaluator.Concrete(in[2], "zero point").toTensor(), evaluator.Int(in[4], "quant_min"),
                                 evaluator.Int(in[5], "quant_max"), static_cast<int>(evaluator.Int(in[3], "axis"))));
}

}  // namespace

Evaluator::Handler FindFakeQuantOperator(std::string_view name) {
  if (name == "aten::fused_moving_avg_obs_fake_quant") return FusedFakeQuant;
  if (name == "aten::fake_quantize_per_tensor_affine") return PerTensor;
  if (name == "aten::fake_quantize_per_channel_affine") return PerChannel;
  return nullptr;
}

}  // namespace qatgap::frontends::torchscript
