// Fake-quants, and the quantize and dequantize operators of converted programs.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/pt2/fused_fake_quant.h"
#include "analyzers/frontends/pt2/importer.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::pt2 {
namespace {

using graph::OpKind;
using graph::ValueId;
using numerics::QuantParams;

constexpr std::size_t kMaxChannels = std::size_t{1} << 24U;

template <typename T>
std::vector<double> Widened(const graph::Tensor& tensor) {
  const auto values = tensor.data<T>();
  return {values.begin(), values.end()};
}

// Elements of a constant of any type.
absl::StatusOr<std::vector<double>> Numbers(Importer& importer, const Call& call, std::string_view argument) {
  if (const auto* number = std::get_if<double>(call.Find(argument))) return std::vector<double>{*number};
  if (const auto* number = std::get_if<std::int64_t>(call.Find(argument)))
    return std::vector<double>{static_cast<double>(*number)};
  QATGAP_ASSIGN_OR_RETURN(const graph::Tensor tensor, importer.ConstantTensor(call, argument));
  if (static_cast<std::size_t>(tensor.elements()) > kMaxChannels) {
    return importer.Refuse(absl::StrCat("the argument '", Text(argument), "' of ", call.file_name, " has ",
                                        tensor.elements(), " elements"),
                           "export the model again");
  }
  switch (tensor.dtype()) {
    case graph::DType::kFloat32:
      return Widened<float>(tensor);
    case graph::DType::kFloat64:
      return Widened<double>(tensor);
    case graph::DType::kInt8:
      return Widened<std::int8_t>(tensor);
    case graph::DType::kUint8:
      return Widened<std::uint8_t>(tensor);
    case graph::DType::kInt32:
      return Widened<std::int32_t>(tensor);
    case graph::DType::kInt64:
      return Widened<std::int64_t>(tensor);
    case graph::DType::kBool:
      return Widened<bool>(tensor);
  }
  return std::vector<double>();
}

struct Range {
  std::int64_t min = 0, max = 0;
};
absl::StatusOr<Range> CodeRange(Importer& importer, const Call& call) {
  Range range;
  for (const bool low : {true, false}) {
    const std::string_view argument = low ? "quant_min" : "quant_max";
    std::int64_t& end = low ? range.min : range.max;
    if (const auto* number = std::get_if<std::int64_t>(call.Find(argument))) {
      end = *number;
      continue;
    }
    QATGAP_ASSIGN_OR_RETURN(const std::vector<double> numbers,
                            Numbers(importer, call, argument));  // the tensor2 overload
    if (numbers.size() != 1 || !(std::fabs(numbers[0]) <= 0x1p40)) {
      return importer.Refuse(absl::StrCat("the argument '", Text(argument), "' of ", call.file_name, " is no integer"),
                             "export the model again");
    }
    end = static_cast<std::int64_t>(numbers[0]);
  }
  constexpr std::int64_t kLow = std::numeric_limits<std::int32_t>::min(),
                         kHigh = std::numeric_limits<std::int32_t>::max();
  if (range.min < kLow || range.max > kHigh || range.min >= range.max) {
    return importer.Refuse(absl::StrCat("codes from ", range.min, " to ", range.max), "use at most 32 bits");
  }
  return range;
}

// Scales, zero points and the range of codes; `axis` counts from the front, or is QuantParams::kPerTensor.
absl::StatusOr<QuantParams> ParamsOf(Importer& importer, const Call& call, std::string_view scales,
                                     std::string_view zero_points, int axis) {
  QuantParams params;
  QATGAP_ASSIGN_OR_RETURN(const Range range, CodeRange(importer, call));
  params.quant_min = range.min;
  params.quant_max = range.max;
  params.axis = axis;
  QATGAP_ASSIGN_OR_RETURN(params.scales, Numbers(importer, call, scales));
  std::vector<double> zeros(params.scales.size(), 0);
  if (!call.Lacks(zero_points)) {
    QATGAP_ASSIGN_OR_RETURN(zeros, Numbers(importer, call, zero_points));
  }
  for (const double zero : zeros) {
    if (!(std::fabs(zero) <= 0x1p40) || zero != std::nearbyint(zero)) {
      return importer.Refuse(absl::StrCat("the zero point ", zero, " of ", call.file_name, " is no integer"),
                             "use affine or symmetric quantization");
    }
    params.zero_points.push_back(static_cast<std::int64_t>(zero));
  }
  if (!params.per_channel() && params.scales.size() != 1) {
    return importer.Refuse(absl::StrCat(params.scales.size(), " scales of ", call.file_name), "export the model again");
  }
  QATGAP_RETURN_IF_ERROR(importer.CheckParams(params, call.file_name));
  return params;
}

absl::StatusOr<int> ChannelAxis(Importer& importer, const Call& call, std::string_view x, std::string_view argument) {
  QATGAP_ASSIGN_OR_RETURN(std::int64_t axis, importer.Int(call, argument));
  const TensorMeta* meta = importer.MetaOf(call, x);
  const std::int64_t rank = meta == nullptr ? 8 : static_cast<std::int64_t>(meta->sizes.size());
  if (axis < 0 && meta != nullptr && axis >= -rank) axis += rank;
  if (axis < 0 || axis >= rank) {
    return importer.Refuse(absl::StrCat(call.file_name, " along axis ", axis, " of a tensor of ", rank, " axes"),
                           "export the model again");
  }
  return static_cast<int>(axis);
}

absl::Status FakeQuantize(Importer& importer, const Call& call, std::string_view x,
                          graph::QuantizeAttributes attributes) {
  importer.set_saw_fake_quant(attributes.observed != nullptr);
  QATGAP_ASSIGN_OR_RETURN(const Slot* slot, importer.Tensor(call, x));
  if (slot->dtype == ScalarType::kFloat64) {
    return importer.Refuse("a fake-quant of a float64 tensor", "keep weights and activations in float32");
  }
  QATGAP_ASSIGN_OR_RETURN(const ValueId real, importer.Real(call, x));
  const ValueId codes = importer.Emit(call, OpKind::kQuantize, {real}, std::move(attributes));
  return importer.Bind(call, importer.Emit(call, OpKind::kDequantize, {codes}));
}

// The file's name of the observer's other buffers: "conv.weight_fake_quant.activation_post_process.min_val".
std::optional<float> EpsilonOf(Importer& importer, const Slot& running_min) {
  constexpr std::string_view kName = "min_val";
  if (!running_min.fqn.ends_with(kName)) return std::nullopt;
  const std::string eps = running_min.fqn.substr(0, running_min.fqn.size() - kName.size()) + "eps";
  if (!importer.weights().Has(eps)) return std::nullopt;
  const absl::StatusOr<graph::Tensor> tensor = importer.weights().Load(eps);
  if (!tensor.ok() || tensor->dtype() != graph::DType::kFloat32 || tensor->elements() != 1) return std::nullopt;
  return tensor->data<float>()[0];
}

// fused_moving_avg_obs_fake_quant and its helpers, which give a mask too.
absl::Status FusedFakeQuant(Importer& importer, const Call& call) {
  QATGAP_ASSIGN_OR_RETURN(const std::vector<double> fake_quant_on, Numbers(importer, call, "fake_quant_on"));
  QATGAP_ASSIGN_OR_RETURN(const std::vector<double> observer_on, Numbers(importer, call, "observer_on"));
  if (!fake_quant_on.empty() && fake_quant_on[0] == 0) {
    importer.set_saw_fake_quant(true);
    importer.Notice(graph::NoticeKind::kFakeQuantDisabled, "fake_quant_enabled is 0: the value passes unrounded");
    return importer.BindAlias(call, "self", Importer::Memory::kOther);
  }
  if (!observer_on.empty() && observer_on[0] != 0) {
    importer.Notice(graph::NoticeKind::kObserverFrozen,
                    "observer_enabled is not 0: every run of the model would move this range");
  }
  QATGAP_ASSIGN_OR_RETURN(const Range range, CodeRange(importer, call));
  QATGAP_ASSIGN_OR_RETURN(const bool per_channel, importer.Bool(call, "per_row_fake_quant", false));
  QATGAP_ASSIGN_OR_RETURN(const bool symmetric, importer.Bool(call, "symmetric_quant", false));
  int axis = QuantParams::kPerTensor;
  if (per_channel) {
    QATGAP_ASSIGN_OR_RETURN(axis, ChannelAxis(importer, call, "self", "ch_axis"));
  }
  QATGAP_ASSIGN_OR_RETURN(const std::vector<double> minima, Numbers(importer, call, "running_min"));
  QATGAP_ASSIGN_OR_RETURN(const std::vector<double> maxima, Numbers(importer, call, "running_max"));
  graph::ObservedRange observed;
  observed.symmetric = symmetric;
  observed.quant_min = range.min;
  observed.quant_max = range.max;
  observed.is_signed = range.min < 0;
  graph::QuantizeAttributes attributes;
  attributes.qparams.quant_min = range.min;
  attributes.qparams.quant_max = range.max;
  attributes.qparams.axis = axis;
  const bool counted = minima.size() == maxima.size() && !minima.empty() && (per_channel || minima.size() == 1);
  for (std::size_t i = 0; counted && i < minima.size(); ++i) {
    const auto min = static_cast<float>(minima[i]), max = static_cast<float>(maxima[i]);
    if (!std::isfinite(min) || !std::isfinite(max) || min > max) break;
    const FusedQuantParams chosen = ChooseFusedQuantParams(min, max, static_cast<std::int32_t>(range.min),
                                                           static_cast<std::int32_t>(range.max), symmetric);
    attributes.qparams.scales.push_back(static_cast<double>(chosen.scale));
    attributes.qparams.zero_points.push_back(chosen.zero_point);
    observed.min.push_back(min);
    observed.max.push_back(max);
  }
  if (!counted || attributes.qparams.scales.size() != minima.size()) {
    return importer.Refuse("a fake-quant that has never observed data",
                           "run training or calibration data through the model before exporting it");
  }
  QATGAP_RETURN_IF_ERROR(importer.CheckParams(attributes.qparams, "a fake-quant"));
  QATGAP_ASSIGN_OR_RETURN(const Slot* running_min, importer.Tensor(call, "running_min"));
  if (const auto epsilon = EpsilonOf(importer, *running_min)) observed.epsilon = *epsilon;
  attributes.observed = std::make_shared<const graph::ObservedRange>(std::move(observed));
  return FakeQuantize(importer, call, "self", std::move(attributes));
}

// fake_quantize_per_tensor_affine(self, scale, zero_point, quant_min, quant_max) and variants; numbers or tensors.
absl::Status PerTensorFakeQuant(Importer& importer, const Call& call) {
  if (!call.Lacks("fake_quant_enabled")) {
    QATGAP_ASSIGN_OR_RETURN(const std::vector<double> on, Numbers(importer, call, "fake_quant_enabled"));
    if (!on.empty() && on[0] == 0) {
      importer.set_saw_fake_quant(false);
      importer.Notice(graph::NoticeKind::kFakeQuantDisabled, "fake_quant_enabled is 0: the value passes unrounded");
      return importer.BindAlias(call, "self", Importer::Memory::kOther);
    }
  }
  QATGAP_ASSIGN_OR_RETURN(QuantParams params, ParamsOf(importer, call, "scale", "zero_point", QuantParams::kPerTensor));
  return FakeQuantize(importer, call, "self", {.qparams = std::move(params)});
}

absl::Status PerChannelFakeQuant(Importer& importer, const Call& call) {
  QATGAP_ASSIGN_OR_RETURN(const int axis, ChannelAxis(importer, call, "self", "axis"));
  QATGAP_ASSIGN_OR_RETURN(QuantParams params, ParamsOf(importer, call, "scale", "zero_point", axis));
  return FakeQuantize(importer, call, "self", {.qparams = std::move(params)});
}

// --- quantized_decomposed ---

absl::StatusOr<QuantParams> DecomposedParams(Importer& importer, const Call& call) {
  if (call.name.ends_with("per_tensor"))
    return ParamsOf(importer, call, "scale", "zero_point", QuantParams::kPerTensor);
  QATGAP_ASSIGN_OR_RETURN(const int axis, ChannelAxis(importer, call, "input", "axis"));
  return ParamsOf(importer, call, "scales", "zero_points", axis);
}

absl::Status Quantize(Importer& importer, const Call& call) {
  importer.set_saw_converted();
  QATGAP_ASSIGN_OR_RETURN(QuantParams params, DecomposedParams(importer, call));
  QATGAP_ASSIGN_OR_RETURN(const ValueId real, importer.Real(call, "input"));
  const ValueId codes = importer.Emit(call, OpKind::kQuantize, {real}, graph::QuantizeAttributes{.qparams = params});
  return importer.BindCodes(call, codes, std::move(params));
}

template <typename T>
graph::Tensor AsInt32(const graph::Tensor& tensor) {
  graph::Tensor codes(graph::DType::kInt32, tensor.shape());
  const auto from = tensor.data<T>();
  std::copy(from.begin(), from.end(), codes.mutable_data<std::int32_t>().begin());
  return codes;
}

// A tensor of the file as codes: each within its range, one scale for each channel.
absl::StatusOr<graph::Tensor> CodesOf(const Importer& importer, const graph::Tensor& stored, const QuantParams& params,
                                      const std::string& fqn) {
  graph::Tensor codes;
  switch (stored.dtype()) {
    case graph::DType::kInt8:
      codes = AsInt32<std::int8_t>(stored);
      break;
    case graph::DType::kUint8:
      codes = AsInt32<std::uint8_t>(stored);
      break;
    case graph::DType::kInt32:
      codes = stored;
      break;
    default:
      return importer.Refuse(absl::StrCat("codes of type ", graph::ToString(stored.dtype()).data(), " in '", fqn, "'"),
                             "quantize to at most 32 bits");
  }
  const graph::Shape& shape = codes.shape();
  if (params.per_channel() &&
      (static_cast<std::size_t>(params.axis) >= shape.size() ||
       shape[static_cast<std::size_t>(params.axis)] != static_cast<std::int64_t>(params.scales.size()))) {
    return importer.Refuse(absl::StrCat(params.scales.size(), " scales along axis ", params.axis, " of '", fqn,
                                        "' of shape ", graph::ToString(shape)),
                           "export the model again");
  }
  for (const std::int32_t code : codes.data<std::int32_t>()) {
    if (code < params.quant_min || code > params.quant_max) {
      return importer.Refuse(absl::StrCat("the code ", code, " in '", fqn, "' is outside of its range ",
                                          params.quant_min, " to ", params.quant_max),
                             "export the model again");
    }
  }
  return codes;
}

absl::Status Dequantize(Importer& importer, const Call& call) {
  importer.set_saw_converted();
  const auto* out_type = std::get_if<ScalarType>(call.Find("out_dtype"));
  if (out_type != nullptr && *out_type != ScalarType::kFloat32) {
    return importer.Refuse(absl::StrCat("a dequantize to ", ToString(*out_type)),
                           "keep the model's arithmetic in float32");
  }
  QATGAP_ASSIGN_OR_RETURN(QuantParams params, DecomposedParams(importer, call));
  QATGAP_ASSIGN_OR_RETURN(const Slot* found, importer.Tensor(call, "input"));
  const Slot slot = *found;
  if (slot.codes != nullptr) {
    if (*slot.codes != params) {
      return importer.Refuse(absl::StrCat("codes of ", numerics::ToString(*slot.codes), " are dequantized as ",
                                          numerics::ToString(params)),
                             "use one set of qparams for a value");
    }
    return importer.Bind(call, importer.Emit(call, OpKind::kDequantize, {slot.value}));
  }
  QATGAP_ASSIGN_OR_RETURN(const graph::Tensor stored, importer.ConstantTensor(call, "input"));
  QATGAP_ASSIGN_OR_RETURN(graph::Tensor codes, CodesOf(importer, stored, params, slot.fqn));
  const ValueId constant = importer.EmitConstant(call, std::move(codes), std::move(params));
  return importer.Bind(call, importer.Emit(call, OpKind::kDequantize, {constant}));
}

absl::Status Dynamic(Importer& importer, const Call& call) {
  return importer.Refuse(absl::StrCat("operator ", call.file_name, " chooses qparams while the model runs"),
                         "use static quantization, without is_dynamic");
}

constexpr std::array<std::pair<std::string_view, Importer::Handler>, 16> kOperators = {{
    {"aten::fused_moving_avg_obs_fake_quant", FusedFakeQuant},
    {"aten::_fused_moving_avg_obs_fq_helper", FusedFakeQuant},
    {"aten::_fused_moving_avg_obs_fq_helper_functional", FusedFakeQuant},
    {"aten::fake_quantize_per_tensor_affine", PerTensorFakeQuant},
    {"aten::fake_quantize_per_tensor_affine_cachemask", PerTensorFakeQuant},
    {"aten::_fake_quantize_per_tensor_affine_cachemask_tensor_qparams", PerTensorFakeQuant},
    {"aten::fake_quantize_per_channel_affine", PerChannelFakeQuant},
    {"aten::fake_quantize_per_channel_affine_cachemask", PerChannelFakeQuant},
    {"quantized_decomposed::quantize_per_tensor", Quantize},
    {"quantized_decomposed::quantize_per_channel", Quantize},
    {"quantized_decomposed::dequantize_per_tensor", Dequantize},
    {"quantized_decomposed::dequantize_per_channel", Dequantize},
    {"quantized_decomposed::choose_qparams", Dynamic},
    {"quantized_decomposed::choose_qparams_symmetric", Dynamic},
    {"quantized_decomposed::quantize_per_token", Dynamic},
    {"quantized_decomposed::choose_qparams_per_token_asymmetric", Dynamic},
}};

}  // namespace

Importer::Handler FindQuantizedOperator(const Call& call) {
  const auto it =
      std::find_if(kOperators.begin(), kOperators.end(), [&](const auto& entry) { return entry.first == call.name; });
  return it == kOperators.end() ? nullptr : it->second;
}

}  // namespace qatgap::frontends::pt2
