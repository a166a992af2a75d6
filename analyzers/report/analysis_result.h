// What an analysis measured, as values: static facts of the model, and integer sums that merge by addition.
// One unit of work gives one AnalysisResult; MergeInto adds another unit's. The report (report.h) is derived from the
// merged one. Words: analyzers/numerics/glossary.h; the ladder: docs/concepts.md.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "analyzers/numerics/layer_arithmetic.h"
#include "analyzers/numerics/quant_params.h"
#include "analyzers/numerics/target.h"
#include "analyzers/report/network_graph.h"
#include "analyzers/report/sample_detail.h"
#include "analyzers/report/what_if_result.h"
#include "analyzers/statistics/difference_statistics.h"

namespace qatgap::report {

// In ladder order. kTotal is the last stage minus stage 0.
enum class Cause {
  kFloatArithmetic,  // real - fake_quant
  kConversion,       // converted - real
  kBiasRounding,     // bias_rounded - converted
  kBiasSaturation,   // bias_stored - bias_rounded
  kAccumulator,      // accumulated - bias_stored
  kRequantization,   // requantized - accumulated
  kEngineResidual,   // engine - requantized; all zero counts where no engine is linked in
  kTotal,
};
inline constexpr std::size_t kCauseCount = 8;
std::string_view ToString(Cause cause);  // "bias_rounding"

enum class Path { kFakeQuant, kFloatBias, kQuantizedBias, kTarget, kEngine };
inline constexpr std::size_t kPathCount = 5;
std::string_view ToString(Path path);  // "quantized_bias"

// Static facts about one MAC layer of the analysed pair.
struct LayerInfo {
  std::string name;                    // module path
  std::string kind;                    // "conv2d", "depthwise conv2d", "linear"
  std::int64_t channels = 0;           // output channels
  std::vector<std::int64_t> weight_shape;
  numerics::Activation activation = numerics::Activation::kNone;
  numerics::QuantParams output;        // of the QAT model
  std::vector<numerics::QuantParams> inputs;  // grids that reach the layer, in branch order; index = input_index
  bool input_off_grid = false;         // the QAT model feeds it reals that were not fake-quantized
  std::uint64_t weights = 0;
  std::uint64_t weight_codes_changed = 0;  // codes that differ between the QAT and the converted model
  std::string source_line = {};        // "model.py:42", where the model's file tells
  std::string module_stack = {};       // "Net > layer1: Sequential > layer1.0: Conv2d", where the model's file tells
  friend bool operator==(const LayerInfo&, const LayerInfo&) = default;
};

struct ChannelResult {
  numerics::StoredBias bias;
  double multiplier = 0;               // M[c]
  std::array<statistics::DifferenceStatistics, kCauseCount> causes;
  friend bool operator==(const ChannelResult&, const ChannelResult&) = default;
};

// One layer under one target for one reaching input grid; injected view.
struct LayerResult {
  std::int64_t layer = 0;              // index into AnalysisResult::layers
  std::int64_t input_index = 0;        // index into LayerInfo::inputs
  std::uint64_t samples = 0;           // that took this input
  bool engine_measured = false;
  // Why not, or a named limitation of the engine on this host; else empty. Notes of several units that differ: one a
  // line, sorted.
  std::string engine_note;
  std::vector<ChannelResult> channels;
  friend bool operator==(const LayerResult&, const LayerResult&) = default;
};

// Two paths held against each other, in codes.
struct PathComparison {
  Path path = Path::kTarget;
  Path reference = Path::kFakeQuant;
  std::vector<statistics::DifferenceStatistics> outputs;  // per model output
  std::uint64_t top1_changed = 0;      // samples whose largest output of model output 0 moved
  // Accumulated view: each path got its own inputs. Per layer of AnalysisResult::layers.
  std::vector<statistics::DifferenceStatistics> layers;
  std::uint64_t lost = 0;              // labelled samples that the reference gets right and the path does not
  std::uint64_t gained = 0;            // the other way round
  std::vector<WorstSample> worst = {};  // the worst first, at most AnalysisResult::worst_samples
  friend bool operator==(const PathComparison&, const PathComparison&) = default;
};

struct PathAccuracy {
  Path path = Path::kFakeQuant;
  std::uint64_t correct = 0;           // of AnalysisResult::labelled samples
  friend bool operator==(const PathAccuracy&, const PathAccuracy&) = default;
};

struct TargetResult {
  std::string name;
  std::string title;
  std::string digest;                  // of its arithmetic
  numerics::BiasMode bias_mode = numerics::BiasMode::kInteger;
  numerics::Engine engine = numerics::Engine::kNone;
  numerics::Evidence evidence;
  std::vector<LayerResult> layers;
  std::vector<PathComparison> comparisons;
  std::vector<PathAccuracy> accuracies;
  std::vector<LayerWhatIfs> what_ifs = {};  // empty where not asked for
  std::vector<LayerSensitivity> sensitivities = {};  // by layer; empty where not asked for or the bias is float
  friend bool operator==(const TargetResult&, const TargetResult&);
};

enum class Severity { kInfo, kWarning, kError };
std::string_view ToString(Severity severity);

// Found without running data.
struct Finding {
  std::string id;                      // "QG001"
  Severity severity = Severity::kInfo;
  std::string title;                   // "Bias saturates int32"
  std::string layer;                   // module path; empty for the model
  std::string target;                  // empty: holds for every target
  std::vector<std::int64_t> channels;
  std::string detail;                  // the numbers
  std::string advice;
  friend bool operator==(const Finding&, const Finding&) = default;
};

// Something the analysis did not measure, and why.
struct Unmeasured {
  std::string name;                    // layer or operator
  std::string what;                    // "aten::softmax", "engine stage"
  std::string reason;
  bool is_mac_layer = false;           // counts against coverage
  friend bool operator==(const Unmeasured&, const Unmeasured&) = default;
};

// What float stages and engine stages depend on.
struct Environment {
  std::string tool_version;
  std::string libtorch_version;
  std::vector<std::string> cpu_features;
  std::vector<std::string> engines;
  std::int64_t batch_size = 0;
  std::int64_t threads = 1;
  friend bool operator==(const Environment&, const Environment&) = default;
};

// Samples that were kept apart from those that calibrate: the same sums over them.
struct HeldOut {
  std::uint64_t samples = 0;
  std::uint64_t labelled = 0;
  std::vector<InputRange> input_ranges;
  std::vector<TargetResult> targets;   // as AnalysisResult::targets; empty where no such samples were given
  friend bool operator==(const HeldOut&, const HeldOut&) = default;
};

struct AnalysisResult {
  Environment environment;
  std::string qat_format;              // "TorchScript, traced"; says so where the QAT model was rebuilt
  bool converted_given = false;
  std::int64_t mac_layers = 0;         // of the QAT model, for coverage
  std::vector<LayerInfo> layers;
  std::vector<TargetResult> targets;
  std::vector<Finding> findings;
  std::vector<Unmeasured> unmeasured;
  std::uint64_t samples = 0;
  std::uint64_t labelled = 0;          // samples with a label
  std::vector<numerics::QuantParams> outputs;  // grids of the model's outputs; SQNR at the outputs needs them
  std::string converted_format = {};   // "ONNX, QDQ"; empty when no converted model was given
  std::vector<std::string> notes = {};  // what a reader must know of how the models were come by
  NetworkGraph network = {};           // of the deployed model
  std::int64_t worst_samples = 0;      // that comparisons keep
  std::vector<InputRange> input_ranges = {};  // of inputs that are quantized at once
  HeldOut held_out = {};
  friend bool operator==(const AnalysisResult&, const AnalysisResult&) = default;
};

// Adds `unit` to `total`: sums are added, layer results are united by (layer, input_index), comparisons by (path,
// reference), accuracies by path, sensitivities by layer; the worst samples are chosen anew; what was not measured in any unit is kept. Units in any order and any grouping give
// equal results, in the order of Canonicalize. A default-constructed `total` is the neutral element.
// FAILED_PRECONDITION names the first static part that differs (two different analyses); `total` is then unchanged.
absl::Status MergeInto(AnalysisResult& total, const AnalysisResult& unit);

// Sorts what has no order of its own: layer results, comparisons, accuracies, findings, unmeasured.
void Canonicalize(AnalysisResult& result);

// Adds the sums of `unit`, which compares the same two paths, and keeps the `worst_samples` worst samples of both.
void Merge(PathComparison& total, const PathComparison& unit, std::int64_t worst_samples);

// MAC layers that samples reached, of all MAC layers of the QAT model. A layer that is listed as unmeasured or that no
// sample took does not count as analysed.
struct Coverage {
  std::int64_t analysed = 0;
  std::int64_t mac_layers = 0;
};
Coverage CoverageOf(const AnalysisResult& result, const TargetResult& target);

// A layer's statistics: its channels merged.
using CauseStatistics = std::array<statistics::DifferenceStatistics, kCauseCount>;
CauseStatistics MergeChannels(const LayerResult& layer);

}  // namespace qatgap::report
