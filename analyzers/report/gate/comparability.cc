#include "analyzers/report/gate/comparability.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "analyzers/status/string_view.h"

namespace qatgap::report::gate {
namespace {

constexpr std::size_t kNamed = 5;  // of a long list

std::string Short(const std::string& digest) { return digest.empty() ? "none" : digest.substr(0, 12); }

// "a, b, c and 12 more"
std::string Some(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kNamed; ++i) absl::StrAppend(&text, i == 0 ? "'" : ", '", names[i], "'");
  if (names.size() > kNamed) absl::StrAppend(&text, " and ", names.size() - kNamed, " more");
  return text;
}

void CompareLayers(const Identity& before, const Identity& now, std::vector<std::string>& reasons) {
  if (before.layers == now.layers) return;
  const std::set<std::string> a(before.layers.begin(), before.layers.end()), b(now.layers.begin(), now.layers.end());
  std::vector<std::string> gone, added;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(gone));
  std::set_difference(b.begin(), b.end(), a.begin(), a.end(), std::back_inserter(added));
  if (!gone.empty()) {
    reasons.push_back(absl::StrCat("another model: ", gone.size(), gone.size() == 1 ? " layer" : " layers",
                                   " of the baseline gone or changed: ", Some(gone)));
  }
  if (!added.empty()) {
    reasons.push_back(absl::StrCat("another model: ", added.size(), added.size() == 1 ? " layer" : " layers",
                                   " that the baseline does not know: ", Some(added)));
  }
  // The same layers in another order are the same model.
}

const MeasuredTarget* Find(const MeasuredReport& report, const std::string& name) {
  const auto it = std::find_if(report.targets.begin(), report.targets.end(),
                               [&](const MeasuredTarget& target) { return target.name == name; });
  return it == report.targets.end() ? nullptr : &*it;
}

double Changed(const MeasuredTarget& target) {
  double sum = 0;
  for (const MeasuredLayer& layer : target.layers) {
    const auto it = layer.metrics.find("injected.total.changed");
    if (it != layer.metrics.end()) sum += it->second.value_or(0);
  }
  return sum;
}

void CompareTarget(const MeasuredTarget& before, const MeasuredTarget* now, std::vector<std::string>& reasons) {
  if (now == nullptr) {
    reasons.push_back(absl::StrCat("target '", before.name, "' of the baseline was not analysed"));
    return;
  }
  if (now->digest != before.digest) {
    reasons.push_back(absl::StrCat("the arithmetic of target '", before.name, "' changed: digest ", Short(before.digest),
                                   " in the baseline, ", Short(now->digest), " now"));
  }
  const auto coverage = [](const MeasuredTarget& target) {
    const auto it = target.metrics.find("coverage");
    return it == target.metrics.end() ? 0.0 : it->second.value_or(0);
  };
  if (coverage(*now) < coverage(before)) {
    reasons.push_back(absl::StrCat("coverage under '", before.name, "' dropped from ", coverage(before), " to ",
                                   coverage(*now), ": what is not analysed cannot fail"));
  }
  // Rounding moves some codes of a healthy model under every target that moved some before.
  if (Changed(before) > 0 && Changed(*now) == 0 && now->digest == before.digest && !now->layers.empty()) {
    reasons.push_back(absl::StrCat("an implausible improvement: no code of any layer differs under '", before.name, "', ",
                                   Changed(before), " did in the baseline; look whether the models were mixed up"));
  }
}

}  // namespace

std::vector<std::string> WhyNotComparable(const MeasuredReport& baseline, const MeasuredReport& report) {
  std::vector<std::string> reasons;
  const Identity& before = baseline.identity;
  const Identity& now = report.identity;
  CompareLayers(before, now, reasons);
  if (before.samples != now.samples) {
    reasons.push_back(absl::StrCat("other samples: ", Short(before.samples), " in the baseline, ", Short(now.samples), " now"));
  }
  if (before.labels != now.labels) {
    reasons.push_back(absl::StrCat("other labels: ", Short(before.labels), " in the baseline, ", Short(now.labels), " now"));
  }
  if (before.sample_count != now.sample_count) {
    reasons.push_back(absl::StrCat(before.sample_count, " samples in the baseline, ", now.sample_count, " now"));
  }
  if (before.batch_size != now.batch_size) {
    reasons.push_back(absl::StrCat("batches of ", before.batch_size, " in the baseline, of ", now.batch_size,
                                   " now; float stages depend on it"));
  }
  if (before.converted_model.empty() != now.converted_model.empty()) {
    reasons.push_back(before.converted_model.empty() ? "a converted model is given now, the baseline had none"
                                                     : "the baseline had a converted model, none is given now");
  }
  for (const MeasuredTarget& target : baseline.targets) CompareTarget(target, Find(report, target.name), reasons);
  if (report.targets.empty()) reasons.push_back("the report has no target");
  return reasons;
}

}  // namespace qatgap::report::gate
