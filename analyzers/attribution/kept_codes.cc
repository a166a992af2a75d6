#include "analyzers/attribution/kept_codes.h"

#include <algorithm>

#include "analyzers/statistics/narrow_codes.h"

namespace qatgap::attribution {

KeptCodes::KeptCodes(const graph::Tensor& codes)
    : size_(static_cast<std::size_t>(codes.elements())), narrow_(new std::int16_t[size_]) {
  if (statistics::Narrow(codes.data<std::int32_t>(), {narrow_.get(), size_})) return;
  narrow_ = nullptr;
  wide_ = codes;
}

graph::Tensor KeptCodes::Wide() const {
  if (narrow_ == nullptr) return wide_;
  graph::Tensor codes(graph::DType::kInt32, {static_cast<std::int64_t>(size_)});
  std::copy_n(narrow_.get(), size_, codes.mutable_data<std::int32_t>().begin());
  return codes;
}

void KeptCodes::AddDifference(const KeptCodes& reference, const KeptCodes& value,
                              statistics::DifferenceStatistics& statistics) {
  if (reference.narrow_ != nullptr && value.narrow_ != nullptr) {
    return statistics::AddNarrow(reference.narrow(), value.narrow(), statistics);
  }
  statistics.Add(reference.Wide().data<std::int32_t>(), value.Wide().data<std::int32_t>());
}

}  // namespace qatgap::attribution
