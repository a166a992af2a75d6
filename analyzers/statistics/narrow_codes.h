// Integer sums over blocks of codes held in 16 bits, in loops that the compiler vectorizes. Everything that
// DifferenceStatistics sums is linear in products of two codes, so a row of codes is read once per product, however many
// differences it takes part in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "analyzers/statistics/difference_statistics.h"

namespace qatgap::statistics {

// |code| of every element, so that no sum of a block leaves 32 bits.
inline constexpr std::int32_t kNarrowLimit = 1023;
inline constexpr std::size_t kNarrowBlock = 2048;
using NarrowCodes = std::span<const std::int16_t>;  // at most kNarrowBlock

// False, and `narrow` unspecified, when a code is beyond kNarrowLimit. Any size.
bool Narrow(std::span<const std::int32_t> codes, std::span<std::int16_t> narrow);

// The same for 8 bits, low to low + 255. False, and `packed` unspecified, when a code is beyond them.
bool Pack(std::span<const std::int32_t> codes, std::int32_t low, std::span<std::uint8_t> packed);
// low: -768 to 768.
void Unpack(std::span<const std::uint8_t> packed, std::int32_t low, std::span<std::int16_t> narrow);

struct CodeSums {
  std::int64_t sum = 0, squares = 0;
};
CodeSums Sums(NarrowCodes codes);
std::int64_t Dot(NarrowCodes a, NarrowCodes b);

// The products that the difference value - reference needs.
struct PairProducts {
  CodeSums reference, value;
  std::int64_t dot = 0;  // of the two
  // Of the whole (last - first) with value, less that with reference; the difference's own square where there is no whole.
  std::int64_t total = 0;
  std::int64_t SumOfSquares() const { return value.squares - 2 * dot + reference.squares; }
};

// What DifferenceStatistics::Add adds for a block, from its products.
void AddBlock(NarrowCodes reference, NarrowCodes value, const PairProducts& products, DifferenceStatistics& statistics);
// What DifferenceStatistics::Add adds without a whole; any size.
void AddNarrow(std::span<const std::int16_t> reference, std::span<const std::int16_t> value,
               DifferenceStatistics& statistics);
// What is left of AddBlock when AddEqualBlock(size, sums of the reference) is taken from it; the bin of no difference goes
// down, modulo 2^64, by what the others go up. Touches nothing where no code differs.
void AddUnequalBlock(NarrowCodes reference, NarrowCodes value, const PairProducts& products,
                     DifferenceStatistics& statistics);
// The same as AddBlock where the two are one and the same.
void AddEqualBlock(std::size_t count, const CodeSums& codes, DifferenceStatistics& statistics);

}  // namespace qatgap::statistics
