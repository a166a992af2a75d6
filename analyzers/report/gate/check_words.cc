#include "analyzers/report/gate/check_words.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "analyzers/report/gate/surfaces.h"
#include "analyzers/status/string_view.h"

namespace qatgap::report::gate {

std::string Number(double value) { return absl::StrFormat("%.6g", value); }

std::string NumberOr(std::optional<double> value, std::string_view otherwise) {
  return value ? Number(*value) : std::string(otherwise);
}

std::string PlaceOf(const Check& check) {
  return check.layer.empty() ? check.target : absl::StrCat(check.target, ", ", check.layer);
}

std::string Sentence(const Check& check) {
  std::string text = absl::StrCat(check.metric, " is ", NumberOr(check.found, "not defined"), ", ", check.limit);
  if (check.baseline) {
    absl::StrAppend(&text, "; baseline ", Number(*check.baseline), " (", *check.delta < 0 ? "" : "+", Number(*check.delta), ")");
  }
  return text;
}

std::string Summary(const GateResult& result) {
  const auto count = [&](CheckOutcome outcome) {
    return std::count_if(result.checks.begin(), result.checks.end(),
                         [&](const Check& check) { return check.outcome == outcome; });
  };
  const auto warnings = count(CheckOutcome::kWarn);
  std::string text = absl::StrCat(count(CheckOutcome::kFail), " failed, ", warnings, warnings == 1 ? " warning, " : " warnings, ");
  if (count(CheckOutcome::kWaived) > 0) absl::StrAppend(&text, count(CheckOutcome::kWaived), " waived, ");
  return absl::StrCat(text, count(CheckOutcome::kPass), " passed");
}

std::string Headline(const GateResult& result) {
  switch (result.verdict) {
    case Verdict::kPass:
      return absl::StrCat("gate passed: ", Summary(result));
    case Verdict::kFail:
      return absl::StrCat("gate failed: ", Summary(result));
    case Verdict::kNotComparable:
      return absl::StrCat("not comparable: ", result.not_comparable.front(),
                          result.not_comparable.size() > 1
                              ? absl::StrCat(" (and ", result.not_comparable.size() - 1, " more)") : "");
  }
  return "?";
}

}  // namespace qatgap::report::gate
