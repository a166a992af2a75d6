// Reads ONNX models whose quantization is in the file: QuantizeLinear/DequantizeLinear pairs and quantized operators.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "analyzers/frontends/model.h"

namespace qatgap::frontends::onnx {

// `bytes` is a whole ModelProto with all data inside; `name` stands for it in messages. Nothing of it is executed.
// The kind is kConverted where a weight is an integer initializer, kQat where only QuantizeLinear nodes make codes,
// kFloat without either. Graph::convert_style is kAsIs. Constants are folded.
// INVALID_ARGUMENT: not such a file, or a broken one. FAILED_PRECONDITION: data in a file beside it, an opset or an
// operator that is not taken (names operator, node and module). RESOURCE_EXHAUSTED: nesting, unrolled loops, size.
absl::StatusOr<Model> Import(std::string_view bytes, std::string_view name);

}  // namespace qatgap::frontends::onnx
