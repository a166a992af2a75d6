// Reads a TensorFlow Lite model: a full-integer one (int8, uint8, int16x8) or a float one.
//
// Operators on codes become dequantize, the operator on reals, quantize. Weights and int32 biases stay the codes that
// are stored, with the scales that are stored. Inputs and outputs are reals in the file's own layout, so images are N,
// height, width, channels where the file has them so (Graph::input_shapes); inside, convolutions and pools are N,
// channels, height, width. A batch of 1 in the file becomes a batch of any size unless an operator mixes samples.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "analyzers/frontends/model.h"

namespace qatgap::frontends::tflite {

// `bytes` is the whole file; `name` stands for it in messages. Verifies the graph before it returns it.
// INVALID_ARGUMENT: no TensorFlow Lite file, or a damaged one. FAILED_PRECONDITION, naming operator and layer or
// tensor: an operator or option that is not imported, weights of a dynamic-range model, data outside of the flatbuffer.
absl::StatusOr<Model> Import(std::string_view bytes, std::string_view name);

}  // namespace qatgap::frontends::tflite
