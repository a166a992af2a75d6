#include "analyzers/report/sample_detail.h"

#include <algorithm>
#include <cstdlib>
#include <tuple>

namespace qatgap::report {
namespace {

std::int64_t Size(const CodeDifference& d) { return std::abs(d.value - d.reference); }

bool IsLarger(const CodeDifference& a, const CodeDifference& b) {
  return std::tuple(-Size(a), a.output, a.element) < std::tuple(-Size(b), b.output, b.element);
}

}  // namespace

bool IsWorse(const WorstSample& a, const WorstSample& b) {
  if (a.top1_changed != b.top1_changed) return a.top1_changed;
  if (a.sum_squares != b.sum_squares) return a.sum_squares > b.sum_squares;
  return a.sample < b.sample;
}

void KeepWorst(std::vector<WorstSample>& samples, std::size_t limit) {
  std::sort(samples.begin(), samples.end(), IsWorse);
  if (samples.size() > limit) samples.resize(limit);
}

bool AddDifferences(std::int64_t output, std::span<const std::int32_t> reference, std::span<const std::int32_t> value,
                    WorstSample& sample) {
  const std::uint64_t before = sample.changed;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    if (reference[i] == value[i]) continue;
    const CodeDifference difference{.output = output,
                                    .element = static_cast<std::int64_t>(i),
                                    .reference = reference[i],
                                    .value = value[i]};
    const auto size = static_cast<std::uint64_t>(Size(difference));
    ++sample.changed;
    sample.max_absolute = std::max(sample.max_absolute, size);
    sample.sum_squares += size * size;
    std::vector<CodeDifference>& kept = sample.differences;
    if (kept.size() == kKeptDifferences && !IsLarger(difference, kept.back())) continue;
    kept.insert(std::upper_bound(kept.begin(), kept.end(), difference, IsLarger), difference);
    if (kept.size() > kKeptDifferences) kept.pop_back();
  }
  return sample.changed != before;
}

void Merge(InputRange& total, const InputRange& unit) {
  if (unit.count == 0) return;
  total.least = total.count == 0 ? unit.least : std::min(total.least, unit.least);
  total.greatest = total.count == 0 ? unit.greatest : std::max(total.greatest, unit.greatest);
  total.count += unit.count;
  total.clipped += unit.clipped;
}

}  // namespace qatgap::report
