// A target: how one runtime or piece of hardware does a MAC layer's integer arithmetic, as data.
// The shipped ones are the files in analyzers/numerics/targets/. See glossary.h for the words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace qatgap::numerics {

enum class BiasMode {
  kFloatBeforeScale,  // t = fl(fl(A) + fl(b / s_xw)), then * M        (FBGEMM)
  kFloatAfterScale,   // d = fl(fl(A) * s_x * s_w[c]) + b, then / s_y  (oneDNN)
  kInteger,           // A + round(b / s_b) in the accumulator         (QNNPACK, XNNPACK, TFLite, ONNX Runtime)
};

enum class Rounding { kHalfToEven, kHalfAwayFromZero, kHalfUp, kTowardZero, kFloor };

// How b / s_b is formed before it is rounded.
enum class BiasDivision {
  kDivideFloat,           // fl(b / s_b)
  kMultiplyReciprocal,    // fl(b * fl(1 / s_b))
  kDivideDouble,          // b / s_b in binary64
};

// How s_b is formed from s_x and s_w[c].
enum class BiasScale {
  kProductFloat,          // fl(fl(s_x) * fl(s_w))
  kProductDoubleToFloat,  // fl(double(s_x) * double(s_w))
  kProductDouble,         // double(s_x) * double(s_w)
  kOwnPowerOfTwo,         // smallest 2^k per layer with max |b| / 2^k <= quant_max, shifted into the accumulator
};

enum class BiasOverflow { kSaturate, kWrap, kRefuse };

struct BiasRule {
  BiasMode mode = BiasMode::kInteger;
  int bits = 32;                 // storage width, 2..64; unused for float modes
  bool symmetric_clamp = false;  // saturate to [-(2^(bits-1)-1), 2^(bits-1)-1]
  BiasScale scale = BiasScale::kProductFloat;
  BiasDivision division = BiasDivision::kDivideFloat;
  Rounding rounding = Rounding::kHalfToEven;
  BiasOverflow overflow = BiasOverflow::kSaturate;
};

enum class AccumulatorOverflow { kWrap, kSaturate };

// Whether pairs of products are added in a saturating int16 first, as x86's vpmaddubsw does.
enum class Int16Pairs { kNever, kWithoutVnni };

struct AccumulatorRule {
  int bits = 32;
  AccumulatorOverflow overflow = AccumulatorOverflow::kWrap;
  Int16Pairs int16_pairs = Int16Pairs::kNever;
};

enum class RequantMode { kFloat32 };

// How M is formed in binary32.
enum class MultiplierForm {
  kProductThenDivide,      // fl(fl(s_x * s_w) / s_y)             (FBGEMM, XNNPACK, ONNX Runtime)
  kProductTimesReciprocal  // fl(fl(s_w * s_x) * fl(1 / s_y))     (QNNPACK)
};

enum class ZeroPointOrder { kAfterRounding, kBeforeRounding };

// What a scaled accumulator becomes that is outside the integers it is converted to.
enum class ConversionOverflow {
  kClampFloat,    // clamped to the output's range as a float, before rounding      (XNNPACK, ONNX Runtime)
  kInt32MinPack,  // x86 cvtps2dq: INT32_MIN from 2^31 on; then saturated to int16, zero point added saturating
                  // in int16, clamped to the output's range                        (FBGEMM, QNNPACK)
};

struct RequantRule {
  RequantMode mode = RequantMode::kFloat32;
  MultiplierForm multiplier = MultiplierForm::kProductThenDivide;
  Rounding rounding = Rounding::kHalfToEven;
  ZeroPointOrder zero_point = ZeroPointOrder::kAfterRounding;
  ConversionOverflow conversion = ConversionOverflow::kClampFloat;
};

// The engine linked into qatgap that is this target, for the `engine` stage and path.
enum class Engine { kNone, kFbgemm, kQnnpack };

enum class EvidenceKind { kVerified, kFromSource, kUnverified };

struct Evidence {
  EvidenceKind kind = EvidenceKind::kUnverified;
  std::string detail;  // which runtime, version and how many vectors; or which source was read
};

struct TargetDescription {
  std::string name;     // "pytorch-qnnpack": lower case, digits, '-'
  std::string title;    // "PyTorch, QNNPACK engine"
  std::string summary;  // one or two sentences on what a user must know
  std::string source;   // where the formula is from
  Evidence evidence;
  Engine engine = Engine::kNone;
  BiasRule bias;
  AccumulatorRule accumulator;
  RequantRule requantization;
};

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
std::string_view ToString(AccumulatorOverflow value);
std::string_view ToString(Int16Pairs value);
std::string_view ToString(RequantMode value);
std::string_view ToString(MultiplierForm value);
std::string_view ToString(ZeroPointOrder value);
std::string_view ToString(ConversionOverflow value);
std::string_view ToString(Engine value);
std::string_view ToString(EvidenceKind value);

}  // namespace qatgap::numerics
