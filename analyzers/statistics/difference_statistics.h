// Integer sums over differences of output codes. Merging is addition, so the order of samples, batches, threads and
// workers cannot change one bit. Everything else (rates, SQNR, cosine) is derived from these at report time.
//
// For each element: `reference` and `value` are output codes, d = value - reference, in LSB.
// Sums are exact while count < 2^31 for 16-bit codes and count < 2^47 for 8-bit codes (sum_squares is the tightest).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "analyzers/statistics/histogram.h"

namespace qatgap::statistics {

struct DifferenceStatistics {
  std::uint64_t count = 0;
  std::uint64_t changed = 0;        // d != 0
  std::int64_t sum = 0;             // of d
  std::uint64_t sum_absolute = 0;   // of |d|
  std::uint64_t sum_squares = 0;    // of d^2
  std::uint64_t max_absolute = 0;   // max |d|
  std::int64_t reference_sum = 0;
  std::uint64_t reference_sum_squares = 0;
  std::int64_t cross_sum = 0;       // of reference * d
  // Of d * D, where D is the whole difference this one is a part of (a cause within its ladder). Summed over the
  // causes it gives the sum of D^2, so cross_total / sum of D^2 is the cause's share. Equal to sum_squares where
  // there is no whole.
  std::int64_t cross_total = 0;
  Histogram histogram = {};

  // Adds elements; the spans have one size. `whole` is empty or holds D for each element.
  void Add(std::span<const std::int32_t> reference, std::span<const std::int32_t> value,
           std::span<const std::int32_t> whole = {});
  // The same, whatever the codes are, and slowly.
  void AddOneByOne(std::span<const std::int32_t> reference, std::span<const std::int32_t> value,
                   std::span<const std::int32_t> whole = {});
  void Merge(const DifferenceStatistics& other);
  friend bool operator==(const DifferenceStatistics&, const DifferenceStatistics&) = default;
};

// Derived figures; each is nullopt where it is not defined, never Inf or NaN.
bool BitExact(const DifferenceStatistics& s);                       // changed == 0
std::optional<double> ChangedRate(const DifferenceStatistics& s);   // changed / count
std::optional<double> MeanLsb(const DifferenceStatistics& s);       // sum / count
std::optional<double> MeanAbsoluteLsb(const DifferenceStatistics& s);
std::optional<double> RmsLsb(const DifferenceStatistics& s);
// 10 log10(sum (reference - zero_point)^2 / sum d^2), decibel; nullopt when bit exact or the signal is all zero.
std::optional<double> SqnrDecibel(const DifferenceStatistics& s, std::int64_t zero_point);
// Cosine between reference - zero_point and value - zero_point.
std::optional<double> Cosine(const DifferenceStatistics& s, std::int64_t zero_point);

}  // namespace qatgap::statistics
