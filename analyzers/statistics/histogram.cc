#include "analyzers/statistics/histogram.h"

namespace qatgap::statistics {

Histogram::Histogram(const Bins& bins) {
  for (std::size_t bin = 0; bin < bins.size(); ++bin) Add(bin, bins[bin]);
}

Histogram::Histogram(const Histogram& other)
    : equal_(other.equal_), other_(other.other_ == nullptr ? nullptr : std::make_unique<Bins>(*other.other_)) {}

Histogram& Histogram::operator=(const Histogram& other) {
  if (this != &other) *this = Histogram(other);
  return *this;
}

std::uint64_t Histogram::operator[](std::size_t bin) const {
  if (bin == kEqual) return equal_;
  return other_ == nullptr ? 0 : (*other_)[bin];
}

void Histogram::Add(const Histogram& other) {
  equal_ += other.equal_;
  if (other.other_ == nullptr) return;
  for (std::size_t bin = 0; bin < other.other_->size(); ++bin) Add(bin, (*other.other_)[bin]);
}

Histogram::Bins Histogram::bins() const {
  Bins bins = other_ == nullptr ? Bins{} : *other_;
  bins[kEqual] = equal_;
  return bins;
}

}  // namespace qatgap::statistics
