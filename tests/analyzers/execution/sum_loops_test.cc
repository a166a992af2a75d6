#include "analyzers/execution/sum_loops.h"

#include <cstddef>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace qatgap::execution {
namespace {

// Whole tiles, parts of them, and less than one.
TEST(SumLoopsTest, TransposesThereAndBack) {
  std::mt19937 random(7);
  std::uniform_int_distribution<std::int32_t> code(0, 255);
  for (const std::int64_t channels : {1, 3, 16, 24, 33}) {
    for (const std::int64_t inner : {1, 9, 16, 64, 65, 147}) {
      SCOPED_TRACE(::testing::Message() << channels << " channels of " << inner);
      std::vector<std::int32_t> codes(static_cast<std::size_t>(channels * inner)), rows(codes.size());
      for (std::int32_t& value : codes) value = code(random);
      std::vector<std::uint8_t> bytes(codes.size());
      TransposeCodes(codes, channels, inner, bytes.data());
      for (std::int64_t c = 0; c < channels; ++c) {
        for (std::int64_t i = 0; i < inner; ++i) {
          ASSERT_EQ(bytes[static_cast<std::size_t>(i * channels + c)], codes[static_cast<std::size_t>(c * inner + i)]);
        }
      }
      TransposeBytes(bytes, inner, channels, rows);
      EXPECT_EQ(rows, codes);
    }
  }
}

}  // namespace
}  // namespace qatgap::execution
