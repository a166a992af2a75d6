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
#include "analyzers/numerics/bias.h"
#include "analyzers/numerics/rounding.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/vectors/knobs.h"
#include "analyzers/vectors/mac_case.h"
#include "analyzers/vectors/proposals.h"
#include "analyzers/vectors/scoring.h"
#include "analyzers/vectors/search_space.h"

namespace qatgap::vectors {
namespace {

using numerics::AccumulatorOverflow;
using numerics::AccumulatorRule;
using numerics::Int16Pairs;
using numerics::TargetDescription;

constexpr std::size_t kShown = 5;
constexpr int kAccumulatorBits[] = {32, 16, 24, 40, 48, 64};

// Accumulators that no case can tell apart; the likeliest first.
using AccumulatorClass = std::vector<AccumulatorRule>;

// A description found, as members of its three classes.
struct Found {
  const BiasClass* bias;
  const RequantClass* requantization;
  AccumulatorClass accumulator;
};

TargetDescription Combine(const BiasChoice& bias, const AccumulatorRule& accumulator, const numerics::RequantRule& requantization) {
  TargetDescription target;
  target.name = "identified";
  target.bias = bias.rule;
  target.accumulator = accumulator;
  target.requantization = requantization;
  target.requantization.fused_multiply_add = bias.fused_multiply_add;
  return target;
}

TargetDescription First(const Found& found) {
  return Combine(found.bias->members.front(), found.accumulator.front(), found.requantization->members.front());
}

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
  Members m{.bias = found.bias->members.front(), .accumulator = {}, .requantization = found.requantization->members.front()};
  m.accumulator = nearest(found.accumulator, [&](const AccumulatorRule& a) { return Combine(m.bias, a, m.requantization); });
  m.requantization = nearest(found.requantization->members,
                             [&](const numerics::RequantRule& r) { return Combine(m.bias, m.accumulator, r); });
  m.bias = nearest(found.bias->members, [&](const BiasChoice& b) { return Combine(b, m.accumulator, m.requantization); });
  return m;
}

TargetDescription NearestTo(const Found& found, const TargetDescription& reference) {
  const Members members = Nearest(found, reference);
  return Combine(members.bias, members.accumulator, members.requantization);
}

struct Space {
  std::vector<BiasClass> biases;
  std::vector<RequantClass> requantizations;
};

class Search {
 public:
  Search(const std::vector<Case>& cases, Scoring scoring) : cases_(cases), scoring_(std::move(scoring)) {}

  void FindExact();
  // Where nothing is exact.
  void FindClosest();
  Identification Result();
  bool exact() const { return !found_.empty() || !shipped_.empty(); }

 private:
  enum class Accumulators { kWide, kNarrow };
  void FindExactIn(const Space& space, Accumulators accumulators, Int16Pairs pairs);
  void Descend(const Space& space, Int16Pairs pairs);
  // Mismatches, or any number above `limit`; the least of the two hosts where no case says which it was.
  std::int64_t Score(const TargetDescription& target, std::int64_t limit);
  std::vector<AccumulatorClass> AccumulatorClasses(const BiasClass& bias, Int16Pairs pairs) const;
  void Keep(std::int64_t mismatches, TargetDescription target);
  void WidenAccumulators();
  std::vector<std::pair<const Knob*, std::vector<Alternative>>> Alternatives(const TargetDescription& representative) const;

  const std::vector<Case>& cases_;
  Scoring scoring_;
  std::vector<Space> spaces_;
  std::vector<Found> found_;
  std::vector<std::pair<std::int64_t, TargetDescription>> closest_;  // ascending, at most kShown
  std::vector<TargetDescription> shipped_;                           // exact ones
  std::int64_t tried_ = 0;
};

void Search::Keep(std::int64_t mismatches, TargetDescription target) {
  for (const auto& [count, kept] : closest_) {
    if (count == mismatches && Distance(kept, target) == 0 && kept.delegates.empty() == target.delegates.empty()) return;
  }
  const auto at = std::upper_bound(closest_.begin(), closest_.end(), mismatches,
                                   [](std::int64_t value, const auto& entry) { return value < entry.first; });
  closest_.insert(at, {mismatches, std::move(target)});
  if (closest_.size() > kShown) closest_.pop_back();
}

std::int64_t Search::Score(const TargetDescription& target, std::int64_t limit) {
  ++tried_;
  const std::int64_t with = scoring_.Mismatches(target, /*assume_vnni=*/true, limit);
  const bool pairs = !target.delegates.empty() || target.accumulator.int16_pairs != Int16Pairs::kNever;
  if (with == 0 || !pairs) return with;
  return std::min(with, scoring_.Mismatches(target, /*assume_vnni=*/false, limit));
}

// Integer biases that a shipped target does not make of the real ones, as BiasClass has them.
std::int64_t BiasMismatches(const TargetDescription& target, const std::vector<Case>& cases) {
  std::int64_t mismatches = 0;
  for (const Case& layer : cases) {
    if (layer.bias.empty() || layer.bias_integer.empty()) continue;
    numerics::MacConstants constants = ConstantsOf(layer, layer.host.contains("vnni") ? layer.host.at("vnni") : true);
    const auto resolved = numerics::ResolveTarget(target, constants.traits);
    constants.stored_bias.clear();
    if (!resolved.ok() || resolved->bias.mode != numerics::BiasMode::kInteger) continue;
    if (!numerics::AdjustedWeightScales(resolved->bias, constants).empty()) continue;
    const auto made = numerics::StoreBias(resolved->bias, constants);
    for (std::size_t c = 0; c < layer.bias_integer.size(); ++c) {
      mismatches += made.ok() && made->stored[c].stored == layer.bias_integer[c] ? 0 : 1;
    }
  }
  return mismatches;
}

std::vector<AccumulatorClass> Search::AccumulatorClasses(const BiasClass& bias, Int16Pairs pairs) const {
  std::int64_t reach = 0;
  for (const Case& layer : cases_) {
    const auto made = numerics::StoreBias(bias.members.front().rule, ConstantsOf(layer, true));
    if (!made.ok()) continue;
    for (const std::int64_t addend : made->in_accumulator) {
      reach = std::max(reach, addend < 0 ? numerics::SaturatingSubtract(0, addend) : addend);
    }
  }
  const int needed = scoring_.BitsNeeded(reach);
  std::vector<AccumulatorClass> classes(1);
  for (const int bits : kAccumulatorBits) {
    for (const AccumulatorOverflow overflow : {AccumulatorOverflow::kWrap, AccumulatorOverflow::kSaturate}) {
      const AccumulatorRule rule{.bits = bits, .overflow = overflow, .int16_pairs = pairs};
      if (bits >= needed) classes.front().push_back(rule);
      else classes.push_back({rule});
    }
  }
  return classes;
}

// A float bias is added by the float requantization only.
bool Fits(const BiasClass& bias, const RequantClass& requantization) {
  return !numerics::HasFloatBias(bias.members.front().rule) ||
         requantization.members.front().mode == numerics::RequantMode::kFloat32;
}

void Search::FindExactIn(const Space& space, Accumulators accumulators, Int16Pairs pairs) {
  for (const BiasClass& bias : space.biases) {
    if (bias.mismatches > 0) continue;
    std::vector<AccumulatorClass> classes = AccumulatorClasses(bias, pairs);
    // Sums beyond 32 bits: wrapping or saturating there is as likely as having more.
    const std::size_t wide = classes.front().front().bits == 32 ? 1 : 3;
    if (accumulators == Accumulators::kWide) classes.resize(std::min(classes.size(), wide));
    else classes.erase(classes.begin(), classes.begin() + static_cast<std::ptrdiff_t>(std::min(classes.size(), wide)));
    for (const RequantClass& requantization : space.requantizations) {
      if (!Fits(bias, requantization)) continue;
      for (const AccumulatorClass& accumulator : classes) {
        Found candidate{.bias = &bias, .requantization = &requantization, .accumulator = accumulator};
        if (Score(First(candidate), /*limit=*/0) == 0) found_.push_back(std::move(candidate));
      }
    }
  }
}

void Search::FindExact() {
  for (const TargetDescription& target : numerics::ShippedTargets()) {
    if (BiasMismatches(target, cases_) == 0 && Score(target, /*limit=*/0) == 0) shipped_.push_back(target);
  }
  for (const BiasFamily family : {BiasFamily::kInteger, BiasFamily::kFloatBeforeScale, BiasFamily::kFloatAfterScale}) {
    spaces_.push_back({.biases = BiasClasses(family, cases_), .requantizations = RequantClasses(family, cases_)});
  }
  for (const Space& space : spaces_) {
    FindExactIn(space, Accumulators::kWide, Int16Pairs::kNever);
    if (space.biases.empty() || !scoring_.PairsMatter(space.biases.front().members.front().rule.mode)) continue;
    FindExactIn(space, Accumulators::kWide, Int16Pairs::kWithoutVnni);
  }
  if (!exact()) {
    for (const Space& space : spaces_) FindExactIn(space, Accumulators::kNarrow, Int16Pairs::kNever);
  }
  WidenAccumulators();
}

// One class at a time to the best, the others held: all combinations would have to be counted to the end, which takes
// minutes where the first mismatch takes seconds.
void Search::Descend(const Space& space, Int16Pairs pairs) {
  if (space.biases.empty() || space.requantizations.empty()) return;
  const BiasClass* bias = &space.biases.front();
  const RequantClass* requantization = &space.requantizations.front();
  AccumulatorClass accumulator = AccumulatorClasses(*bias, pairs).front();
  std::int64_t best = std::numeric_limits<std::int64_t>::max() - 1;
  const auto try_one = [&](const BiasClass& b, const AccumulatorClass& a, const RequantClass& r) {
    if (!Fits(b, r) || b.mismatches > best) return false;
    const TargetDescription target = First({.bias = &b, .requantization = &r, .accumulator = a});
    const std::int64_t mismatches = Score(target, best) + b.mismatches;
    if (mismatches > best) return false;
    Keep(mismatches, target);
    const bool better = mismatches < best;
    best = mismatches;
    return better;
  };
  for (int round = 0; round < 2; ++round) {
    for (const RequantClass& r : space.requantizations) {
      if (try_one(*bias, accumulator, r)) requantization = &r;
    }
    for (const BiasClass& b : space.biases) {
      if (try_one(b, accumulator, *requantization)) bias = &b;
    }
    for (const AccumulatorClass& a : AccumulatorClasses(*bias, pairs)) {
      if (!a.empty() && try_one(*bias, a, *requantization)) accumulator = a;
    }
  }
}

void Search::FindClosest() {
  for (const TargetDescription& target : numerics::ShippedTargets()) {
    const std::int64_t limit = closest_.size() < kShown ? std::numeric_limits<std::int64_t>::max() - 1 : closest_.back().first;
    const std::int64_t mismatches = Score(target, limit) + BiasMismatches(target, cases_);
    if (mismatches <= limit) Keep(mismatches, target);
  }
  for (const Space& space : spaces_) {
    Descend(space, Int16Pairs::kNever);
    if (!space.biases.empty() && scoring_.PairsMatter(space.biases.front().members.front().rule.mode)) {
      Descend(space, Int16Pairs::kWithoutVnni);
    }
  }
}

// Accumulators that overflow only where the output's limits hide it, and int16 pairs that never saturate, are exact too.
void Search::WidenAccumulators() {
  const std::size_t count = found_.size();
  for (std::size_t i = 0; i < count; ++i) {
    const Int16Pairs pairs = found_[i].accumulator.front().int16_pairs;
    for (const AccumulatorClass& accumulator : AccumulatorClasses(*found_[i].bias, pairs)) {
      const auto same = [&](const Found& other) {
        return other.bias == found_[i].bias && other.requantization == found_[i].requantization && !accumulator.empty() &&
               other.accumulator.front().bits == accumulator.front().bits &&
               other.accumulator.front().overflow == accumulator.front().overflow &&
               other.accumulator.front().int16_pairs == pairs;
      };
      if (accumulator.empty() || std::any_of(found_.begin(), found_.end(), same)) continue;
      Found candidate{.bias = found_[i].bias, .requantization = found_[i].requantization, .accumulator = accumulator};
      if (Score(First(candidate), /*limit=*/0) == 0) found_.push_back(std::move(candidate));
    }
    const numerics::BiasMode mode = found_[i].bias->members.front().rule.mode;
    if (pairs == Int16Pairs::kNever && !scoring_.PairsMatter(mode)) {
      AccumulatorClass widened = found_[i].accumulator;
      for (AccumulatorRule rule : found_[i].accumulator) {
        rule.int16_pairs = Int16Pairs::kWithoutVnni;
        widened.push_back(rule);
      }
      found_[i].accumulator = std::move(widened);
    }
  }
}

// For every knob the values that exact descriptions have, each with the description that differs least from the
// representative.
std::vector<std::pair<const Knob*, std::vector<Alternative>>> Search::Alternatives(const TargetDescription& representative) const {
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
  for (const Found& found : found_) {
    const Members m = Nearest(found, representative);
    if (seen.insert(found.bias).second) {
      for (const BiasChoice& bias : found.bias->members) add(KnobSide::kBias, Combine(bias, m.accumulator, m.requantization));
    }
    if (seen.insert(found.requantization).second) {
      for (const numerics::RequantRule& rule : found.requantization->members) {
        add(KnobSide::kRequantization, Combine(m.bias, m.accumulator, rule));
      }
    }
    for (const AccumulatorRule& rule : found.accumulator) add(KnobSide::kAccumulator, Combine(m.bias, rule, m.requantization));
  }
  std::vector<std::pair<const Knob*, std::vector<Alternative>>> result;
  for (const Knob& knob : Knobs()) {
    std::vector<Alternative>& alternatives = result.emplace_back(&knob, std::vector<Alternative>()).second;
    std::vector<std::string>& names = order[knob.field];
    const auto is_number = [](const std::string& value) { return value.find_first_not_of("0123456789") == std::string::npos; };
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

// The found description that comes nearest to a shipped one, moved to the front, and that description: shipped rules are
// those of runtimes, while the space has many that nobody uses.
TargetDescription TakeLikeliest(const std::vector<TargetDescription>& exact, std::vector<Found>* found) {
  std::size_t best = 0, least = std::numeric_limits<std::size_t>::max();
  const TargetDescription* nearest = nullptr;
  const bool usable = std::any_of(exact.begin(), exact.end(), [](const auto& target) { return target.delegates.empty(); });
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

Identification Search::Result() {
  Identification result{.cases = static_cast<std::int64_t>(cases_.size()),
                        .elements = scoring_.elements(),
                        .candidates_tried = tried_,
                        .contradictions = scoring_.contradictions(),
                        .shipped = {}, .best = {}, .open = {}, .proposals = {}};
  for (const TargetDescription& target : shipped_) result.shipped.push_back(target.name);
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
  if (found_.empty()) {
    for (const TargetDescription& target : shipped_) add(target, 0);
    for (const auto& [mismatches, target] : closest_) {
      add(target, mismatches);
      const auto verification = Verify(target, cases_);
      if (!verification.ok()) continue;
      for (const CaseOutcome& outcome : verification->cases) {
        if (!outcome.exact()) result.best.back().missed.push_back(outcome);
      }
    }
    if (result.best.size() > kShown) result.best.resize(kShown);
    return result;
  }
  const TargetDescription representative = TakeLikeliest(shipped_, &found_);
  std::set<std::pair<numerics::BiasMode, numerics::RequantMode>> families;
  for (const Found& found : found_) {
    const TargetDescription target = &found == &found_.front() ? representative : First(found);
    if (result.best.size() < kShown && families.insert({target.bias.mode, target.requantization.mode}).second) add(target, 0);
  }
  for (const auto& [knob, alternatives] : Alternatives(representative)) {
    if (alternatives.size() < 2) continue;
    OpenKnob& open = result.open.emplace_back(OpenKnob{.field = std::string(knob->field), .values = {}});
    for (const Alternative& alternative : alternatives) open.values.push_back(alternative.value);
    if (auto proposal = Propose(open.field, alternatives, cases_.front())) result.proposals.push_back(*std::move(proposal));
  }
  return result;
}

}  // namespace

absl::StatusOr<Identification> Identify(const std::vector<Case>& cases) {
  std::vector<Case> mac_cases;
  std::copy_if(cases.begin(), cases.end(), std::back_inserter(mac_cases), [](const Case& layer) { return layer.is_mac(); });
  if (mac_cases.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("none of the ", cases.size(), " cases is a convolution or a linear layer; capture at least one"));
  }
  QATGAP_ASSIGN_OR_RETURN(Scoring scoring, Scoring::Create(mac_cases));
  Search search(mac_cases, std::move(scoring));
  search.FindExact();
  if (!search.exact()) search.FindClosest();
  return search.Result();
}

}  // namespace qatgap::vectors
