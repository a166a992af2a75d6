#include "analyzers/attribution/target_ladders.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "analyzers/statistics/narrow_codes.h"

namespace qatgap::attribution {
namespace {

using numerics::ArithmeticStage;
using statistics::CodeSums;
using statistics::DifferenceStatistics;

constexpr std::size_t kFakeQuant = 0, kReal = 1;      // rows that every channel has
constexpr std::size_t kTotal = static_cast<std::size_t>(report::Cause::kTotal);
constexpr std::int64_t kBlock = statistics::kNarrowBlock;

std::span<const std::int32_t> Part(std::span<const std::int32_t> rows, std::int64_t begin, std::size_t count) {
  return rows.empty() ? rows : rows.subspan(static_cast<std::size_t>(begin), count);
}

}  // namespace

// The rows of one block of one channel, and the products of any two of them, each computed when first asked for.
class TargetLadders::Block {
 public:
  // `shared` rows are those of all targets; two more are of the target at hand.
  void Start(std::size_t shared, std::size_t count) {
    shared_ = shared;
    count_ = count;
    rows_.resize(std::max(rows_.size(), shared + 2));
    sums_.resize(rows_.size());
    width_ = rows_.size();
    dots_.resize(width_ * width_);
    shared_round_ = ++round_;
    pairs_.clear();
    limits_.clear();
  }
  std::size_t count() const { return count_; }
  void StartTarget() { target_round_ = ++round_; }

  // False when a code is too large for this way of summing.
  bool Set(std::size_t row, std::span<const std::int32_t> codes) {
    if (!statistics::Narrow(codes, std::span(rows_[row]).first(count_))) return false;
    sums_[row] = statistics::Sums(Codes(row));
    return true;
  }
  // The least and the greatest of accumulators, which targets may share.
  std::pair<std::int32_t, std::int32_t> Limits(std::span<const std::int32_t> accumulators) {
    const auto it = std::find_if(limits_.begin(), limits_.end(),
                                 [&](const auto& limits) { return limits.first == accumulators.data(); });
    if (it != limits_.end()) return it->second;
    return limits_.emplace_back(accumulators.data(), numerics::LeastAndGreatest(accumulators)).second;
  }
  std::span<std::int32_t> scratch() { return std::span(scratch_).first(count_); }
  std::size_t own(std::size_t index) const { return shared_ + index; }
  bool Equal(std::size_t a, std::size_t b) const {
    return std::memcmp(rows_[a].data(), rows_[b].data(), count_ * sizeof(std::int16_t)) == 0;
  }

  // The differences of two rows, as a part of the whole from row kFakeQuant to row `last`.
  void AddDifference(std::size_t from, std::size_t to, std::size_t last, DifferenceStatistics& statistics) {
    if (from == to) return statistics::AddEqualBlock(count_, sums_[from], statistics);
    const std::int64_t total = Dot(to, last) - Dot(from, last) - Dot(to, kFakeQuant) + Dot(from, kFakeQuant);
    if (std::max(from, to) >= shared_) {
      return statistics::AddBlock(
          Codes(from), Codes(to),
          {.reference = sums_[from], .value = sums_[to], .dot = Dot(from, to), .total = total}, statistics);
    }
    statistics.Merge(Pair(from, to));
    statistics.cross_total += total;
  }

 private:
  struct Product {
    std::int64_t value = 0;
    std::uint64_t round = 0;  // in which it was computed
  };

  statistics::NarrowCodes Codes(std::size_t row) const { return std::span(rows_[row]).first(count_); }

  std::int64_t Dot(std::size_t a, std::size_t b) {
    if (a == b) return sums_[a].squares;
    if (a > b) std::swap(a, b);
    Product& product = dots_[a * width_ + b];
    const std::uint64_t round = b >= shared_ ? target_round_ : shared_round_;
    if (product.round != round) product = {statistics::Dot(Codes(a), Codes(b)), round};
    return product.value;
  }

  // The same for every target but for cross_total, which is left out.
  const DifferenceStatistics& Pair(std::size_t from, std::size_t to) {
    const auto it = std::find_if(pairs_.begin(), pairs_.end(),
                                 [&](const auto& pair) { return pair.first == std::pair(from, to); });
    if (it != pairs_.end()) return it->second;
    DifferenceStatistics& statistics = pairs_.emplace_back(std::pair(from, to), DifferenceStatistics{}).second;
    statistics::AddBlock(Codes(from), Codes(to),
                         {.reference = sums_[from], .value = sums_[to], .dot = Dot(from, to)}, statistics);
    return statistics;
  }

  std::size_t shared_ = 0, count_ = 0, width_ = 0;
  std::uint64_t round_ = 0, shared_round_ = 0, target_round_ = 0;
  std::vector<std::array<std::int16_t, statistics::kNarrowBlock>> rows_;
  std::vector<CodeSums> sums_;
  std::vector<Product> dots_;
  std::vector<std::pair<std::pair<std::size_t, std::size_t>, DifferenceStatistics>> pairs_;
  std::vector<std::pair<const std::int32_t*, std::pair<std::int32_t, std::int32_t>>> limits_;
  std::array<std::int32_t, statistics::kNarrowBlock> scratch_;
};

TargetLadders::TargetLadders(std::vector<LayerLadder> ladders, bool one_product)
    : ladders_(std::move(ladders)), sieve_(ladders_, one_product) {
  if (ladders_.empty()) return;
  for (std::int64_t c = 0; c < ladders_[0].deployed().constants().channels; ++c) channels_.push_back(Plan(c, one_product));
}

TargetLadders::Channel TargetLadders::Plan(std::int64_t channel, bool one_product) const {
  Channel plan;
  const Stage real{ladders_[0].qat().Affine(ArithmeticStage::kReal, channel), kDeployed};
  const auto row_of = [&](const numerics::LayerArithmetic& arithmetic, ArithmeticStage which, std::int32_t source) {
    const Stage stage{arithmetic.Affine(which, channel), source};
    if (one_product && stage == real) return static_cast<std::uint16_t>(kReal);
    auto it = std::find(plan.stages.begin(), plan.stages.end(), stage);
    if (it == plan.stages.end()) it = plan.stages.insert(it, stage);
    return static_cast<std::uint16_t>(it - plan.stages.begin() + 2);
  };
  for (std::size_t t = 0; t < ladders_.size(); ++t) {
    const LayerLadder& ladder = ladders_[t];
    const std::int32_t source = ladder.adjusted() ? static_cast<std::int32_t>(t) : kDeployed;
    StagesOfTarget& stages = plan.targets.emplace_back();
    stages.converted = row_of(ladder.deployed(), ArithmeticStage::kReal, kDeployed);
    stages.bias_rounded = row_of(ladder.deployed(), ArithmeticStage::kBiasRounded, kDeployed);
    stages.bias_stored = row_of(ladder.stored(), ArithmeticStage::kBiasStored, source);
  }
  for (std::size_t t = 0; t < ladders_.size(); ++t) {
    const auto same = std::find_if(plan.requantizing.begin(), plan.requantizing.end(), [&](std::uint16_t other) {
      return !ladders_[t].adjusted() && !ladders_[other].adjusted() &&
             numerics::SameCodes(ArithmeticStage::kRequantized, channel, ladders_[t].stored(), ladders_[other].stored());
    });
    plan.targets[t].requantized = static_cast<std::uint16_t>(2 + plan.stages.size() + static_cast<std::size_t>(same - plan.requantizing.begin()));
    if (same == plan.requantizing.end()) plan.requantizing.push_back(static_cast<std::uint16_t>(t));
  }
  return plan;
}

void TargetLadders::Add(const LadderInput& input, const Rows& adjusted, const Rows& engines,
                        std::span<report::LayerResult* const> results) const {
  static thread_local Block block;
  static thread_local TargetRows rows;
  rows.adjusted.resize(ladders_.size());
  rows.engines.resize(ladders_.size());
  for (std::int64_t channel = 0; channel < static_cast<std::int64_t>(channels_.size()); ++channel) {
    for (std::int64_t first = 0; first < input.elements; first += kBlock) {
      const std::int64_t count = std::min(input.elements - first, kBlock), begin = channel * input.elements + first;
      rows.row = RowOf(input, {}, channel, first, count);
      for (std::size_t t = 0; t < ladders_.size(); ++t) {
        rows.adjusted[t] = Part(adjusted[t], begin, static_cast<std::size_t>(count));
        rows.engines[t] = Part(engines[t], begin, static_cast<std::size_t>(count));
      }
      if (const auto rest = sieve_.Sieve(channel, rows)) {
        for (report::LayerResult* result : results) {
          for (DifferenceStatistics& cause : result->channels[static_cast<std::size_t>(channel)].causes) {
            statistics::AddEqualBlock(rest->count, rest->codes, cause);
          }
        }
      }
      if (!rows.row.fake_quant.empty()) AddRows(rows, channel, block, results);
    }
  }
}

void TargetLadders::AddRows(const TargetRows& rows, std::int64_t channel, Block& block,
                            std::span<report::LayerResult* const> results) const {
  block.Start(channels_[static_cast<std::size_t>(channel)].rows(), rows.row.fake_quant.size());
  const bool narrow = SetShared(rows, channel, block);
  LadderRow row = rows.row;
  for (std::size_t t = 0; t < ladders_.size(); ++t) {
    report::ChannelResult& result = results[t]->channels[static_cast<std::size_t>(channel)];
    row.adjusted_accumulators = rows.adjusted[t];
    row.engine = rows.engines[t];
    if (!narrow || !AddTarget(t, row, channel, block, result)) ladders_[t].AddRow(row, channel, result);
  }
}

bool TargetLadders::SetShared(const TargetRows& rows, std::int64_t channel, Block& block) const {
  const std::span<std::int32_t> codes = block.scratch();
  const LadderRow& row = rows.row;
  if (row.qat_sums.empty()) {
    ladders_[0].qat().Codes(ArithmeticStage::kReal, channel, row.qat_accumulators, codes);
  } else {
    ladders_[0].qat().RealCodes(channel, row.qat_sums, codes);
  }
  if (!block.Set(kReal, codes) || !block.Set(kFakeQuant, row.fake_quant)) return false;
  const Channel& plan = channels_[static_cast<std::size_t>(channel)];
  const auto accumulators_of = [&](std::int32_t source) {
    return source == kDeployed ? row.accumulators : rows.adjusted[static_cast<std::size_t>(source)];
  };
  std::size_t at = 2;
  for (const Stage& stage : plan.stages) {
    numerics::RunAffineKernel(stage.kernel, accumulators_of(stage.source).data(), codes.data(), codes.size());
    if (!block.Set(at++, codes)) return false;
  }
  for (const std::uint16_t target : plan.requantizing) {
    const LayerLadder& ladder = ladders_[target];
    ladder.stored().Codes(ArithmeticStage::kRequantized, channel,
                          accumulators_of(ladder.adjusted() ? static_cast<std::int32_t>(target) : kDeployed), codes);
    if (!block.Set(at++, codes)) return false;
  }
  return true;
}

bool TargetLadders::AddTarget(std::size_t target, const LadderRow& row, std::int64_t channel, Block& block,
                              report::ChannelResult& result) const {
  const LayerLadder& ladder = ladders_[target];
  const StagesOfTarget& stages = channels_[static_cast<std::size_t>(channel)].targets[target];
  const std::span<const std::int32_t> sums = ladder.adjusted() ? row.adjusted_accumulators : row.accumulators;
  const std::span<std::int32_t> codes = block.scratch();
  block.StartTarget();
  std::array<std::size_t, kStageCount> rows = {kFakeQuant,         kReal,
                                               stages.converted,   stages.bias_rounded,
                                               stages.bias_stored, stages.bias_stored,
                                               stages.requantized, stages.requantized};
  const auto [least, greatest] = block.Limits(sums);
  if (!ladder.stored().SumsFit(channel, least, greatest)) {
    ladder.stored().Codes(ArithmeticStage::kAccumulated, channel, sums, codes);
    rows[5] = block.own(0);
    if (!block.Set(rows[5], codes)) return false;
  }
  if (!row.engine.empty()) {
    if (!block.Set(block.own(1), row.engine)) return false;
    if (!block.Equal(rows[6], block.own(1))) rows[7] = block.own(1);
  }
  for (std::size_t stage = 0; stage + 1 < kStageCount; ++stage) {
    block.AddDifference(rows[stage], rows[stage + 1], rows.back(), result.causes[stage]);
  }
  block.AddDifference(rows.front(), rows.back(), rows.back(), result.causes[kTotal]);
  return true;
}

}  // namespace qatgap::attribution
