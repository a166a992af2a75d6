// The words a target file uses for each enumerator, once for the parser, ToString and the digest.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "analyzers/numerics/target.h"

namespace qatgap::numerics {

template <typename Enum>
struct EnumName {
  Enum value;
  std::string_view name;
};

inline constexpr std::array kBiasModeNames = {
    EnumName<BiasMode>{BiasMode::kFloatBeforeScale, "float_before_scale"},
    EnumName<BiasMode>{BiasMode::kFloatAfterScale, "float_after_scale"},
    EnumName<BiasMode>{BiasMode::kInteger, "integer"},
};
inline constexpr std::array kRoundingNames = {
    EnumName<Rounding>{Rounding::kHalfToEven, "half_to_even"},
    EnumName<Rounding>{Rounding::kHalfAwayFromZero, "half_away_from_zero"},
    EnumName<Rounding>{Rounding::kHalfUp, "half_up"},
    EnumName<Rounding>{Rounding::kTowardZero, "toward_zero"},
    EnumName<Rounding>{Rounding::kFloor, "floor"},
};
inline constexpr std::array kBiasScaleNames = {
    EnumName<BiasScale>{BiasScale::kProductFloat, "product_float"},
    EnumName<BiasScale>{BiasScale::kProductDoubleToFloat, "product_double_to_float"},
    EnumName<BiasScale>{BiasScale::kProductDouble, "product_double"},
    EnumName<BiasScale>{BiasScale::kOwnPowerOfTwo, "own_power_of_two"},
};
inline constexpr std::array kBiasDivisionNames = {
    EnumName<BiasDivision>{BiasDivision::kDivideFloat, "divide_float"},
    EnumName<BiasDivision>{BiasDivision::kMultiplyReciprocal, "multiply_reciprocal"},
    EnumName<BiasDivision>{BiasDivision::kDivideDouble, "divide_double"},
};
inline constexpr std::array kBiasOverflowNames = {
    EnumName<BiasOverflow>{BiasOverflow::kSaturate, "saturate"},
    EnumName<BiasOverflow>{BiasOverflow::kWrap, "wrap"},
    EnumName<BiasOverflow>{BiasOverflow::kRefuse, "refuse"},
};
inline constexpr std::array kAccumulatorOverflowNames = {
    EnumName<AccumulatorOverflow>{AccumulatorOverflow::kWrap, "wrap"},
    EnumName<AccumulatorOverflow>{AccumulatorOverflow::kSaturate, "saturate"},
};
inline constexpr std::array kInt16PairsNames = {
    EnumName<Int16Pairs>{Int16Pairs::kNever, "never"},
    EnumName<Int16Pairs>{Int16Pairs::kWithoutVnni, "without_vnni"},
};
inline constexpr std::array kRequantModeNames = {
    EnumName<RequantMode>{RequantMode::kFloat32, "float32"},
};
inline constexpr std::array kMultiplierFormNames = {
    EnumName<MultiplierForm>{MultiplierForm::kProductThenDivide, "product_then_divide"},
    EnumName<MultiplierForm>{MultiplierForm::kProductTimesReciprocal, "product_times_reciprocal"},
};
inline constexpr std::array kZeroPointOrderNames = {
    EnumName<ZeroPointOrder>{ZeroPointOrder::kAfterRounding, "after_rounding"},
    EnumName<ZeroPointOrder>{ZeroPointOrder::kBeforeRounding, "before_rounding"},
};
inline constexpr std::array kConversionOverflowNames = {
    EnumName<ConversionOverflow>{ConversionOverflow::kClampFloat, "clamp_float"},
    EnumName<ConversionOverflow>{ConversionOverflow::kInt32MinPack, "int32_min_pack"},
};
inline constexpr std::array kEngineNames = {
    EnumName<Engine>{Engine::kNone, "none"},
    EnumName<Engine>{Engine::kFbgemm, "fbgemm"},
    EnumName<Engine>{Engine::kQnnpack, "qnnpack"},
};
inline constexpr std::array kEvidenceKindNames = {
    EnumName<EvidenceKind>{EvidenceKind::kVerified, "verified"},
    EnumName<EvidenceKind>{EvidenceKind::kFromSource, "from_source"},
    EnumName<EvidenceKind>{EvidenceKind::kUnverified, "unverified"},
};

}  // namespace qatgap::numerics
