// What a runtime refuses to compute, or qatgap cannot: the preconditions of operators.h. See operator_rules.h.
//
// Every rule   scales 2^-40..2^40, codes of at most 16 bits: no product or quotient leaves binary32
// Add          kQnnpack 2^-14 <= s / s_y < 2^8, kXnnpack 2^-10 <= s / s_y < 2^8, of both inputs; kTflite
//              max(s_a, s_b) / s_y < 2^19 (2^14 for codes of more than 8 bits): its last multiplier is below 1
// Mul          kXnnpack 2^-16 <= s_a * s_b / s_y < 2^8
// Concat       kCopy, and kTflite for signed codes: input and output have the same scale and zero point
// Pools        the same, but for kFloat and kOnnxRuntime
// Mean         kPytorch, kQnnpack: the same. kTflite, kTfliteVector: s_x / s_y < 2^30
// From QNNPACK's add.c, XNNPACK's binary-elementwise-nd.c, TFLite's add.cc and concatenation.cc, TFLite Micro's
// concatenation.cc.
//
// FAILED_PRECONDITION with the tensor, the value, the limit and what to do.
#pragma once

#include "absl/status/status.h"
#include "analyzers/numerics/operators.h"

namespace qatgap::numerics {

absl::Status CheckAdd(AddRule rule, const BinaryOperands& operands);
absl::Status CheckMul(MulRule rule, const BinaryOperands& operands);
absl::Status CheckConcat(ConcatRule rule, const UnaryOperands& operands);
absl::Status CheckAveragePool(AveragePoolRule rule, const UnaryOperands& operands);
// Max pool is exact everywhere: codes are compared and never rescaled.
absl::Status CheckMaxPool(const UnaryOperands& operands);
absl::Status CheckMean(MeanRule rule, const UnaryOperands& operands);

}  // namespace qatgap::numerics
