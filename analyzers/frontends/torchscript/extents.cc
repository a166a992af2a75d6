#include "analyzers/frontends/torchscript/extents.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <stdexcept>

namespace qatgap::frontends::torchscript {
namespace {

std::int64_t Multiply(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) throw std::overflow_error("a size beyond int64");
  return product;
}

Extent Reduced(Extent extent) {
  if (extent.numerator == 0) return Extent::Number(0);
  if (extent.numerator == std::numeric_limits<std::int64_t>::min()) throw std::overflow_error("a size beyond int64");
  const std::int64_t divisor = std::gcd(extent.numerator, extent.denominator);
  extent.numerator /= divisor;
  extent.denominator /= divisor;
  std::sort(extent.axes.begin(), extent.axes.end());
  return extent;
}

// Sizes of one segment as a reshape wants them: numbers, and -1 for at most one that is none.
std::optional<std::vector<std::int64_t>> Numbers(const SymbolicShape& shape, std::size_t begin, std::size_t end) {
  std::vector<std::int64_t> numbers;
  for (std::size_t i = begin; i < end; ++i) numbers.push_back(shape[i].is_number() ? shape[i].numerator : -1);
  if (std::count(numbers.begin(), numbers.end(), -1) > 1) return std::nullopt;
  return numbers;
}

}  // namespace

Extent operator*(const Extent& a, const Extent& b) {
  Extent product{.numerator = Multiply(a.numerator, b.numerator),
                 .denominator = Multiply(a.denominator, b.denominator),
                 .axes = a.axes};
  product.axes.insert(product.axes.end(), b.axes.begin(), b.axes.end());
  return Reduced(std::move(product));
}

std::optional<Extent> Quotient(const Extent& a, const Extent& b) {
  if (b.numerator == 0) return std::nullopt;
  Extent quotient{.numerator = Multiply(a.numerator, b.denominator),
                  .denominator = Multiply(a.denominator, b.numerator),
                  .axes = a.axes};
  if (quotient.denominator < 0) {
    quotient.numerator = Multiply(quotient.numerator, -1);
    quotient.denominator = Multiply(quotient.denominator, -1);
  }
  for (const auto& axis : b.axes) {
    const auto it = std::find(quotient.axes.begin(), quotient.axes.end(), axis);
    if (it == quotient.axes.end()) return std::nullopt;
    quotient.axes.erase(it);
  }
  return Reduced(std::move(quotient));
}

std::optional<std::size_t> AxisFromStart(std::optional<std::int64_t> axis, std::size_t rank) {
  if (!axis) return std::nullopt;
  const std::int64_t from_start = *axis < 0 ? *axis + static_cast<std::int64_t>(rank) : *axis;
  if (from_start < 0 || from_start >= static_cast<std::int64_t>(rank)) return std::nullopt;
  return static_cast<std::size_t>(from_start);
}

std::optional<std::vector<ReshapeStep>> ReshapeSteps(const SymbolicShape& from, const SymbolicShape& to) {
  std::vector<ReshapeStep> steps;
  std::size_t i = 0, j = 0;
  while (i < from.size() || j < to.size()) {
    const std::size_t first_from = i, first_to = j;
    Extent in = Extent::Number(1), out = Extent::Number(1);
    if (i < from.size()) in = in * from[i++];
    if (j < to.size()) out = out * to[j++];
    while (in != out) {
      const auto missing = Quotient(out, in);  // what the input's side lacks
      const bool extend_input = missing && missing->denominator == 1 && i < from.size();
      if (extend_input) {
        in = in * from[i++];
      } else if (j < to.size()) {
        out = out * to[j++];
      } else if (i < from.size()) {
        in = in * from[i++];
      } else {
        return std::nullopt;
      }
    }
    if (i - first_from == 1 && j - first_to == 1) continue;
    auto numbers = Numbers(to, first_to, j);
    if (!numbers) return std::nullopt;
    steps.push_back({static_cast<int>(first_from), static_cast<int>(i - first_from), *std::move(numbers)});
  }
  std::reverse(steps.begin(), steps.end());
  return steps;
}

}  // namespace qatgap::frontends::torchscript
