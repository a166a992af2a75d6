#include "analyzers/vectors/scoring.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>
#include <span>
#include <type_traits>
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
    const bool again =
        !firsts.empty() && accumulators[firsts.back()] == accumulators[i] && codes[firsts.back()] == codes[i];
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
    for (std::size_t i = 0; i < count; ++i)
      mismatches += piece[i] == column.codes[first + i] ? 0 : column.counts[first + i];
    first += count;
  }
  return mismatches;
}

// Up to four channels: the greatest bias first, which a scale of the whole layer depends on, then evenly.
std::vector<std::size_t> FewChannels(const Case& layer) {
  constexpr std::size_t kFew = 4;
  const auto channels = static_cast<std::size_t>(ChannelsOf(layer));
  std::set<std::size_t> chosen;
  if (!layer.bias.empty()) {
    const auto greatest = std::max_element(layer.bias.begin(), layer.bias.end(),
                                           [](double a, double b) { return std::abs(a) < std::abs(b); });
    chosen.insert(static_cast<std::size_t>(greatest - layer.bias.begin()));
  }
  for (std::size_t i = 0; i < channels && chosen.size() < kFew; ++i) {
    chosen.insert(channels <= kFew ? i : i * (channels / kFew) % channels);
    if (i > channels / 2) break;
  }
  return {chosen.begin(), chosen.end()};
}

numerics::MacConstants Restricted(numerics::MacConstants constants, const std::vector<std::size_t>& channels) {
  const auto restrict = [&](auto& values) {
    if (values.size() <= 1) return;
    std::remove_reference_t<decltype(values)> kept;
    for (const std::size_t channel : channels) kept.push_back(values[channel]);
    values = std::move(kept);
  };
  restrict(constants.weight.scales);
  restrict(constants.weight.zero_points);
  restrict(constants.bias);
  restrict(constants.stored_bias);
  constants.channels = static_cast<std::int64_t>(channels.size());
  return constants;
}

}  // namespace

Scoring::Scoring(const std::vector<Case>& cases) {
  for (const Case& layer : cases) {
    const auto host = layer.host.find("vnni");
    Entry& entry = entries_.emplace_back();
    entry.layer = &layer;
    if (host != layer.host.end()) entry.vnni = host->second;
    entry.constants = ConstantsOf(layer, /*host_has_vnni=*/true);
    entry.few_channels = FewChannels(layer);
    // With one scale left per-channel weights would count as per-tensor ones.
    const bool whole = layer.weight.scales.size() > 1 && entry.few_channels.size() == 1;
    if (whole) {
      entry.few_channels.resize(static_cast<std::size_t>(entry.constants.channels));
      std::iota(entry.few_channels.begin(), entry.few_channels.end(), std::size_t{0});
    }
    entry.few = Restricted(entry.constants, entry.few_channels);
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

bool Scoring::IsRefuted(const numerics::TargetDescription& target, bool assume_vnni) {
  if (!target.delegates.empty() || target.requantization.vector_channels != 0) return false;
  for (std::size_t e = 0; e < entries_.size(); ++e) {
    Entry& entry = entries_[e];
    const bool vnni = entry.vnni.value_or(assume_vnni);
    const auto arithmetic = numerics::LayerArithmetic::Create(target, entry.few);
    const std::vector<Column>* columns =
        arithmetic.ok() ? ColumnsOf(&entry, PairKernelOf(target, *entry.layer, vnni)) : nullptr;
    bool refuted = columns == nullptr;
    for (std::size_t i = 0; !refuted && i < entry.few_channels.size(); ++i) {
      refuted = MismatchesOf(*arithmetic, static_cast<std::int64_t>(i), (*columns)[entry.few_channels[i]],
                             /*limit=*/0) > 0;
    }
    if (refuted) {
      Promote(e);
      return true;
    }
  }
  return false;
}

// What refuted this description is likely to refute the next one.
void Scoring::Promote(std::size_t entry) {
  const auto at = entries_.begin() + static_cast<std::ptrdiff_t>(entry);
  if (entry > 0) std::rotate(entries_.begin(), at, at + 1);
}

std::int64_t Scoring::Mismatches(const numerics::TargetDescription& target, bool assume_vnni, std::int64_t limit) {
  if (limit == 0 && IsRefuted(target, assume_vnni)) return 1;
  std::int64_t mismatches = 0;
  for (std::size_t e = 0; e < entries_.size(); ++e) {
    Entry& entry = entries_[e];
    const bool vnni = entry.vnni.value_or(assume_vnni);
    entry.constants.traits.host_has_vnni = vnni;
    const auto arithmetic = numerics::LayerArithmetic::Create(target, entry.constants);
    const std::vector<Column>* columns =
        arithmetic.ok() ? ColumnsOf(&entry, PairKernelOf(arithmetic->target(), *entry.layer, vnni)) : nullptr;
    if (columns == nullptr) mismatches += entry.layer->output_codes.elements();
    for (std::size_t c = 0; columns != nullptr && c < columns->size() && mismatches <= limit; ++c) {
      mismatches += MismatchesOf(*arithmetic, static_cast<std::int64_t>(c), (*columns)[c], limit - mismatches);
    }
    if (mismatches > limit) {
      Promote(e);
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
