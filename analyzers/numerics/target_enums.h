// The words by which target files spell enum values: one table an enum, for ToString and for the
// parser.
#pragma once

#include <array>
#include <string_view>
#include <utility>

#include "analyzers/numerics/target.h"

namespace qatgap::numerics {

template <typename Enum, std::size_t N>
using EnumWords = std::array<std::pair<Enum, std::string_view>, N>;

template <typename Enum>
struct Words;  // Words<Enum>::kTable

template <>
struct Words<BiasMode> {
  static constexpr EnumWords<BiasMode, 3> kTable{
      {{BiasMode::kFloatBeforeScale, "float_before_scale"},
       {BiasMode::kFloatAfterScale, "float_after_scale"},
       {BiasMode::kInteger, "integer"}}};
};
template <>
struct Words<Rounding> {
  static constexpr EnumWords<Rounding, 5> kTable{
      {{Rounding::kHalfToEven, "half_to_even"},
       {Rounding::kHalfAwayFromZero, "half_away_from_zero"},
       {Rounding::kHalfUp, "half_up"},
       {Rounding::kTowardZero, "toward_zero"},
       {Rounding::kFloor, "floor"}}};
};
template <>
struct Words<BiasDivision> {
  static constexpr EnumWords<BiasDivision, 3> kTable{
      {{BiasDivision::kDivideFloat, "divide_float"},
       {BiasDivision::kMultiplyReciprocal, "multiply_reciprocal"},
       {BiasDivision::kDivideDouble, "divide_double"}}};
};
template <>
struct Words<BiasScale> {
  static constexpr EnumWords<BiasScale, 4> kTable{
      {{BiasScale::kProductFloat, "product_float"},
       {BiasScale::kProductDoubleToFloat, "product_double_to_float"},
       {BiasScale::kProductDouble, "product_double"},
       {BiasScale::kOwnPowerOfTwo, "own_power_of_two"}}};
};
template <>
struct Words<BiasOverflow> {
  static constexpr EnumWords<BiasOverflow, 3> kTable{{{BiasOverflow::kSaturate, "saturate"},
                                                      {BiasOverflow::kWrap, "wrap"},
                                                      {BiasOverflow::kRefuse, "refuse"}}};
};
template <>
struct Words<AccumulatorOverflow> {
  static constexpr EnumWords<AccumulatorOverflow, 2> kTable{
      {{AccumulatorOverflow::kWrap, "wrap"}, {AccumulatorOverflow::kSaturate, "saturate"}}};
};
template <>
struct Words<Int16Pairs> {
  static constexpr EnumWords<Int16Pairs, 2> kTable{
      {{Int16Pairs::kNever, "never"}, {Int16Pairs::kWithoutVnni, "without_vnni"}}};
};
template <>
struct Words<RequantMode> {
  static constexpr EnumWords<RequantMode, 1> kTable{{{RequantMode::kFloat32, "float32"}}};
};
template <>
struct Words<MultiplierForm> {
  static constexpr EnumWords<MultiplierForm, 2> kTable{
      {{MultiplierForm::kProductThenDivide, "product_then_divide"},
       {MultiplierForm::kProductTimesReciprocal, "product_times_reciprocal"}}};
};
template <>
struct Words<ZeroPointOrder> {
  static constexpr EnumWords<ZeroPointOrder, 2> kTable{
      {{ZeroPointOrder::kAfterRounding, "after_rounding"},
       {ZeroPointOrder::kBeforeRounding, "before_rounding"}}};
};
template <>
struct Words<RequantOverflow> {
  static constexpr EnumWords<RequantOverflow, 2> kTable{
      {{RequantOverflow::kClamp, "clamp"}, {RequantOverflow::kX86Int16, "x86_int16"}}};
};
template <>
struct Words<Engine> {
  static constexpr EnumWords<Engine, 3> kTable{
      {{Engine::kNone, "none"}, {Engine::kFbgemm, "fbgemm"}, {Engine::kQnnpack, "qnnpack"}}};
};
template <>
struct Words<EvidenceKind> {
  static constexpr EnumWords<EvidenceKind, 3> kTable{{{EvidenceKind::kVerified, "verified"},
                                                      {EvidenceKind::kFromSource, "from_source"},
                                                      {EvidenceKind::kUnverified, "unverified"}}};
};

}  // namespace qatgap::numerics
