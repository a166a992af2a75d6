// The words a target file uses for each enumerator, once for the parser, ToString and the digest.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "analyzers/numerics/enum_name.h"
#include "analyzers/numerics/target.h"

namespace qatgap::numerics {

inline constexpr std::array kBiasModeNames = {
    EnumName<BiasMode>{BiasMode::kFloatBeforeScale, "float_before_scale"},
    EnumName<BiasMode>{BiasMode::kFloatAfterScale, "float_after_scale"},
    EnumName<BiasMode>{BiasMode::kInteger, "integer"},
};
inline constexpr std::array kRoundingNames = {
    EnumName<Rounding>{Rounding::kHalfToEven, "half_to_even"},
    EnumName<Rounding>{Rounding::kHalfAwayFromZero, "half_away_from_zero"},
    EnumName<Rounding>{Rounding::kHalfUp, "half_up"},
    EnumName<Rounding>{Rounding::kHalfDown, "half_down"},
    EnumName<Rounding>{Rounding::kTowardZero, "toward_zero"},
    EnumName<Rounding>{Rounding::kFloor, "floor"},
    EnumName<Rounding>{Rounding::kCeiling, "ceiling"},
};
inline constexpr std::array kBiasScaleNames = {
    EnumName<BiasScale>{BiasScale::kProductFloat, "product_float"},
    EnumName<BiasScale>{BiasScale::kProductDoubleToFloat, "product_double_to_float"},
    EnumName<BiasScale>{BiasScale::kProductDouble, "product_double"},
    EnumName<BiasScale>{BiasScale::kProductDoubleIfPerTensor, "product_double_if_per_tensor"},
    EnumName<BiasScale>{BiasScale::kOwnPowerOfTwo, "own_power_of_two"},
};
inline constexpr std::array kBiasDivisionNames = {
    EnumName<BiasDivision>{BiasDivision::kDivideFloat, "divide_float"},
    EnumName<BiasDivision>{BiasDivision::kMultiplyReciprocal, "multiply_reciprocal"},
    EnumName<BiasDivision>{BiasDivision::kDivideDouble, "divide_double"},
    EnumName<BiasDivision>{BiasDivision::kReciprocalIfPerTensor, "reciprocal_if_per_tensor"},
};
inline constexpr std::array kBiasOverflowNames = {
    EnumName<BiasOverflow>{BiasOverflow::kSaturate, "saturate"},
    EnumName<BiasOverflow>{BiasOverflow::kWrap, "wrap"},
    EnumName<BiasOverflow>{BiasOverflow::kRefuse, "refuse"},
    EnumName<BiasOverflow>{BiasOverflow::kAdjustWeights, "adjust_weights"},
    EnumName<BiasOverflow>{BiasOverflow::kInt32Min, "int32_min"},
};
inline constexpr std::array kBiasAlignmentNames = {
    EnumName<BiasAlignment>{BiasAlignment::kShiftHalfUp, "shift_half_up"},
    EnumName<BiasAlignment>{BiasAlignment::kShiftFloor, "shift_floor"},
    EnumName<BiasAlignment>{BiasAlignment::kExact, "exact"},
};
inline constexpr std::array kWeightAdjustmentNames = {
    EnumName<WeightAdjustment>{WeightAdjustment::kTflite, "tflite"},
    EnumName<WeightAdjustment>{WeightAdjustment::kOnnxRuntime, "onnxruntime"},
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
    EnumName<RequantMode>{RequantMode::kQ31DoubleRounding, "q31_double_rounding"},
    EnumName<RequantMode>{RequantMode::kQ31DoubleRoundingHalfUp, "q31_double_rounding_half_up"},
    EnumName<RequantMode>{RequantMode::kQ31SingleRounding, "q31_single_rounding"},
    EnumName<RequantMode>{RequantMode::kTosa, "tosa"},
    EnumName<RequantMode>{RequantMode::kQ15, "q15"},
    EnumName<RequantMode>{RequantMode::kPowerOfTwoShift, "power_of_two_shift"},
    EnumName<RequantMode>{RequantMode::kFloat64, "float64"},
};
inline constexpr std::array kMultiplierFormNames = {
    EnumName<MultiplierForm>{MultiplierForm::kProductThenDivide, "product_then_divide"},
    EnumName<MultiplierForm>{MultiplierForm::kProductTimesReciprocal, "product_times_reciprocal"},
    EnumName<MultiplierForm>{MultiplierForm::kDouble, "double"},
    EnumName<MultiplierForm>{MultiplierForm::kFloatProduct, "float_product"},
    EnumName<MultiplierForm>{MultiplierForm::kTflite, "tflite"},
};
inline constexpr std::array kDequantizationNames = {
    EnumName<Dequantization>{Dequantization::kSuccessive, "successive"},
    EnumName<Dequantization>{Dequantization::kProduct, "product"},
};
inline constexpr std::array kZeroPointOrderNames = {
    EnumName<ZeroPointOrder>{ZeroPointOrder::kAfterRounding, "after_rounding"},
    EnumName<ZeroPointOrder>{ZeroPointOrder::kBeforeRounding, "before_rounding"},
};
inline constexpr std::array kConversionOverflowNames = {
    EnumName<ConversionOverflow>{ConversionOverflow::kClampFloat, "clamp_float"},
    EnumName<ConversionOverflow>{ConversionOverflow::kInt32MinPack, "int32_min_pack"},
};
inline constexpr std::array kActivationLimitNames = {
    EnumName<ActivationLimit>{ActivationLimit::kReciprocalHalfToEven, "reciprocal_half_to_even"},
    EnumName<ActivationLimit>{ActivationLimit::kDivideHalfAway, "divide_half_away"},
    EnumName<ActivationLimit>{ActivationLimit::kSumHalfToEven, "sum_half_to_even"},
};
inline constexpr std::array kScaleRequirementNames = {
    EnumName<ScaleRequirement>{ScaleRequirement::kAny, "any"},
    EnumName<ScaleRequirement>{ScaleRequirement::kPowerOfTwo, "power_of_two"},
};
inline constexpr std::array kDelegateLayersNames = {
    EnumName<Delegate::Layers>{Delegate::Layers::kAny, "any"},
    EnumName<Delegate::Layers>{Delegate::Layers::kConvolution, "convolution"},
    EnumName<Delegate::Layers>{Delegate::Layers::kLinear, "linear"},
    EnumName<Delegate::Layers>{Delegate::Layers::kDepthwise, "depthwise"},
    EnumName<Delegate::Layers>{Delegate::Layers::kGrouped, "grouped"},
    EnumName<Delegate::Layers>{Delegate::Layers::kTransposed, "transposed"},
    EnumName<Delegate::Layers>{Delegate::Layers::kUnevenGroups, "uneven_groups"},
};
inline constexpr std::array kDelegateActivationsNames = {
    EnumName<Delegate::Activations>{Delegate::Activations::kAny, "any"},
    EnumName<Delegate::Activations>{Delegate::Activations::kSigned, "signed"},
    EnumName<Delegate::Activations>{Delegate::Activations::kUnsigned, "unsigned"},
    EnumName<Delegate::Activations>{Delegate::Activations::kInt16, "int16"},
};
inline constexpr std::array kDelegateWeightsNames = {
    EnumName<Delegate::Weights>{Delegate::Weights::kAny, "any"},
    EnumName<Delegate::Weights>{Delegate::Weights::kSymmetric, "symmetric"},
};
inline constexpr std::array kDelegateOutputPaddingNames = {
    EnumName<Delegate::OutputPadding>{Delegate::OutputPadding::kAny, "any"},
    EnumName<Delegate::OutputPadding>{Delegate::OutputPadding::kNone, "none"},
};
inline constexpr std::array kDelegateHostNames = {
    EnumName<Delegate::Host>{Delegate::Host::kAny, "any"},
    EnumName<Delegate::Host>{Delegate::Host::kVnni, "vnni"},
    EnumName<Delegate::Host>{Delegate::Host::kNoVnni, "no_vnni"},
};
inline constexpr std::array kEngineNames = {
    EnumName<Engine>{Engine::kNone, "none"},
    EnumName<Engine>{Engine::kFbgemm, "fbgemm"},
    EnumName<Engine>{Engine::kQnnpack, "qnnpack"},
    EnumName<Engine>{Engine::kX86, "x86"},
    EnumName<Engine>{Engine::kOnednn, "onednn"},
};
inline constexpr std::array kEvidenceKindNames = {
    EnumName<EvidenceKind>{EvidenceKind::kVerified, "verified"},
    EnumName<EvidenceKind>{EvidenceKind::kFromSource, "from_source"},
    EnumName<EvidenceKind>{EvidenceKind::kUnverified, "unverified"},
};

}  // namespace qatgap::numerics
