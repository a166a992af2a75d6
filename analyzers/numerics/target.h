// A target: how one runtime or piece of hardware does a MAC layer's integer arithmetic, as data.
// The shipped ones are the files in analyzers/numerics/targets/. See glossary.h for the words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "analyzers/numerics/operator_rules.h"

namespace qatgap::numerics {

enum class BiasMode {
  kFloatBeforeScale,  // t = fl(fl(A) + fl(b / s_xw)), then * M        (FBGEMM)
  kFloatAfterScale,   // d = fl(fl(A) * s_x * s_w[c]) + b, then / s_y  (oneDNN)
  kInteger,           // A + round(b / s_b) in the accumulator         (QNNPACK, XNNPACK, TFLite, ONNX Runtime)
};

enum class Rounding { kHalfToEven, kHalfAwayFromZero, kHalfUp, kHalfDown, kTowardZero, kFloor, kCeiling };

// How b / s_b is formed before it is rounded.
enum class BiasDivision {
  kDivideFloat,              // fl(b / s_b)
  kMultiplyReciprocal,       // fl(b * fl(1 / s_b))
  kDivideDouble,             // b / s_b in binary64
  kReciprocalIfPerTensor,    // per-channel weights: fl(b / s_b); per-tensor: fl(b * fl(1 / s_b))   (FBGEMM)
};

// How s_b is formed from s_x and s_w[c].
enum class BiasScale {
  kProductFloat,          // fl(fl(s_x) * fl(s_w))
  kProductDoubleToFloat,  // fl(double(s_x) * double(s_w))
  kProductDouble,         // double(s_x) * double(s_w)
  kProductDoubleIfPerTensor,  // kProductDouble for per-tensor weights, else kProductFloat    (ExecuTorch)
  kOwnPowerOfTwo,         // smallest 2^k per layer with max |b| / 2^k <= quant_max, shifted into the accumulator
};

// How a bias of kOwnPowerOfTwo, stored * s_b, becomes steps of s_x * s_w[c].
enum class BiasAlignment {
  kShiftHalfUp,    // an integer: round half up, as a rounding shift does
  kShiftFloor,     // an integer: an arithmetic right shift
  kExact,          // a float added to fl(A) before it is scaled
};

// kRefuse: the layer is an error. kAdjustWeights: a channel whose bias needs more than its share of the width gets a
// larger weight scale, and its weights are rounded to it anew (TFLite, ONNX Runtime); see WeightAdjustment.
// kInt32Min: x86's conversion, INT32_MIN for all that does not fit.
enum class BiasOverflow { kSaturate, kWrap, kRefuse, kAdjustWeights, kInt32Min };

// When and to what kAdjustWeights raises s_w[c]; then |stored| stays at or below the limit.
enum class WeightAdjustment {
  kTflite,       // where |b| / s_b > (2^31 - 1) / 2 : s_b := |b| / ((2^31 - 1) / 2), s_w := s_b / s_x
  kOnnxRuntime,  // where s_b < 1.0001 * 2 * |b| / (2^32 - 2) : s_w := that / s_x
};

struct BiasRule {
  BiasMode mode = BiasMode::kInteger;
  int bits = 32;                 // storage width, 2..64; unused for float modes
  bool symmetric_clamp = false;  // saturate to [-(2^(bits-1)-1), 2^(bits-1)-1]
  BiasScale scale = BiasScale::kProductFloat;
  BiasDivision division = BiasDivision::kDivideFloat;
  Rounding rounding = Rounding::kHalfToEven;
  BiasOverflow overflow = BiasOverflow::kSaturate;
  WeightAdjustment adjustment = WeightAdjustment::kTflite;  // kAdjustWeights only
  BiasAlignment alignment = BiasAlignment::kShiftHalfUp;    // kOwnPowerOfTwo only
};

// Whether the bias meets the accumulator as a float.
constexpr bool HasFloatBias(const BiasRule& rule) {
  return rule.mode != BiasMode::kInteger ||
         (rule.scale == BiasScale::kOwnPowerOfTwo && rule.alignment == BiasAlignment::kExact);
}

enum class AccumulatorOverflow { kWrap, kSaturate };

// Whether pairs of products are added in a saturating int16 first, as x86's vpmaddubsw does.
enum class Int16Pairs { kNever, kWithoutVnni };

struct AccumulatorRule {
  int bits = 32;
  AccumulatorOverflow overflow = AccumulatorOverflow::kWrap;
  Int16Pairs int16_pairs = Int16Pairs::kNever;
};

// How a sum A' becomes an output code before the zero point and the clamps. Formulas: requantization.h.
enum class RequantMode {
  kFloat32,             // binary32: fl(A') * M
  kQ31DoubleRounding,   // 31-bit multiplier, high half rounded, then shifted and rounded again  (TFLite, CMSIS-NN)
  kQ31DoubleRoundingHalfUp,  // as above, the shift rounded half up                          (TFLite's vector kernels)
  kQ31SingleRounding,   // 31-bit multiplier, one rounding shift of the 64-bit product            (TFLITE_SINGLE_ROUNDING)
  kTosa,                // TOSA apply_scale_32 with double_round
  kQ15,                 // 15-bit multiplier, one rounding shift of a 64-bit product              (TFLite int16x8)
  kPowerOfTwoShift,     // M is a power of two: a rounding shift
  kFloat64,             // binary64: A' * M                                    (TFLite's reference fully connected)
};

// How M = s_x * s_w / s_y is formed. The binary32 forms are for kFloat32, the others for all other modes. Each scale is
// rounded to binary32 first, as the files of these runtimes store it.
enum class MultiplierForm {
  kProductThenDivide,        // fl(fl(s_x * s_w) / s_y)             (FBGEMM, XNNPACK, ONNX Runtime)
  kProductTimesReciprocal,   // fl(fl(s_w * s_x) * fl(1 / s_y))     (QNNPACK)
  kDouble,                   // s_x * s_w / s_y in binary64         (TFLite)
  kFloatProduct,             // fl(s_x * s_w) / s_y, the quotient in binary64
  kTflite,                   // kFloatProduct for per-tensor weights in linear layers and under unsigned activations,
                             // else kDouble
};

// How A' becomes a real for BiasMode::kFloatAfterScale.
enum class Dequantization {
  kSuccessive,  // fl(fl(fl(A') * s_x) * s_w[c])
  kProduct,     // fl(fl(A') * fl(s_x * s_w[c]))
};

enum class ZeroPointOrder { kAfterRounding, kBeforeRounding };

// What a scaled accumulator becomes that is outside the integers it is converted to. kFloat32 only.
enum class ConversionOverflow {
  kClampFloat,    // clamped to the output's range as a float, before rounding      (XNNPACK, ONNX Runtime)
  kInt32MinPack,  // x86 cvtps2dq: INT32_MIN from 2^31 on; then saturated to int16, zero point added saturating
                  // in int16, clamped to the output's range                        (FBGEMM, QNNPACK)
};

// How the code of 6.0 is formed, the upper limit under ReLU6.
enum class ActivationLimit {
  kReciprocalHalfToEven,   // RNE(fl(6 * fl(1 / s_y))) + z_y
  kDivideHalfAway,         // RHA(fl(6 / s_y)) + z_y                    (TFLite)
  kSumHalfToEven,          // RNE(fl(fl(6 / s_y) + z_y))                (XNNPACK)
};

struct RequantRule {
  RequantMode mode = RequantMode::kFloat32;
  MultiplierForm multiplier = MultiplierForm::kProductThenDivide;
  Rounding rounding = Rounding::kHalfToEven;   // kFloat32 and kPowerOfTwoShift; the other modes have their own
  ZeroPointOrder zero_point = ZeroPointOrder::kAfterRounding;         // kFloat32 only
  ConversionOverflow conversion = ConversionOverflow::kClampFloat;    // kFloat32 only
  Dequantization dequantization = Dequantization::kSuccessive;        // BiasMode::kFloatAfterScale only
  // BiasMode::kFloatAfterScale only: s_x, s_y and in linear layers s_w were stored as reciprocals, so that
  // fl(1 / fl(1 / s)) is used. 17 % of all s differ from it.
  bool reciprocal_scales = false;
  // BiasMode::kFloatBeforeScale only, per-tensor weights: the product of kReciprocalIfPerTensor is not rounded before it
  // is added (a compiler contracted it to a fused multiply-add).
  bool fused_multiply_add = false;
  ActivationLimit activation_limit = ActivationLimit::kReciprocalHalfToEven;
  // Vector kernels that leave channels to scalar code: of every layer the channels from the last multiple of
  // `vector_channels` on are requantized by `tail_mode`. 0: all channels alike.
  int vector_channels = 0;
  RequantMode tail_mode = RequantMode::kQ31DoubleRounding;
  // The multipliers the target takes: multiplier_min <= M < multiplier_max; 0: no limit.
  double multiplier_min = 0;
  double multiplier_max = 0;
};

// The engine linked into qatgap that is this target, for the `engine` stage and path.
enum class Engine { kNone, kFbgemm, kQnnpack, kX86, kOnednn };

enum class EvidenceKind { kVerified, kFromSource, kUnverified };

struct Evidence {
  EvidenceKind kind = EvidenceKind::kUnverified;
  std::string detail;  // which runtime, version and how many vectors; or which source was read
};

// Which scales a model must have to run on the target at all.
enum class ScaleRequirement { kAny, kPowerOfTwo };

// What a rule may depend on besides the layer's constants.
struct MacTraits {
  bool linear = false;          // not a convolution
  bool transposed = false;
  bool depthwise = false;       // one input channel a group, more than one group
  std::int64_t groups = 1;
  std::int64_t group_inputs = 0;   // channels of a group; 0: not known
  std::int64_t group_outputs = 0;
  bool output_padding = false;     // of a transposed convolution
  bool symmetric_weights = true;   // every zero point is 0
  bool unsigned_activations = true;
  bool wide_activations = false;   // more than 8 bits
  int bias_bits = 0;               // width of the integers a model stores its bias in, 32 or 64; 0: it stores reals
  bool host_has_vnni = true;       // AVX512-VNNI on the host the runtime runs on
  friend bool operator==(const MacTraits&, const MacTraits&) = default;
};

// A target that is one of several others, by layer and host: pytorch-x86. The first whose conditions hold is taken.
struct Delegate {
  enum class Layers {
    kAny,
    kConvolution,
    kLinear,
    kDepthwise,
    kGrouped,       // not depthwise
    kTransposed,
    kUnevenGroups,  // groups whose channels are no multiples of 4, but not one in and one out (oneDNN)
  };
  enum class Host { kAny, kVnni, kNoVnni };
  enum class Activations { kAny, kSigned, kUnsigned, kInt16 };  // kInt16: more than 8 bits
  enum class Weights { kAny, kSymmetric };
  enum class OutputPadding { kAny, kNone };
  Layers layers = Layers::kAny;
  Host host = Host::kAny;
  Activations activations = Activations::kAny;
  Weights weights = Weights::kAny;
  OutputPadding output_padding = OutputPadding::kAny;
  std::int64_t max_groups = 0;  // 0: any
  int bias_bits = 0;            // integer biases of this width only; 0: any bias
  std::string target;           // a shipped one, which may delegate in turn
};

struct TargetDescription {
  std::string name;     // "pytorch-qnnpack": lower case, digits, '-'
  std::string title;    // "PyTorch, QNNPACK engine"
  std::string summary;  // one or two sentences on what a user must know
  std::string source;   // where the formula is from
  Evidence evidence;
  Engine engine = Engine::kNone;
  std::vector<Delegate> delegates = {};  // not empty: the rules below are not used
  ScaleRequirement scales = ScaleRequirement::kAny;
  BiasRule bias;
  AccumulatorRule accumulator;
  RequantRule requantization;
  OperatorRules operators;  // also of a target that delegates
};

// `target`, or the shipped target it delegates such a layer to, which never delegates itself. NOT_FOUND when no delegate
// fits, naming the traits.
absl::StatusOr<TargetDescription> ResolveTarget(const TargetDescription& target, const MacTraits& traits);

// The bias rule that stands for the whole target: of one that delegates, the first delegate's that stores integers, else the
// first's.
BiasRule RepresentativeBias(const TargetDescription& target);

// Parses one description (YAML, the format of analyzers/numerics/targets/*.yaml). INVALID_ARGUMENT names the
// field, its value and the accepted ones; unknown keys are errors. `where` stands for the file in messages.
absl::StatusOr<TargetDescription> ParseTarget(std::string_view yaml, std::string_view where);

// The shipped targets, sorted by name; parsed once from the embedded files. Thread-safe.
const std::vector<TargetDescription>& ShippedTargets();

// NOT_FOUND names the nearest shipped name and lists all.
absl::StatusOr<TargetDescription> FindTarget(std::string_view name);

// SHA-256-free stable digest (FNV-1a 64, hex) of every field that changes results; titles and prose do not count.
std::string ArithmeticDigest(const TargetDescription& target);

// A person's view: formula, rounding, limits, evidence. Lines end with '\n', at most 100 columns.
std::string Describe(const TargetDescription& target);

std::string_view ToString(BiasMode value);
std::string_view ToString(Rounding value);
std::string_view ToString(BiasScale value);
std::string_view ToString(BiasDivision value);
std::string_view ToString(BiasOverflow value);
std::string_view ToString(BiasAlignment value);
std::string_view ToString(WeightAdjustment value);
std::string_view ToString(AccumulatorOverflow value);
std::string_view ToString(Int16Pairs value);
std::string_view ToString(RequantMode value);
std::string_view ToString(MultiplierForm value);
std::string_view ToString(ZeroPointOrder value);
std::string_view ToString(ConversionOverflow value);
std::string_view ToString(Dequantization value);
std::string_view ToString(ActivationLimit value);
std::string_view ToString(ScaleRequirement value);
std::string_view ToString(Delegate::Layers value);
std::string_view ToString(Delegate::Host value);
std::string_view ToString(Delegate::Activations value);
std::string_view ToString(Delegate::Weights value);
std::string_view ToString(Delegate::OutputPadding value);
std::string_view ToString(AddRule value);
std::string_view ToString(MulRule value);
std::string_view ToString(ConcatRule value);
std::string_view ToString(AveragePoolRule value);
std::string_view ToString(MeanRule value);
std::string_view ToString(Engine value);
std::string_view ToString(EvidenceKind value);

}  // namespace qatgap::numerics
