#include "analyzers/handoff/readme.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "analyzers/numerics/requantization.h"
#include "analyzers/numerics/target.h"
#include "analyzers/status/string_view.h"

namespace qatgap::handoff {
namespace {

constexpr std::string_view kFiles = R"(
## Files
| file | content |
|---|---|
| `model.json` | target, layers in execution order, every operator that is not handed over and why |
| `layers/NN_name/case.json`, `*.npy` | the layer as a golden vector case: int weights, bias, golden input and output; `qatgap target verify` takes the folder `layers` |
| `layers/NN_name/layer.json` | multipliers, stored biases, zero points, clamps, the batch-norm fold, one element worked out |
| `layers/NN_name/layer.h` | all of it as C99: macros and static const arrays, no dependency but `<stdint.h>` |

`bias.npy` is the float bias of the model, `bias_int.npy` what the target stores of it; a target whose bias stays a
float has no `bias_int.npy`, a layer without a bias has neither.
)";

constexpr std::string_view kSymbols = R"(
## Symbols
Names in `layer.h` begin with the layer's identifier (the table of layers has it), macros in capitals.

| symbol | `layer.json` | `layer.h` |
|---|---|---|
| x, w, q: input, weight, output codes | | `input`, `weight`, `output` |
| s_x, z_x; s_w[c], z_w[c]; s_y, z_y | `input`, `weight`, `output` | `INPUT_SCALE`, `INPUT_ZERO_POINT`; `weight_scale`, `weight_zero_point`; `OUTPUT_SCALE`, `OUTPUT_ZERO_POINT` |
| A = sum (x - z_x) * (w - z_w) | `example.accumulator` | `accumulator`: of every golden output |
| b, the real bias; q_b, the stored one at scale s_b | `bias.real`, `bias.stored`, `bias.scale` | `bias_real`, `bias_stored`, `bias_scale` |
| what is added to A; or, as a float, later | `bias.added_to_accumulator`; `bias.float` | `bias_added`; `bias_float` |
| M = s_x * s_w[c] / s_y, exact; as the target holds it | `requantization.multiplier_real`; the other members | `multiplier_real`; `multiplier`, or `mantissa` and `shift`, or `right_shift` |
| clamp, with the activation in it | `clamp` | `OUTPUT_MIN`, `OUTPUT_MAX` |

Padded elements are z_x: they add nothing to A.
)";

std::string Real(double value) { return absl::StrFormat("%.9g", value); }

// A step of the worked example: what is computed, its value, a remark.
void Step(std::string_view what, std::string_view value, std::string_view remark, std::string* out) {
  std::string line = absl::StrCat("    ", Text(what));
  line.resize(std::max<std::size_t>(line.size() + 1, 46), ' ');
  absl::StrAppend(&line, "= ", Text(value));
  if (!remark.empty()) {
    line.resize(std::max<std::size_t>(line.size() + 2, 68), ' ');
    absl::StrAppend(&line, Text(remark));
  }
  absl::StrAppend(out, line, "\n");
}

void FloatSteps(const LayerHandoff& layer, const numerics::TargetDescription& rules, std::string* out) {
  const numerics::RequantTrace& trace = layer.example.trace;
  const numerics::RequantConstants& c = layer.arithmetic.requant_constants(layer.example.channel);
  const std::string multiplier = Real(static_cast<double>(c.multiplier));
  if (rules.bias.mode == numerics::BiasMode::kFloatAfterScale) {
    const bool product = rules.requantization.dequantization == numerics::Dequantization::kProduct;
    Step("b", Real(static_cast<double>(c.bias)), "binary32", out);
    Step(product ? "d = fl(fl(fl(A') * fl(s_x * s_w)) + b)" : "d = fl(fl(fl(fl(A') * s_x) * s_w) + b)",
         Real(trace.biased), absl::StrCat("s_x = ", Real(static_cast<double>(c.input_scale)), ", s_w = ",
                                          Real(static_cast<double>(c.weight_scale))), out);
    const bool reciprocal = rules.requantization.multiplier == numerics::MultiplierForm::kProductTimesReciprocal;
    Step(reciprocal ? "v = fl(d * fl(1 / s_y))" : "v = fl(d / s_y)", Real(trace.scaled),
         absl::StrCat("s_y = ", Real(static_cast<double>(c.output_scale))), out);
    return;
  }
  Step("M", multiplier, "binary32", out);
  if (numerics::HasFloatBias(rules.bias)) {
    if (c.bias_reciprocal != 0) {
      Step("t = fl(fl(A') + b * fl(1 / (s_x * s_w)))", Real(trace.biased), "a fused multiply-add", out);
    } else {
      Step("bias, in steps of s_x * s_w", Real(static_cast<double>(c.bias)), "binary32", out);
      Step("t = fl(fl(A') + bias)", Real(trace.biased), "", out);
    }
    Step("v = fl(t * M)", Real(trace.scaled), "", out);
  } else {
    Step("v = fl(fl(A') * M)", Real(trace.scaled), "", out);
  }
}

void FixedSteps(const LayerHandoff& layer, const numerics::RequantRule& rule, std::string* out) {
  const numerics::RequantTrace& trace = layer.example.trace;
  const numerics::RequantConstants& c = layer.arithmetic.requant_constants(layer.example.channel);
  switch (rule.mode) {
    case numerics::RequantMode::kFloat64:
      Step("M", absl::StrFormat("%.17g", c.multiplier64), "binary64", out);
      Step("v = A' * M in binary64", absl::StrFormat("%.17g", trace.scaled), "", out);
      return;
    case numerics::RequantMode::kPowerOfTwoShift:
      Step("M = 2^-n", Real(std::ldexp(1.0, -c.right_shift)), absl::StrCat("n = ", c.right_shift), out);
      Step("A' * M", Real(trace.scaled), "", out);
      return;
    case numerics::RequantMode::kQ15:
      Step("M = mantissa_q15 * 2^(shift - 15)",
           Real(std::ldexp(static_cast<double>(numerics::ReduceToQ15(c.fixed)), c.fixed.shift - 15)),
           absl::StrCat("mantissa_q15 = ", numerics::ReduceToQ15(c.fixed), ", shift = ", c.fixed.shift), out);
      break;
    default:
      Step("M = mantissa * 2^(shift - 31)", Real(numerics::ToReal(c.fixed)),
           absl::StrCat("mantissa = ", c.fixed.mantissa, ", shift = ", c.fixed.shift), out);
      break;
  }
  Step("A' * M, before any rounding", Real(trace.scaled), "", out);
}

void AppendExample(const LayerHandoff& layer, std::string* out) {
  const std::int64_t channel = layer.example.channel;
  const numerics::TargetDescription& rules = layer.arithmetic.target(channel);
  const numerics::RequantTrace& trace = layer.example.trace;
  const numerics::StoredBias& bias = layer.arithmetic.stored_bias(channel);
  const numerics::OutputRange& range = layer.arithmetic.output_range();
  const numerics::RequantConstants& constants = layer.arithmetic.requant_constants(channel);
  absl::StrAppend(out, "\n## One element, step by step\nLayer ", DisplayName(layer.layer.name), ", output.npy[",
                  absl::StrJoin(layer.example.index, ", "), "], channel ", channel,
                  ". `layer.json` has such an element of every layer.\n\n");
  Step("A = sum (x - z_x) * (w - z_w)", absl::StrCat(trace.accumulator), "", out);
  Step("b", Real(bias.real), layer.layer.shipped_bias.empty() ? "the layer has no bias" : "bias.npy", out);
  if (rules.bias.mode == numerics::BiasMode::kInteger) {
    Step("s_b", Real(bias.scale), "", out);
    Step("q_b", absl::StrCat(bias.stored), absl::StrCat("b / s_b = ", Real(bias.real / bias.scale),
                                                        bias.saturated ? ", saturated" : ""), out);
  }
  if (!numerics::HasFloatBias(rules.bias)) {
    const bool shifted = constants.accumulator_bias != bias.stored;
    Step(shifted ? "A' = A + q_b * s_b / (s_x * s_w)" : "A' = A + q_b", absl::StrCat(trace.sum),
         shifted ? absl::StrCat("A + ", constants.accumulator_bias) : "", out);
  } else {
    Step("A' = A", absl::StrCat(trace.sum), "", out);
  }
  Step("s_x * s_w / s_y, exact", absl::StrFormat("%.17g", layer.arithmetic.multiplier(channel)), "", out);
  if (rules.requantization.mode == numerics::RequantMode::kFloat32) {
    FloatSteps(layer, rules, out);
  } else {
    FixedSteps(layer, rules.requantization, out);
  }
  const bool before = rules.requantization.mode == numerics::RequantMode::kFloat32 &&
                      rules.requantization.zero_point == numerics::ZeroPointOrder::kBeforeRounding;
  if (before) {
    Step("round(fl(v + z_y))", absl::StrFormat("%.0f", trace.rounded), absl::StrCat("z_y = ", range.zero_point), out);
  } else {
    Step("rounded", absl::StrFormat("%.0f", trace.rounded), "", out);
    Step("+ z_y", absl::StrCat(trace.unclamped), absl::StrCat("z_y = ", range.zero_point), out);
  }
  Step(absl::StrCat("clamped to ", range.min, "..", range.max), absl::StrCat(trace.code), "the code in output.npy",
       out);
}

void AppendBatchNorm(std::span<const LayerHandoff> layers, std::string* out) {
  absl::StrAppend(out, "\n## Batch norm\n");
  const auto folded = std::find_if(layers.begin(), layers.end(),
                                   [](const LayerHandoff& layer) { return !layer.layer.batch_norms.empty(); });
  if (folded == layers.end()) {
    absl::StrAppend(out, "No layer of this model has a batch norm to fold: it has none, or conversion folded it before "
                         "(hand over the QAT model to see the parts).\n");
    return;
  }
  const graph::BatchNormFold& fold = folded->layer.batch_norms[0];
  absl::StrAppend(out,
                  "Folded into weights and bias; `batch_norms` of `layer.json` has the parts of every channel.\n\n",
                  "    s  = gamma / sqrt(var + eps)        w' = w * s      (in the weight codes and scales)\n",
                  "    b' = (b - mean) * s + beta          (bias.npy: each operation rounded to binary32, as convert() "
                  "does it)\n\nChannel 0 of ", DisplayName(folded->layer.name), ":\n\n");
  Step("s = gamma / sqrt(var + eps)", Real(fold.factor[0]),
       absl::StrFormat("%.9g / sqrt(%.9g + %.9g)", fold.gamma[0], fold.variance[0], fold.epsilon), out);
  Step("b' = (b - mean) * s + beta", Real(fold.folded_bias[0]),
       absl::StrFormat("(%.9g - %.9g) * %.9g + %.9g", fold.bias[0], fold.mean[0], fold.factor[0], fold.beta[0]), out);
}

void AppendHeaderUse(const LayerHandoff& layer, std::string* out) {
  const std::string upper = absl::AsciiStrToUpper(layer.identifier);
  absl::StrAppend(out, "\n## Using layer.h\n",
                  "Include the headers of as many layers as you like; nothing in them collides. For the first layer:",
                  "\n\n",
                  "    #include \"", layer.folder, "/layer.h\"\n\n",
                  "    for (c = 0; c < ", upper, "_OUT_CHANNELS; ++c)\n",
                  "      for (y = 0; y < ", upper, "_OUT_H; ++y)\n",
                  "        for (x = 0; x < ", upper, "_OUT_W; ++x)\n",
                  "          /* run your model on ", layer.identifier, "_input, compare with\n",
                  "             ", layer.identifier, "_output[(c * ", upper, "_OUT_H + y) * ", upper,
                  "_OUT_W + x] */\n\n",
                  "Compare `", layer.identifier, "_accumulator` first: an element that differs there is a fault of the "
                  "convolution loop, padding or zero points; one that differs only in the output is a fault of bias or "
                  "requantization. `", upper, "_REQUANT`, `_ROUNDING` and `_SCALING` say which rule to implement. A "
                  "header whose `_HAS_WEIGHT` or `_HAS_GOLDEN` is 0 leaves these arrays in the .npy files. Golden "
                  "inputs are synthetic: codes around the zero point, and a first row of both ends of the range.\n");
}

// "least..greatest" over the channels, or the one value.
template <typename T, typename Format>
std::string PerChannelRange(const std::vector<T>& values, Format format) {
  const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
  return *least == *greatest ? format(*least) : absl::StrCat(format(*least), "..", format(*greatest));
}

void AppendLayers(std::span<const LayerHandoff> layers, std::string* out) {
  absl::StrAppend(out, "\n## Layers\n| folder | identifier | layer | operator | weight | input | output | clamp | M | "
                       "stored bias |\n|---|---|---|---|---|---|---|---|---|---|\n");
  for (const LayerHandoff& layer : layers) {
    std::vector<double> multipliers;
    std::vector<std::int64_t> biases;
    for (std::int64_t c = 0; c < layer.layer.output_channels; ++c) {
      multipliers.push_back(layer.arithmetic.multiplier(c));
      biases.push_back(layer.arithmetic.stored_bias(c).stored);
    }
    const numerics::BiasMode mode = layer.arithmetic.target().bias.mode;
    std::string bias = "float";
    if (layer.layer.shipped_bias.empty()) {
      bias = "none";
    } else if (mode == numerics::BiasMode::kInteger) {
      bias = PerChannelRange(biases, [](std::int64_t value) { return absl::StrCat(value); });
    }
    const numerics::QuantParams& input = layer.golden.inputs[0];
    const numerics::OutputRange& range = layer.arithmetic.output_range();
    absl::StrAppend(out, "| `", layer.folder, "` | `", layer.identifier, "` | ", DisplayName(layer.layer.name), " | ",
                    vectors::OpName(layer.golden), " | ", graph::ToString(layer.golden.weight_codes.shape()), " | s ",
                    Real(input.scale()), ", z ", input.zero_point(), " | s ", Real(layer.golden.output.scale()), ", z ",
                    layer.golden.output.zero_point(), " | ", range.min, "..", range.max, " | ",
                    PerChannelRange(multipliers, [](double value) { return absl::StrFormat("%.4g", value); }), " | ",
                    bias, " |\n");
  }
}

void AppendNotes(std::span<const LayerHandoff> layers, std::string* out) {
  std::string notes;
  for (const LayerHandoff& layer : layers) {
    if (layer.adjusted_channels.empty()) continue;
    absl::StrAppend(&notes, "* ", DisplayName(layer.layer.name), ": the target raised the weight scale of ",
                    layer.adjusted_channels.size(), " channel(s) to make room for the bias, and their weights are "
                    "rounded anew.\n");
  }
  const bool pairs = std::any_of(layers.begin(), layers.end(), [](const LayerHandoff& layer) {
    return layer.arithmetic.target().accumulator.int16_pairs != numerics::Int16Pairs::kNever;
  });
  if (pairs) {
    absl::StrAppend(&notes, "* The runtime can add pairs of products in a saturating int16 on x86 (see accumulator "
                            "above). Golden inputs have codes up to 127, which never saturate: they hold for "
                            "either kind of host.\n");
  }
  const bool shared = std::any_of(layers.begin(), layers.end(),
                                  [](const LayerHandoff& layer) { return layer.layer.input_grids.size() > 1; });
  if (shared) {
    absl::StrAppend(&notes, "* A layer that more than one input scale reaches has a folder for each: its stored bias "
                            "and multiplier depend on it.\n");
  }
  if (!notes.empty()) absl::StrAppend(out, "\n## Note\n", notes);
}

void AppendLeftOut(std::string_view title, std::span<const LeftOut> operators, std::string* out) {
  if (operators.empty()) return;
  absl::StrAppend(out, "\n## ", Text(title), "\n| operator | where | reason |\n|---|---|---|\n");
  for (const LeftOut& entry : operators) {
    absl::StrAppend(out, "| ", DisplayName(entry.source_op), " | ", DisplayName(entry.name), " | ", entry.reason,
                    " |\n");
  }
}

}  // namespace

std::string Readme(const numerics::TargetDescription& target, std::span<const LayerHandoff> layers,
                   std::span<const LeftOut> mac_operators, std::span<const LeftOut> other_operators) {
  std::string out = absl::StrCat("# Handoff for ", target.name, "\n", layers.size(), " layer",
                                 layers.size() == 1 ? "" : "s", " under the arithmetic of ", target.name,
                                 " (digest ", numerics::ArithmeticDigest(target), "), written by `qatgap handoff`.\n",
                                 Text(kFiles), "\n## Formula\n```\n", numerics::Describe(target), "```\n");
  std::set<std::string> described = {target.name};
  for (const LayerHandoff& layer : layers) {
    const numerics::TargetDescription& rules = layer.arithmetic.target();
    if (!described.insert(rules.name).second) continue;
    absl::StrAppend(&out, "\nFor some layers it is ", rules.name, " (`target` of `layer.json`):\n```\n",
                    numerics::Describe(rules), "```\n");
  }
  absl::StrAppend(&out, Text(kSymbols));
  AppendExample(layers[0], &out);
  AppendBatchNorm(layers, &out);
  AppendHeaderUse(layers[0], &out);
  AppendLayers(layers, &out);
  AppendNotes(layers, &out);
  AppendLeftOut("MAC operators left out", mac_operators, &out);
  AppendLeftOut("Other operators", other_operators, &out);
  return out;
}

}  // namespace qatgap::handoff
