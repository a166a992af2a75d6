#include "analyzers/statistics/narrow_codes.h"

#include <algorithm>
#include <cstdlib>

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

QATGAP_CLONES std::int16_t LargestDifference(const std::int16_t* a, const std::int16_t* b, std::size_t count) {
  std::int16_t largest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto d = static_cast<std::int16_t>(b[i] - a[i]);
    const auto absolute = static_cast<std::int16_t>(d < 0 ? -d : d);
    largest = absolute > largest ? absolute : largest;
  }
  return largest;
}

QATGAP_CLONES std::int32_t SumOfAbsoluteDifferences(const std::int16_t* a, const std::int16_t* b, std::size_t count) {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto d = static_cast<std::int16_t>(b[i] - a[i]);
    sum += static_cast<std::int16_t>(d < 0 ? -d : d);
  }
  return sum;
}

// How often b - a is `difference`, and beyond; counts of a block fit 16 bits.
QATGAP_CLONES std::uint16_t CountDifference(const std::int16_t* a, const std::int16_t* b, std::size_t count,
                                            std::int16_t difference) {
  std::uint16_t found = 0;
  for (std::size_t i = 0; i < count; ++i) {
    found = static_cast<std::uint16_t>(found + (static_cast<std::int16_t>(b[i] - a[i]) == difference ? 1 : 0));
  }
  return found;
}

QATGAP_CLONES std::uint16_t CountBeyond(const std::int16_t* a, const std::int16_t* b, std::size_t count,
                                        std::int16_t limit) {
  std::uint16_t found = 0;
  for (std::size_t i = 0; i < count; ++i) {
    found = static_cast<std::uint16_t>(found + (static_cast<std::int16_t>(b[i] - a[i]) > limit ? 1 : 0));
  }
  return found;
}

std::size_t Bin(int difference) { return static_cast<std::size_t>(difference + kHistogramLimit + 1); }

// Where no difference is larger than 1, the sums say how many are 1 and how many are -1.
void AddUnitDifferences(std::int64_t sum, std::uint64_t squares, DifferenceStatistics& statistics) {
  const auto up = static_cast<std::uint64_t>((static_cast<std::int64_t>(squares) + sum) / 2);
  statistics.sum_absolute += squares;
  statistics.changed += squares;
  statistics.max_absolute = std::max<std::uint64_t>(statistics.max_absolute, 1);
  statistics.histogram[Bin(1)] += up;
  statistics.histogram[Bin(-1)] += squares - up;
}

}  // namespace

bool Narrow(std::span<const std::int32_t> codes, std::span<std::int16_t> narrow) {
  return NarrowRow(codes.data(), narrow.data(), codes.size());
}

CodeSums Sums(NarrowCodes codes) {
  return {.sum = SumBlock(codes.data(), codes.size()), .squares = DotBlock(codes.data(), codes.data(), codes.size())};
}

std::int64_t Dot(NarrowCodes a, NarrowCodes b) { return DotBlock(a.data(), b.data(), a.size()); }

void AddEqualBlock(std::size_t count, const CodeSums& codes, DifferenceStatistics& statistics) {
  statistics.count += count;
  statistics.reference_sum += codes.sum;
  statistics.reference_sum_squares += static_cast<std::uint64_t>(codes.squares);
  statistics.histogram[Bin(0)] += count;
}

void AddNarrow(std::span<const std::int16_t> reference, std::span<const std::int16_t> value,
               DifferenceStatistics& statistics) {
  for (std::size_t first = 0; first < reference.size(); first += kNarrowBlock) {
    const std::size_t count = std::min(kNarrowBlock, reference.size() - first);
    const NarrowCodes a = reference.subspan(first, count), b = value.subspan(first, count);
    PairProducts products{.reference = Sums(a), .value = Sums(b), .dot = Dot(a, b)};
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
  const std::int16_t *a = reference.data(), *b = value.data();
  const std::size_t count = reference.size();
  const std::uint64_t changed_before = statistics.changed;
  const int largest = LargestDifference(a, b, count);
  if (largest == 1) {
    AddUnitDifferences(sum, squares, statistics);
  } else {
    statistics.max_absolute = std::max(statistics.max_absolute, static_cast<std::uint64_t>(largest));
    statistics.sum_absolute += static_cast<std::uint64_t>(SumOfAbsoluteDifferences(a, b, count));
    const auto add = [&](int bin, std::uint16_t found) {
      statistics.histogram[Bin(bin)] += found;
      statistics.changed += found;
    };
    for (int d = 1; d <= std::min(largest, kHistogramLimit); ++d) {
      add(d, CountDifference(a, b, count, static_cast<std::int16_t>(d)));
      add(-d, CountDifference(a, b, count, static_cast<std::int16_t>(-d)));
    }
    if (largest > kHistogramLimit) {
      add(kHistogramLimit + 1, CountBeyond(a, b, count, kHistogramLimit));
      add(-kHistogramLimit - 1, CountBeyond(b, a, count, kHistogramLimit));
    }
  }
  statistics.histogram[Bin(0)] -= statistics.changed - changed_before;
}

}  // namespace qatgap::statistics
