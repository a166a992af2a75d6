// One MAC layer under one target: the stages 2 to 6 of the ladder, from exact accumulators to output codes.
//
// Stage                 Output code of channel c for accumulator A = sum (x - z_x)(w - z_w)
//   kReal               clamp(RNE(A*M + b/s_y) + z_y)                         all in binary64
//   kBiasRounded        as kReal, b := round(b/s_b)*s_b, no limit on the integer
//   kBiasStored         as kReal, b := stored(b)*s_b: the target's width and overflow rule
//   kAccumulated        as kBiasStored with A := target_accumulator(A + q_b) - q_b (equal to it unless it overflows)
//   kRequantized        the target's own arithmetic, bit exact, on target_accumulator(A [+ q_b])
// For a target whose bias is float, kBiasRounded and kBiasStored are kReal exactly.
// RNE is round half to even; clamp is to [max(quant_min, activation), quant_max] of the output qparams.
// Normative for stages up to kAccumulated; kRequantized mimics the runtime the target names.
//
// Immutable after Create, safe to share between threads.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/numerics/quant_params.h"
#include "analyzers/numerics/requantization.h"
#include "analyzers/numerics/requantization_kernels.h"
#include "analyzers/numerics/target.h"

namespace qatgap::numerics {

enum class Activation { kNone, kRelu, kRelu6 };

std::string_view ToString(Activation activation);  // "none", "relu", "relu6"

// What a layer's arithmetic depends on besides its accumulators.
struct MacConstants {
  QuantParams input;            // per tensor
  QuantParams weight;           // per tensor or per output channel
  QuantParams output;           // per tensor
  std::vector<double> bias;     // real, one per output channel; empty means no bias
  // The integers an integer-bias target is given, instead of rounding `bias`; empty: it rounds. One per output channel.
  std::vector<std::int64_t> stored_bias = {};
  Activation activation = Activation::kNone;
  std::int64_t channels = 0;    // output channels
  MacTraits traits = {};        // what a target that delegates looks at
};

// The output's codes with the activation folded in: a ReLU raises the lower limit to z_y, a ReLU6 lowers the upper one to the
// code of 6.0 as `limit` forms it.
OutputRange MakeOutputRange(const QuantParams& output, Activation activation, ActivationLimit limit);

enum class ArithmeticStage { kReal, kBiasRounded, kBiasStored, kAccumulated, kRequantized };

// How the target holds the bias of one output channel.
struct StoredBias {
  double real = 0;              // b
  double scale = 0;             // s_b; 0 for float-bias targets
  double rounded = 0;           // round(b / s_b) before any limit, an integer (may exceed 64 bits)
  std::int64_t stored = 0;      // after the width and overflow rule
  bool saturated = false;       // stored != rounded
  double residual_lsb = 0;      // (stored * s_b - b) / s_y: what the layer's output sees, in LSB
  friend bool operator==(const StoredBias&, const StoredBias&) = default;
};

class LayerArithmetic {
 public:
  // INVALID_ARGUMENT: qparams that fail Validate, counts that do not match `channels`, a bias that is not finite.
  // FAILED_PRECONDITION: the target's rules refuse this layer (overflow rule kRefuse, a multiplier out of its range, scales
  // that are no powers of two). A target that delegates is resolved first: target() is the one it delegates to.
  static absl::StatusOr<LayerArithmetic> Create(const TargetDescription& target, MacConstants constants);

  // Codes of one output channel: accumulators[i] -> codes[i], sizes equal.
  void Codes(ArithmeticStage stage, std::int64_t channel, std::span<const std::int32_t> accumulators,
             std::span<std::int32_t> codes) const;
  // Accumulators that may leave int32 (16-bit activations).
  void Codes(ArithmeticStage stage, std::int64_t channel, std::span<const std::int64_t> accumulators,
             std::span<std::int32_t> codes) const;

  // kReal for an input that is not on an integer grid: sums[i] = sum x_real * (w - z_w), real; M := s_w/s_y.
  void RealCodes(std::int64_t channel, std::span<const double> sums, std::span<std::int32_t> codes) const;

  // What Codes computes for kReal to kBiasStored; for kAccumulated too, where no sum overflows. Two layers with equal ones
  // have equal codes.
  AffineKernel Affine(ArithmeticStage stage, std::int64_t channel) const;
  // Whether accumulators within [least, greatest] neither wrap nor saturate with the bias added.
  bool SumsFit(std::int64_t channel, std::int32_t least, std::int32_t greatest) const;

  const StoredBias& stored_bias(std::int64_t channel) const;
  double multiplier(std::int64_t channel) const;  // M[c] in binary64
  const RequantConstants& requant_constants(std::int64_t channel) const;
  const OutputRange& output_range() const { return range_; }
  const MacConstants& constants() const;
  const TargetDescription& target() const;
  // The rules of one channel: they differ from target() where a vector kernel leaves the last channels to scalar code.
  const TargetDescription& target(std::int64_t channel) const;

 private:
  struct Channel {
    double multiplier = 0;          // M
    double weight_over_output = 0;  // s_w / s_y
    double offset_real = 0;         // b / s_y, then with the bias of the two stages
    double offset_rounded = 0;
    double offset_stored = 0;
    RequantConstants requantization;
    StoredBias bias;
  };
  LayerArithmetic(TargetDescription target, MacConstants constants);
  template <typename Accumulator>
  void ComputeCodes(ArithmeticStage stage, std::int64_t channel, std::span<const Accumulator> accumulators,
                    std::span<std::int32_t> codes) const;

  TargetDescription target_, tail_target_;
  std::int64_t first_tail_channel_ = 0;
  MacConstants constants_;
  std::vector<Channel> channels_;
  OutputRange range_;
};

// Whether the two give the same codes for the same accumulators of this channel; false also where that was not seen.
bool SameCodes(ArithmeticStage stage, std::int64_t channel, const LayerArithmetic& a, const LayerArithmetic& b);

}  // namespace qatgap::numerics
