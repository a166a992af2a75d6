// The output codes of a layer, kept until another path's are there to be compared with: one byte a code where they fit.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "analyzers/graph/tensor.h"
#include "analyzers/statistics/difference_statistics.h"
#include "analyzers/statistics/narrow_codes.h"

namespace qatgap::attribution {

class KeptCodes {
 public:
  KeptCodes() = default;
  // Of a layer with so many codes; parts of them come in any order, and are read once they are there.
  explicit KeptCodes(std::size_t size);

  void Set(std::size_t first, std::span<const std::int32_t> codes);

  // Adds the differences between codes[i] and the kept ones from `first` on: codes - kept, or kept - codes. Nothing where the
  // kept ones end before.
  void AddDifference(std::size_t first, std::span<const std::int32_t> codes, bool kept_is_reference,
                     statistics::DifferenceStatistics& statistics) const;
  // Adds that nothing differs.
  void AddEqual(statistics::DifferenceStatistics& statistics) const;

 private:
  // At most kNarrowBlock codes: one of the two has them.
  struct Block {
    std::span<const std::int16_t> narrow;
    std::span<const std::int32_t> wide;
  };
  struct Buffers {
    std::array<std::int16_t, statistics::kNarrowBlock> narrow;
    std::array<std::int32_t, statistics::kNarrowBlock> wide;
  };
  Block BlockAt(std::size_t first, std::size_t count, Buffers& buffers) const;

  std::size_t size_ = 0;
  bool empty_ = true;
  std::shared_ptr<std::uint8_t[]> packed_;
  std::int32_t low_ = 0;  // of the packed ones: 0 or -128
  graph::Tensor wide_;  // all of them, as soon as one does not fit
};

}  // namespace qatgap::attribution
