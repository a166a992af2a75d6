#include "analyzers/report/indexed_report.h"

#include <utility>

namespace qatgap::report {
namespace {

// Channels and the accumulated view are nearly all of it; 256 bytes stand for the texts of an entry.
std::size_t BytesOf(const AnalysisResult& result) {
  constexpr std::size_t kTexts = 256;
  std::size_t bytes = sizeof(AnalysisResult) + kTexts * (result.findings.size() + result.unmeasured.size()) +
                      (sizeof(LayerInfo) + kTexts) * result.layers.size() +
                      (sizeof(NetworkNode) + kTexts) * result.network.size();
  for (const TargetResult& target : result.targets) {
    for (const LayerResult& layer : target.layers) {
      bytes += sizeof(LayerView) + sizeof(LayerResult) + layer.channels.capacity() * sizeof(ChannelResult);
    }
    for (const PathComparison& comparison : target.comparisons) {
      bytes += (comparison.outputs.size() + comparison.layers.size()) * sizeof(statistics::DifferenceStatistics);
    }
  }
  return bytes;
}

}  // namespace

IndexedReport::IndexedReport(Report report) : report_(std::move(report)) {
  AnalysisResult& result = report_.result;
  Canonicalize(result);
  for (const TargetResult& target : result.targets) {
    layers_.push_back(ViewsOf(result, target));
    verdicts_.push_back(VerdictOf(report_, target));
  }
  for (std::size_t i = 0; i < result.layers.size(); ++i) {
    layer_index_.emplace(result.layers[i].name, static_cast<std::int64_t>(i));
  }
  for (const Finding& finding : result.findings) findings_[finding.layer].push_back(&finding);
  bytes_ = BytesOf(result);
}

std::optional<std::size_t> IndexedReport::FindTarget(std::string_view name) const {
  for (std::size_t i = 0; i < report_.result.targets.size(); ++i) {
    if (name.empty() || report_.result.targets[i].name == name) return i;
  }
  return std::nullopt;
}

std::optional<std::int64_t> IndexedReport::FindLayer(const std::string& name) const {
  const auto it = layer_index_.find(name);
  return it == layer_index_.end() ? std::nullopt : std::optional(it->second);
}

std::vector<const Finding*> IndexedReport::FindingsOf(const std::string& layer, const std::string& target) const {
  std::vector<const Finding*> found;
  const auto it = findings_.find(layer);
  if (it == findings_.end()) return found;
  for (const Finding* finding : it->second) {
    if (finding->target.empty() || finding->target == target) found.push_back(finding);
  }
  return found;
}

}  // namespace qatgap::report
