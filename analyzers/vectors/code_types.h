// The words of the vector format: dtypes of codes, operators, activations. Internal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "analyzers/numerics/layer_arithmetic.h"
#include "analyzers/vectors/case.h"

namespace qatgap::vectors {

struct CodeType {
  std::string_view name;        // "uint8"
  std::string_view descriptor;  // "|u1": of the .npy file
  std::int64_t min, max;
  int bytes;
  bool is_signed;
};

// "uint8", "quint8", "u8", "torch.quint8", "INT8", "|i1", ...; int4 and uint4 are stored in bytes. nullptr: no type of
// codes.
const CodeType* FindCodeType(std::string_view name);

// The first of uint8, int8, uint16, int16, int32 that holds the range.
const CodeType& NarrowestCodeType(std::int64_t min, std::int64_t max);

// Which operator, and what its name says beyond CaseOp.
struct OpWord {
  CaseOp op = CaseOp::kConvolution;
  std::optional<int> spatial_axes;                                // conv1d: 1
  bool depthwise = false;                                         // groups default to the input channels
  numerics::Activation activation = numerics::Activation::kNone;  // conv2d_relu
};

// "conv2d", "Conv", "DEPTHWISE_CONV_2D", "QLinearConv", "fully_connected", ...; nullopt: none that is known.
std::optional<OpWord> FindOp(std::string_view name);

// "relu", "RELU6", "none", ""; nullopt: none that is known.
std::optional<numerics::Activation> FindActivation(std::string_view name);

// Lower case, without '_', '-', ' ' and '.': "Depthwise_Conv-2D" is "depthwiseconv2d".
std::string Plain(std::string_view name);

}  // namespace qatgap::vectors
