#include "analyzers/report/what_if_result.h"

#include "absl/strings/str_cat.h"
#include "analyzers/status/string_view.h"

namespace qatgap::report {

std::string_view ToString(WhatIf what_if) {
  switch (what_if) {
    case WhatIf::kPlain:
      return "plain";
    case WhatIf::kStorage8:
      return "storage_8_bits";
    case WhatIf::kStorage16:
      return "storage_16_bits";
    case WhatIf::kStorage24:
      return "storage_24_bits";
    case WhatIf::kStorage32:
      return "storage_32_bits";
    case WhatIf::kErrorAwareRounding:
      return "error_aware_rounding";
    case WhatIf::kZeroPointRounding:
      return "zero_point_rounding";
    case WhatIf::kFakeQuantizedBias:
      return "fake_quantized_bias";
    case WhatIf::kAdjustedWeights:
      return "adjusted_weights";
    case WhatIf::kExplicitAdd:
      return "explicit_add";
  }
  return "unknown";
}

absl::Status CheckMergeable(const LayerWhatIfs& total, const LayerWhatIfs& unit) {
  const auto differs = [](std::string_view what) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot merge units of two different analyses: what-ifs: ", Text(what),
                     " differ between units; run all units with the same models, samples, options and kind of host"));
  };
  if (total.calibration_samples != unit.calibration_samples) return differs("the numbers of calibration samples");
  if (total.rows.size() != unit.rows.size()) return differs("the numbers of rows");
  for (std::size_t i = 0; i < total.rows.size(); ++i) {
    const WhatIfRow& one = total.rows[i];
    const WhatIfRow& other = unit.rows[i];
    if (one.what_if != other.what_if || one.note != other.note || one.measured != other.measured ||
        one.is_remedy != other.is_remedy) {
      return differs("the rows");
    }
    if (one.stored != other.stored) return differs(absl::StrCat("the stored biases of ", Text(ToString(one.what_if))));
  }
  return absl::OkStatus();
}

void Merge(LayerWhatIfs& total, const LayerWhatIfs& unit) {
  for (std::size_t i = 0; i < total.rows.size(); ++i) {
    total.rows[i].against_float_bias.Merge(unit.rows[i].against_float_bias);
    total.rows[i].against_fake_quant.Merge(unit.rows[i].against_fake_quant);
  }
}

}  // namespace qatgap::report
