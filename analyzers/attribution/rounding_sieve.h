// Which elements of a layer need their stages computed. Stages differ by little before they round: by roundings of the bias
// and of the requantization. So all of them have one code, but for what lies near a boundary between two codes: a few
// percent. Those, and what fake_quant, an engine or other weights give another code, are chosen; the rest is only counted.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "analyzers/attribution/ladder.h"
#include "analyzers/numerics/requantization_kernels.h"
#include "analyzers/numerics/rounding_margin.h"
#include "analyzers/statistics/narrow_codes.h"

namespace qatgap::attribution {

// Elements of one channel with all that targets need of them: one run each, or empty; by target.
struct TargetRows {
  LadderRow row;
  std::vector<std::span<const std::int32_t>> adjusted, engines;
};

class RoundingSieve {
 public:
  // All targets of a layer; they must outlive this. `one_product`: the accumulators of the QAT model are the deployed ones.
  RoundingSieve(std::span<const LayerLadder> ladders, bool one_product);

  // What was not chosen: every stage of every target gives these codes.
  struct Rest {
    std::size_t count = 0;
    statistics::CodeSums codes;
  };
  // Leaves what was chosen in `rows`, in buffers of this thread that the next call uses again. nullopt, and `rows` as they
  // were, where no bound holds or would spare work. At most kNarrowBlock elements.
  std::optional<Rest> Sieve(std::int64_t channel, TargetRows& rows) const;

 private:
  struct Channel {
    numerics::AffineKernel reference;  // the deployed layer in exact arithmetic
    numerics::RoundingMargin margin;   // of all stages of all targets
  };
  std::optional<Channel> Plan(std::int64_t channel) const;

  std::span<const LayerLadder> ladders_;
  bool one_product_;
  std::vector<std::optional<Channel>> channels_;
};

}  // namespace qatgap::attribution
