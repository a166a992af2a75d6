#include "analyzers/statistics/paired_proportions.h"

#include <math.h>  // lgamma_r: std::lgamma writes a global

#include <algorithm>
#include <cmath>
#include <numbers>

namespace qatgap::statistics {
namespace {

// 97.5 % point of the normal distribution.
constexpr double kZ = 1.959963984540054;

double LogFactorial(double n) {
  int sign = 0;
  return lgamma_r(n + 1, &sign);
}

// P(X <= k) for X ~ B(n, 1/2), k <= n / 2: the terms fall from k downwards.
double LowerTail(std::uint64_t n, std::uint64_t k) {
  const auto of = static_cast<double>(n), last = static_cast<double>(k);
  const double log_last = LogFactorial(of) - LogFactorial(last) - LogFactorial(of - last) - of * std::numbers::ln2;
  double term = std::exp(log_last), sum = 0;
  for (double i = last; i >= 0 && term > 0; --i) {
    sum += term;
    term *= i / (of - i + 1);
  }
  return sum;
}

}  // namespace

std::optional<AccuracyDifference> CompareAccuracies(const PairedAnswers& answers) {
  if (answers.samples == 0 || answers.lost > answers.samples || answers.gained > answers.samples - answers.lost) {
    return std::nullopt;
  }
  const auto samples = static_cast<double>(answers.samples);
  const auto lost = static_cast<double>(answers.lost), gained = static_cast<double>(answers.gained);
  AccuracyDifference difference;
  difference.value = (gained - lost) / samples;
  const double up = (gained + 1) / (samples + 2), down = (lost + 1) / (samples + 2), centre = up - down;
  const double half = kZ * std::sqrt((up + down - centre * centre) / (samples + 2));
  difference.low = std::max(-1.0, centre - half);
  difference.high = std::min(1.0, centre + half);
  if (answers.lost != answers.gained) {
    difference.p_value =
        std::min(1.0, 2 * LowerTail(answers.lost + answers.gained, std::min(answers.lost, answers.gained)));
  }
  return difference;
}

}  // namespace qatgap::statistics
