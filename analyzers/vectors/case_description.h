// case.json, its words understood, its numbers checked, not yet held against the arrays. Internal.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/numerics/layer_arithmetic.h"
#include "analyzers/numerics/quant_params.h"
#include "analyzers/vectors/code_types.h"

namespace qatgap::vectors {

struct CodeDescription {
  std::string field;  // "input", "input[1]", "weight", "output"
  const CodeType* type = nullptr;
  numerics::QuantParams params;  // of the weight: `axis` as the file counts it, kPerTensor where there is none
};

struct PaddingDescription {
  enum class Kind { kNumbers, kValid, kSame, kSameLower };
  Kind kind = Kind::kNumbers;
  std::vector<std::int64_t> begin, end;  // empty: 0; one entry: every axis
};

enum class Layout { kChannelsFirst, kChannelsLast };

struct CaseDescription {
  std::string runtime_kernel, runtime, version, target;
  std::map<std::string, bool> host;
  OpWord op;
  std::string op_name;  // as it is written
  std::optional<Layout> layout;
  // Empty: not given. One entry: every axis.
  std::vector<std::int64_t> stride, dilation, kernel, output_padding, axes;
  std::optional<std::int64_t> groups;
  PaddingDescription padding;
  bool keep_dims = true, ceil_mode = false, count_include_pad = true;
  std::optional<std::int64_t> divisor_override;
  std::vector<CodeDescription> inputs;
  std::optional<CodeDescription> weight;  // MAC layers
  CodeDescription output;
  numerics::Activation activation = numerics::Activation::kNone;
};

// `where` is the file for messages: "conv_basic/case.json". INVALID_ARGUMENT naming it, the field, its value and the
// remedy. Python's NaN and Infinity are understood, to be refused by name; comments are skipped.
absl::StatusOr<CaseDescription> ParseDescription(std::string_view json, const std::string& where);

}  // namespace qatgap::vectors
