#include "analyzers/handoff/c_header.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "analyzers/numerics/target.h"
#include "analyzers/status/string_view.h"

namespace qatgap::handoff {
namespace {

constexpr std::int64_t kLargestArray = 64 << 10;
constexpr std::size_t kColumns = 100;

// The values of *_BIAS, *_REQUANT, *_ROUNDING and *_SCALING.
constexpr std::string_view kConstants = R"(#ifndef QATGAP_HANDOFF_CONSTANTS
#define QATGAP_HANDOFF_CONSTANTS
#define QATGAP_SCALING_MULTIPLY 0      /* v = fl(fl(A') * M) */
#define QATGAP_SCALING_ADD_MULTIPLY 1  /* v = fl(fl(fl(A') + bias) * M) */
#define QATGAP_SCALING_DEQUANTIZE 2    /* d = fl(A' in reals + bias), v = d / s_y or d * (1 / s_y) */
#define QATGAP_SCALING_FUSED_ADD 3     /* v = fl(fma(bias, bias_reciprocal, fl(A')) * M) */
#define QATGAP_REQUANT_FLOAT32 0
#define QATGAP_REQUANT_FLOAT64 1
#define QATGAP_REQUANT_Q31_DOUBLE_ROUNDING 2
#define QATGAP_REQUANT_Q31_DOUBLE_ROUNDING_HALF_UP 3
#define QATGAP_REQUANT_Q31_SINGLE_ROUNDING 4
#define QATGAP_REQUANT_TOSA 5
#define QATGAP_REQUANT_Q15 6
#define QATGAP_REQUANT_POWER_OF_TWO_SHIFT 7
#define QATGAP_ROUND_HALF_TO_EVEN 0
#define QATGAP_ROUND_HALF_AWAY_FROM_ZERO 1
#define QATGAP_ROUND_HALF_UP 2
#define QATGAP_ROUND_HALF_DOWN 3
#define QATGAP_ROUND_TOWARD_ZERO 4
#define QATGAP_ROUND_FLOOR 5
#define QATGAP_ROUND_CEILING 6
#endif
)";

// The target's word in capitals is the macro's: "q31_tosa" -> QATGAP_REQUANT_Q31_TOSA.
std::string Word(std::string_view prefix, std::string_view word) {
  return absl::StrCat(Text(prefix), absl::AsciiStrToUpper(Text(word)));
}

std::string Literal(std::int64_t value) {
  if (value == std::numeric_limits<std::int64_t>::min()) return "(-INT64_C(9223372036854775807) - 1)";
  // -2147483648 is no int in C: its 2147483648 is a literal of its own.
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  const bool narrow = value >= -kMost && value <= kMost;
  return narrow ? absl::StrCat(value) : absl::StrCat("INT64_C(", value, ")");
}
// Hexadecimal floats are exact, and C99 reads them.
std::string Literal(float value) { return absl::StrFormat("%af", value); }
std::string Literal(double value) { return absl::StrFormat("%.17g", value); }

std::string_view IntegerType(std::int64_t min, std::int64_t max) {
  struct Type {
    std::string_view name;
    std::int64_t min, max;
  };
  constexpr std::array<Type, 5> kTypes = {{{"uint8_t", 0, 255},
                                           {"int8_t", -128, 127},
                                           {"uint16_t", 0, 65535},
                                           {"int16_t", -32768, 32767},
                                           {"int32_t", std::numeric_limits<std::int32_t>::min(),
                                            std::numeric_limits<std::int32_t>::max()}}};
  for (const Type& type : kTypes) {
    if (min >= type.min && max <= type.max) return type.name;
  }
  return "int64_t";
}

std::string_view TypeOf(const numerics::QuantParams& params) { return IntegerType(params.quant_min, params.quant_max); }

class Writer {
 public:
  explicit Writer(const LayerHandoff& layer)
      : layer_(layer), arithmetic_(layer.arithmetic), upper_(absl::AsciiStrToUpper(layer.identifier)) {}

  std::string Run() {
    Begin();
    Dimensions();
    Quantization();
    Bias();
    Requantization();
    BatchNorms();
    Tensors();
    absl::StrAppend(&out_, "\n#endif\n");
    return std::move(out_);
  }

 private:
  void Macro(std::string_view name, std::string_view value) {
    absl::StrAppend(&out_, "#define ", upper_, "_", Text(name), " ", Text(value), "\n");
  }
  void Macro(std::string_view name, std::int64_t value) {
    // A negative value in parentheses: 3 -LAYER_ZERO_POINT must stay a difference.
    Macro(name, value < 0 ? absl::StrCat("(", Literal(value), ")") : Literal(value));
  }
  void Title(std::string_view text) { absl::StrAppend(&out_, "\n/* ", Text(text), " */\n"); }

  template <typename T>
  void Array(std::string_view type, std::string_view name, std::span<const T> values) {
    absl::StrAppend(&out_, "static const ", Text(type), " ", layer_.identifier, "_", Text(name), "[", values.size(),
                    "] = {\n");
    std::string line = "   ";
    for (const T value : values) {
      const std::string text = Literal(value);
      if (line.size() + text.size() + 2 > kColumns) {
        absl::StrAppend(&out_, line, "\n");
        line = "   ";
      }
      absl::StrAppend(&line, " ", text, ",");
    }
    absl::StrAppend(&out_, line, "\n};\n");
  }
  template <typename T, typename Value>
  void PerChannel(std::string_view type, std::string_view name, Value value) {
    std::vector<T> values;
    for (std::int64_t c = 0; c < layer_.layer.output_channels; ++c) values.push_back(value(c));
    Array<T>(type, name, values);
  }
  // In the narrowest of int32_t and int64_t that holds them all.
  void Integers(std::string_view name, std::span<const std::int64_t> values) {
    const auto [min, max] = std::minmax_element(values.begin(), values.end());
    using Narrow = std::numeric_limits<std::int32_t>;
    Array(*min >= Narrow::min() && *max <= Narrow::max() ? "int32_t" : "int64_t", name, values);
  }
  template <typename Value>
  void IntegersPerChannel(std::string_view name, Value value) {
    std::vector<std::int64_t> values;
    for (std::int64_t c = 0; c < layer_.layer.output_channels; ++c) values.push_back(value(c));
    Integers(name, values);
  }
  void Codes(std::string_view type, std::string_view name, const graph::Tensor& tensor) {
    const auto codes = tensor.data<std::int32_t>();
    Array<std::int64_t>(type, name, std::vector<std::int64_t>(codes.begin(), codes.end()));
  }

  void Begin() {
    absl::StrAppend(&out_, "/* ", DisplayName(layer_.layer.name), ", ", vectors::OpName(layer_.golden), ", for target ",
                    DisplayName(arithmetic_.target().name), ". Written by qatgap handoff; README.md explains it. */\n");
    absl::StrAppend(&out_, "#ifndef QATGAP_", upper_, "_H\n#define QATGAP_", upper_, "_H\n\n#include <stdint.h>\n\n",
                    Text(kConstants));
  }

  void Axes(std::string_view name, const graph::Shape& shape, std::size_t first, std::int64_t missing) {
    constexpr std::array<std::string_view, 3> kAxes = {"_D", "_H", "_W"};
    const std::size_t axes = shape.size() - first;
    for (std::size_t i = 0; i < kAxes.size(); ++i) {
      const bool present = i + axes >= kAxes.size();
      Macro(absl::StrCat(Text(name), Text(kAxes[i])), present ? shape[first + i + axes - kAxes.size()] : missing);
    }
  }

  void Dimensions() {
    Title("Tensors are [batch][channel][D][H][W]; axes that the layer lacks have extent 1. A linear layer is a 1x1x1\n"
          "   convolution of BATCH rows. Weights are [output][input / groups][D][H][W], transposed convolutions'\n"
          "   [input][output / groups][D][H][W].");
    const vectors::Case& golden = layer_.golden;
    const graph::Shape& input = golden.input_codes[0].shape();
    const graph::Shape& output = golden.output_codes.shape();
    const bool linear = layer_.layer.kind == graph::OpKind::kLinear;
    const graph::ConvolutionAttributes& conv = golden.convolution;
    Macro("BATCH", input[0]);
    Macro("IN_CHANNELS", input[1]);
    Axes("IN", input, 2, 1);
    Macro("OUT_CHANNELS", output[1]);
    Axes("OUT", output, 2, 1);
    Axes("KERNEL", golden.weight_codes.shape(), 2, 1);
    const graph::Shape none;
    Axes("STRIDE", linear ? none : conv.stride, 0, 1);
    Axes("PAD", linear ? none : conv.padding, 0, 0);
    Axes("DILATION", linear ? none : conv.dilation, 0, 1);
    Macro("GROUPS", linear ? 1 : conv.groups);
    Macro("TRANSPOSED", !linear && conv.transposed ? 1 : 0);
  }

  void Quantization() {
    Title("real = scale * (code - zero_point). The activation is in OUTPUT_MIN and OUTPUT_MAX.");
    const vectors::Case& golden = layer_.golden;
    const numerics::OutputRange& range = arithmetic_.output_range();
    Macro("INPUT_SCALE", Literal(golden.inputs[0].scale()));
    Macro("INPUT_ZERO_POINT", golden.inputs[0].zero_point());
    Macro("OUTPUT_SCALE", Literal(golden.output.scale()));
    Macro("OUTPUT_ZERO_POINT", golden.output.zero_point());
    Macro("OUTPUT_MIN", range.min);
    Macro("OUTPUT_MAX", range.max);
    PerChannel<double>("double", "weight_scale",
                       [&](std::int64_t c) { return golden.weight.scale(static_cast<std::size_t>(c)); });
    IntegersPerChannel("weight_zero_point",
                       [&](std::int64_t c) { return golden.weight.zero_point(static_cast<std::size_t>(c)); });
  }

  void Bias() {
    const numerics::BiasRule& rule = arithmetic_.target().bias;
    const numerics::AccumulatorRule& accumulator = arithmetic_.target().accumulator;
    Title("A' = A + bias_added in an accumulator that wraps or saturates; bias_float is added later, see SCALING.");
    Macro("ACCUMULATOR_BITS", accumulator.bits);
    Macro("ACCUMULATOR_SATURATES", accumulator.overflow == numerics::AccumulatorOverflow::kSaturate ? 1 : 0);
    PerChannel<double>("double", "bias_real", [&](std::int64_t c) { return arithmetic_.stored_bias(c).real; });
    if (rule.mode == numerics::BiasMode::kInteger) {
      PerChannel<double>("double", "bias_scale", [&](std::int64_t c) { return arithmetic_.stored_bias(c).scale; });
      IntegersPerChannel("bias_stored", [&](std::int64_t c) { return arithmetic_.stored_bias(c).stored; });
    }
    IntegersPerChannel("bias_added",
                       [&](std::int64_t c) { return arithmetic_.requant_constants(c).accumulator_bias; });
    if (numerics::HasFloatBias(rule)) {
      PerChannel<float>("float", "bias_float", [&](std::int64_t c) { return arithmetic_.requant_constants(c).bias; });
    }
  }

  void Requantization() {
    Title("From A' to v, a rounded integer; then + OUTPUT_ZERO_POINT and the clamp.");
    const auto constants = [&](std::int64_t c) -> const numerics::RequantConstants& {
      return arithmetic_.requant_constants(c);
    };
    const numerics::RequantRule& rule = arithmetic_.target(0).requantization;
    Macro("REQUANT", Word("QATGAP_REQUANT_", numerics::ToString(rule.mode)));
    Tail();
    PerChannel<double>("double", "multiplier_real", [&](std::int64_t c) { return arithmetic_.multiplier(c); });
    switch (rule.mode) {
      case numerics::RequantMode::kFloat32:
        FloatRequantization();
        return;
      case numerics::RequantMode::kFloat64:
        Macro("ROUNDING", Word("QATGAP_ROUND_", numerics::ToString(rule.rounding)));
        PerChannel<double>("double", "multiplier", [&](std::int64_t c) { return constants(c).multiplier64; });
        return;
      case numerics::RequantMode::kPowerOfTwoShift:
        Macro("ROUNDING", Word("QATGAP_ROUND_", numerics::ToString(rule.rounding)));
        IntegersPerChannel("right_shift", [&](std::int64_t c) { return constants(c).right_shift; });
        return;
      default:
        break;
    }
    const std::int64_t last = layer_.layer.output_channels - 1;  // of the tail, if there is one
    const bool q15 = rule.mode == numerics::RequantMode::kQ15 ||
                     arithmetic_.target(last).requantization.mode == numerics::RequantMode::kQ15;
    Title(q15 ? "M = mantissa * 2^(shift - 31); with 15 bits mantissa_q15 * 2^(shift - 15)."
              : "M = mantissa * 2^(shift - 31).");
    IntegersPerChannel("mantissa", [&](std::int64_t c) { return constants(c).fixed.mantissa; });
    if (q15) {
      IntegersPerChannel("mantissa_q15", [&](std::int64_t c) { return numerics::ReduceToQ15(constants(c).fixed); });
    }
    IntegersPerChannel("shift", [&](std::int64_t c) { return constants(c).fixed.shift; });
  }

  // The channels that a vector kernel leaves to scalar code, and their mode.
  void Tail() {
    const numerics::RequantMode mode = arithmetic_.target(0).requantization.mode;
    std::int64_t first = 0;
    while (first < layer_.layer.output_channels && arithmetic_.target(first).requantization.mode == mode) ++first;
    Macro("FIRST_TAIL_CHANNEL", first);
    const std::int64_t channel = first < layer_.layer.output_channels ? first : 0;
    Macro("TAIL_REQUANT", Word("QATGAP_REQUANT_", numerics::ToString(arithmetic_.target(channel).requantization.mode)));
  }

  void FloatRequantization() {
    const numerics::TargetDescription& target = arithmetic_.target();
    const numerics::RequantRule& rule = target.requantization;
    const bool dequantizes = target.bias.mode == numerics::BiasMode::kFloatAfterScale;
    const auto constants = [&](std::int64_t c) -> const numerics::RequantConstants& {
      return arithmetic_.requant_constants(c);
    };
    bool fused = false;
    for (std::int64_t c = 0; c < layer_.layer.output_channels; ++c) fused |= constants(c).bias_reciprocal != 0;
    if (fused) {
      PerChannel<float>("float", "bias_reciprocal", [&](std::int64_t c) { return constants(c).bias_reciprocal; });
    }
    Macro("SCALING", fused                                ? "QATGAP_SCALING_FUSED_ADD"
                     : dequantizes                        ? "QATGAP_SCALING_DEQUANTIZE"
                     : numerics::HasFloatBias(target.bias) ? "QATGAP_SCALING_ADD_MULTIPLY"
                                                           : "QATGAP_SCALING_MULTIPLY");
    Macro("ROUNDING", Word("QATGAP_ROUND_", numerics::ToString(rule.rounding)));
    Macro("ZERO_POINT_BEFORE_ROUNDING", rule.zero_point == numerics::ZeroPointOrder::kBeforeRounding ? 1 : 0);
    Title("1: v of 2^31 and more becomes -2^31, then v saturates to 16 bits. 0: v is only clamped.");
    Macro("INT32_MIN_PACK", rule.conversion == numerics::ConversionOverflow::kInt32MinPack ? 1 : 0);
    if (dequantizes) {
      Title("Of QATGAP_SCALING_DEQUANTIZE; by product, multiplier is fl(s_x * s_w).");
      Macro("DEQUANTIZE_BY_PRODUCT", rule.dequantization == numerics::Dequantization::kProduct ? 1 : 0);
      Macro("DIVIDE_BY_RECIPROCAL", rule.multiplier == numerics::MultiplierForm::kProductTimesReciprocal ? 1 : 0);
      Macro("INPUT_SCALE_FLOAT", Literal(constants(0).input_scale));
      Macro("OUTPUT_SCALE_FLOAT", Literal(constants(0).output_scale));
      PerChannel<float>("float", "weight_scale_float", [&](std::int64_t c) { return constants(c).weight_scale; });
    }
    PerChannel<float>("float", "multiplier", [&](std::int64_t c) { return constants(c).multiplier; });
  }

  void BatchNorms() {
    int number = 0;
    for (const graph::BatchNormFold& fold : layer_.layer.batch_norms) {
      Title("The batch norm in bias_real and the weights: s = gamma / sqrt(variance + epsilon),\n"
            "   folded bias = (bias - mean) * s + beta.");
      // A second one behind the first, which no common model has, is numbered.
      const std::string name = ++number == 1 ? "batch_norm" : absl::StrCat("batch_norm", number);
      Macro(absl::StrCat(absl::AsciiStrToUpper(name), "_EPSILON"), Literal(fold.epsilon));
      const std::array<std::pair<std::string_view, const std::vector<double>*>, 7> parts = {
          {{"gamma", &fold.gamma}, {"beta", &fold.beta}, {"mean", &fold.mean}, {"variance", &fold.variance},
           {"bias", &fold.bias}, {"s", &fold.factor}, {"folded_bias", &fold.folded_bias}}};
      for (const auto& [part, values] : parts) Array<double>("double", absl::StrCat(name, "_", Text(part)), *values);
    }
  }

  void Tensors() {
    const vectors::Case& golden = layer_.golden;
    const bool weight = golden.weight_codes.elements() <= kLargestArray;
    Title(weight ? "Weights." : "More weights than a header should hold: read weight.npy.");
    Macro("HAS_WEIGHT", weight ? 1 : 0);
    Macro("WEIGHT_TYPE", TypeOf(golden.weight));
    if (weight) Codes(TypeOf(golden.weight), "weight", golden.weight_codes);
    const bool vectors_fit = golden.input_codes[0].elements() + golden.output_codes.elements() <= kLargestArray;
    Title(vectors_fit ? "Golden input and output, and A in front of the bias."
                      : "More golden vectors than a header should hold: read input.npy and output.npy.");
    Macro("HAS_GOLDEN", vectors_fit ? 1 : 0);
    Macro("INPUT_TYPE", TypeOf(golden.inputs[0]));
    Macro("OUTPUT_TYPE", TypeOf(golden.output));
    if (!vectors_fit) return;
    Codes(TypeOf(golden.inputs[0]), "input", golden.input_codes[0]);
    Integers("accumulator", layer_.accumulators.data<std::int64_t>());
    Codes(TypeOf(golden.output), "output", golden.output_codes);
  }

  const LayerHandoff& layer_;
  const numerics::LayerArithmetic& arithmetic_;
  const std::string upper_;
  std::string out_;
};

}  // namespace

std::string CHeader(const LayerHandoff& layer) { return Writer(layer).Run(); }

}  // namespace qatgap::handoff
