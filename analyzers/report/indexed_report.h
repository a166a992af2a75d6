// A report with what every reader of it asks for again and again: channels merged, verdicts, layers by name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "analyzers/report/layer_view.h"
#include "analyzers/report/report.h"

namespace qatgap::report {

// Immutable, so any number of threads may read it.
class IndexedReport {
 public:
  // Puts the result in canonical order.
  explicit IndexedReport(Report report);
  IndexedReport(const IndexedReport&) = delete;
  IndexedReport& operator=(const IndexedReport&) = delete;

  const Report& report() const { return report_; }
  const AnalysisResult& result() const { return report_.result; }
  // By target of the result.
  const std::vector<LayerView>& layers(std::size_t target) const { return layers_[target]; }
  const TargetVerdict& verdict(std::size_t target) const { return verdicts_[target]; }
  // The target of that name; of an empty name the first one.
  std::optional<std::size_t> FindTarget(std::string_view name) const;
  // The first layer of that name.
  std::optional<std::int64_t> FindLayer(const std::string& name) const;
  // Findings of a layer that hold under a target, in their order.
  std::vector<const Finding*> FindingsOf(const std::string& layer, const std::string& target) const;

  // What it keeps in memory, about.
  std::size_t bytes() const { return bytes_; }

 private:
  Report report_;
  std::vector<std::vector<LayerView>> layers_;  // point into report_
  std::vector<TargetVerdict> verdicts_;
  std::unordered_map<std::string, std::int64_t> layer_index_;
  std::unordered_map<std::string, std::vector<const Finding*>> findings_;  // by layer
  std::size_t bytes_ = 0;
};

}  // namespace qatgap::report
