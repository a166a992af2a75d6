#include "analyzers/vectors/search.h"

#include <algorithm>
#include <limits>

#include "analyzers/numerics/bias.h"
#include "analyzers/numerics/rounding.h"
#include "analyzers/vectors/knobs.h"
#include "analyzers/vectors/mac_case.h"

namespace qatgap::vectors {
namespace {

using numerics::AccumulatorOverflow;
using numerics::AccumulatorRule;
using numerics::Int16Pairs;
using numerics::TargetDescription;

constexpr int kAccumulatorBits[] = {32, 16, 24, 40, 48, 64};

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

// A float bias is added by the float requantization only.
bool Fits(const BiasClass& bias, const RequantClass& requantization) {
  return !numerics::HasFloatBias(bias.members.front().rule) ||
         requantization.members.front().mode == numerics::RequantMode::kFloat32;
}

}  // namespace

TargetDescription Combine(const BiasChoice& bias, const AccumulatorRule& accumulator,
                          const numerics::RequantRule& requantization) {
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

void Search::Keep(std::int64_t mismatches, TargetDescription target) {
  for (const auto& [count, kept] : closest_) {
    if (count == mismatches && Distance(kept, target) == 0 && kept.delegates.empty() == target.delegates.empty())
      return;
  }
  const auto at = std::upper_bound(closest_.begin(), closest_.end(), mismatches,
                                   [](std::int64_t value, const auto& entry) { return value < entry.first; });
  closest_.insert(at, {mismatches, std::move(target)});
  if (closest_.size() > kClosest) closest_.pop_back();
}

std::int64_t Search::Score(const TargetDescription& target, std::int64_t limit) {
  ++tried_;
  const std::int64_t with = scoring_.Mismatches(target, /*assume_vnni=*/true, limit);
  const bool pairs = !target.delegates.empty() || target.accumulator.int16_pairs != Int16Pairs::kNever;
  if (with == 0 || !pairs) return with;
  return std::min(with, scoring_.Mismatches(target, /*assume_vnni=*/false, limit));
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
      if (bits >= needed)
        classes.front().push_back(rule);
      else
        classes.push_back({rule});
    }
  }
  return classes;
}

bool Search::PairsMatter(const Space& space) {
  return !space.biases.empty() && scoring_.PairsMatter(space.biases.front().members.front().rule.mode);
}

void Search::FindExactIn(const Space& space, Accumulators accumulators, Int16Pairs pairs) {
  for (const BiasClass& bias : space.biases) {
    if (bias.mismatches > 0) continue;
    std::vector<AccumulatorClass> classes = AccumulatorClasses(bias, pairs);
    // Sums beyond 32 bits: wrapping or saturating there is as likely as having more.
    const std::size_t wide = classes.front().front().bits == 32 ? 1 : 3;
    if (accumulators == Accumulators::kWide)
      classes.resize(std::min(classes.size(), wide));
    else
      classes.erase(classes.begin(), classes.begin() + static_cast<std::ptrdiff_t>(std::min(classes.size(), wide)));
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
    if (PairsMatter(space)) FindExactIn(space, Accumulators::kWide, Int16Pairs::kWithoutVnni);
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
    const std::int64_t limit =
        closest_.size() < kClosest ? std::numeric_limits<std::int64_t>::max() - 1 : closest_.back().first;
    const std::int64_t mismatches = Score(target, limit) + BiasMismatches(target, cases_);
    if (mismatches <= limit) Keep(mismatches, target);
  }
  for (const Space& space : spaces_) {
    Descend(space, Int16Pairs::kNever);
    if (PairsMatter(space)) Descend(space, Int16Pairs::kWithoutVnni);
  }
}

// Accumulators that overflow only where the output's limits hide it, and int16 pairs that never saturate, are exact
// too.
void Search::WidenAccumulators() {
  const std::size_t count = found_.size();
  for (std::size_t i = 0; i < count; ++i) {
    const Int16Pairs pairs = found_[i].accumulator.front().int16_pairs;
    for (const AccumulatorClass& accumulator : AccumulatorClasses(*found_[i].bias, pairs)) {
      const auto same = [&](const Found& other) {
        return other.bias == found_[i].bias && other.requantization == found_[i].requantization &&
               !accumulator.empty() && other.accumulator.front().bits == accumulator.front().bits &&
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

}  // namespace qatgap::vectors
