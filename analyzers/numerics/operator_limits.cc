#include "analyzers/numerics/operator_limits.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "analyzers/numerics/rounding.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::numerics {
namespace {

constexpr double kMinScale = 0x1p-40, kMaxScale = 0x1p40;
constexpr std::int64_t kMaxCode = 65535;

absl::Status CheckTensor(const QuantParams& params, std::string_view what) {
  QATGAP_RETURN_IF_ERROR(Validate(params, what));
  if (params.per_channel()) {
    return absl::FailedPreconditionError(
        absl::StrCat(Text(what), " is quantized per channel; operators without weights take one scale a tensor"));
  }
  if (!(params.scale() >= kMinScale && params.scale() <= kMaxScale)) {
    return absl::FailedPreconditionError(
        absl::StrFormat("scale of the %s is %g; operators are computed for 2^-40 to 2^40, rescale the model's values",
                        what, params.scale()));
  }
  if (params.quant_min < SignedMin(16) || params.quant_max > kMaxCode) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "codes of the %s go from %d to %d; operators are computed on codes of at most 16 bits", what, params.quant_min,
        params.quant_max));
  }
  return absl::OkStatus();
}

absl::Status CheckTensors(const BinaryOperands& operands) {
  QATGAP_RETURN_IF_ERROR(CheckTensor(operands.a, "first input"));
  QATGAP_RETURN_IF_ERROR(CheckTensor(operands.b, "second input"));
  return CheckTensor(operands.output, "output");
}

absl::Status CheckTensors(const UnaryOperands& operands) {
  QATGAP_RETURN_IF_ERROR(CheckTensor(operands.input, "input"));
  return CheckTensor(operands.output, "output");
}

// fl(s / s_y), as the runtimes compare it.
double Ratio(const QuantParams& numerator, const QuantParams& denominator) {
  return static_cast<double>(static_cast<float>(numerator.scale()) / static_cast<float>(denominator.scale()));
}

absl::Status CheckRatio(std::string_view what, double ratio, double min, double max) {
  if (ratio >= min && ratio < max) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrFormat(
      "%s is %g, the runtime takes %g or more and less than %g; choose an output scale nearer the inputs'", what, ratio,
      min, max));
}

absl::Status CheckAddRatios(const BinaryOperands& operands, double min, double max) {
  QATGAP_RETURN_IF_ERROR(CheckRatio("first input's scale / output's", Ratio(operands.a, operands.output), min, max));
  return CheckRatio("second input's scale / output's", Ratio(operands.b, operands.output), min, max);
}

absl::Status CheckSame(const UnaryOperands& operands) {
  const QuantParams& input = operands.input;
  const QuantParams& output = operands.output;
  if (input.scales == output.scales && input.zero_points == output.zero_points) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrFormat(
      "input has scale %.9g and zero point %d, output %.9g and %d; the runtime keeps the codes as they are: give both "
      "the same, or requantize before", input.scale(), input.zero_point(), output.scale(), output.zero_point()));
}

}  // namespace

absl::Status CheckAdd(AddRule rule, const BinaryOperands& operands) {
  QATGAP_RETURN_IF_ERROR(CheckTensors(operands));
  switch (rule) {
    case AddRule::kQnnpack: return CheckAddRatios(operands, 0x1p-14, 0x1p8);
    case AddRule::kXnnpack: return CheckAddRatios(operands, 0x1p-10, 0x1p8);
    case AddRule::kTflite: return CheckAddRatios(operands, 0, operands.a.quant_max > 255 ? 0x1p14 : 0x1p19);
    case AddRule::kFloat:
    case AddRule::kPytorch:
    case AddRule::kOnnxRuntime: return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status CheckMul(MulRule rule, const BinaryOperands& operands) {
  QATGAP_RETURN_IF_ERROR(CheckTensors(operands));
  if (rule != MulRule::kXnnpack) return absl::OkStatus();
  const float product = static_cast<float>(operands.a.scale()) * static_cast<float>(operands.b.scale());
  return CheckRatio("product of the inputs' scales / output's scale",
                    static_cast<double>(product / static_cast<float>(operands.output.scale())), 0x1p-16, 0x1p8);
}

absl::Status CheckConcat(ConcatRule rule, const UnaryOperands& operands) {
  QATGAP_RETURN_IF_ERROR(CheckTensors(operands));
  const bool copies = rule == ConcatRule::kCopy || (rule == ConcatRule::kTflite && operands.input.quant_min < 0);
  return copies ? CheckSame(operands) : absl::OkStatus();
}

absl::Status CheckAveragePool(AveragePoolRule rule, const UnaryOperands& operands) {
  QATGAP_RETURN_IF_ERROR(CheckTensors(operands));
  const bool rescales = rule == AveragePoolRule::kFloat || rule == AveragePoolRule::kOnnxRuntime;
  return rescales ? absl::OkStatus() : CheckSame(operands);
}

absl::Status CheckMaxPool(const UnaryOperands& operands) {
  QATGAP_RETURN_IF_ERROR(CheckTensors(operands));
  return CheckSame(operands);
}

absl::Status CheckMean(MeanRule rule, const UnaryOperands& operands) {
  QATGAP_RETURN_IF_ERROR(CheckTensors(operands));
  switch (rule) {
    case MeanRule::kPytorch:
    case MeanRule::kQnnpack: return CheckSame(operands);
    case MeanRule::kTflite:
    case MeanRule::kTfliteVector:
      return CheckRatio("input's scale / output's", Ratio(operands.input, operands.output), 0, 0x1p30);
    case MeanRule::kFloat:
    case MeanRule::kXnnpack:
    case MeanRule::kOnnxRuntime: return absl::OkStatus();
  }
  return absl::OkStatus();
}

}  // namespace qatgap::numerics
