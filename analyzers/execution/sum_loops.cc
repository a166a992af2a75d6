#include "analyzers/execution/sum_loops.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "analyzers/status/vector_clones.h"

namespace qatgap::execution {
namespace {

QATGAP_CLONES void Shift(const std::int32_t* __restrict codes, std::int32_t zero_point, float* __restrict x,
                         std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) x[i] = static_cast<float>(codes[i] - zero_point);
}

QATGAP_CLONES void ShiftColumn(const std::int32_t* __restrict codes, std::size_t stride, std::int32_t zero_point,
                               float* __restrict x, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) x[i] = static_cast<float>(codes[i * stride] - zero_point);
}

QATGAP_CLONES void Store(const float* __restrict sums, std::int32_t* __restrict rows, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) rows[i] = static_cast<std::int32_t>(sums[i]);
}

QATGAP_CLONES void AddTo(const float* __restrict sums, std::int32_t* __restrict rows, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) rows[i] += static_cast<std::int32_t>(sums[i]);
}

// Calls run(from, to) for every run of `inner` elements: its place in [samples][channels][inner] and in
// [channels][samples][inner].
void ForEachRun(const ChannelLayout& layout, auto&& run) {
  for (std::int64_t c = 0; c < layout.channels; ++c) {
    for (std::int64_t s = 0; s < layout.samples; ++s) {
      run((s * layout.channels + c) * layout.inner, (c * layout.samples + s) * layout.inner);
    }
  }
}

constexpr std::int64_t kTile = 16, kStrip = 64;  // kTile rows of kStrip columns at a time
typedef std::uint8_t Bytes __attribute__((vector_size(kTile)));

// kTile rows of kTile bytes, `from_stride` and `to_stride` apart. Each of four rounds interleaves row i with row i + 8; after
// the last one rows are columns.
void TransposeTile(const std::uint8_t* from, std::int64_t from_stride, std::uint8_t* to, std::int64_t to_stride) {
  std::array<Bytes, kTile> rows, mixed;
  for (std::size_t i = 0; i < kTile; ++i) std::memcpy(&rows[i], from + static_cast<std::int64_t>(i) * from_stride, kTile);
  for (int round = 0; round < 4; ++round) {
    for (std::size_t i = 0; i < kTile / 2; ++i) {
      const Bytes a = rows[i], b = rows[i + kTile / 2];
      mixed[2 * i] = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      mixed[2 * i + 1] = __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    rows = mixed;
  }
  for (std::size_t i = 0; i < kTile; ++i) std::memcpy(to + static_cast<std::int64_t>(i) * to_stride, &rows[i], kTile);
}

QATGAP_CLONES void ToBytes(const std::int32_t* __restrict codes, std::uint8_t* __restrict bytes, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::uint8_t>(codes[i]);
}

QATGAP_CLONES void FromBytes(const std::uint8_t* __restrict bytes, std::int32_t* __restrict codes, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) codes[i] = bytes[i];
}

// Calls run(row, column, height, width) for every strip of a matrix.
void ForEachStrip(std::int64_t rows, std::int64_t columns, auto&& run) {
  for (std::int64_t row = 0; row < rows; row += kTile) {
    const std::int64_t height = std::min(kTile, rows - row);
    for (std::int64_t column = 0; column < columns; column += kStrip) {
      run(row, column, height, std::min(kStrip, columns - column));
    }
  }
}

}  // namespace

void ToChannelMajorReals(std::span<const std::int32_t> codes, const ChannelLayout& layout, std::int32_t zero_point,
                         float* x) {
  if (layout.inner == 1) {
    for (std::int64_t c = 0; c < layout.channels; ++c) {
      ShiftColumn(codes.data() + c, static_cast<std::size_t>(layout.channels), zero_point, x + c * layout.samples,
                  static_cast<std::size_t>(layout.samples));
    }
    return;
  }
  ForEachRun(layout, [&](std::int64_t from, std::int64_t to) {
    Shift(codes.data() + from, zero_point, x + to, static_cast<std::size_t>(layout.inner));
  });
}

void StoreSums(std::span<const float> sums, const ChannelLayout& layout, bool add, std::span<std::int32_t> rows) {
  ForEachRun(layout, [&](std::int64_t from, std::int64_t to) {
    (add ? AddTo : Store)(sums.data() + from, rows.data() + to, static_cast<std::size_t>(layout.inner));
  });
}

void SwapOuterAxes(std::span<const std::int32_t> from, std::int64_t a, std::int64_t b, std::int64_t inner,
                   std::span<std::int32_t> to) {
  ForEachRun({a, b, inner}, [&](std::int64_t source, std::int64_t destination) {
    std::copy_n(from.data() + source, inner, to.data() + destination);
  });
}

void TransposeCodes(std::span<const std::int32_t> codes, std::int64_t channels, std::int64_t inner, std::uint8_t* bytes) {
  std::array<std::uint8_t, kTile * kStrip> strip{}, columns;
  ForEachStrip(channels, inner, [&](std::int64_t c, std::int64_t i, std::int64_t height, std::int64_t width) {
    for (std::int64_t row = 0; row < height; ++row) {
      ToBytes(codes.data() + (c + row) * inner + i, strip.data() + row * kStrip, static_cast<std::size_t>(width));
    }
    for (std::int64_t tile = 0; tile < width; tile += kTile) {
      TransposeTile(strip.data() + tile, kStrip, columns.data() + tile * kTile, kTile);
    }
    for (std::int64_t column = 0; column < width; ++column) {
      std::copy_n(columns.data() + column * kTile, height, bytes + (i + column) * channels + c);
    }
  });
}

void TransposeBytes(std::span<const std::uint8_t> bytes, std::int64_t elements, std::int64_t channels,
                    std::span<std::int32_t> rows) {
  std::array<std::uint8_t, kTile * kStrip> strip, columns{};
  ForEachStrip(channels, elements, [&](std::int64_t c, std::int64_t e, std::int64_t height, std::int64_t width) {
    for (std::int64_t column = 0; column < width; ++column) {
      std::copy_n(bytes.data() + (e + column) * channels + c, height, columns.data() + column * kTile);
    }
    for (std::int64_t tile = 0; tile < width; tile += kTile) {
      TransposeTile(columns.data() + tile * kTile, kTile, strip.data() + tile, kStrip);
    }
    for (std::int64_t row = 0; row < height; ++row) {
      FromBytes(strip.data() + row * kStrip, rows.data() + (c + row) * elements + e, static_cast<std::size_t>(width));
    }
  });
}

}  // namespace qatgap::execution
