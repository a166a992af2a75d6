// Two classifiers asked the same questions: is the difference of their accuracies more than chance?
#pragma once

#include <cstdint>
#include <optional>

namespace qatgap::statistics {

// Of `samples` that both answered. A pair where both are right or both are wrong says nothing about the difference.
struct PairedAnswers {
  std::uint64_t samples = 0;
  std::uint64_t lost = 0;    // right before, wrong after
  std::uint64_t gained = 0;  // wrong before, right after
};

// The difference of the two accuracies, after minus before, as fractions of 1.
struct AccuracyDifference {
  double value = 0;    // (gained - lost) / samples
  double low = 0;      // 95 % confidence interval
  double high = 0;
  double p_value = 1;  // of the exact test that losing and gaining are equally likely
  friend bool operator==(const AccuracyDifference&, const AccuracyDifference&) = default;
};

// nullopt without samples, or where lost + gained > samples.
// Interval: Bonett and Price (2012), "Adjusted Wald confidence interval for a difference of binomial proportions based on
// paired data": with one pair added to each kind of disagreement; it has a width even where no pair disagrees.
// p value: McNemar's test by the binomial distribution, two-sided, min(1, 2 P(X <= min(lost, gained))), X ~ B(lost + gained, 1/2).
std::optional<AccuracyDifference> CompareAccuracies(const PairedAnswers& answers);

}  // namespace qatgap::statistics
