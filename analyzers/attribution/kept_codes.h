// The output codes of a layer, kept until another path's are there to be compared with: two bytes a code where they fit.
#pragma once

#include <cstdint>
#include <memory>

#include "analyzers/graph/tensor.h"
#include "analyzers/statistics/difference_statistics.h"

namespace qatgap::attribution {

class KeptCodes {
 public:
  KeptCodes() = default;
  explicit KeptCodes(const graph::Tensor& codes);  // int32

  // Adds value - reference; the two have one size.
  static void AddDifference(const KeptCodes& reference, const KeptCodes& value,
                            statistics::DifferenceStatistics& statistics);

 private:
  std::span<const std::int16_t> narrow() const { return {narrow_.get(), size_}; }
  graph::Tensor Wide() const;

  std::size_t size_ = 0;
  std::shared_ptr<std::int16_t[]> narrow_;
  graph::Tensor wide_;  // where a code does not fit
};

}  // namespace qatgap::attribution
