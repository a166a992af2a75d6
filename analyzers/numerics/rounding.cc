#include "analyzers/numerics/rounding.h"

namespace qatgap::numerics {

double RoundToInteger(double v, Rounding rule) {
  switch (rule) {
    case Rounding::kHalfToEven:
      return RoundToInteger<Rounding::kHalfToEven>(v);
    case Rounding::kHalfAwayFromZero:
      return RoundToInteger<Rounding::kHalfAwayFromZero>(v);
    case Rounding::kHalfUp:
      return RoundToInteger<Rounding::kHalfUp>(v);
    case Rounding::kTowardZero:
      return RoundToInteger<Rounding::kTowardZero>(v);
    case Rounding::kFloor:
      return RoundToInteger<Rounding::kFloor>(v);
  }
  return v;
}

}  // namespace qatgap::numerics
