#include "server/target_conversion.h"

#include "analyzers/numerics/target_fields.h"

namespace qatgap::server {
namespace {

using numerics::TargetDescription;

// Every enum of the contract is the C++ enum shifted by one, 0 being "unspecified"; a test compares the words.
template <typename To, typename From>
To Word(From value) {
  return static_cast<To>(static_cast<int>(value) + 1);
}

void Fill(const numerics::Delegate& delegate, v1::Delegate& message) {
  message.set_layers(Word<v1::DelegateLayers>(delegate.layers));
  message.set_host(Word<v1::DelegateHost>(delegate.host));
  message.set_activations(Word<v1::DelegateActivations>(delegate.activations));
  message.set_weights(Word<v1::DelegateWeights>(delegate.weights));
  message.set_output_padding(Word<v1::DelegateOutputPadding>(delegate.output_padding));
  message.set_max_groups(delegate.max_groups);
  message.set_bias_bits(delegate.bias_bits);
  message.set_target(delegate.target);
}

void Fill(const numerics::BiasRule& rule, v1::BiasRule& message) {
  message.set_mode(Word<v1::BiasMode>(rule.mode));
  if (ReadsScaleAndDivision(rule)) {
    message.set_scale(Word<v1::BiasScale>(rule.scale));
    message.set_division(Word<v1::BiasDivision>(rule.division));
  }
  if (ReadsWidth(rule)) {
    message.set_bits(rule.bits);
    message.set_rounding(Word<v1::Rounding>(rule.rounding));
    message.set_overflow(Word<v1::BiasOverflow>(rule.overflow));
  }
  if (ReadsSymmetricClamp(rule)) message.set_symmetric_clamp(rule.symmetric_clamp);
  if (ReadsAdjustment(rule)) message.set_adjustment(Word<v1::WeightAdjustment>(rule.adjustment));
  if (ReadsAlignment(rule)) message.set_alignment(Word<v1::BiasAlignment>(rule.alignment));
}

void Fill(const numerics::AccumulatorRule& rule, v1::AccumulatorRule& message) {
  message.set_bits(rule.bits);
  message.set_overflow(Word<v1::AccumulatorOverflow>(rule.overflow));
  message.set_int16_pairs(Word<v1::Int16Pairs>(rule.int16_pairs));
}

void Fill(const numerics::BiasRule& bias, const numerics::RequantRule& rule, v1::RequantRule& message) {
  message.set_mode(Word<v1::RequantMode>(rule.mode));
  if (ReadsMultiplier(rule.mode)) message.set_multiplier(Word<v1::MultiplierForm>(rule.multiplier));
  if (ReadsRounding(rule.mode)) message.set_rounding(Word<v1::Rounding>(rule.rounding));
  if (ReadsConversion(rule.mode)) {
    message.set_zero_point(Word<v1::ZeroPointOrder>(rule.zero_point));
    message.set_conversion(Word<v1::ConversionOverflow>(rule.conversion));
  }
  if (ReadsDequantization(bias)) {
    message.set_dequantization(Word<v1::Dequantization>(rule.dequantization));
    message.set_reciprocal_scales(rule.reciprocal_scales);
  }
  if (ReadsFusedMultiplyAdd(bias)) message.set_fused_multiply_add(rule.fused_multiply_add);
  message.set_activation_limit(Word<v1::ActivationLimit>(rule.activation_limit));
  if (IsFixedPoint(rule.mode) && rule.vector_channels != 0) {
    message.set_vector_channels(rule.vector_channels);
    message.set_tail_mode(Word<v1::RequantMode>(rule.tail_mode));
  }
  message.set_multiplier_min(rule.multiplier_min);
  message.set_multiplier_max(rule.multiplier_max);
}

}  // namespace

v1::TargetDescription RulesToProto(const TargetDescription& target) {
  v1::TargetDescription message;
  for (const numerics::Delegate& delegate : target.delegates) Fill(delegate, *message.add_delegates());
  v1::OperatorRules& operators = *message.mutable_operators();
  operators.set_add(Word<v1::AddRule>(target.operators.add));
  operators.set_mul(Word<v1::MulRule>(target.operators.mul));
  operators.set_concat(Word<v1::ConcatRule>(target.operators.concat));
  operators.set_average_pool(Word<v1::AveragePoolRule>(target.operators.average_pool));
  operators.set_mean(Word<v1::MeanRule>(target.operators.mean));
  if (!target.delegates.empty()) return message;
  message.set_scales(Word<v1::ScaleRequirement>(target.scales));
  Fill(target.bias, *message.mutable_bias());
  Fill(target.accumulator, *message.mutable_accumulator());
  Fill(target.bias, target.requantization, *message.mutable_requantization());
  return message;
}

}  // namespace qatgap::server
