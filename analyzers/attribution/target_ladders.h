// The ladders of one layer for all targets at once. What targets have in common is computed once: stages that have equal
// constants, and the sums over them, which are handed out to the targets when they are asked for.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "analyzers/attribution/ladder.h"
#include "analyzers/attribution/rounding_sieve.h"
#include "analyzers/report/analysis_result.h"
#include "analyzers/statistics/narrow_codes.h"

namespace qatgap::attribution {

class TargetLadders {
 public:
  // `one_product`: the accumulators of the QAT model are those of the deployed one.
  TargetLadders(std::vector<LayerLadder> ladders, bool one_product);
  TargetLadders(TargetLadders&&) = default;
  TargetLadders& operator=(TargetLadders&&) = default;

  // One row for each target; empty where it has none.
  using Rows = std::vector<std::span<const std::int32_t>>;

  // Keeps the sums of a batch. `input.adjusted_accumulators` is not looked at: `adjusted` has them.
  void Add(const LadderInput& input, const Rows& adjusted, const Rows& engines);

  // Adds what was kept to the results of the targets, and forgets it: together what LayerLadder::Add adds.
  void Flush(std::span<report::LayerResult* const> results);

  const LayerLadder& ladder(std::size_t target) const { return ladders_[target]; }

 private:
  // What makes a row of codes: a stage of a target, or the engine of one.
  struct Source {
    numerics::ArithmeticStage stage = numerics::ArithmeticStage::kReal;
    std::uint16_t target = 0;
    bool engine = false;
    friend bool operator==(const Source&, const Source&) = default;
  };
  struct Pair {
    std::uint16_t from = 0, to = 0;  // rows
    friend bool operator==(const Pair&, const Pair&) = default;
  };
  using Chain = std::array<std::uint16_t, kStageCount>;  // the rows of the stages

  // What is computed for a channel; channels alike share it.
  struct Plan {
    std::vector<Source> sources;  // of row 2 onwards; before them fake_quant and real
    std::vector<Chain> chains;    // distinct
    std::vector<Pair> pairs;      // distinct, of different rows
    std::vector<std::uint16_t> chain_of_target;
    std::size_t rows() const { return 2 + sources.size(); }
    friend bool operator==(const Plan&, const Plan&) = default;
  };
  // Sums of a channel. Of the elements that were computed by row and pair; of the rest what all rows have in common.
  struct Sums {
    std::shared_ptr<const Plan> plan;
    std::uint64_t count = 0;                                 // all elements
    statistics::CodeSums rest;
    std::vector<statistics::CodeSums> rows;
    std::vector<statistics::DifferenceStatistics> pairs;     // what differs alone: see AddUnequalBlock
    std::vector<std::array<std::int64_t, report::kCauseCount>> totals;  // cross_total, by chain
  };
  class Block;

  void MakePlans(const Rows& engines);
  Plan PlanOf(std::int64_t channel, const Rows& engines) const;
  // Adds the rows to the sums of the channel; false, and nothing added, where they do not take this way of summing.
  bool AddRows(const TargetRows& rows, std::int64_t channel, Block& block);
  bool SetRows(const TargetRows& rows, std::int64_t channel, const Plan& plan, Block& block) const;
  // The same one target after the other, element by element.
  void AddOneByOne(const TargetRows& rows, std::int64_t channel);
  void FlushTarget(std::size_t target, const Sums& sums, report::ChannelResult& result) const;

  std::vector<LayerLadder> ladders_;
  bool one_product_;
  RoundingSieve sieve_;
  std::optional<std::vector<std::size_t>> engine_pattern_;  // by target: the first one with the same engine row
  std::vector<Sums> sums_;                                  // by channel
  std::vector<report::LayerResult> one_by_one_;             // by target; empty where not needed
};

}  // namespace qatgap::attribution
