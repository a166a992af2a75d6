#include "analyzers/vectors/scoring.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <span>
#include <utility>

#include "analyzers/numerics/layer_arithmetic.h"
#include "analyzers/numerics/rounding.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/vectors/mac_case.h"

namespace qatgap::vectors {
namespace {

Column MakeColumn(std::span<const std::int64_t> accumulators, std::span<const std::int32_t> codes) {
  std::vector<std::size_t> order(codes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(accumulators[a], codes[a]) < std::pair(accumulators[b], codes[b]);
  });
  Column column;
  bool narrow = true;
  for (const std::size_t i : order) {
    if (!column.codes.empty() && column.accumulators.back() == accumulators[i] && column.codes.back() == codes[i]) {
      ++column.counts.back();
      continue;
    }
    column.accumulators.push_back(accumulators[i]);
    column.codes.push_back(codes[i]);
    column.counts.push_back(1);
    narrow = narrow && accumulators[i] >= INT32_MIN && accumulators[i] <= INT32_MAX;
  }
  if (narrow) column.narrow.assign(column.accumulators.begin(), column.accumulators.end());
  return column;
}

// Of the elements with one accumulator all but those with its commonest code.
std::int64_t Contradictions(const Column& column) {
  std::int64_t contradictions = 0;
  for (std::size_t i = 0; i < column.codes.size();) {
    std::int64_t sum = 0, greatest = 0;
    const std::int64_t accumulator = column.accumulators[i];
    for (; i < column.codes.size() && column.accumulators[i] == accumulator; ++i) {
      sum += column.counts[i];
      greatest = std::max<std::int64_t>(greatest, column.counts[i]);
    }
    contradictions += sum - greatest;
  }
  return contradictions;
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
      scoring.contradictions_ += Contradictions(column);
      scoring.reach_ = std::max({scoring.reach_, column.accumulators.back(), -column.accumulators.front()});
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
  std::vector<std::int32_t> codes;
  for (std::size_t e = 0; e < entries_.size(); ++e) {
    Entry& entry = entries_[e];
    const bool vnni = entry.vnni.value_or(assume_vnni);
    const auto arithmetic = numerics::LayerArithmetic::Create(target, ConstantsOf(*entry.layer, vnni));
    const std::vector<Column>* columns =
        arithmetic.ok() ? ColumnsOf(&entry, PairKernelOf(arithmetic->target(), *entry.layer, vnni)) : nullptr;
    if (columns == nullptr) mismatches += entry.layer->output_codes.elements();
    for (std::size_t c = 0; columns != nullptr && c < columns->size() && mismatches <= limit; ++c) {
      const Column& column = (*columns)[c];
      codes.resize(column.codes.size());
      const auto channel = static_cast<std::int64_t>(c);
      constexpr auto kStage = numerics::ArithmeticStage::kRequantized;
      if (column.narrow.empty()) {
        arithmetic->Codes(kStage, channel, std::span<const std::int64_t>(column.accumulators), codes);
      } else {
        arithmetic->Codes(kStage, channel, std::span<const std::int32_t>(column.narrow), codes);
      }
      for (std::size_t i = 0; i < codes.size(); ++i) mismatches += codes[i] == column.codes[i] ? 0 : column.counts[i];
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
