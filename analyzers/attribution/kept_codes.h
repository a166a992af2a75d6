// The output codes of a layer, kept until another path's are there to be compared with: two bytes a code where they fit.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "analyzers/graph/tensor.h"
#include "analyzers/statistics/difference_statistics.h"

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
  std::size_t size_ = 0;
  std::shared_ptr<std::int16_t[]> narrow_;
  graph::Tensor wide_;  // all of them, as soon as one does not fit
};

}  // namespace qatgap::attribution
