#include "analyzers/frontends/torchscript/weight_origin.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/sqrt.h>

#include <algorithm>
#include <cmath>

namespace qatgap::frontends::torchscript {
namespace {

// An attribute of an object, or nullptr: the file may be anything.
const c10::IValue* Attribute(const c10::ivalue::Object* object, const char* name) {
  if (object == nullptr) return nullptr;
  const auto slot = object->type()->findAttributeSlot(name);
  return slot ? &object->slots().at(*slot) : nullptr;
}

const c10::ivalue::Object* Child(const c10::ivalue::Object* object, const char* name) {
  const c10::IValue* value = Attribute(object, name);
  return value != nullptr && value->isObject() ? value->toObject().get() : nullptr;
}

at::Tensor TensorAt(const c10::ivalue::Object* object, const char* name) {
  const c10::IValue* value = Attribute(object, name);
  return value != nullptr && value->isTensor() ? value->toTensor() : at::Tensor();
}

std::vector<float> Floats(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().to(at::kFloat).reshape({-1}).contiguous();
  return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}

// The observer's smallest scale: a buffer, or torch.finfo(torch.float32).eps where the file lacks it.
float Epsilon(const c10::ivalue::Object* observer) {
  const at::Tensor epsilon = TensorAt(observer, "eps");
  return epsilon.defined() && epsilon.numel() == 1 ? epsilon.item<float>() : 0x1p-23F;
}

std::int64_t IntAt(const c10::ivalue::Object* object, const char* name, std::int64_t otherwise) {
  const c10::IValue* value = Attribute(object, name);
  return value != nullptr && value->isInt() ? value->toInt() : otherwise;
}

std::shared_ptr<const graph::ObservedRange> Range(const c10::ivalue::Object* observer, const at::Tensor& minimum,
                                                  const at::Tensor& maximum, const numerics::QuantParams& params, bool symmetric) {
  auto range = std::make_shared<graph::ObservedRange>();
  range->min = Floats(minimum);
  range->max = Floats(maximum);
  if (range->min.size() != range->max.size()) return nullptr;
  range->epsilon = Epsilon(observer);
  range->symmetric = symmetric;
  range->quant_min = IntAt(observer, "quant_min", params.quant_min);
  range->quant_max = IntAt(observer, "quant_max", params.quant_max);
  // Scripting keeps the observer's dtype, tracing does not.
  const std::int64_t dtype = IntAt(observer, "dtype", -1);
  range->is_signed = dtype == static_cast<std::int64_t>(at::kQInt8) || dtype == static_cast<std::int64_t>(at::kChar) ||
                     (dtype == -1 && range->quant_min < 0);
  return range;
}

bool SameBits(const at::Tensor& a, const at::Tensor& b) {
  return a.defined() && b.defined() && a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type() && a.equal(b);
}

// w * reshape(gamma / sqrt(variance + epsilon)), as the QAT modules compute it.
at::Tensor Folded(const at::Tensor& weight, const at::Tensor& gamma, const at::Tensor& variance, double epsilon) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(weight.dim()), 1);
  shape[0] = -1;
  return weight * (gamma / at::sqrt(variance + epsilon)).reshape(shape);
}

}  // namespace

std::shared_ptr<const graph::ObservedRange> RangeOfFusedModule(const Evaluator& evaluator, const at::Tensor& minimum,
                                                               const at::Tensor& maximum, const numerics::QuantParams& params,
                                                               bool symmetric) {
  return Range(Child(evaluator.module(), "activation_post_process"), minimum, maximum, params, symmetric);
}

std::shared_ptr<const graph::ObservedRange> RangeOfPlainModule(const Evaluator& evaluator, const numerics::QuantParams& params) {
  const c10::ivalue::Object* observer = Child(evaluator.module(), "activation_post_process");
  const at::Tensor minimum = TensorAt(observer, "min_val"), maximum = TensorAt(observer, "max_val");
  if (!minimum.defined() || !maximum.defined() || minimum.numel() == 0 || minimum.numel() != maximum.numel()) return nullptr;
  if (!minimum.isfinite().all().item<bool>() || !maximum.isfinite().all().item<bool>()) return nullptr;
  // Tracing keeps no scheme: symmetric scales have one zero point, in the middle.
  const std::int64_t scheme = IntAt(observer, "qscheme", -1);
  const std::int64_t middle = params.quant_min < 0 ? 0 : 128;
  const bool centred = std::all_of(params.zero_points.begin(), params.zero_points.end(),
                                   [&](std::int64_t zero_point) { return zero_point == middle; });
  const bool symmetric = scheme == -1 ? centred
                                      : scheme == static_cast<std::int64_t>(c10::kPerTensorSymmetric) ||
                                            scheme == static_cast<std::int64_t>(c10::kPerChannelSymmetric);
  return Range(observer, minimum, maximum, params, symmetric);
}

std::shared_ptr<const graph::WeightOrigin> OriginOfWeight(const Evaluator& evaluator, const at::Tensor& weight,
                                                          const std::shared_ptr<const graph::ObservedRange>& observed) {
  auto origin = std::make_shared<graph::WeightOrigin>();
  if (observed != nullptr) origin->observed = *observed;
  const std::string& path = evaluator.path();
  const std::size_t dot = path.rfind('.');
  const c10::ivalue::Object* parent = evaluator.ModuleAt(dot == std::string::npos ? "" : path.substr(0, dot));
  const c10::ivalue::Object* norm = Child(parent, "bn");
  const at::Tensor real = TensorAt(parent, "weight");
  const at::Tensor gamma = TensorAt(norm, "weight"), beta = TensorAt(norm, "bias"), mean = TensorAt(norm, "running_mean"),
                   variance = TensorAt(norm, "running_var");
  const bool whole = real.defined() && real.dim() >= 2 && gamma.defined() && beta.defined() && mean.defined() &&
                     variance.defined() && gamma.numel() == real.size(0) && beta.numel() == gamma.numel() &&
                     mean.numel() == gamma.numel() && variance.numel() == gamma.numel();
  if (whole) {
    // Scripting keeps eps as an attribute, tracing as what was added to the variance.
    const c10::IValue* written = Attribute(norm, "eps");
    const double epsilon = written != nullptr && written->isDouble() ? written->toDouble()
                                                                     : evaluator.AddedTo(variance).value_or(1e-5);
    if (SameBits(Folded(real, gamma, variance, epsilon), weight)) {
      origin->real = evaluator.Copy(real);
      origin->batch_norm = graph::WeightOrigin::BatchNorm{.gamma = Floats(gamma),
                                                          .beta = Floats(beta),
                                                          .mean = Floats(mean),
                                                          .variance = Floats(variance),
                                                          .epsilon = static_cast<float>(epsilon)};
      return origin;
    }
  }
  origin->real = evaluator.Copy(weight);
  return origin;
}

}  // namespace qatgap::frontends::torchscript
