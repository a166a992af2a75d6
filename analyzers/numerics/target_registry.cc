#include <algorithm>
#include <cstddef>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzers/numerics/embedded_targets.h"
#include "analyzers/numerics/target.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::numerics {
namespace {

// A shipped file that does not parse is our bug, found by the first test that lists targets.
[[noreturn]] void DieOfBrokenFile(const std::string& message) {
  throw std::logic_error(message);
}

// A shipped target leads to a target with rules in this many steps; more would be a circle.
constexpr int kMaxDelegations = 4;

void CheckDelegations(const std::vector<TargetDescription>& targets, const TargetDescription& target, int depth) {
  if (depth > kMaxDelegations) DieOfBrokenFile(absl::StrCat(target.name, ".yaml delegates in a circle"));
  for (const Delegate& delegate : target.delegates) {
    for (const TargetDescription& next : targets) {
      if (next.name == delegate.target) CheckDelegations(targets, next, depth + 1);
    }
  }
}

std::vector<TargetDescription> ParseShipped() {
  std::vector<TargetDescription> targets;
  for (const EmbeddedTarget& file : EmbeddedTargets()) {
    absl::StatusOr<TargetDescription> target = ParseTarget(file.yaml, absl::StrCat(Text(file.name), ".yaml"));
    if (!target.ok()) DieOfBrokenFile(target.status().ToString());
    if (target->name != file.name) DieOfBrokenFile(absl::StrCat(Text(file.name), ".yaml names ", target->name));
    targets.push_back(*std::move(target));
  }
  std::sort(targets.begin(), targets.end(),
            [](const TargetDescription& a, const TargetDescription& b) { return a.name < b.name; });
  for (const TargetDescription& target : targets) CheckDelegations(targets, target, 0);
  return targets;
}

// Levenshtein distance. `b` is short (a shipped name); `a` is cut by the caller.
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

const std::vector<TargetDescription>& ShippedTargets() {
  static const auto* const targets = new std::vector<TargetDescription>(ParseShipped());
  return *targets;
}

absl::StatusOr<TargetDescription> FindTarget(std::string_view name) {
  const std::string_view asked = name.substr(0, 64);
  const TargetDescription* nearest = nullptr;
  std::size_t least = 0;
  std::vector<std::string> names;
  for (const TargetDescription& target : ShippedTargets()) {
    if (target.name == name) return target;
    // "qnnpack" for "pytorch-qnnpack" is nearer than any edit distance says.
    const bool part = !asked.empty() && target.name.find(asked) != std::string::npos;
    const std::size_t distance = part ? 0 : EditDistance(asked, target.name);
    if (nearest == nullptr || distance < least) {
      nearest = &target;
      least = distance;
    }
    names.push_back(target.name);
  }
  return absl::NotFoundError(absl::StrCat("no target \"", Text(asked), "\"; did you mean \"",
                                          nearest == nullptr ? "" : nearest->name,
                                          "\"? Shipped: ", absl::StrJoin(names, ", ")));
}

namespace {

bool Fits(Delegate::Layers layers, const MacTraits& traits) {
  switch (layers) {
    case Delegate::Layers::kAny: return true;
    case Delegate::Layers::kConvolution: return !traits.linear;
    case Delegate::Layers::kLinear: return traits.linear;
    case Delegate::Layers::kDepthwise: return traits.depthwise && !traits.transposed;
    case Delegate::Layers::kGrouped: return traits.groups > 1 && !traits.depthwise && !traits.transposed;
    case Delegate::Layers::kTransposed: return traits.transposed;
    case Delegate::Layers::kUnevenGroups:
      return traits.groups > 1 && (traits.group_inputs % 4 != 0 || traits.group_outputs % 4 != 0) &&
             !(traits.group_inputs == 1 && traits.group_outputs == 1);
  }
  return false;
}

bool Fits(Delegate::Activations activations, const MacTraits& traits) {
  switch (activations) {
    case Delegate::Activations::kAny: return true;
    case Delegate::Activations::kSigned: return !traits.unsigned_activations;
    case Delegate::Activations::kUnsigned: return traits.unsigned_activations;
    case Delegate::Activations::kInt16: return traits.wide_activations;
  }
  return false;
}

bool Fits(Delegate::Host host, const MacTraits& traits) {
  return host == Delegate::Host::kAny || traits.host_has_vnni == (host == Delegate::Host::kVnni);
}

bool Fits(const Delegate& delegate, const MacTraits& traits) {
  return Fits(delegate.layers, traits) && Fits(delegate.host, traits) && Fits(delegate.activations, traits) &&
         (delegate.weights == Delegate::Weights::kAny || traits.symmetric_weights) &&
         (delegate.output_padding == Delegate::OutputPadding::kAny || !traits.output_padding) &&
         (delegate.max_groups == 0 || traits.groups <= delegate.max_groups) &&
         (delegate.bias_bits == 0 || traits.bias_bits == delegate.bias_bits);
}

}  // namespace

absl::StatusOr<TargetDescription> ResolveTarget(const TargetDescription& target, const MacTraits& traits) {
  TargetDescription resolved = target;
  while (!resolved.delegates.empty()) {
    const auto fitting = std::find_if(resolved.delegates.begin(), resolved.delegates.end(),
                                      [&](const Delegate& delegate) { return Fits(delegate, traits); });
    if (fitting == resolved.delegates.end()) {
      return absl::NotFoundError(absl::StrCat(
          resolved.name, " delegates a ", traits.depthwise ? "depthwise " : "", traits.transposed ? "transposed " : "",
          traits.linear ? "linear layer" : "convolution", " of ", traits.groups, " groups with ",
          traits.wide_activations ? "int16" : (traits.unsigned_activations ? "uint8" : "int8"),
          " activations on a host with", traits.host_has_vnni ? "" : "out", " VNNI to no target"));
    }
    const std::string name = fitting->target;
    QATGAP_ASSIGN_OR_RETURN(resolved, FindTarget(name));
  }
  return resolved;
}

BiasRule RepresentativeBias(const TargetDescription& target) {
  if (target.delegates.empty()) return target.bias;
  std::vector<BiasRule> rules;
  for (const Delegate& delegate : target.delegates) {
    const absl::StatusOr<TargetDescription> part = FindTarget(delegate.target);
    if (part.ok()) rules.push_back(RepresentativeBias(*part));
  }
  const auto integer = std::find_if(rules.begin(), rules.end(), [](const BiasRule& rule) { return rule.mode == BiasMode::kInteger; });
  return integer != rules.end() ? *integer : rules.empty() ? target.bias : rules.front();
}

}  // namespace qatgap::numerics
