// Holds a report against rules and a baseline. One implementation: the server's RPC and the command line both use it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/report/gate/measured_report.h"
#include "analyzers/report/gate/rules.h"

namespace qatgap::report::gate {

enum class Verdict {
  kPass,           // exit code 0; warnings allowed
  kFail,           // 1
  kNotComparable,  // 3
};
std::string_view ToString(Verdict verdict);  // "pass", "fail", "not comparable"

enum class CheckOutcome { kPass, kWarn, kFail, kWaived };
std::string_view ToString(CheckOutcome outcome);

// One rule on one layer (or on a whole target) of the report.
struct Check {
  std::string rule{}, metric{};
  Level level = Level::kError;
  std::string target{};
  std::string layer{};                   // empty: the model
  std::string source_line{};
  CheckOutcome outcome = CheckOutcome::kPass;
  std::string limit{};                   // the limit that was hit, or the first: "max 0.01", "max increase 0.001"
  std::optional<double> found{};         // absent: bit exact, where SQNR and cosine are not defined
  std::optional<double> baseline{}, delta{};
  std::string cause{};                   // the cause that moved or contributes most: "bias_saturation"; may be empty
  std::string advice{};                  // of a finding on that layer, or the cause's own
  std::string waiver_reason{};           // of a waived check
};

struct GateResult {
  Verdict verdict = Verdict::kPass;
  std::vector<std::string> not_comparable;  // reasons, with the values of both sides
  std::vector<Check> checks;           // failing first, then warnings, waived, passed; by target, layer order, rule
  std::vector<std::string> notes;      // expired waivers, waivers that match nothing, metrics that were absent
  std::string report_name, baseline_name, rules_name;
  std::string accept_command;          // the exact command that makes this report the new baseline
};

// `today` is "YYYY-MM-DD", for waivers' dates. A metric that a rule needs and the report lacks, or that is NaN, a layer of
// the baseline that is gone, other models, samples, targets or arithmetic, a coverage that dropped, an improvement that is
// implausible (every changed rate 0 where the baseline's was not, with fewer codes compared) are kNotComparable.
// INVALID_ARGUMENT naming rule and nearest name: a rule that must match and matches no layer or target; a limit that
// compares with a baseline where none is given. Without any check
// the verdict is kNotComparable: a comparison of nothing fails.
absl::StatusOr<GateResult> Evaluate(const MeasuredReport& report, const std::optional<MeasuredReport>& baseline,
                                    const Rules& rules, std::string_view today);

// What moved between two reports, per layer: for `qatgap compare`.
struct Movement {
  std::string target, layer, metric;
  std::optional<double> before, after;
};
// What a layer adds on equal inputs, all stages together, where it is not what it was.
struct LayerMovement {
  std::string target, layer;
  double before = 0, after = 0;          // injected.total.changed_rate
  std::string cause;                     // whose changed codes grew most; empty where none grew
};
struct Comparison {
  std::vector<std::string> differences;  // of identity, in words: not fatal here
  std::vector<LayerMovement> layers;     // largest first by |after - before|, then in the order of the report
  std::vector<Movement> movements;       // largest first by |after - before| of changed rates, then by name
};
Comparison Compare(const MeasuredReport& before, const MeasuredReport& after);

}  // namespace qatgap::report::gate
