#include "analyzers/vectors/case_description.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"
#include "analyzers/vectors/json_fields.h"

namespace qatgap::vectors {
namespace {

using nlohmann::json;

// Enough for any layer; products of a few of these stay far inside 64 bits.
constexpr std::int64_t kMaxAttribute = std::int64_t{1} << 20;
constexpr std::size_t kMaxInputs = 64;

absl::StatusOr<CodeDescription> ParseCodes(const json& object, const std::string& where, const std::string& field) {
  CodeDescription codes;
  codes.field = field;
  if (!object.is_object()) {
    return JsonFields(object, where, "").Bad(field, object, "it must be an object with dtype, scale and zero_point");
  }
  const JsonFields fields(object, where, field + ".");
  const bool weight = field == "weight";
  const std::string_view scale_name = weight ? "scales" : "scale", point_name = weight ? "zero_points" : "zero_point";
  const FieldNames scale_names = {scale_name, "scale", "scales"},
                   point_names = {point_name, "zero_point", "zero_points"};

  QATGAP_ASSIGN_OR_RETURN(const std::string dtype, fields.Text({"dtype", "type"}));
  if (dtype.empty()) return fields.Missing("dtype", "say which integers the codes are, such as uint8");
  codes.type = FindCodeType(dtype);
  if (codes.type == nullptr)
    return fields.Bad("dtype", dtype, "known are uint8, int8, uint16, int16, int32, uint4, int4");

  numerics::QuantParams& params = codes.params;
  QATGAP_ASSIGN_OR_RETURN(params.scales, fields.PositiveNumbers(scale_names));
  if (params.scales.empty()) return fields.Missing(scale_name, "give the real value of one step");
  if (!weight && params.scales.size() > 1) {
    return fields.Bad(scale_name, *fields.Find(scale_names), "inputs and outputs have one scale");
  }
  QATGAP_ASSIGN_OR_RETURN(params.zero_points, fields.Integers(point_names));
  if (params.zero_points.empty()) params.zero_points = {0};
  for (const std::int64_t point : params.zero_points) {
    if (point >= codes.type->min && point <= codes.type->max) continue;
    return fields.Bad(
        point_name, point,
        absl::StrCat("codes of ", Text(codes.type->name), " go from ", codes.type->min, " to ", codes.type->max));
  }
  if (params.zero_points.size() == 1) params.zero_points.resize(params.scales.size(), params.zero_points.front());
  if (params.zero_points.size() != params.scales.size()) {
    return fields.Bad(point_name, *fields.Find(point_names),
                      absl::StrCat("there are ", params.scales.size(), " scales; give as many zero points, or one"));
  }
  QATGAP_ASSIGN_OR_RETURN(const auto min, fields.Integer({"quant_min"}));
  QATGAP_ASSIGN_OR_RETURN(const auto max, fields.Integer({"quant_max"}));
  params.quant_min = min.value_or(codes.type->min);
  params.quant_max = max.value_or(codes.type->max);
  if (params.quant_min < codes.type->min || params.quant_min >= params.quant_max) {
    return fields.Bad("quant_min", params.quant_min,
                      absl::StrCat("it must be at least ", codes.type->min, " and below quant_max"));
  }
  if (params.quant_max > codes.type->max) {
    return fields.Bad("quant_max", params.quant_max, absl::StrCat("it must be at most ", codes.type->max));
  }
  for (const std::int64_t point : params.zero_points) {
    if (point >= params.quant_min && point <= params.quant_max) continue;
    return fields.Bad(point_name, point,
                      absl::StrCat("it must be in quant_min..quant_max, ", params.quant_min, "..", params.quant_max));
  }
  QATGAP_ASSIGN_OR_RETURN(const auto axis, fields.Integer({"axis", "channel_axis", "quantized_dimension"}));
  if (axis && weight && params.scales.size() > 1) {
    if (*axis < -8 || *axis >= 8) return fields.Bad("axis", *axis, "it must be an axis of the weight");
    params.axis = static_cast<int>(*axis);
  }
  return codes;
}

absl::Status ParseInputs(const JsonFields& root, const std::string& where, CaseDescription* description) {
  const json* input = root.Find({"input", "inputs"});
  if (input == nullptr) return root.Missing("input", "give dtype, scale and zero_point of the input codes");
  if (!input->is_array()) {
    QATGAP_ASSIGN_OR_RETURN(CodeDescription codes, ParseCodes(*input, where, "input"));
    description->inputs.push_back(std::move(codes));
    return absl::OkStatus();
  }
  if (input->empty() || input->size() > kMaxInputs)
    return root.Bad("input", *input, "an array must have 1 to 64 inputs");
  for (std::size_t i = 0; i < input->size(); ++i) {
    QATGAP_ASSIGN_OR_RETURN(CodeDescription codes, ParseCodes((*input)[i], where, absl::StrCat("input[", i, "]")));
    description->inputs.push_back(std::move(codes));
  }
  return absl::OkStatus();
}

absl::Status ParsePadding(const JsonFields& attributes, PaddingDescription* padding) {
  const FieldNames names = {"padding", "pads", "pad", "paddings"};
  const json* value = attributes.Find(names);
  const json* automatic = attributes.Find({"auto_pad"});
  if (automatic != nullptr && automatic->is_string() && Plain(automatic->get<std::string>()) != "notset")
    value = automatic;
  if (value == nullptr) return absl::OkStatus();
  if (value->is_string()) {
    const std::string word = Plain(value->get<std::string>());
    if (word == "valid")
      padding->kind = PaddingDescription::Kind::kValid;
    else if (word == "same" || word == "sameupper")
      padding->kind = PaddingDescription::Kind::kSame;
    else if (word == "samelower")
      padding->kind = PaddingDescription::Kind::kSameLower;
    else
      return attributes.Bad("padding", *value, "words are same and valid; else give numbers");
    return absl::OkStatus();
  }
  QATGAP_ASSIGN_OR_RETURN(padding->begin, attributes.Integers(names));
  for (const std::int64_t entry : padding->begin) {
    if (entry < 0 || entry > kMaxAttribute) return attributes.Bad("padding", *value, "every entry must be 0 to 2^20");
  }
  // [[top, bottom], [left, right]]: a pair an axis.
  if (value->is_array() && !value->empty() && value->front().is_array()) {
    std::vector<std::int64_t> pairs;
    std::swap(pairs, padding->begin);
    if (pairs.size() != 2 * value->size()) return attributes.Bad("padding", *value, "nested lists must be pairs");
    for (std::size_t i = 0; i < pairs.size(); ++i) (i % 2 == 0 ? padding->begin : padding->end).push_back(pairs[i]);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::int64_t>> Extents(const JsonFields& attributes, FieldNames names, std::int64_t least) {
  QATGAP_ASSIGN_OR_RETURN(std::vector<std::int64_t> extents, attributes.Integers(names));
  for (const std::int64_t extent : extents) {
    if (extent < least || extent > kMaxAttribute) {
      return attributes.Bad(*names.begin(), *attributes.Find(names),
                            absl::StrCat("every entry must be ", least, " to 2^20"));
    }
  }
  return extents;
}

absl::Status ParseAttributes(const JsonFields& root, const std::string& where, CaseDescription* description) {
  static const json kNone = json::object();
  const json* object = root.Find({"attributes", "attrs", "params"});
  if (object == nullptr) object = &kNone;
  if (!object->is_object()) return root.Bad("attributes", *object, "it must be an object");
  const JsonFields fields(*object, where, "attributes.");
  CaseDescription& d = *description;
  QATGAP_ASSIGN_OR_RETURN(d.stride, Extents(fields, {"stride", "strides"}, 1));
  QATGAP_ASSIGN_OR_RETURN(d.dilation, Extents(fields, {"dilation", "dilations", "dilation_rate"}, 1));
  QATGAP_ASSIGN_OR_RETURN(d.kernel,
                          Extents(fields, {"kernel", "kernel_size", "kernel_shape", "ksize", "pool_size"}, 1));
  QATGAP_ASSIGN_OR_RETURN(d.output_padding, Extents(fields, {"output_padding"}, 0));
  QATGAP_ASSIGN_OR_RETURN(d.axes, fields.Integers({"axes", "axis", "dim", "dims"}));
  for (const std::int64_t axis : d.axes) {
    if (axis < -8 || axis >= 8) return fields.Bad("axes", axis, "it must be an axis of the input");
  }
  QATGAP_ASSIGN_OR_RETURN(d.groups, fields.Integer({"groups", "group"}));
  if (d.groups && (*d.groups < 1 || *d.groups > kMaxAttribute))
    return fields.Bad("groups", *d.groups, "it must be 1 to 2^20");
  QATGAP_ASSIGN_OR_RETURN(d.divisor_override, fields.Integer({"divisor_override"}));
  if (d.divisor_override && *d.divisor_override < 1)
    return fields.Bad("divisor_override", *d.divisor_override, "it must be positive");
  QATGAP_ASSIGN_OR_RETURN(const auto keep, fields.Flag({"keep_dims", "keepdims", "keepdim"}));
  QATGAP_ASSIGN_OR_RETURN(const auto ceiling, fields.Flag({"ceil_mode"}));
  QATGAP_ASSIGN_OR_RETURN(const auto include, fields.Flag({"count_include_pad"}));
  d.keep_dims = keep.value_or(true);
  d.ceil_mode = ceiling.value_or(false);
  d.count_include_pad = include.value_or(true);
  return ParsePadding(fields, &d.padding);
}

absl::Status ParseLayout(const JsonFields& root, CaseDescription* description) {
  QATGAP_ASSIGN_OR_RETURN(const std::string layout, root.Text({"layout", "data_format", "data_layout"}));
  if (layout.empty()) return absl::OkStatus();
  const std::string plain = Plain(layout);
  for (const std::string_view first : {"nchw", "ncw", "ncl", "ncdhw", "nc", "channelsfirst"}) {
    if (plain == first) description->layout = Layout::kChannelsFirst;
  }
  for (const std::string_view last : {"nhwc", "nwc", "nlc", "ndhwc", "channelslast"}) {
    if (plain == last) description->layout = Layout::kChannelsLast;
  }
  if (!description->layout) return root.Bad("layout", layout, "known are NCHW and NHWC; leave it out to have it found");
  return absl::OkStatus();
}

void ParseHost(const JsonFields& root, CaseDescription* description) {
  const json* host = root.Find({"host"});
  if (host == nullptr || !host->is_object()) return;
  for (const auto& [key, value] : host->items()) {
    if (value.is_boolean()) description->host[key] = value.get<bool>();
  }
}

}  // namespace

absl::StatusOr<CaseDescription> ParseDescription(std::string_view text, const std::string& where) {
  QATGAP_ASSIGN_OR_RETURN(const json document, ParseJson(text, where));
  const JsonFields root(document, where, "");
  CaseDescription d;
  QATGAP_ASSIGN_OR_RETURN(d.runtime, root.Text({"runtime"}));
  QATGAP_ASSIGN_OR_RETURN(d.runtime_kernel, root.Text({"kernel"}));
  QATGAP_ASSIGN_OR_RETURN(d.version, root.Text({"version", "runtime_version"}));
  QATGAP_ASSIGN_OR_RETURN(d.target, root.Text({"target"}));
  ParseHost(root, &d);
  QATGAP_ASSIGN_OR_RETURN(d.op_name, root.Text({"op", "operator", "op_type"}));
  if (d.op_name.empty()) return root.Missing("op", "say which operator, such as conv2d or linear");
  const std::optional<OpWord> op = FindOp(d.op_name);
  if (!op) {
    return root.Bad("op", d.op_name,
                    "known are conv1d, conv2d, conv3d, depthwise_conv2d, conv_transpose2d, linear, add, mul, concat, "
                    "avg_pool2d, max_pool2d and mean");
  }
  d.op = *op;
  QATGAP_RETURN_IF_ERROR(ParseLayout(root, &d));
  QATGAP_RETURN_IF_ERROR(ParseAttributes(root, where, &d));
  QATGAP_RETURN_IF_ERROR(ParseInputs(root, where, &d));
  const json* weight = root.Find({"weight", "weights", "filter"});
  const bool mac =
      d.op.op == CaseOp::kConvolution || d.op.op == CaseOp::kTransposedConvolution || d.op.op == CaseOp::kLinear;
  if (mac && weight == nullptr) return root.Missing("weight", "give dtype, scales and zero_points of the weight codes");
  if (mac) {
    QATGAP_ASSIGN_OR_RETURN(d.weight, ParseCodes(*weight, where, "weight"));
  }
  for (const CodeDescription& codes :
       mac ? std::vector<CodeDescription>{d.inputs.front(), *d.weight} : std::vector<CodeDescription>{}) {
    if (codes.type->bytes <= 2) continue;
    return absl::InvalidArgumentError(absl::StrCat(where, ": ", codes.field, ".dtype is ", Text(codes.type->name),
                                                   "; the factors of a MAC layer have at most 16 bits"));
  }
  const json* output = root.Find({"output"});
  if (output == nullptr) return root.Missing("output", "give dtype, scale and zero_point of the output codes");
  QATGAP_ASSIGN_OR_RETURN(d.output, ParseCodes(*output, where, "output"));

  QATGAP_ASSIGN_OR_RETURN(const std::string activation,
                          root.Text({"activation", "fused_activation", "fused_activation_function"}));
  const std::optional<numerics::Activation> found = FindActivation(activation);
  if (!found) return root.Bad("activation", activation, "known are none, relu and relu6");
  d.activation = activation.empty() ? d.op.activation : *found;
  return d;
}

}  // namespace qatgap::vectors
