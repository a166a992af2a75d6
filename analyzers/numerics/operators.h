// Quantized operators without a bias, on codes, bit exact. See glossary.h and operator_rules.h.
//
// s_a, z_a, s_b, z_b: inputs; s_x, z_x: the only input; s_y, z_y: output; fl: to binary32; RNE, RHA: to the nearest integer,
// ties to even, away from zero; D: MultiplyDoubleRounding, R: MultiplyDoubleRoundingHalfUp, QM: QuantizeMultiplier. Every
// result is clamped to the output's range with the activation in it. Formulas measured on LibTorch 2.13, LiteRT 2.3, ONNX
// Runtime 1.32: tests/golden.
//
// Add      kFloat        RNE(fl(fl(fl(a - z_a) * s_a) + fl(fl(b - z_b) * s_b)) * fl(1 / s_y)) + z_y
//          kPytorch      elements before the last multiple of 64: v = fl(fma(s_a, a, fl(-z_a * s_a)) + the same of b),
//                        RNE(fl(v * fl(1 / s_y))) + z_y; the rest: v as kFloat, RNE(fl(fl(v * fl(1 / s_y)) + z_y))
//          kQnnpack      r = fl(s / s_y), n = 21 - exponent(max r), m = RNE(r * 2^n): RHA((sum m (x - z)) / 2^n) + z_y
//          kTflite       T = 2 max(s_a, s_b), L = 20 (int16: 15): t = sum D((x - z) << L, QM(s / T)); D(t, QM(T / (2^L s_y)))
//          kXnnpack      r as kQnnpack, n = 20 - floor(log2 max r): (sum m (x - z) + 2^(n-1)) >> n, + z_y
//          kOnnxRuntime  r as kQnnpack, f = fl(z_y - fma(r_a, z_a, fl(r_b * z_b))): RNE(fma(a, r_a, fma(b, r_b, f)))
// Mul, p = (a - z_a)(b - z_b), M = fl(fl(s_a * s_b) / s_y)
//          kFloat        as Add, with the product
//          kPytorch      RNE(fl(fl(p) * fl(fl(s_a * s_b) * fl(1 / s_y)))) + z_y
//          kTflite       D(p, QM(M)) + z_y; kTfliteMicro: M in binary64
//          kXnnpack      RNE(clamp(fl(fl(p) * M))) + z_y; kOnnxRuntime: RNE(fl(fl(fl(p) * M) + z_y))
// Concat   kCopy         the codes; the others copy inputs whose qparams are the output's (kPytorch, kFloat: do not)
//          kFloat        RNE(fl(fl(x - z_x) * s_x) * fl(1 / s_y)) + z_y
//          kPytorch      RNE(fma(fl(fl(x - z_x) * s_x), fl(1 / s_y), z_y)); channels last: as Add, by 16 channels
//          kTflite       s = fl(s_x * fl(1 / s_y)): RHA(fl(fl(x * s) + fl(-z_x * s))) + z_y
//          kOnnxRuntime  RNE(clamp(fl(fl((x - z_x) * s_x) / s_y))) + z_y
// Average pool, A = sum (x - z_x) over the window, n elements (with the padding where it counts)
//          kFloat        RNE(fl(fl(A * s_x) / n) * fl(1 / s_y)) + z_y
//          kPytorch      m = fl(1 / n): RNE(fl(fl(A * m) + z)); channels last, the channels before the last multiple of 16:
//                        RNE(fl(A * m)) + z. Adaptive: RNE(fl(sum x * fl(fl(1 / height) / width))); channels last
//                        RNE(fma(A, m, z))
//          kQnnpack      RNE(fl(A * fl(s / fl(s * n)))) + z, n the whole window
//          kTflite       S = sum x inside the image, n inside: S > 0 ? (S + n / 2) / n : (S - n / 2) / n, toward zero
//          kOnnxRuntime  sum in row-major order in binary32 of fl((x - z_x) * s_x): RNE(fl(fl(fl(sum / n) / s_y) + z_y))
// Mean, A and n over the reduced axes, S = sum x
//          kFloat, kPytorch (not channels last), kQnnpack: as average pool; kFloat scales by s_x and s_y
//          kTflite       (m, e) = QM(s_x / s_y), k = min(floor(log2 n), 32, 31 + e): D(A, {(m << k) / n, e - k}) + z_y
//          kTfliteVector over height and width of 8-bit codes: M = QM(fl(s_x / fl(n * s_y))), channels before the last
//                        multiple of 16 (int8): R(S, M), the rest D(S, M), + z_y - trunc(fl(t + 0.5 sign(t))),
//                        t = fl(fl(z_x * s_x) / s_y); else kTflite
//          kXnnpack      M = fl(fl(s_x / s_y) * fl(1 / n)): RNE(clamp(fl(fl(S * M) + fl(z_y - fl(fl(n z_x) * M)))))
//          kOnnxRuntime  M = fl(s_x / fl(s_y * n)): RNE(clamp(fl(A * M))) + z_y
#pragma once

#include <cstdint>
#include <span>

#include "analyzers/numerics/operator_rules.h"
#include "analyzers/numerics/quant_params.h"
#include "analyzers/numerics/requantization.h"

namespace qatgap::numerics {

// Preconditions of all functions: operator_limits.h. Codes are inside their range; there is no NaN or infinity then.

// Two inputs and the output; `range` has the output's zero point and limits.
struct BinaryOperands {
  QuantParams a, b, output;
  OutputRange range;
};

// Codes of equally many elements, in memory order: kPytorch rounds the last ones otherwise. Per tensor qparams.
void AddCodes(AddRule rule, const BinaryOperands& operands, std::span<const std::int32_t> a,
              std::span<const std::int32_t> b, std::span<std::int32_t> codes);
void MulCodes(MulRule rule, const BinaryOperands& operands, std::span<const std::int32_t> a,
              std::span<const std::int32_t> b, std::span<std::int32_t> codes);

// One input and the output.
struct UnaryOperands {
  QuantParams input, output;
  OutputRange range;
};

// Where an element stands, for kernels whose vector code rounds otherwise than the scalar code behind it.
struct KernelPosition {
  bool channels_last = false;
  bool vector_body = true;   // before the last multiple of 16 channels
};

// One code of an input of a concat.
std::int32_t ConcatCode(ConcatRule rule, const UnaryOperands& operands, KernelPosition position, std::int32_t code);

struct PoolWindow {
  std::span<const std::int32_t> codes;   // inside the image, row-major
  std::int64_t count = 0;                // n: codes, and the padding where it counts
  std::int64_t height = 1, width = 1;    // of the whole window
  bool adaptive = false;                 // adaptive_avg_pool2d
};
std::int32_t AveragePoolCode(AveragePoolRule rule, const UnaryOperands& operands, KernelPosition position,
                             const PoolWindow& window);

// `spatial`: the reduced axes are height and width of four and are kept. `sum` = sum x.
struct ReducedElements {
  std::int64_t sum = 0;
  std::int64_t count = 1;
  bool spatial = false;
};
std::int32_t MeanCode(MeanRule rule, const UnaryOperands& operands, KernelPosition position,
                      const ReducedElements& elements);

}  // namespace qatgap::numerics
