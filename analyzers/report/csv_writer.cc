// RFC 4180, with a header. docs/report.md describes the columns.
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "analyzers/report/layer_view.h"
#include "analyzers/report/report.h"
#include "analyzers/report/wording.h"
#include "analyzers/status/string_view.h"

namespace qatgap::report {
namespace {

using statistics::DifferenceStatistics;

// Text of a model. A spreadsheet takes what starts with one of these for a formula: the apostrophe makes it text.
std::string Cell(std::string_view text) {
  std::string shown = DisplayText(text);
  if (!shown.empty() && std::string_view("=+-@").find(shown[0]) != std::string_view::npos) shown.insert(0, 1, '\'');
  if (shown.find_first_of(",\"") == std::string::npos) return shown;
  return absl::StrCat("\"", absl::StrReplaceAll(shown, {{"\"", "\"\""}}), "\"");
}

// The shortest text that reads back as the value; empty where it is not defined.
std::string Number(std::optional<double> value) {
  if (!value) return "";
  std::array<char, 32> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), *value).ptr};
}

std::string Row(const TargetResult& target, const LayerView& layer, std::size_t cause) {
  const DifferenceStatistics& s = layer.causes[cause];
  const LayerShares shares = SharesOf(layer);
  const auto cells = std::array<std::string, 19>{
      Cell(target.name),
      absl::StrCat(layer.result->layer),
      Cell(layer.info->name),
      Cell(layer.info->kind),
      absl::StrCat(layer.result->input_index),
      absl::StrCat(layer.result->samples),
      std::string(ToString(static_cast<Cause>(cause))),
      absl::StrCat(s.count),
      absl::StrCat(s.changed),
      Number(statistics::ChangedRate(s)),
      absl::StrCat(s.sum),
      absl::StrCat(s.sum_absolute),
      absl::StrCat(s.sum_squares),
      absl::StrCat(s.max_absolute),
      Number(statistics::MeanLsb(s)),
      Number(statistics::MeanAbsoluteLsb(s)),
      Number(statistics::RmsLsb(s)),
      layer.info->output.zero_points.size() == 1 ? Number(statistics::SqnrDecibel(s, layer.zero_point())) : "",
      shares.defined ? Number(shares.share[cause]) : ""};
  return absl::StrCat(absl::StrJoin(cells, ","), "\r\n");
}

}  // namespace

std::string WriteCsv(const Report& report) {
  AnalysisResult result = report.result;
  Canonicalize(result);
  std::string csv =
      "target,layer_index,layer,kind,input_index,samples,cause,count,changed,changed_rate,sum,sum_absolute,sum_squares,"
      "max_absolute,mean_lsb,mean_absolute_lsb,rms_lsb,sqnr_db,share\r\n";
  for (const TargetResult& target : result.targets) {
    for (const LayerView& layer : ViewsOf(result, target)) {
      for (std::size_t cause = 0; cause < kCauseCount; ++cause) {
        if (static_cast<Cause>(cause) == Cause::kEngineResidual && !layer.result->engine_measured) continue;
        absl::StrAppend(&csv, Row(target, layer, cause));
      }
    }
  }
  return csv;
}

}  // namespace qatgap::report
