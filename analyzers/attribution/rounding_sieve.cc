#include "analyzers/attribution/rounding_sieve.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

namespace qatgap::attribution {
namespace {

using numerics::ArithmeticStage;
using statistics::kNarrowBlock;

// With a margin of this much to both sides most elements would be chosen.
constexpr double kWidestMargin = 0.2;

// The elements with a doubt, in order.
std::size_t Indices(const std::uint8_t* doubts, std::size_t count, std::uint16_t* indices) {
  std::size_t found = 0, i = 0;
  for (; i + 8 <= count; i += 8) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, doubts + i, 8);
    if (eight == 0) continue;
    for (std::size_t k = i; k < i + 8; ++k) {
      indices[found] = static_cast<std::uint16_t>(k);
      found += doubts[k];
    }
  }
  for (; i < count; ++i) {
    indices[found] = static_cast<std::uint16_t>(i);
    found += doubts[i];
  }
  return found;
}

struct Scratch {
  std::array<std::int16_t, kNarrowBlock> codes;
  std::array<std::int32_t, kNarrowBlock> real;
  std::array<std::uint8_t, kNarrowBlock> doubts;
  std::array<std::uint16_t, kNarrowBlock> indices;
  std::array<std::int32_t, kNarrowBlock> fake_quant, qat_accumulators, accumulators;
  std::array<double, kNarrowBlock> qat_sums;
  std::vector<std::array<std::int32_t, kNarrowBlock>> engines;
};

template <typename T>
void Gather(std::span<const std::uint16_t> indices, std::array<T, kNarrowBlock>& to, std::span<const T>& row) {
  if (row.empty()) return;
  for (std::size_t i = 0; i < indices.size(); ++i) to[i] = row[indices[i]];
  row = std::span<const T>(to).first(indices.size());
}

}  // namespace

RoundingSieve::RoundingSieve(std::span<const LayerLadder> ladders, bool one_product)
    : ladders_(ladders), one_product_(one_product) {
  if (ladders.empty()) return;
  for (std::int64_t c = 0; c < ladders[0].deployed().constants().channels; ++c) channels_.push_back(Plan(c));
}

std::optional<RoundingSieve::Channel> RoundingSieve::Plan(std::int64_t channel) const {
  Channel plan{.reference = ladders_[0].deployed().Affine(ArithmeticStage::kReal, channel),
               .margin = {.largest = std::numeric_limits<double>::max()}};
  const numerics::AffineKernel& reference = plan.reference;
  if (std::max(std::abs(reference.low + reference.zero_point), std::abs(reference.high + reference.zero_point)) >
      statistics::kNarrowLimit) {
    return std::nullopt;
  }
  const auto widen = [&](const numerics::LayerArithmetic& arithmetic, ArithmeticStage stage) {
    const auto margin = numerics::MarginOf(arithmetic, stage, channel, reference);
    if (margin) plan.margin.Widen(*margin);
    return margin.has_value();
  };
  if (one_product_ && !widen(ladders_[0].qat(), ArithmeticStage::kReal)) return std::nullopt;
  for (const LayerLadder& ladder : ladders_) {
    if (ladder.adjusted()) return std::nullopt;  // its accumulators are other ones
    for (const auto stage : {ArithmeticStage::kReal, ArithmeticStage::kBiasRounded, ArithmeticStage::kAccumulated,
                             ArithmeticStage::kRequantized}) {
      if (!widen(ladder.deployed(), stage)) return std::nullopt;
    }
  }
  return plan;
}

std::optional<RoundingSieve::Rest> RoundingSieve::Sieve(std::int64_t channel, TargetRows& rows) const {
  static thread_local Scratch scratch;
  const std::optional<Channel>& plan = channels_[static_cast<std::size_t>(channel)];
  if (!plan) return std::nullopt;
  LadderRow& row = rows.row;
  const std::size_t count = row.accumulators.size();
  const auto [least, greatest] = numerics::LeastAndGreatest(row.accumulators);
  const double largest = std::max(std::abs(static_cast<double>(least)), std::abs(static_cast<double>(greatest)));
  const numerics::AffineKernel& reference = plan->reference;
  const double of_kernel = 0x1p-20 * (largest * reference.multiplier + std::abs(reference.offset));
  const double margin = plan->margin.At(largest) + of_kernel;
  if (!(largest <= plan->margin.largest) || !(margin < kWidestMargin)) return std::nullopt;
  // The step to the next smaller float makes up for rounding to one.
  numerics::RunLineKernel({.multiplier = static_cast<float>(reference.multiplier),
                           .offset = static_cast<float>(reference.offset),
                           .low = static_cast<float>(reference.low),
                           .high = static_cast<float>(reference.high),
                           .sure = std::nextafter(static_cast<float>(0.5 - margin), 0.0f),
                           .zero_point = static_cast<std::int32_t>(reference.zero_point)},
                          row.accumulators.data(), row.fake_quant.data(), scratch.codes.data(), scratch.doubts.data(),
                          count);
  if (!one_product_) {
    const std::span<std::int32_t> real = std::span(scratch.real).first(count);
    RealCodes(ladders_[0].qat(), row, channel, real);
    numerics::DoubtOthers(real.data(), scratch.codes.data(), scratch.doubts.data(), count);
  }
  const std::int32_t* last = nullptr;  // targets that share an engine share its codes
  for (const auto& engine : rows.engines) {
    if (engine.empty() || engine.data() == last) continue;
    last = engine.data();
    numerics::DoubtOthers(last, scratch.codes.data(), scratch.doubts.data(), count);
  }

  const std::size_t chosen = Indices(scratch.doubts.data(), count, scratch.indices.data());
  const std::span<const std::uint16_t> indices = std::span(scratch.indices).first(chosen);
  Rest rest{.count = count - chosen, .codes = statistics::Sums(std::span(scratch.codes).first(count))};
  for (const std::uint16_t i : indices) {
    const std::int64_t code = scratch.codes[i];
    rest.codes.sum -= code;
    rest.codes.squares -= code * code;
  }
  Gather(indices, scratch.fake_quant, row.fake_quant);
  Gather(indices, scratch.qat_sums, row.qat_sums);
  const bool one = row.qat_accumulators.data() == row.accumulators.data();
  Gather(indices, scratch.accumulators, row.accumulators);
  if (one && !row.qat_accumulators.empty()) {
    row.qat_accumulators = row.accumulators;
  } else {
    Gather(indices, scratch.qat_accumulators, row.qat_accumulators);
  }
  scratch.engines.resize(std::max(scratch.engines.size(), rows.engines.size()));
  for (std::size_t t = 0; t < rows.engines.size(); ++t) Gather(indices, scratch.engines[t], rows.engines[t]);
  return rest;
}

}  // namespace qatgap::attribution
