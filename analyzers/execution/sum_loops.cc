#include "analyzers/execution/sum_loops.h"

#include <algorithm>
#include <array>

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

QATGAP_CLONES void TransposeTile(const std::uint8_t* __restrict bytes, std::int64_t elements, std::int64_t channels,
                                  std::int64_t width, std::int32_t* __restrict rows) {
  for (std::int64_t c = 0; c < width; ++c) {
    for (std::int64_t e = 0; e < elements; ++e) rows[c * elements + e] = bytes[e * channels + c];
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

void TransposeBytes(std::span<const std::uint8_t> bytes, std::int64_t elements, std::int64_t channels,
                    std::span<std::int32_t> rows) {
  constexpr std::int64_t kTile = 64;
  std::array<std::int32_t, kTile * kTile> tile;
  for (std::int64_t e = 0; e < elements; e += kTile) {
    const std::int64_t height = std::min(kTile, elements - e);
    for (std::int64_t c = 0; c < channels; c += kTile) {
      const std::int64_t width = std::min(kTile, channels - c);
      TransposeTile(bytes.data() + e * channels + c, height, channels, width, tile.data());
      for (std::int64_t i = 0; i < width; ++i) {
        std::copy_n(tile.data() + i * height, height, rows.data() + (c + i) * elements + e);
      }
    }
  }
}

}  // namespace qatgap::execution
