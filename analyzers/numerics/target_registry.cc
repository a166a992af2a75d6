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
#include "analyzers/status/string_view.h"

namespace qatgap::numerics {
namespace {

// A shipped file that does not parse is our bug, found by the first test that lists targets.
[[noreturn]] void DieOfBrokenFile(const std::string& message) {
  throw std::logic_error(message);
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
  }
  return false;
}

bool Fits(const Delegate& delegate, const MacTraits& traits) {
  const bool host = delegate.host == Delegate::Host::kAny ||
                    traits.host_has_vnni == (delegate.host == Delegate::Host::kVnni);
  const bool activations = delegate.activations == Delegate::Activations::kAny ||
                           traits.unsigned_activations == (delegate.activations == Delegate::Activations::kUnsigned);
  return Fits(delegate.layers, traits) && host && activations &&
         (delegate.max_groups == 0 || traits.groups <= delegate.max_groups);
}

}  // namespace

absl::StatusOr<TargetDescription> ResolveTarget(const TargetDescription& target, const MacTraits& traits) {
  if (target.delegates.empty()) return target;
  for (const Delegate& delegate : target.delegates) {
    if (Fits(delegate, traits)) return FindTarget(delegate.target);
  }
  return absl::NotFoundError(absl::StrCat(target.name, " delegates a ", traits.linear ? "linear layer" : "convolution",
                                          " of ", traits.groups, " groups on a host with",
                                          traits.host_has_vnni ? "" : "out", " VNNI to no target"));
}

}  // namespace qatgap::numerics
