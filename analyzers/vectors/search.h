// Looks for descriptions that reproduce captured elements. Internal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "analyzers/numerics/target.h"
#include "analyzers/vectors/case.h"
#include "analyzers/vectors/scoring.h"
#include "analyzers/vectors/search_space.h"

namespace qatgap::vectors {

// Accumulators that no case can tell apart; the likeliest first.
using AccumulatorClass = std::vector<numerics::AccumulatorRule>;

// A description found, as members of its three classes: any member of the one with any of the others.
struct Found {
  const BiasClass* bias;
  const RequantClass* requantization;
  AccumulatorClass accumulator;
};

// Without titles and prose; the name is "identified".
numerics::TargetDescription Combine(const BiasChoice& bias, const numerics::AccumulatorRule& accumulator,
                                    const numerics::RequantRule& requantization);
// Of the first members.
numerics::TargetDescription First(const Found& found);

class Search {
 public:
  static constexpr std::size_t kClosest = 5;

  // `cases` are MAC cases and outlive this.
  Search(const std::vector<Case>& cases, Scoring scoring) : cases_(cases), scoring_(std::move(scoring)) {}
  Search(const Search&) = delete;
  Search& operator=(const Search&) = delete;

  void FindExact();
  // Where nothing is exact.
  void FindClosest();

  bool exact() const { return !found_.empty() || !shipped_.empty(); }
  const std::vector<Found>& found() const { return found_; }                            // exact
  const std::vector<numerics::TargetDescription>& shipped() const { return shipped_; }  // exact
  // Mismatches and descriptions, ascending, at most kClosest.
  const std::vector<std::pair<std::int64_t, numerics::TargetDescription>>& closest() const { return closest_; }
  const Scoring& scoring() const { return scoring_; }
  std::int64_t tried() const { return tried_; }

 private:
  struct Space {
    std::vector<BiasClass> biases;
    std::vector<RequantClass> requantizations;
  };
  enum class Accumulators { kWide, kNarrow };

  void FindExactIn(const Space& space, Accumulators accumulators, numerics::Int16Pairs pairs);
  void Descend(const Space& space, numerics::Int16Pairs pairs);
  bool PairsMatter(const Space& space);
  // Mismatches, or any number above `limit`; the least of the two hosts where no case says which it was.
  std::int64_t Score(const numerics::TargetDescription& target, std::int64_t limit);
  std::vector<AccumulatorClass> AccumulatorClasses(const BiasClass& bias, numerics::Int16Pairs pairs) const;
  void Keep(std::int64_t mismatches, numerics::TargetDescription target);
  void WidenAccumulators();

  const std::vector<Case>& cases_;
  Scoring scoring_;
  std::vector<Space> spaces_;
  std::vector<Found> found_;
  std::vector<std::pair<std::int64_t, numerics::TargetDescription>> closest_;
  std::vector<numerics::TargetDescription> shipped_;
  std::int64_t tried_ = 0;
};

}  // namespace qatgap::vectors
