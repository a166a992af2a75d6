// A report as the gate sees it: what identifies it, and every figure under a stable dotted name (docs/gate.md).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace qatgap::report::gate {

// The value of a metric: a number; absent where the report says null (an engine that did not run, SQNR of equal streams).
using Metric = std::optional<double>;
// By dotted name: "injected.bias_rounding.changed_rate".
using Metrics = std::map<std::string, Metric, std::less<>>;

struct MeasuredLayer {
  std::string name;             // "layer1.0.conv"; "layer1.0.conv (input 1)" for the second reaching input
  std::string kind;             // "depthwise conv2d"
  std::string source_line;      // "model.py:42" or empty
  Metrics metrics;
};

struct MeasuredTarget {
  std::string name;
  std::string digest;           // of its arithmetic
  Metrics metrics;              // of the whole model: outputs.*, accuracy.*, coverage, findings.*
  std::vector<MeasuredLayer> layers;
};

// What must be equal for two reports to be comparable.
struct Identity {
  std::string qat_model, converted_model, samples, labels;  // SHA-256; empty where not given
  std::vector<std::string> layers;                          // "name kind [weight shape]", in execution order
  std::uint64_t sample_count = 0;
  std::int64_t batch_size = 0;
};

struct Finding {
  std::string id, severity, layer, target, title, detail, advice;
};

struct MeasuredReport {
  std::string name;             // the file's, for messages
  std::string analysis_id, tool_version;
  std::int64_t schema_version = 0;
  Identity identity;
  std::vector<MeasuredTarget> targets;
  std::vector<Finding> findings;
};

// Reads the canonical JSON of a report (report.h, docs/report.md). At most 256 MiB, nested at most 16 deep.
// INVALID_ARGUMENT naming the file, the member and what was expected.
absl::StatusOr<MeasuredReport> ReadReport(std::string_view json, std::string_view name);

// Every metric name there is, in order, whether or not a report holds it: for messages and docs/gate.md.
struct MetricName {
  std::string name;
  bool of_layer = false;        // else of a whole target
  bool larger_is_worse = true;
  std::string meaning;          // one line
};
const std::vector<MetricName>& AllMetrics();

// The metric of that name, or nullptr. "findings.QG001" and its like are metrics of the target.
const MetricName* FindMetric(std::string_view name);

// The metric whose name is nearest by edit distance.
std::string NearestMetric(std::string_view name);
// Of `candidates` the one nearest to `word`; empty when there is none.
std::string Nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace qatgap::report::gate
