#include "analyzers/report/inspection_text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "analyzers/report/wording.h"

namespace qatgap::report {
namespace {

constexpr std::size_t kColumns = 7;
using Row = std::array<std::string, kColumns>;
// The first two columns are names, the others numbers.
constexpr std::size_t kNameColumns = 2;

std::string Padded(const std::string& text, std::size_t width, bool right) {
  const std::size_t count = CharacterCount(text);
  const std::string spaces(width > count ? width - count : 0, ' ');
  return right ? spaces + text : text + spaces;
}

void AppendTable(const std::vector<Row>& rows, std::string& text) {
  std::array<std::size_t, kColumns> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], CharacterCount(row[i]));
  }
  for (const Row& row : rows) {
    std::string line = " ";
    for (std::size_t i = 0; i < kColumns; ++i) {
      absl::StrAppend(&line, " ", i == 0 ? "" : " ", Padded(row[i], widths[i], i >= kNameColumns));
    }
    absl::StrAppend(&text, line, "\n");
  }
}

Row LayerRow(const AnalysisResult& result, const LayerResult& layer) {
  const LayerInfo& info = result.layers[static_cast<std::size_t>(layer.layer)];
  double worst_lsb = 0, smallest = std::numeric_limits<double>::infinity(), largest = 0;
  std::uint64_t saturated = 0;
  bool integer = false;
  for (const ChannelResult& channel : layer.channels) {
    integer = integer || channel.bias.scale > 0;
    worst_lsb = std::max(worst_lsb, std::abs(channel.bias.residual_lsb));
    saturated += channel.bias.saturated ? 1 : 0;
    smallest = std::min(smallest, channel.multiplier);
    largest = std::max(largest, channel.multiplier);
  }
  std::string name = DisplayName(info.name);
  if (!info.source_line.empty()) absl::StrAppend(&name, " ", DisplayName(info.source_line));
  if (info.inputs.size() > 1) absl::StrAppend(&name, " (input ", layer.input_index + 1, " of ", info.inputs.size(), ")");
  return {name,
          DisplayText(info.kind),
          absl::StrCat(info.channels),
          integer ? Significant(worst_lsb) : "float",
          absl::StrCat(saturated),
          Significant(smallest),
          Significant(largest)};
}

void AppendTarget(const AnalysisResult& result, const TargetResult& target, std::string& text) {
  absl::StrAppend(&text, "\ntarget ", DisplayName(target.name), ": ", DisplayText(target.title), "\n  ",
                  Text(numerics::ToString(target.evidence.kind)), target.evidence.detail.empty() ? "" : ": ",
                  absl::StripSuffix(DisplayText(target.evidence.detail), "."), "; digest ", target.digest, "\n");
  if (target.layers.empty()) {
    absl::StrAppend(&text, "  no layer could be inspected\n");
    return;
  }
  std::vector<Row> rows = {{"layer", "kind", "channels", "bias error LSB", "saturated", "M min", "M max"}};
  for (const LayerResult& layer : target.layers) rows.push_back(LayerRow(result, layer));
  AppendTable(rows, text);
}

void AppendFinding(const Finding& finding, std::string& text) {
  absl::StrAppend(&text, Text(ToString(finding.severity)), " ", finding.id, ": ", DisplayText(finding.title));
  if (!finding.layer.empty()) absl::StrAppend(&text, ", ", DisplayName(finding.layer));
  if (!finding.channels.empty()) absl::StrAppend(&text, ", ", ChannelList(finding.channels));
  if (!finding.target.empty()) absl::StrAppend(&text, ", target ", DisplayName(finding.target));
  absl::StrAppend(&text, "\n");
  if (!finding.detail.empty()) absl::StrAppend(&text, "  ", DisplayText(finding.detail), "\n");
  if (!finding.advice.empty()) absl::StrAppend(&text, "  advice: ", DisplayText(finding.advice), "\n");
}

}  // namespace

std::string WriteInspection(const AnalysisResult& result) {
  std::string text = absl::StrCat(
      "model: ", DisplayText(result.qat_format), "; ", result.layers.size(), " of ", result.mac_layers,
      " layers that carry a bias inspected\n", "converted model: ",
      !result.converted_given           ? "not given, the QAT model was lowered"
      : result.converted_format.empty() ? "given"
                                        : DisplayText(result.converted_format),
      "\n");
  for (const std::string& note : result.notes) absl::StrAppend(&text, "note: ", DisplayText(note), "\n");
  for (const TargetResult& target : result.targets) AppendTarget(result, target, text);
  if (!result.unmeasured.empty()) absl::StrAppend(&text, "\nnot inspected\n");
  for (const Unmeasured& unmeasured : result.unmeasured) {
    absl::StrAppend(&text, "  ", DisplayName(unmeasured.name), " (", DisplayText(unmeasured.what),
                    "): ", DisplayText(unmeasured.reason), "\n");
  }
  std::vector<Finding> findings = result.findings;
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
  absl::StrAppend(&text, "\n", findings.empty() ? "no findings" : Counted(findings.size(), "finding"), "\n");
  for (const Finding& finding : findings) AppendFinding(finding, text);
  return text;
}

}  // namespace qatgap::report
