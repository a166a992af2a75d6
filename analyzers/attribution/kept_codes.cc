#include "analyzers/attribution/kept_codes.h"

#include <algorithm>
#include <array>

#include "analyzers/graph/tensor_rows.h"
#include "analyzers/statistics/narrow_codes.h"

namespace qatgap::attribution {
namespace {

using statistics::kNarrowBlock;

}  // namespace

KeptCodes::KeptCodes(std::size_t size) : size_(size), narrow_(new std::int16_t[size]) {}

void KeptCodes::Set(std::size_t first, std::span<const std::int32_t> codes) {
  if (narrow_ != nullptr && statistics::Narrow(codes, {narrow_.get() + first, codes.size()})) return;
  if (narrow_ != nullptr) {
    wide_ = graph::Uninitialized(graph::DType::kInt32, {static_cast<std::int64_t>(size_)});
    std::copy_n(narrow_.get(), size_, wide_.mutable_data<std::int32_t>().begin());
    narrow_ = nullptr;
  }
  std::copy(codes.begin(), codes.end(), wide_.mutable_data<std::int32_t>().begin() + static_cast<std::ptrdiff_t>(first));
}

void KeptCodes::AddDifference(std::size_t first, std::span<const std::int32_t> codes, bool kept_is_reference,
                              statistics::DifferenceStatistics& statistics) const {
  if (first + codes.size() > size_) return;
  std::array<std::int16_t, kNarrowBlock> narrow;
  std::array<std::int32_t, kNarrowBlock> wide;
  for (std::size_t begin = 0; begin < codes.size(); begin += kNarrowBlock) {
    const std::size_t count = std::min(kNarrowBlock, codes.size() - begin);
    const std::span<const std::int32_t> block = codes.subspan(begin, count);
    if (narrow_ != nullptr && statistics::Narrow(block, narrow)) {
      const std::span<const std::int16_t> kept(narrow_.get() + first + begin, count), other(narrow.data(), count);
      statistics::AddNarrow(kept_is_reference ? kept : other, kept_is_reference ? other : kept, statistics);
      continue;
    }
    std::span<const std::int32_t> kept(wide.data(), count);
    if (narrow_ != nullptr) {
      std::copy_n(narrow_.get() + first + begin, count, wide.begin());
    } else {
      kept = wide_.data<std::int32_t>().subspan(first + begin, count);
    }
    statistics.Add(kept_is_reference ? kept : block, kept_is_reference ? block : kept);
  }
}

void KeptCodes::AddEqual(statistics::DifferenceStatistics& statistics) const {
  for (std::size_t first = 0; first < size_; first += kNarrowBlock) {
    const std::size_t count = std::min(kNarrowBlock, size_ - first);
    if (narrow_ == nullptr) {
      const auto kept = wide_.data<std::int32_t>().subspan(first, count);
      statistics.Add(kept, kept);
    } else {
      const std::span<const std::int16_t> kept(narrow_.get() + first, count);
      statistics::AddEqualBlock(count, statistics::Sums(kept), statistics);
    }
  }
}

}  // namespace qatgap::attribution
