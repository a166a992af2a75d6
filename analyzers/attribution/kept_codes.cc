#include "analyzers/attribution/kept_codes.h"

#include <algorithm>
#include <array>

#include "analyzers/graph/tensor_rows.h"
#include "analyzers/statistics/narrow_codes.h"

namespace qatgap::attribution {

using statistics::kNarrowBlock;

KeptCodes::KeptCodes(std::size_t size) : size_(size), packed_(new std::uint8_t[size]) {}

void KeptCodes::Set(std::size_t first, std::span<const std::int32_t> codes) {
  const auto is_negative = [](std::int32_t code) { return code < 0; };
  if (empty_ && std::any_of(codes.begin(), codes.end(), is_negative)) low_ = -128;
  empty_ = false;
  if (packed_ != nullptr && statistics::Pack(codes, low_, {packed_.get() + first, codes.size()})) return;
  if (packed_ != nullptr) {
    wide_ = graph::Uninitialized(graph::DType::kInt32, {static_cast<std::int64_t>(size_)});
    std::transform(packed_.get(), packed_.get() + size_, wide_.mutable_data<std::int32_t>().begin(),
                   [&](std::uint8_t byte) { return low_ + byte; });
    packed_ = nullptr;
  }
  const auto wide = wide_.mutable_data<std::int32_t>().subspan(first);
  std::copy(codes.begin(), codes.end(), wide.begin());
}

KeptCodes::Block KeptCodes::BlockAt(std::size_t first, std::size_t count, Buffers& buffers) const {
  Block block;
  if (packed_ == nullptr) {
    block.wide = wide_.data<std::int32_t>().subspan(first, count);
    return block;
  }
  statistics::Unpack({packed_.get() + first, count}, low_, buffers.narrow);
  block.narrow = std::span(buffers.narrow).first(count);
  return block;
}

void KeptCodes::AddDifference(std::size_t first, std::span<const std::int32_t> codes, bool kept_is_reference,
                              statistics::DifferenceStatistics& statistics) const {
  if (first + codes.size() > size_) return;
  Buffers buffers;
  std::array<std::int16_t, kNarrowBlock> narrow;
  for (std::size_t begin = 0; begin < codes.size(); begin += kNarrowBlock) {
    const std::size_t count = std::min(kNarrowBlock, codes.size() - begin);
    const std::span<const std::int32_t> other = codes.subspan(begin, count);
    Block kept = BlockAt(first + begin, count, buffers);
    if (!kept.narrow.empty() && statistics::Narrow(other, narrow)) {
      const std::span<const std::int16_t> narrow_other(narrow.data(), count);
      statistics::AddNarrow(kept_is_reference ? kept.narrow : narrow_other, kept_is_reference ? narrow_other : kept.narrow,
                            statistics);
      continue;
    }
    if (kept.wide.empty()) {
      std::copy(kept.narrow.begin(), kept.narrow.end(), buffers.wide.begin());
      kept.wide = std::span(buffers.wide).first(count);
    }
    statistics.Add(kept_is_reference ? kept.wide : other, kept_is_reference ? other : kept.wide);
  }
}

void KeptCodes::AddEqual(statistics::DifferenceStatistics& statistics) const {
  Buffers buffers;
  for (std::size_t first = 0; first < size_; first += kNarrowBlock) {
    const std::size_t count = std::min(kNarrowBlock, size_ - first);
    const Block kept = BlockAt(first, count, buffers);
    if (kept.narrow.empty()) {
      statistics.Add(kept.wide, kept.wide);
    } else {
      statistics::AddEqualBlock(count, statistics::Sums(kept.narrow), statistics);
    }
  }
}

}  // namespace qatgap::attribution
