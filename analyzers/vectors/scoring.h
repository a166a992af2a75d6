// How many captured elements a description gets wrong, counted no further than asked. Internal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/numerics/layer_arithmetic.h"
#include "analyzers/numerics/target.h"
#include "analyzers/vectors/case.h"
#include "analyzers/vectors/int16_pairs.h"

namespace qatgap::vectors {

// The elements of one channel. Equal accumulators with equal codes are kept once, with their count.
struct Column {
  std::vector<std::int64_t> accumulators;
  std::vector<std::int32_t> narrow;  // the same in 32 bits, where all fit; else empty
  std::vector<std::int32_t> codes, counts;
  std::int64_t contradictions = 0;  // elements with the accumulator of others and a rarer code
};

class Scoring {
 public:
  // `cases` are MAC cases and outlive this.
  static absl::StatusOr<Scoring> Create(const std::vector<Case>& cases);

  // Elements that differ; any number above `limit` when there are more. Where a case does not say whether its host had
  // VNNI, `assume_vnni` does. A case that the target refuses differs in every element.
  std::int64_t Mismatches(const numerics::TargetDescription& target, bool assume_vnni, std::int64_t limit);

  std::int64_t elements() const { return elements_; }
  std::int64_t contradictions() const { return contradictions_; }
  // The bits that the largest accumulator needs, with addends of up to `addend` in size.
  int BitsNeeded(std::int64_t addend) const;
  // Whether int16 pairs change any accumulator that a rule of this bias mode forms, or may on a host without VNNI.
  bool PairsMatter(numerics::BiasMode mode);

 private:
  struct Entry {
    const Case* layer;
    std::optional<bool> vnni;  // where the case says it
    numerics::MacConstants constants;
    // The layer of a few of its channels: refutes most descriptions for less than the constants of all channels cost.
    numerics::MacConstants few;
    std::vector<std::size_t> few_channels;
    std::map<PairKernel, std::vector<Column>> columns;
  };
  // Whether a few channels of a case show that the description is not exact. No answer for rules that count channels.
  bool IsRefuted(const numerics::TargetDescription& target, bool assume_vnni);
  void Promote(std::size_t entry);
  explicit Scoring(const std::vector<Case>& cases);
  const std::vector<Column>* ColumnsOf(Entry* entry, PairKernel kernel);

  std::vector<Entry> entries_;  // the one that refuted the last description first
  std::int64_t elements_ = 0, contradictions_ = 0, reach_ = 0;
};

}  // namespace qatgap::vectors
