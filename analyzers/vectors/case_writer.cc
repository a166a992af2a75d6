#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "analyzers/samples/npy_format.h"
#include "analyzers/vectors/case.h"
#include "analyzers/vectors/code_types.h"
#include "nlohmann/json.hpp"

namespace qatgap::vectors {
namespace {

using Json = nlohmann::ordered_json;

template <typename To, typename From>
std::string Elements(std::span<const From> values) {
  std::vector<To> converted;
  converted.reserve(values.size());
  for (const From value : values) converted.push_back(static_cast<To>(value));
  const auto bytes = std::as_bytes(std::span(std::as_const(converted)));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string CodeElements(const CodeType& type, std::span<const std::int32_t> codes) {
  if (type.bytes == 1) return type.is_signed ? Elements<std::int8_t>(codes) : Elements<std::uint8_t>(codes);
  if (type.bytes == 2) return type.is_signed ? Elements<std::int16_t>(codes) : Elements<std::uint16_t>(codes);
  return Elements<std::int32_t>(codes);
}

std::string CodesNpy(const numerics::QuantParams& params, const graph::Tensor& codes) {
  const CodeType& type = NarrowestCodeType(params.quant_min, params.quant_max);
  return samples::NpyBytes(std::string(type.descriptor), codes.shape(), CodeElements(type, codes.data<std::int32_t>()));
}

void AddRange(const numerics::QuantParams& params, const CodeType& type, Json* json) {
  if (params.quant_min == type.min && params.quant_max == type.max) return;
  (*json)["quant_min"] = params.quant_min;
  (*json)["quant_max"] = params.quant_max;
}

Json PerTensor(const numerics::QuantParams& params) {
  const CodeType& type = NarrowestCodeType(params.quant_min, params.quant_max);
  Json json = {{"dtype", type.name}, {"scale", params.scale()}, {"zero_point", params.zero_point()}};
  AddRange(params, type, &json);
  return json;
}

Json Weight(const numerics::QuantParams& params) {
  const CodeType& type = NarrowestCodeType(params.quant_min, params.quant_max);
  Json json = {{"dtype", type.name}, {"scales", params.scales}, {"zero_points", params.zero_points}};
  json["axis"] = params.per_channel() ? Json(params.axis) : Json(nullptr);
  AddRange(params, type, &json);
  return json;
}

Json Padding(const std::vector<std::int64_t>& begin, const std::vector<std::int64_t>& end) {
  Json json = begin;
  for (const std::int64_t value : end) json.push_back(value);
  return json;
}

Json Attributes(const Case& layer) {
  const graph::ConvolutionAttributes& convolution = layer.convolution;
  const graph::PoolAttributes& pool = layer.pool;
  switch (layer.op) {
    case CaseOp::kConvolution:
    case CaseOp::kTransposedConvolution: {
      Json json = {{"stride", convolution.stride},
                   {"padding", Padding(convolution.padding, layer.padding_end)},
                   {"dilation", convolution.dilation},
                   {"groups", convolution.groups}};
      if (layer.op == CaseOp::kTransposedConvolution) json["output_padding"] = convolution.output_padding;
      return json;
    }
    case CaseOp::kConcat:
      return {{"axis", layer.axes.empty() ? 0 : layer.axes.front()}};
    case CaseOp::kAveragePool:
    case CaseOp::kMaxPool: {
      Json json = {{"kernel", pool.kernel},
                   {"stride", pool.stride},
                   {"padding", Padding(pool.padding, layer.padding_end)},
                   {"dilation", pool.dilation},
                   {"ceil_mode", pool.ceil_mode},
                   {"count_include_pad", pool.count_include_pad}};
      if (pool.divisor_override) json["divisor_override"] = *pool.divisor_override;
      return json;
    }
    case CaseOp::kMean:
      return {{"axes", layer.axes}, {"keep_dims", layer.keep_dims}};
    case CaseOp::kLinear:
    case CaseOp::kAdd:
    case CaseOp::kMul:
      break;
  }
  return Json::object();
}

bool HasLayout(CaseOp op) {
  return op == CaseOp::kConvolution || op == CaseOp::kTransposedConvolution || op == CaseOp::kAveragePool ||
         op == CaseOp::kMaxPool;
}

Json Description(const Case& layer) {
  Json json = {{"runtime", layer.runtime}, {"version", layer.version}, {"target", layer.target}};
  if (!layer.kernel.empty()) json["kernel"] = layer.kernel;
  if (!layer.host.empty()) json["host"] = layer.host;
  json["op"] = OpName(layer);
  if (HasLayout(layer.op)) json["layout"] = "NCHW";
  json["attributes"] = Attributes(layer);
  if (layer.inputs.size() == 1) {
    json["input"] = PerTensor(layer.inputs.front());
  } else {
    json["input"] = Json::array();
    for (const numerics::QuantParams& params : layer.inputs) json["input"].push_back(PerTensor(params));
  }
  if (layer.is_mac()) json["weight"] = Weight(layer.weight);
  json["output"] = PerTensor(layer.output);
  json["activation"] = numerics::ToString(layer.activation);
  return json;
}

}  // namespace

Files WriteCase(const Case& layer) {
  Files files;
  const std::string folder = layer.name.empty() ? "" : absl::StrCat(layer.name, "/");
  // Names come from models and files: bytes that are no UTF-8 must not end in an exception.
  files[folder + "case.json"] = Description(layer).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  for (std::size_t i = 0; i < layer.input_codes.size(); ++i) {
    const std::string name = layer.input_codes.size() == 1 ? "input.npy" : absl::StrCat("input_", i, ".npy");
    files[folder + name] = CodesNpy(layer.inputs[i], layer.input_codes[i]);
  }
  if (layer.is_mac()) files[folder + "weight.npy"] = CodesNpy(layer.weight, layer.weight_codes);
  if (layer.output_codes.defined()) files[folder + "output.npy"] = CodesNpy(layer.output, layer.output_codes);
  if (!layer.bias.empty()) {
    // float32 is what users have; a bias that is none (folded in double) keeps its bits.
    bool fits = true;
    for (const double value : layer.bias) fits &= static_cast<double>(static_cast<float>(value)) == value;
    const std::span<const double> values(layer.bias);
    files[folder + "bias.npy"] = samples::NpyBytes(fits ? "<f4" : "<f8", {static_cast<std::int64_t>(values.size())},
                                                   fits ? Elements<float>(values) : Elements<double>(values));
  }
  if (!layer.bias_integer.empty()) {
    bool fits = layer.bias_integer_bits <= 32;
    for (const std::int64_t value : layer.bias_integer) fits &= static_cast<std::int32_t>(value) == value;
    const std::span<const std::int64_t> values(layer.bias_integer);
    files[folder + "bias_int.npy"] =
        samples::NpyBytes(fits ? "<i4" : "<i8", {static_cast<std::int64_t>(values.size())},
                          fits ? Elements<std::int32_t>(values) : Elements<std::int64_t>(values));
  }
  return files;
}

}  // namespace qatgap::vectors
