#include "analyzers/attribution/target_ladders.h"

#include <algorithm>
#include <utility>

namespace qatgap::attribution {
namespace {

using numerics::ArithmeticStage;
using statistics::CodeSums;
using statistics::DifferenceStatistics;

constexpr std::uint16_t kFakeQuant = 0, kReal = 1;    // rows that every channel has
constexpr std::size_t kTotal = static_cast<std::size_t>(report::Cause::kTotal);
constexpr std::int64_t kBlock = statistics::kNarrowBlock;

std::span<const std::int32_t> Part(std::span<const std::int32_t> rows, std::int64_t begin, std::int64_t count) {
  return rows.empty() ? rows : rows.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count));
}

// By target: the first one that has the same row; the number of targets where it has none.
std::vector<std::size_t> PatternOf(const TargetLadders::Rows& engines) {
  std::vector<std::size_t> pattern;
  for (std::size_t t = 0; t < engines.size(); ++t) {
    std::size_t first = engines.size();
    for (std::size_t other = 0; other <= t && !engines[t].empty(); ++other) {
      if (engines[other].data() != engines[t].data()) continue;
      first = other;
      break;
    }
    pattern.push_back(first);
  }
  return pattern;
}

template <typename T>
std::uint16_t IndexOf(std::vector<T>& values, const T& value) {
  auto it = std::find(values.begin(), values.end(), value);
  if (it == values.end()) it = values.insert(it, value);
  return static_cast<std::uint16_t>(it - values.begin());
}

// Whether its codes are those of LayerArithmetic::Affine for every accumulator.
bool IsAffine(ArithmeticStage stage) {
  return stage != ArithmeticStage::kRequantized && stage != ArithmeticStage::kAccumulated;
}

// Whether a sum that leaves the accumulator is part of the target's normal work; 32 bits are checked block by block.
bool MayOverflow(const LayerLadder& ladder) { return ladder.stored().target().accumulator.bits < 32; }

}  // namespace

// The rows of one block of one channel, and the products of any two of them, each computed when first asked for.
class TargetLadders::Block {
 public:
  void Start(std::size_t rows, std::size_t count) {
    width_ = rows;
    count_ = count;
    if (rows_.size() < rows) {
      rows_.resize(rows);
      sums_.resize(rows);
    }
    known_.assign(rows * rows, false);
    dots_.resize(rows * rows);
  }
  std::span<std::int32_t> scratch() { return std::span(scratch_).first(count_); }

  // False when a code is too large for this way of summing.
  bool Set(std::size_t row, std::span<const std::int32_t> codes) {
    if (!statistics::Narrow(codes, std::span(rows_[row]).first(count_))) return false;
    sums_[row] = statistics::Sums(Codes(row));
    return true;
  }
  const CodeSums& sums(std::size_t row) const { return sums_[row]; }

  void AddPair(const Pair& pair, DifferenceStatistics& statistics) {
    const statistics::PairProducts products{
        .reference = sums_[pair.from], .value = sums_[pair.to], .dot = Dot(pair.from, pair.to)};
    statistics::AddUnequalBlock(Codes(pair.from), Codes(pair.to), products, statistics);
  }
  // Of the difference of two rows with the whole one, from fake_quant to `last`.
  std::int64_t CrossTotal(std::size_t from, std::size_t to, std::size_t last) {
    return Dot(to, last) - Dot(from, last) - Dot(to, kFakeQuant) + Dot(from, kFakeQuant);
  }

 private:
  statistics::NarrowCodes Codes(std::size_t row) const { return std::span(rows_[row]).first(count_); }
  std::int64_t Dot(std::size_t a, std::size_t b) {
    if (a == b) return sums_[a].squares;
    const std::size_t at = std::min(a, b) * width_ + std::max(a, b);
    if (!known_[at]) {
      known_[at] = true;
      dots_[at] = statistics::Dot(Codes(a), Codes(b));
    }
    return dots_[at];
  }

  std::size_t count_ = 0, width_ = 0;
  std::vector<std::array<std::int16_t, statistics::kNarrowBlock>> rows_;
  std::vector<CodeSums> sums_;
  std::vector<char> known_;
  std::vector<std::int64_t> dots_;
  std::array<std::int32_t, statistics::kNarrowBlock> scratch_;
};

TargetLadders::TargetLadders(std::vector<LayerLadder> ladders, bool one_product)
    : ladders_(std::move(ladders)), one_product_(one_product), sieve_(ladders_, one_product) {}

void TargetLadders::MakePlans(const Rows& engines) {
  engine_pattern_ = PatternOf(engines);
  std::shared_ptr<const Plan> last;
  for (std::int64_t c = 0; c < ladders_[0].deployed().constants().channels; ++c) {
    Plan plan = PlanOf(c, engines);
    if (last == nullptr || *last != plan) last = std::make_shared<const Plan>(std::move(plan));
    Sums& sums = sums_.emplace_back();
    sums.plan = last;
    sums.rows.resize(last->rows());
    sums.pairs.resize(last->pairs.size());
    sums.totals.resize(last->chains.size());
  }
}

TargetLadders::Plan TargetLadders::PlanOf(std::int64_t channel, const Rows& engines) const {
  Plan plan;
  const auto same = [&](const Source& a, ArithmeticStage stage, std::size_t t) {
    const bool own = ladders_[t].takes_adjusted(stage);
    if (a.engine || IsAffine(a.stage) != IsAffine(stage)) return false;
    if (own != ladders_[a.target].takes_adjusted(a.stage) || (own && a.target != t)) return false;  // other accumulators
    const numerics::LayerArithmetic& first = ladders_[a.target].arithmetic(a.stage);
    const numerics::LayerArithmetic& second = ladders_[t].arithmetic(stage);
    if (IsAffine(stage)) return first.Affine(a.stage, channel) == second.Affine(stage, channel);
    return a.stage == stage && numerics::SameCodes(stage, channel, first, second);
  };
  const numerics::AffineKernel real = ladders_[0].qat().Affine(ArithmeticStage::kReal, channel);
  const auto row_of = [&](ArithmeticStage stage, std::size_t t) {
    const LayerLadder& ladder = ladders_[t];
    if (one_product_ && IsAffine(stage) && !ladder.takes_adjusted(stage) &&
        ladder.arithmetic(stage).Affine(stage, channel) == real) {
      return kReal;
    }
    const auto it = std::find_if(plan.sources.begin(), plan.sources.end(),
                                 [&](const Source& a) { return same(a, stage, t); });
    const auto row = static_cast<std::uint16_t>(2 + (it - plan.sources.begin()));
    if (it == plan.sources.end()) plan.sources.push_back({stage, static_cast<std::uint16_t>(t), false});
    return row;
  };
  for (std::size_t t = 0; t < ladders_.size(); ++t) {
    Chain chain{kFakeQuant, kReal};
    chain[2] = row_of(ArithmeticStage::kReal, t);
    chain[3] = row_of(ArithmeticStage::kBiasRounded, t);
    chain[4] = row_of(ArithmeticStage::kBiasStored, t);
    chain[5] = MayOverflow(ladders_[t]) ? row_of(ArithmeticStage::kAccumulated, t) : chain[4];
    chain[6] = chain[7] = row_of(ArithmeticStage::kRequantized, t);
    if (!engines[t].empty()) {
      const Source engine{ArithmeticStage::kReal, static_cast<std::uint16_t>((*engine_pattern_)[t]), true};
      chain[7] = static_cast<std::uint16_t>(2 + IndexOf(plan.sources, engine));
    }
    plan.chain_of_target.push_back(IndexOf(plan.chains, chain));
  }
  for (const Chain& chain : plan.chains) {
    for (std::size_t stage = 0; stage + 1 < kStageCount; ++stage) {
      if (chain[stage] != chain[stage + 1]) IndexOf(plan.pairs, {chain[stage], chain[stage + 1]});
    }
    if (chain.front() != chain.back()) IndexOf(plan.pairs, {chain.front(), chain.back()});
  }
  return plan;
}

void TargetLadders::Add(const LadderInput& input, const Rows& adjusted, const Rows& engines) {
  static thread_local Block block;
  static thread_local TargetRows rows;
  if (ladders_.empty()) return;
  if (!engine_pattern_) MakePlans(engines);
  // An engine that refused before and runs now, or the other way round, has no row in the plans.
  const bool planned = PatternOf(engines) == *engine_pattern_;
  rows.adjusted.resize(ladders_.size());
  rows.engines.resize(ladders_.size());
  for (std::int64_t channel = 0; channel < static_cast<std::int64_t>(sums_.size()); ++channel) {
    for (std::int64_t first = 0; first < input.elements; first += kBlock) {
      const std::int64_t count = std::min(input.elements - first, kBlock), begin = channel * input.elements + first;
      rows.row = RowOf(input, {}, channel, first, count);
      for (std::size_t t = 0; t < ladders_.size(); ++t) {
        rows.adjusted[t] = Part(adjusted[t], begin, count);
        rows.engines[t] = Part(engines[t], begin, count);
      }
      if (!planned) {
        AddOneByOne(rows, channel);
        continue;
      }
      if (const auto rest = sieve_.Sieve(channel, rows)) {
        Sums& sums = sums_[static_cast<std::size_t>(channel)];
        sums.count += rest->count;
        sums.rest.sum += rest->codes.sum;
        sums.rest.squares += rest->codes.squares;
      }
      if (!rows.row.fake_quant.empty() && !AddRows(rows, channel, block)) AddOneByOne(rows, channel);
    }
  }
}

bool TargetLadders::AddRows(const TargetRows& rows, std::int64_t channel, Block& block) {
  Sums& sums = sums_[static_cast<std::size_t>(channel)];
  const Plan& plan = *sums.plan;
  block.Start(plan.rows(), rows.row.fake_quant.size());
  if (!SetRows(rows, channel, plan, block)) return false;
  sums.count += rows.row.fake_quant.size();
  for (std::size_t row = 0; row < plan.rows(); ++row) {
    sums.rows[row].sum += block.sums(row).sum;
    sums.rows[row].squares += block.sums(row).squares;
  }
  for (std::size_t i = 0; i < plan.pairs.size(); ++i) block.AddPair(plan.pairs[i], sums.pairs[i]);
  for (std::size_t i = 0; i < plan.chains.size(); ++i) {
    const Chain& chain = plan.chains[i];
    for (std::size_t stage = 0; stage + 1 < kStageCount; ++stage) {
      if (chain[stage] == chain[stage + 1]) continue;
      sums.totals[i][stage] += block.CrossTotal(chain[stage], chain[stage + 1], chain.back());
    }
    sums.totals[i][kTotal] += block.CrossTotal(chain.front(), chain.back(), chain.back());
  }
  return true;
}

bool TargetLadders::SetRows(const TargetRows& rows, std::int64_t channel, const Plan& plan, Block& block) const {
  const std::span<std::int32_t> codes = block.scratch();
  const LadderRow& row = rows.row;
  const auto [least, greatest] = numerics::LeastAndGreatest(row.accumulators);
  for (std::size_t t = 0; t < ladders_.size(); ++t) {
    if (MayOverflow(ladders_[t])) continue;  // has a row for it
    const auto [low, high] =
        ladders_[t].adjusted() ? numerics::LeastAndGreatest(rows.adjusted[t]) : std::pair(least, greatest);
    if (!ladders_[t].stored().SumsFit(channel, low, high)) return false;
  }
  RealCodes(ladders_[0].qat(), row, channel, codes);
  if (!block.Set(kReal, codes) || !block.Set(kFakeQuant, row.fake_quant)) return false;
  std::size_t at = 2;
  for (const Source& source : plan.sources) {
    if (source.engine) {
      if (!block.Set(at++, rows.engines[source.target])) return false;
      continue;
    }
    const LayerLadder& ladder = ladders_[source.target];
    const auto accumulators = ladder.takes_adjusted(source.stage) ? rows.adjusted[source.target] : row.accumulators;
    ladder.arithmetic(source.stage).Codes(source.stage, channel, accumulators, codes);
    if (!block.Set(at++, codes)) return false;
  }
  return true;
}

void TargetLadders::AddOneByOne(const TargetRows& rows, std::int64_t channel) {
  if (one_by_one_.empty()) {
    for (const LayerLadder& ladder : ladders_) one_by_one_.push_back(ladder.MakeResult(0, 0));
  }
  LadderRow row = rows.row;
  for (std::size_t t = 0; t < ladders_.size(); ++t) {
    row.adjusted_accumulators = rows.adjusted[t];
    row.engine = rows.engines[t];
    ladders_[t].AddRow(row, channel, one_by_one_[t].channels[static_cast<std::size_t>(channel)]);
  }
}

void TargetLadders::Flush(std::span<report::LayerResult* const> results) {
  for (std::size_t c = 0; c < sums_.size(); ++c) {
    Sums& sums = sums_[c];
    for (std::size_t t = 0; t < ladders_.size(); ++t) FlushTarget(t, sums, results[t]->channels[c]);
    sums.count = 0;
    sums.rest = {};
    std::fill(sums.rows.begin(), sums.rows.end(), CodeSums{});
    std::fill(sums.pairs.begin(), sums.pairs.end(), DifferenceStatistics{});
    for (auto& totals : sums.totals) totals.fill(0);
  }
  for (std::size_t t = 0; t < one_by_one_.size(); ++t) {
    for (std::size_t c = 0; c < one_by_one_[t].channels.size(); ++c) {
      for (std::size_t cause = 0; cause < report::kCauseCount; ++cause) {
        results[t]->channels[c].causes[cause].Merge(one_by_one_[t].channels[c].causes[cause]);
      }
    }
  }
  one_by_one_.clear();
}

void TargetLadders::FlushTarget(std::size_t target, const Sums& sums, report::ChannelResult& result) const {
  const Plan& plan = *sums.plan;
  const std::uint16_t index = plan.chain_of_target[target];
  const Chain& chain = plan.chains[index];
  const auto add = [&](std::uint16_t from, std::uint16_t to, DifferenceStatistics& cause, std::int64_t total) {
    const CodeSums reference{.sum = sums.rows[from].sum + sums.rest.sum,
                             .squares = sums.rows[from].squares + sums.rest.squares};
    statistics::AddEqualBlock(sums.count, reference, cause);
    if (from == to) return;
    const auto pair = std::find(plan.pairs.begin(), plan.pairs.end(), Pair{from, to});
    cause.Merge(sums.pairs[static_cast<std::size_t>(pair - plan.pairs.begin())]);
    cause.cross_total += total;
  };
  for (std::size_t stage = 0; stage + 1 < kStageCount; ++stage) {
    add(chain[stage], chain[stage + 1], result.causes[stage], sums.totals[index][stage]);
  }
  add(chain.front(), chain.back(), result.causes[kTotal], sums.totals[index][kTotal]);
}

}  // namespace qatgap::attribution
