#include "analyzers/statistics/difference_statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "analyzers/statistics/narrow_codes.h"

namespace qatgap::statistics {

void DifferenceStatistics::Add(std::span<const std::int32_t> reference,
                               std::span<const std::int32_t> value,
                               std::span<const std::int32_t> whole) {
  if (!whole.empty()) return AddOneByOne(reference, value, whole);
  std::array<std::int16_t, kNarrowBlock> narrow_reference, narrow_value;
  for (std::size_t first = 0; first < reference.size(); first += kNarrowBlock) {
    const std::size_t size = std::min(kNarrowBlock, reference.size() - first);
    const auto r = reference.subspan(first, size), v = value.subspan(first, size);
    if (!Narrow(r, narrow_reference) || !Narrow(v, narrow_value)) {
      AddOneByOne(r, v, {});
      continue;
    }
    AddNarrow(NarrowCodes(narrow_reference).first(size), NarrowCodes(narrow_value).first(size), *this);
  }
}

void DifferenceStatistics::AddOneByOne(std::span<const std::int32_t> reference,
                                       std::span<const std::int32_t> value,
                                       std::span<const std::int32_t> whole) {
  count += reference.size();
  const std::uint64_t known = changed;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const std::int64_t r = reference[i];
    const std::int64_t d = value[i] - r;
    reference_sum += r;
    reference_sum_squares += static_cast<std::uint64_t>(r * r);
    if (d == 0) continue;
    const auto absolute = static_cast<std::uint64_t>(std::abs(d));
    ++changed;
    sum += d;
    sum_absolute += absolute;
    sum_squares += absolute * absolute;
    max_absolute = std::max(max_absolute, absolute);
    cross_sum += r * d;
    cross_total += d * (whole.empty() ? d : whole[i]);
    histogram.Add(Histogram::BinOf(d), 1);
  }
  histogram.Add(Histogram::BinOf(0), reference.size() - (changed - known));
}

void DifferenceStatistics::Merge(const DifferenceStatistics& other) {
  count += other.count;
  changed += other.changed;
  sum += other.sum;
  sum_absolute += other.sum_absolute;
  sum_squares += other.sum_squares;
  max_absolute = std::max(max_absolute, other.max_absolute);
  reference_sum += other.reference_sum;
  reference_sum_squares += other.reference_sum_squares;
  cross_sum += other.cross_sum;
  cross_total += other.cross_total;
  histogram.Add(other.histogram);
}

namespace {

std::optional<double> PerElement(double total, const DifferenceStatistics& s) {
  if (s.count == 0) return std::nullopt;
  return total / static_cast<double>(s.count);
}

// The sums of products below are exact: their true values fit 63 bits within the limits the header
// states, so arithmetic modulo 2^64 gives them even where a term such as 2 * zero_point * sum alone
// would not fit.
std::uint64_t Modular(std::int64_t value) { return static_cast<std::uint64_t>(value); }

// Sum of r^2 with r = reference - zero_point.
std::uint64_t ReferenceSquares(const DifferenceStatistics& s, std::int64_t zero_point) {
  const std::uint64_t z = Modular(zero_point);
  return s.reference_sum_squares - 2 * z * Modular(s.reference_sum) + z * z * s.count;
}

// Sum of r * d.
std::int64_t ReferenceTimesDifference(const DifferenceStatistics& s, std::int64_t zero_point) {
  return static_cast<std::int64_t>(Modular(s.cross_sum) - Modular(zero_point) * Modular(s.sum));
}

}  // namespace

bool BitExact(const DifferenceStatistics& s) { return s.changed == 0; }

std::optional<double> ChangedRate(const DifferenceStatistics& s) {
  return PerElement(static_cast<double>(s.changed), s);
}

std::optional<double> MeanLsb(const DifferenceStatistics& s) {
  return PerElement(static_cast<double>(s.sum), s);
}

std::optional<double> MeanAbsoluteLsb(const DifferenceStatistics& s) {
  return PerElement(static_cast<double>(s.sum_absolute), s);
}

std::optional<double> RmsLsb(const DifferenceStatistics& s) {
  const std::optional<double> mean_square = PerElement(static_cast<double>(s.sum_squares), s);
  if (!mean_square) return std::nullopt;
  return std::sqrt(*mean_square);
}

std::optional<double> SqnrDecibel(const DifferenceStatistics& s, std::int64_t zero_point) {
  const std::uint64_t signal = ReferenceSquares(s, zero_point);
  if (s.sum_squares == 0 || signal == 0) return std::nullopt;
  return 10.0 * std::log10(static_cast<double>(signal) / static_cast<double>(s.sum_squares));
}

std::optional<double> Cosine(const DifferenceStatistics& s, std::int64_t zero_point) {
  // With v = r + d: r.v = r.r + r.d and v.v = r.r + 2 r.d + d.d.
  const std::uint64_t rr = ReferenceSquares(s, zero_point);
  const std::uint64_t rd = Modular(ReferenceTimesDifference(s, zero_point));
  const std::uint64_t vv = rr + 2 * rd + s.sum_squares;
  if (rr == 0 || vv == 0) return std::nullopt;
  const auto rv = static_cast<double>(static_cast<std::int64_t>(rr + rd));
  return std::clamp(rv / (std::sqrt(static_cast<double>(rr)) * std::sqrt(static_cast<double>(vv))),
                    -1.0, 1.0);
}

}  // namespace qatgap::statistics
