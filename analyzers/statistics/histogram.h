// How often each difference occurs. Most histograms of an analysis count nothing but equal codes, and there are a million of
// them: the other bins take memory once one of them is not 0.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace qatgap::statistics {

// d <= -9, d == -8 ... 8, d >= 9.
inline constexpr int kHistogramBins = 19;
inline constexpr int kHistogramLimit = 8;

class Histogram {
 public:
  using Bins = std::array<std::uint64_t, kHistogramBins>;

  Histogram() = default;
  explicit Histogram(const Bins& bins);
  Histogram(const Histogram& other);
  Histogram(Histogram&&) noexcept = default;
  Histogram& operator=(const Histogram& other);
  Histogram& operator=(Histogram&&) noexcept = default;
  ~Histogram() = default;

  // The bin of a difference.
  static std::size_t BinOf(std::int64_t difference) {
    return static_cast<std::size_t>(std::clamp<std::int64_t>(difference, -kHistogramLimit - 1, kHistogramLimit + 1) +
                                    kHistogramLimit + 1);
  }

  std::uint64_t operator[](std::size_t bin) const;
  // Counts modulo 2^64: a part of a sum may be taken from the bin of no difference before it is added.
  void Add(std::size_t bin, std::uint64_t count) {
    if (bin == kEqual) {
      equal_ += count;
    } else if (count != 0) {
      if (other_ == nullptr) other_ = std::make_unique<Bins>();
      (*other_)[bin] += count;
    }
  }
  void Add(const Histogram& other);
  Bins bins() const;

  friend bool operator==(const Histogram& a, const Histogram& b) { return a.bins() == b.bins(); }

 private:
  static constexpr std::size_t kEqual = kHistogramLimit + 1;

  std::uint64_t equal_ = 0;      // d == 0
  std::unique_ptr<Bins> other_;  // its own kEqual is 0; none: all are
};

}  // namespace qatgap::statistics
