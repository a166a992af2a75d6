#include "analyzers/handoff/json_files.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "analyzers/numerics/target.h"
#include "nlohmann/json.hpp"

namespace qatgap::handoff {
namespace {

using Json = nlohmann::ordered_json;

// Names are a client's bytes: what is no UTF-8 is replaced.
std::string Dump(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

// One value per output channel.
template <typename Value>
Json PerChannel(const LayerHandoff& layer, Value value) {
  Json json = Json::array();
  for (std::int64_t c = 0; c < layer.layer.output_channels; ++c) json.push_back(value(c));
  return json;
}

// A binary32 number as a real, which is exact.
double Real(float value) { return static_cast<double>(value); }

std::string Bits(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return absl::StrFormat("0x%08x", bits);
}

// An integer that is held in a double: as one where 64 bits hold it.
Json WholeNumber(double value) {
  return std::abs(value) < 0x1p63 ? Json(static_cast<std::int64_t>(value)) : Json(value);
}

Json Qparams(const numerics::QuantParams& params) {
  Json json;
  if (params.scales.size() == 1) {
    json = {{"scale", params.scale()}, {"zero_point", params.zero_point()}};
  } else {
    json = {{"scales", params.scales}, {"zero_points", params.zero_points}, {"axis", params.axis}};
  }
  json["quant_min"] = params.quant_min;
  json["quant_max"] = params.quant_max;
  return json;
}

Json Bias(const LayerHandoff& layer) {
  const numerics::LayerArithmetic& arithmetic = layer.arithmetic;
  const numerics::BiasRule& rule = arithmetic.target().bias;
  const auto stored = [&](std::int64_t c) -> const numerics::StoredBias& { return arithmetic.stored_bias(c); };
  Json json = {{"present", !layer.layer.shipped_bias.empty()}, {"mode", numerics::ToString(rule.mode)}};
  json["real"] = PerChannel(layer, [&](std::int64_t c) { return stored(c).real; });
  if (rule.mode == numerics::BiasMode::kInteger) {
    json["bits"] = rule.bits;
    json["scale"] = PerChannel(layer, [&](std::int64_t c) { return stored(c).scale; });
    json["rounded"] = PerChannel(layer, [&](std::int64_t c) { return WholeNumber(stored(c).rounded); });
    json["stored"] = PerChannel(layer, [&](std::int64_t c) { return stored(c).stored; });
    json["saturated_channels"] = Json::array();
    for (std::int64_t c = 0; c < layer.layer.output_channels; ++c) {
      if (stored(c).saturated) json["saturated_channels"].push_back(c);
    }
    json["residual_lsb"] = PerChannel(layer, [&](std::int64_t c) { return stored(c).residual_lsb; });
  }
  if (numerics::HasFloatBias(rule)) {
    json["float"] = PerChannel(layer, [&](std::int64_t c) { return Real(arithmetic.requant_constants(c).bias); });
    // Not 0: what is added is float * float_reciprocal, unrounded (a fused multiply-add).
    json["float_reciprocal"] =
        PerChannel(layer, [&](std::int64_t c) { return Real(arithmetic.requant_constants(c).bias_reciprocal); });
    json["float_bits"] = PerChannel(layer, [&](std::int64_t c) { return Bits(arithmetic.requant_constants(c).bias); });
  } else {
    json["added_to_accumulator"] =
        PerChannel(layer, [&](std::int64_t c) { return arithmetic.requant_constants(c).accumulator_bias; });
  }
  return json;
}

Json Requantization(const LayerHandoff& layer) {
  const numerics::LayerArithmetic& arithmetic = layer.arithmetic;
  const numerics::RequantRule& rule = arithmetic.target().requantization;
  const auto constants = [&](std::int64_t c) -> const numerics::RequantConstants& {
    return arithmetic.requant_constants(c);
  };
  Json json = {{"mode", numerics::ToString(arithmetic.target(0).requantization.mode)}};
  for (std::int64_t c = 1; c < layer.layer.output_channels; ++c) {
    const auto mode = arithmetic.target(c).requantization.mode;
    if (mode == arithmetic.target(0).requantization.mode) continue;
    json["tail"] = {{"first_channel", c}, {"mode", numerics::ToString(mode)}};
    break;
  }
  json["multiplier_real"] = PerChannel(layer, [&](std::int64_t c) { return arithmetic.multiplier(c); });
  switch (rule.mode) {
    case numerics::RequantMode::kFloat32:
      json["rounding"] = numerics::ToString(rule.rounding);
      json["zero_point"] = numerics::ToString(rule.zero_point);
      json["conversion"] = numerics::ToString(rule.conversion);
      if (arithmetic.target().bias.mode == numerics::BiasMode::kFloatAfterScale) {
        json["dequantization"] = numerics::ToString(rule.dequantization);
        json["input_scale_float32"] = Real(constants(0).input_scale);
        json["weight_scale_float32"] =
            PerChannel(layer, [&](std::int64_t c) { return Real(constants(c).weight_scale); });
        json["output_scale_float32"] = Real(constants(0).output_scale);
      }
      json["multiplier_float32"] = PerChannel(layer, [&](std::int64_t c) { return Real(constants(c).multiplier); });
      json["multiplier_float32_bits"] =
          PerChannel(layer, [&](std::int64_t c) { return Bits(constants(c).multiplier); });
      break;
    case numerics::RequantMode::kFloat64:
      json["rounding"] = numerics::ToString(rule.rounding);
      json["multiplier_float64"] = PerChannel(layer, [&](std::int64_t c) { return constants(c).multiplier64; });
      break;
    case numerics::RequantMode::kPowerOfTwoShift:
      json["rounding"] = numerics::ToString(rule.rounding);
      json["right_shift"] = PerChannel(layer, [&](std::int64_t c) { return constants(c).right_shift; });
      break;
    default:
      json["mantissa_q31"] = PerChannel(layer, [&](std::int64_t c) { return constants(c).fixed.mantissa; });
      if (rule.mode == numerics::RequantMode::kQ15) {
        json["mantissa_q15"] =
            PerChannel(layer, [&](std::int64_t c) { return numerics::ReduceToQ15(constants(c).fixed); });
      }
      json["shift"] = PerChannel(layer, [&](std::int64_t c) { return constants(c).fixed.shift; });
      break;
  }
  return json;
}

Json BatchNorms(const graph::MacLayer& layer) {
  Json json = Json::array();
  for (const graph::BatchNormFold& fold : layer.batch_norms) {
    json.push_back({{"formula", "s = gamma / sqrt(variance + epsilon); folded_bias = (bias - mean) * s + beta"},
                    {"epsilon", fold.epsilon},
                    {"gamma", fold.gamma},
                    {"beta", fold.beta},
                    {"mean", fold.mean},
                    {"variance", fold.variance},
                    {"bias", fold.bias},
                    {"s", fold.factor},
                    {"folded_bias", fold.folded_bias}});
  }
  return json;
}

Json Example(const WorkedExample& example) {
  const numerics::RequantTrace& trace = example.trace;
  return {{"output_index", example.index}, {"channel", example.channel}, {"accumulator", trace.accumulator},
          {"sum", trace.sum},              {"biased", trace.biased},     {"scaled", trace.scaled},
          {"rounded", trace.rounded},      {"unclamped", trace.unclamped}, {"code", trace.code}};
}

Json Head(const LayerHandoff& layer) {
  Json json = {{"name", layer.layer.name},
               {"operator", vectors::OpName(layer.golden)},
               {"target", layer.arithmetic.target().name},
               {"arithmetic_digest", numerics::ArithmeticDigest(layer.arithmetic.target())}};
  if (layer.layer.input_grids.size() > 1) {
    json["input_number"] = layer.input_index + 1;
    json["inputs_that_reach_it"] = layer.layer.input_grids.size();
  }
  json["weight_shape"] = layer.golden.weight_codes.shape();
  json["input"] = Qparams(layer.golden.inputs[0]);
  json["output"] = Qparams(layer.golden.output);
  json["activation"] = numerics::ToString(layer.layer.activation);
  return json;
}

}  // namespace

std::string LayerJson(const LayerHandoff& layer) {
  const numerics::OutputRange& range = layer.arithmetic.output_range();
  const numerics::AccumulatorRule& accumulator = layer.arithmetic.target().accumulator;
  Json json = Head(layer);
  if (layer.layer.kind == graph::OpKind::kConvolution) {
    const graph::ConvolutionAttributes& conv = layer.golden.convolution;
    json["attributes"] = {{"stride", conv.stride}, {"padding", conv.padding}, {"dilation", conv.dilation},
                          {"groups", conv.groups}};
    if (conv.transposed) json["attributes"]["output_padding"] = conv.output_padding;
  }
  json["golden_input_shape"] = layer.golden.input_codes[0].shape();
  json["golden_output_shape"] = layer.golden.output_codes.shape();
  json["weight"] = Qparams(layer.golden.weight);
  json["weights_adjusted_channels"] = layer.adjusted_channels;
  json["bias"] = Bias(layer);
  json["accumulator"] = {{"bits", accumulator.bits}, {"overflow", numerics::ToString(accumulator.overflow)}};
  json["requantization"] = Requantization(layer);
  json["clamp"] = {{"min", range.min}, {"max", range.max}};
  json["batch_norms"] = BatchNorms(layer.layer);
  json["example"] = Example(layer.example);
  return Dump(json);
}

std::string ModelJson(const numerics::TargetDescription& target, std::span<const LayerHandoff> layers,
                      std::span<const LeftOut> mac_operators, std::span<const LeftOut> other_operators) {
  Json json = {{"format", "qatgap handoff 1"},
               {"target",
                {{"name", target.name},
                 {"title", target.title},
                 {"arithmetic_digest", numerics::ArithmeticDigest(target)},
                 {"evidence", numerics::ToString(target.evidence.kind)},
                 {"evidence_detail", target.evidence.detail}}}};
  json["layers"] = Json::array();
  for (const LayerHandoff& layer : layers) {
    Json entry = {{"folder", layer.folder}};
    entry.update(Head(layer));
    json["layers"].push_back(std::move(entry));
  }
  const auto list = [](std::span<const LeftOut> operators) {
    Json entries = Json::array();
    for (const LeftOut& entry : operators) {
      entries.push_back({{"name", entry.name}, {"operator", entry.source_op}, {"reason", entry.reason}});
    }
    return entries;
  };
  json["mac_operators_left_out"] = list(mac_operators);
  json["other_operators"] = list(other_operators);
  return Dump(json);
}

}  // namespace qatgap::handoff
