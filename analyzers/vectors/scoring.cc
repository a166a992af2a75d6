#include "analyzers/vectors/scoring.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <random>
#include <span>
#include <utility>

#include "analyzers/numerics/layer_arithmetic.h"
#include "analyzers/numerics/rounding.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/vectors/mac_case.h"

namespace qatgap::vectors {
namespace {

// Ascending accumulators begin with those that end at the output's lower limit whatever the rule: mixed, the first few
// elements tell as much as any.
void Mix(std::vector<std::size_t>* order) {
  std::mt19937 random(1);
  for (std::size_t i = order->size(); i > 1; --i) std::swap((*order)[i - 1], (*order)[random() % i]);
}

Column MakeColumn(std::span<const std::int64_t> accumulators, std::span<const std::int32_t> codes) {
  std::vector<std::size_t> order(codes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(accumulators[a], codes[a]) < std::pair(accumulators[b], codes[b]);
  });
  std::vector<std::size_t> firsts;  // of each run of equal elements
  std::vector<std::int32_t> counts;
  for (const std::size_t i : order) {
    const bool again = !firsts.empty() && accumulators[firsts.back()] == accumulators[i] && codes[firsts.back()] == codes[i];
    if (again) {
      ++counts.back();
    } else {
      firsts.push_back(i);
      counts.push_back(1);
    }
  }
  Column column;
  // Of the elements with one accumulator all but those with its commonest code contradict them.
  for (std::size_t i = 0; i < firsts.size();) {
    std::int64_t sum = 0, greatest = 0;
    const std::int64_t accumulator = accumulators[firsts[i]];
    for (; i < firsts.size() && accumulators[firsts[i]] == accumulator; ++i) {
      sum += counts[i];
      greatest = std::max<std::int64_t>(greatest, counts[i]);
    }
    column.contradictions += sum - greatest;
  }
  std::vector<std::size_t> mixed(firsts.size());
  std::iota(mixed.begin(), mixed.end(), std::size_t{0});
  Mix(&mixed);
  bool narrow = true;
  for (const std::size_t i : mixed) {
    column.accumulators.push_back(accumulators[firsts[i]]);
    column.codes.push_back(codes[firsts[i]]);
    column.counts.push_back(counts[i]);
    narrow = narrow && column.accumulators.back() >= INT32_MIN && column.accumulators.back() <= INT32_MAX;
  }
  if (narrow) column.narrow.assign(column.accumulators.begin(), column.accumulators.end());
  return column;
}

absl::StatusOr<std::vector<Column>> MakeColumns(const Case& layer, PairKernel kernel) {
  QATGAP_ASSIGN_OR_RETURN(const graph::Tensor tensor, PairSaturatedAccumulators(layer, kernel));
  const std::span<const std::int64_t> accumulators = tensor.data<std::int64_t>();
  const std::vector<std::int32_t> codes = ChannelMajor(layer, layer.output_codes);
  const auto elements = static_cast<std::size_t>(ElementsPerChannel(layer));
  std::vector<Column> columns;
  for (std::size_t first = 0; first < codes.size(); first += elements) {
    columns.push_back(MakeColumn(accumulators.subspan(first, elements), std::span(codes).subspan(first, elements)));
  }
  return columns;
}

// Of one channel, in pieces: most descriptions are refuted by the first few elements.
std::int64_t MismatchesOf(const numerics::LayerArithmetic& arithmetic, std::int64_t channel, const Column& column,
                          std::int64_t limit) {
  constexpr auto kStage = numerics::ArithmeticStage::kRequantized;
  constexpr std::size_t kPiece = 256;
  std::array<std::int32_t, kPiece> codes;
  std::int64_t mismatches = 0;
  for (std::size_t first = 0; first < column.codes.size() && mismatches <= limit;) {
    const std::size_t count = std::min(first == 0 ? kPiece / 8 : kPiece, column.codes.size() - first);
    const std::span<std::int32_t> piece = std::span(codes).first(count);
    if (column.narrow.empty()) {
      arithmetic.Codes(kStage, channel, std::span(column.accumulators).subspan(first, count), piece);
    } else {
      arithmetic.Codes(kStage, channel, std::span(column.narrow).subspan(first, count), piece);
    }
    for (std::size_t i = 0; i < count; ++i) mismatches += piece[i] == column.codes[first + i] ? 0 : column.counts[first + i];
    first += count;
  }
  return mismatches;
}

}  // namespace

Scoring::Scoring(const std::vector<Case>& cases) {
  for (const Case& layer : cases) {
    const auto host = layer.host.find("vnni");
    entries_.push_back({.layer = &layer,
                        .vnni = host == layer.host.end() ? std::optional<bool>() : host->second,
                        .columns = {}});
    elements_ += layer.output_codes.elements();
  }
}

absl::StatusOr<Scoring> Scoring::Create(const std::vector<Case>& cases) {
  Scoring scoring(cases);
  for (Entry& entry : scoring.entries_) {
    QATGAP_ASSIGN_OR_RETURN(std::vector<Column> columns, MakeColumns(*entry.layer, PairKernel::kNone));
    for (const Column& column : columns) {
      scoring.contradictions_ += column.contradictions;
      for (const std::int64_t sum : column.accumulators) scoring.reach_ = std::max({scoring.reach_, sum, -sum});
    }
    entry.columns[PairKernel::kNone] = std::move(columns);
  }
  return scoring;
}

const std::vector<Column>* Scoring::ColumnsOf(Entry* entry, PairKernel kernel) {
  if (const auto it = entry->columns.find(kernel); it != entry->columns.end()) return &it->second;
  auto columns = MakeColumns(*entry->layer, kernel);
  if (!columns.ok()) return nullptr;  // impossible: the exact ones could be made
  return &(entry->columns[kernel] = *std::move(columns));
}

std::int64_t Scoring::Mismatches(const numerics::TargetDescription& target, bool assume_vnni, std::int64_t limit) {
  std::int64_t mismatches = 0;
  for (std::size_t e = 0; e < entries_.size(); ++e) {
    Entry& entry = entries_[e];
    const bool vnni = entry.vnni.value_or(assume_vnni);
    const auto arithmetic = numerics::LayerArithmetic::Create(target, ConstantsOf(*entry.layer, vnni));
    const std::vector<Column>* columns =
        arithmetic.ok() ? ColumnsOf(&entry, PairKernelOf(arithmetic->target(), *entry.layer, vnni)) : nullptr;
    if (columns == nullptr) mismatches += entry.layer->output_codes.elements();
    for (std::size_t c = 0; columns != nullptr && c < columns->size() && mismatches <= limit; ++c) {
      mismatches += MismatchesOf(*arithmetic, static_cast<std::int64_t>(c), (*columns)[c], limit - mismatches);
    }
    if (mismatches > limit) {
      // What refuted this description is likely to refute the next one.
      if (e > 0) std::rotate(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(e), entries_.begin() + static_cast<std::ptrdiff_t>(e) + 1);
      return mismatches;
    }
  }
  return mismatches;
}

int Scoring::BitsNeeded(std::int64_t addend) const {
  const std::int64_t reach = numerics::SaturatingAdd(reach_, addend);
  int bits = 2;
  while (bits < 64 && numerics::SignedMax(bits) < reach) ++bits;
  return bits;
}

bool Scoring::PairsMatter(numerics::BiasMode mode) {
  numerics::TargetDescription target;
  target.bias.mode = mode;
  target.accumulator.int16_pairs = numerics::Int16Pairs::kWithoutVnni;
  for (Entry& entry : entries_) {
    const PairKernel kernel = PairKernelOf(target, *entry.layer, entry.vnni.value_or(false));
    if (kernel == PairKernel::kNone) continue;
    const std::vector<Column>* pairs = ColumnsOf(&entry, kernel);
    const std::vector<Column>& exact = entry.columns[PairKernel::kNone];
    for (std::size_t c = 0; pairs != nullptr && c < exact.size(); ++c) {
      if ((*pairs)[c].accumulators != exact[c].accumulators || (*pairs)[c].codes != exact[c].codes) return true;
    }
  }
  return false;
}

}  // namespace qatgap::vectors
