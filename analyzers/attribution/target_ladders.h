// The ladders of one layer for all targets at once. What targets have in common is computed once: stages that have equal
// constants, and the sums over them. Adds exactly what LayerLadder::Add adds, target by target.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "analyzers/attribution/ladder.h"
#include "analyzers/attribution/rounding_sieve.h"
#include "analyzers/numerics/requantization_kernels.h"
#include "analyzers/report/analysis_result.h"

namespace qatgap::attribution {

class TargetLadders {
 public:
  // `one_product`: the accumulators of the QAT model are those of the deployed one.
  TargetLadders(std::vector<LayerLadder> ladders, bool one_product);

  // One row for each target; empty where it has none.
  using Rows = std::vector<std::span<const std::int32_t>>;

  // Adds a batch to the results of the targets. `input.adjusted_accumulators` is not looked at: `adjusted` has them.
  void Add(const LadderInput& input, const Rows& adjusted, const Rows& engines,
           std::span<report::LayerResult* const> results) const;

  const LayerLadder& ladder(std::size_t target) const { return ladders_[target]; }

 private:
  // A stage in the reference arithmetic, and whose accumulators it takes.
  struct Stage {
    numerics::AffineKernel kernel;
    std::int32_t source = kDeployed;  // or the target whose adjusted weights made the accumulators
    friend bool operator==(const Stage&, const Stage&) = default;
  };
  static constexpr std::int32_t kDeployed = -1;
  struct StagesOfTarget {
    std::uint16_t converted = 0, bias_rounded = 0, bias_stored = 0, requantized = 0;  // rows of the channel
  };
  struct Channel {
    std::vector<Stage> stages;            // distinct; row 2 onwards, after fake_quant and real
    std::vector<std::uint16_t> requantizing;  // targets that requantize each in its own way; the rows behind
    std::size_t rows() const { return 2 + stages.size() + requantizing.size(); }
    std::vector<StagesOfTarget> targets;
  };
  class Block;

  Channel Plan(std::int64_t channel, bool one_product) const;
  // Adds what the sieve chose, or all.
  void AddRows(const TargetRows& rows, std::int64_t channel, Block& block,
               std::span<report::LayerResult* const> results) const;
  // The rows that targets share; false when a code is too large to be narrow.
  bool SetShared(const TargetRows& rows, std::int64_t channel, Block& block) const;
  // Those of one target, and its sums; false, and nothing added, when a code is too large.
  bool AddTarget(std::size_t target, const LadderRow& row, std::int64_t channel, Block& block,
                 report::ChannelResult& result) const;

  std::vector<LayerLadder> ladders_;
  std::vector<Channel> channels_;
  RoundingSieve sieve_;
};

}  // namespace qatgap::attribution
