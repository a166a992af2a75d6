// The loops around a product in binary32, codes in and exact sums out, and between layouts of codes. Internal to execution/.
#pragma once

#include <cstdint>
#include <span>

namespace qatgap::execution {

// A contiguous tensor seen as [samples][channels][inner].
struct ChannelLayout {
  std::int64_t samples = 0, channels = 0, inner = 0;
};

// x[c][s][i] = codes[s][c][i] - zero_point.
void ToChannelMajorReals(std::span<const std::int32_t> codes, const ChannelLayout& layout, std::int32_t zero_point, float* x);

// rows[c][s][i] = (add ? rows[c][s][i] : 0) + sums[s][c][i], whose values are integers.
void StoreSums(std::span<const float> sums, const ChannelLayout& layout, bool add, std::span<std::int32_t> rows);

// to[b][a][i] = from[a][b][i].
void SwapOuterAxes(std::span<const std::int32_t> from, std::int64_t a, std::int64_t b, std::int64_t inner,
                   std::span<std::int32_t> to);

// bytes[i][c] = codes[c][i], codes of 8 bits.
void TransposeCodes(std::span<const std::int32_t> codes, std::int64_t channels, std::int64_t inner, std::uint8_t* bytes);

// rows[c][e] = bytes[e][c].
void TransposeBytes(std::span<const std::uint8_t> bytes, std::int64_t elements, std::int64_t channels,
                    std::span<std::int32_t> rows);

}  // namespace qatgap::execution
