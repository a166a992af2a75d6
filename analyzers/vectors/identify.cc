#include "analyzers/vectors/identify.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/vectors/knobs.h"
#include "analyzers/vectors/proposals.h"
#include "analyzers/vectors/scoring.h"
#include "analyzers/vectors/search.h"
#include "analyzers/vectors/search_space.h"

namespace qatgap::vectors {
namespace {

using numerics::AccumulatorRule;
using numerics::TargetDescription;

constexpr std::size_t kShown = Search::kClosest;

// The member of a found description's classes that differs least from `reference`.
struct Members {
  BiasChoice bias;
  AccumulatorRule accumulator;
  numerics::RequantRule requantization;
};

Members Nearest(const Found& found, const TargetDescription& reference) {
  const auto nearest = [&](const auto& members, const auto& combine) {
    return *std::min_element(members.begin(), members.end(), [&](const auto& a, const auto& b) {
      return Distance(combine(a), reference) < Distance(combine(b), reference);
    });
  };
  // One side at a time: a knob's value hardly ever decides whether another side's knob has an effect.
  Members m{
      .bias = found.bias->members.front(), .accumulator = {}, .requantization = found.requantization->members.front()};
  m.accumulator =
      nearest(found.accumulator, [&](const AccumulatorRule& a) { return Combine(m.bias, a, m.requantization); });
  m.requantization = nearest(found.requantization->members,
                             [&](const numerics::RequantRule& r) { return Combine(m.bias, m.accumulator, r); });
  m.bias =
      nearest(found.bias->members, [&](const BiasChoice& b) { return Combine(b, m.accumulator, m.requantization); });
  return m;
}

TargetDescription NearestTo(const Found& found, const TargetDescription& reference) {
  const Members members = Nearest(found, reference);
  return Combine(members.bias, members.accumulator, members.requantization);
}

// For every knob the values that exact descriptions have, each with the description that differs least from the
// representative.
std::vector<std::pair<const Knob*, std::vector<Alternative>>> Alternatives(const std::vector<Found>& all,
                                                                           const TargetDescription& representative) {
  struct Closest {
    std::size_t distance = std::numeric_limits<std::size_t>::max();
    TargetDescription target;
  };
  std::map<std::string_view, std::map<std::string, Closest>> values;
  std::map<std::string_view, std::vector<std::string>> order;
  const auto add = [&](KnobSide side, const TargetDescription& target) {
    const std::size_t distance = Distance(target, representative);
    for (const Knob& knob : Knobs()) {
      if (knob.side != side) continue;
      const std::optional<std::string> value = knob.value(target);
      if (!value) continue;
      const auto [it, is_new] = values[knob.field].try_emplace(*value);
      if (is_new) order[knob.field].push_back(*value);
      if (distance < it->second.distance) it->second = {distance, target};
    }
  };
  std::set<const void*> seen;  // a class is in many found descriptions, its members' values are the same in all
  for (const Found& found : all) {
    const Members m = Nearest(found, representative);
    if (seen.insert(found.bias).second) {
      for (const BiasChoice& bias : found.bias->members)
        add(KnobSide::kBias, Combine(bias, m.accumulator, m.requantization));
    }
    if (seen.insert(found.requantization).second) {
      for (const numerics::RequantRule& rule : found.requantization->members) {
        add(KnobSide::kRequantization, Combine(m.bias, m.accumulator, rule));
      }
    }
    for (const AccumulatorRule& rule : found.accumulator)
      add(KnobSide::kAccumulator, Combine(m.bias, rule, m.requantization));
  }
  std::vector<std::pair<const Knob*, std::vector<Alternative>>> result;
  for (const Knob& knob : Knobs()) {
    std::vector<Alternative>& alternatives = result.emplace_back(&knob, std::vector<Alternative>()).second;
    std::vector<std::string>& names = order[knob.field];
    const auto is_number = [](const std::string& value) {
      return value.find_first_not_of("0123456789") == std::string::npos;
    };
    if (std::all_of(names.begin(), names.end(), is_number)) {
      std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
        return std::pair(a.size(), a) < std::pair(b.size(), b);
      });
    }
    for (const std::string& value : names) {
      alternatives.push_back({.value = value, .target = values[knob.field][value].target});
    }
  }
  return result;
}

// The found description that comes nearest to a shipped one, moved to the front, and that description: shipped rules
// are those of runtimes, while the space has many that nobody uses.
TargetDescription TakeLikeliest(const std::vector<TargetDescription>& exact, std::vector<Found>* found) {
  std::size_t best = 0, least = std::numeric_limits<std::size_t>::max();
  const TargetDescription* nearest = nullptr;
  const bool usable =
      std::any_of(exact.begin(), exact.end(), [](const auto& target) { return target.delegates.empty(); });
  for (const TargetDescription& target : usable ? exact : numerics::ShippedTargets()) {
    if (!target.delegates.empty()) continue;
    for (std::size_t i = 0; i < found->size(); ++i) {
      const std::size_t distance = Distance(First((*found)[i]), target);
      if (distance >= least) continue;
      least = distance;
      best = i;
      nearest = &target;
    }
  }
  std::rotate(found->begin(), found->begin() + static_cast<std::ptrdiff_t>(best), found->end());
  return nearest == nullptr ? First(found->front()) : NearestTo(found->front(), *nearest);
}

Identification Result(const Search& search, const std::vector<Case>& cases) {
  Identification result{.cases = static_cast<std::int64_t>(cases.size()),
                        .elements = search.scoring().elements(),
                        .candidates_tried = search.tried(),
                        .contradictions = search.scoring().contradictions(),
                        .shipped = {},
                        .best = {},
                        .open = {},
                        .proposals = {}};
  for (const TargetDescription& target : search.shipped()) result.shipped.push_back(target.name);
  const auto add = [&](TargetDescription target, std::int64_t mismatches) {
    Candidate& candidate = result.best.emplace_back();
    candidate.target = std::move(target);
    candidate.mismatches = mismatches;
    if (candidate.target.name == "identified") {
      candidate.target.title = "Found from captured vectors";
      candidate.target.summary = "Found by qatgap target identify.";
      candidate.target.source = "Captured inputs, weights and outputs";
      candidate.target.name = absl::StrCat("identified-", result.best.size());
      candidate.target.evidence.detail =
          absl::StrCat("Found from ", result.elements, " captured elements of ", result.cases, " cases.");
    }
  };
  if (search.found().empty()) {
    for (const TargetDescription& target : search.shipped()) add(target, 0);
    for (const auto& [mismatches, target] : search.closest()) {
      add(target, mismatches);
      const auto verification = Verify(target, cases);
      if (!verification.ok()) continue;
      for (const CaseOutcome& outcome : verification->cases) {
        if (!outcome.exact()) result.best.back().missed.push_back(outcome);
      }
    }
    if (result.best.size() > kShown) result.best.resize(kShown);
    return result;
  }
  std::vector<Found> all = search.found();
  const TargetDescription representative = TakeLikeliest(search.shipped(), &all);
  std::set<std::pair<numerics::BiasMode, numerics::RequantMode>> families;
  for (const Found& found : all) {
    const TargetDescription target = &found == &all.front() ? representative : First(found);
    if (result.best.size() < kShown && families.insert({target.bias.mode, target.requantization.mode}).second)
      add(target, 0);
  }
  for (const auto& [knob, alternatives] : Alternatives(all, representative)) {
    if (alternatives.size() < 2) continue;
    OpenKnob& open = result.open.emplace_back(OpenKnob{.field = std::string(knob->field), .values = {}});
    for (const Alternative& alternative : alternatives) open.values.push_back(alternative.value);
    if (auto proposal = Propose(open.field, alternatives, cases.front()))
      result.proposals.push_back(*std::move(proposal));
  }
  return result;
}

}  // namespace

absl::StatusOr<Identification> Identify(const std::vector<Case>& cases) {
  std::vector<Case> mac_cases;
  std::copy_if(cases.begin(), cases.end(), std::back_inserter(mac_cases),
               [](const Case& layer) { return layer.is_mac(); });
  if (mac_cases.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("none of the ", cases.size(), " cases is a convolution or a linear layer; capture at least one"));
  }
  QATGAP_ASSIGN_OR_RETURN(Scoring scoring, Scoring::Create(mac_cases));
  Search search(mac_cases, std::move(scoring));
  search.FindExact();
  if (!search.exact()) search.FindClosest();
  return Result(search, mac_cases);
}

}  // namespace qatgap::vectors
