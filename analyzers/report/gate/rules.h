// Gate rules: limits on metrics of a report, from a YAML file (docs/gate.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace qatgap::report::gate {

enum class Level { kWarn, kError };
std::string_view ToString(Level level);  // "warn", "error"

struct Rule {
  std::string name;                    // unique; default "<metric>"
  std::string metric;                  // dotted, one of AllMetrics()
  std::vector<std::string> layers;     // globs on layer names, * within a name too; empty: every layer
  std::vector<std::string> kinds;      // "conv2d", "linear"; empty: every kind
  std::vector<std::string> targets;    // globs; empty: every target
  Level level = Level::kError;
  bool must_match = true;              // matching no layer is an error of configuration
  // Limits; at least one. A found value equal to a limit passes.
  std::optional<double> max, min;
  std::optional<double> max_increase, max_decrease;  // found - baseline, baseline - found
  std::optional<double> max_ratio;                   // |found| / |baseline|; a baseline of 0 allows only 0
};

struct Waiver {
  std::string rule;                    // a rule's name, or "*"
  std::vector<std::string> layers;     // globs; empty: all, and the model's own metrics
  std::vector<std::string> targets;
  std::string reason;                  // required
  std::string expires;                 // "2027-01-31", the last day it holds; required
};

struct Rules {
  std::string name;                    // of the file, for messages
  std::string preset;                  // "strict", "default", "ratchet" or empty
  std::vector<Rule> rules;             // the preset's first, replaced by rules of the same name
  std::vector<Waiver> waivers;
};

// The text of a preset, in the format of a rules file; empty for an unknown name.
std::string_view Preset(std::string_view name);
std::vector<std::string> PresetNames();

// At most 256 KiB. INVALID_ARGUMENT naming the file, the field and the nearest accepted name: unknown keys, metrics,
// presets, a rule without a limit, a limit that is not a number, two rules of one name, a waiver without reason or date.
absl::StatusOr<Rules> ParseRules(std::string_view yaml, std::string_view name);

// Whether `pattern` matches all of `text`: * any run of characters, ? one character.
bool GlobMatches(std::string_view pattern, std::string_view text);

}  // namespace qatgap::report::gate
