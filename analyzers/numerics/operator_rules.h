// How a runtime computes the quantized operators that carry no bias: add, mul, concat, average pool, mean. The formulas are
// in operators.h, by rule.
#pragma once

#include <array>

#include "analyzers/numerics/enum_name.h"

namespace qatgap::numerics {

// kFloat, everywhere: dequantize, compute in binary32, requantize; what a target that says nothing of an operator is taken
// to do.
enum class AddRule { kFloat, kPytorch, kQnnpack, kTflite, kXnnpack, kOnnxRuntime };
enum class MulRule { kFloat, kPytorch, kTflite, kTfliteMicro, kXnnpack, kOnnxRuntime };
enum class ConcatRule { kFloat, kCopy, kPytorch, kTflite, kOnnxRuntime };  // kCopy: all scales must be the output's
enum class AveragePoolRule { kFloat, kPytorch, kQnnpack, kTflite, kOnnxRuntime };
enum class MeanRule { kFloat, kPytorch, kQnnpack, kTflite, kTfliteVector, kXnnpack, kOnnxRuntime };

struct OperatorRules {
  AddRule add = AddRule::kFloat;
  MulRule mul = MulRule::kFloat;
  ConcatRule concat = ConcatRule::kFloat;
  AveragePoolRule average_pool = AveragePoolRule::kFloat;
  MeanRule mean = MeanRule::kFloat;
  friend bool operator==(const OperatorRules&, const OperatorRules&) = default;
};

inline constexpr std::array kAddRuleNames = {
    EnumName<AddRule>{AddRule::kFloat, "float"},     EnumName<AddRule>{AddRule::kPytorch, "pytorch"},
    EnumName<AddRule>{AddRule::kQnnpack, "qnnpack"}, EnumName<AddRule>{AddRule::kTflite, "tflite"},
    EnumName<AddRule>{AddRule::kXnnpack, "xnnpack"}, EnumName<AddRule>{AddRule::kOnnxRuntime, "onnxruntime"},
};
inline constexpr std::array kMulRuleNames = {
    EnumName<MulRule>{MulRule::kFloat, "float"},     EnumName<MulRule>{MulRule::kPytorch, "pytorch"},
    EnumName<MulRule>{MulRule::kTflite, "tflite"},   EnumName<MulRule>{MulRule::kTfliteMicro, "tflite_micro"},
    EnumName<MulRule>{MulRule::kXnnpack, "xnnpack"}, EnumName<MulRule>{MulRule::kOnnxRuntime, "onnxruntime"},
};
inline constexpr std::array kConcatRuleNames = {
    EnumName<ConcatRule>{ConcatRule::kFloat, "float"},
    EnumName<ConcatRule>{ConcatRule::kCopy, "copy"},
    EnumName<ConcatRule>{ConcatRule::kPytorch, "pytorch"},
    EnumName<ConcatRule>{ConcatRule::kTflite, "tflite"},
    EnumName<ConcatRule>{ConcatRule::kOnnxRuntime, "onnxruntime"},
};
inline constexpr std::array kAveragePoolRuleNames = {
    EnumName<AveragePoolRule>{AveragePoolRule::kFloat, "float"},
    EnumName<AveragePoolRule>{AveragePoolRule::kPytorch, "pytorch"},
    EnumName<AveragePoolRule>{AveragePoolRule::kQnnpack, "qnnpack"},
    EnumName<AveragePoolRule>{AveragePoolRule::kTflite, "tflite"},
    EnumName<AveragePoolRule>{AveragePoolRule::kOnnxRuntime, "onnxruntime"},
};
inline constexpr std::array kMeanRuleNames = {
    EnumName<MeanRule>{MeanRule::kFloat, "float"},
    EnumName<MeanRule>{MeanRule::kPytorch, "pytorch"},
    EnumName<MeanRule>{MeanRule::kQnnpack, "qnnpack"},
    EnumName<MeanRule>{MeanRule::kTflite, "tflite"},
    EnumName<MeanRule>{MeanRule::kTfliteVector, "tflite_vector"},
    EnumName<MeanRule>{MeanRule::kXnnpack, "xnnpack"},
    EnumName<MeanRule>{MeanRule::kOnnxRuntime, "onnxruntime"},
};

}  // namespace qatgap::numerics
