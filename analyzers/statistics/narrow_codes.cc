#include "analyzers/statistics/narrow_codes.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "analyzers/status/vector_clones.h"

namespace qatgap::statistics {
namespace {

QATGAP_CLONES std::int32_t DotBlock(const std::int16_t* a, const std::int16_t* b, std::size_t count) {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += static_cast<std::int32_t>(a[i]) * static_cast<std::int32_t>(b[i]);
  return sum;
}

QATGAP_CLONES std::int32_t SumBlock(const std::int16_t* a, std::size_t count) {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += a[i];
  return sum;
}

QATGAP_CLONES bool NarrowRow(const std::int32_t* __restrict codes, std::int16_t* __restrict narrow, std::size_t count) {
  std::uint32_t beyond = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto shifted = static_cast<std::uint32_t>(codes[i]) + static_cast<std::uint32_t>(kNarrowLimit);
    beyond |= shifted > 2U * kNarrowLimit ? 1U : 0U;
    narrow[i] = static_cast<std::int16_t>(codes[i]);
  }
  return beyond == 0;
}

// What PairProducts is made of, in one pass.
struct BlockProducts {
  std::int32_t sum_a = 0, sum_b = 0, aa = 0, bb = 0, ab = 0;
};
QATGAP_CLONES BlockProducts Multiply(const std::int16_t* __restrict a, const std::int16_t* __restrict b, std::size_t count) {
  BlockProducts p;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int32_t x = a[i], y = b[i];
    p.sum_a += x;
    p.sum_b += y;
    p.aa += x * x;
    p.bb += y * y;
    p.ab += x * y;
  }
  return p;
}

QATGAP_CLONES bool PackRow(const std::int32_t* __restrict codes, std::int32_t low, std::uint8_t* __restrict packed,
                           std::size_t count) {
  std::uint32_t beyond = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto shifted = static_cast<std::uint32_t>(codes[i]) - static_cast<std::uint32_t>(low);
    beyond |= shifted;
    packed[i] = static_cast<std::uint8_t>(shifted);
  }
  return beyond <= 255;
}

QATGAP_CLONES void UnpackRow(const std::uint8_t* __restrict packed, std::int16_t low, std::int16_t* __restrict narrow,
                             std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) narrow[i] = static_cast<std::int16_t>(packed[i] + low);
}

QATGAP_CLONES void Subtract(const std::int16_t* __restrict a, const std::int16_t* __restrict b, std::int16_t* __restrict d,
                            std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) d[i] = static_cast<std::int16_t>(b[i] - a[i]);
}

QATGAP_CLONES std::int16_t LargestSize(const std::int16_t* d, std::size_t count) {
  std::int16_t largest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto absolute = static_cast<std::int16_t>(d[i] < 0 ? -d[i] : d[i]);
    largest = absolute > largest ? absolute : largest;
  }
  return largest;
}

QATGAP_CLONES std::int32_t SumOfSizes(const std::int16_t* d, std::size_t count) {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += static_cast<std::int16_t>(d[i] < 0 ? -d[i] : d[i]);
  return sum;
}

// Counts of a block fit 16 bits.
QATGAP_CLONES std::uint16_t CountEqual(const std::int16_t* d, std::size_t count, std::int16_t wanted) {
  std::uint16_t found = 0;
  for (std::size_t i = 0; i < count; ++i) found = static_cast<std::uint16_t>(found + (d[i] == wanted ? 1 : 0));
  return found;
}

QATGAP_CLONES std::uint16_t CountAbove(const std::int16_t* d, std::size_t count, std::int16_t limit) {
  std::uint16_t found = 0;
  for (std::size_t i = 0; i < count; ++i) found = static_cast<std::uint16_t>(found + (d[i] > limit ? 1 : 0));
  return found;
}

// One in so many: fewer that differ are counted one by one.
constexpr std::size_t kFew = 24;

// Differences are counted one by one, and four that are 0 are passed over at once. Three zeros follow the last one.
void CountFew(const std::int16_t* d, std::size_t count, DifferenceStatistics& statistics) {
  for (std::size_t first = 0; first < count; first += 4) {
    std::uint64_t four = 0;
    std::memcpy(&four, d + first, sizeof(four));
    if (four == 0) continue;
    for (std::size_t i = first; i < first + 4; ++i) {
      if (d[i] == 0) continue;
      const auto absolute = static_cast<std::uint64_t>(std::abs(static_cast<int>(d[i])));
      statistics.sum_absolute += absolute;
      statistics.max_absolute = std::max(statistics.max_absolute, absolute);
      statistics.histogram.Add(Histogram::BinOf(d[i]), 1);
      ++statistics.changed;
    }
  }
}

// One pass for each size that there is.
void CountMany(const std::int16_t* d, std::size_t count, std::int64_t sum, std::uint64_t squares,
               DifferenceStatistics& statistics) {
  const auto add = [&](int bin, std::uint64_t found) {
    statistics.histogram.Add(Histogram::BinOf(bin), found);
    statistics.changed += found;
  };
  const int largest = LargestSize(d, count);
  statistics.max_absolute = std::max(statistics.max_absolute, static_cast<std::uint64_t>(largest));
  if (largest == 1) {  // the sums say how many are 1 and how many are -1
    const auto up = static_cast<std::uint64_t>((static_cast<std::int64_t>(squares) + sum) / 2);
    statistics.sum_absolute += squares;
    add(1, up);
    add(-1, squares - up);
    return;
  }
  statistics.sum_absolute += static_cast<std::uint64_t>(SumOfSizes(d, count));
  for (int size = 1; size <= std::min(largest, kHistogramLimit); ++size) {
    add(size, CountEqual(d, count, static_cast<std::int16_t>(size)));
    add(-size, CountEqual(d, count, static_cast<std::int16_t>(-size)));
  }
  if (largest > kHistogramLimit) {
    const std::uint16_t above = CountAbove(d, count, kHistogramLimit);
    add(kHistogramLimit + 1, above);
    // Not above -9: all that are -9 and less.
    add(-kHistogramLimit - 1, count - CountAbove(d, count, -kHistogramLimit - 1));
  }
}

}  // namespace

bool Narrow(std::span<const std::int32_t> codes, std::span<std::int16_t> narrow) {
  return NarrowRow(codes.data(), narrow.data(), codes.size());
}

bool Pack(std::span<const std::int32_t> codes, std::int32_t low, std::span<std::uint8_t> packed) {
  return PackRow(codes.data(), low, packed.data(), codes.size());
}

void Unpack(std::span<const std::uint8_t> packed, std::int32_t low, std::span<std::int16_t> narrow) {
  UnpackRow(packed.data(), static_cast<std::int16_t>(low), narrow.data(), packed.size());
}

CodeSums Sums(NarrowCodes codes) {
  return {.sum = SumBlock(codes.data(), codes.size()), .squares = DotBlock(codes.data(), codes.data(), codes.size())};
}

std::int64_t Dot(NarrowCodes a, NarrowCodes b) { return DotBlock(a.data(), b.data(), a.size()); }

void AddEqualBlock(std::size_t count, const CodeSums& codes, DifferenceStatistics& statistics) {
  statistics.count += count;
  statistics.reference_sum += codes.sum;
  statistics.reference_sum_squares += static_cast<std::uint64_t>(codes.squares);
  statistics.histogram.Add(Histogram::BinOf(0), count);
}

void AddNarrow(std::span<const std::int16_t> reference, std::span<const std::int16_t> value,
               DifferenceStatistics& statistics) {
  for (std::size_t first = 0; first < reference.size(); first += kNarrowBlock) {
    const std::size_t count = std::min(kNarrowBlock, reference.size() - first);
    const NarrowCodes a = reference.subspan(first, count), b = value.subspan(first, count);
    const BlockProducts p = Multiply(a.data(), b.data(), count);
    PairProducts products{.reference = {p.sum_a, p.aa}, .value = {p.sum_b, p.bb}, .dot = p.ab};
    products.total = products.SumOfSquares();
    AddBlock(a, b, products, statistics);
  }
}

void AddBlock(NarrowCodes reference, NarrowCodes value, const PairProducts& products, DifferenceStatistics& statistics) {
  AddEqualBlock(reference.size(), products.reference, statistics);
  AddUnequalBlock(reference, value, products, statistics);
}

void AddUnequalBlock(NarrowCodes reference, NarrowCodes value, const PairProducts& products,
                     DifferenceStatistics& statistics) {
  const auto squares = static_cast<std::uint64_t>(products.SumOfSquares());
  if (squares == 0) return;
  const std::int64_t sum = products.value.sum - products.reference.sum;
  statistics.sum += sum;
  statistics.sum_squares += squares;
  statistics.cross_sum += products.dot - products.reference.squares;
  statistics.cross_total += products.total;
  std::array<std::int16_t, kNarrowBlock + 3> differences;
  const std::size_t count = reference.size();
  Subtract(reference.data(), value.data(), differences.data(), count);
  const std::uint64_t known = statistics.changed;
  if (squares * kFew < count) {
    std::fill_n(differences.begin() + static_cast<std::ptrdiff_t>(count), 3, std::int16_t{0});
    CountFew(differences.data(), count, statistics);
  } else {
    CountMany(differences.data(), count, sum, squares, statistics);
  }
  statistics.histogram.Add(Histogram::BinOf(0), known - statistics.changed);  // modulo 2^64
}

}  // namespace qatgap::statistics
