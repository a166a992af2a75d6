#include "analyzers/handoff/layer_handoff.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "analyzers/handoff/golden_input.h"
#include "analyzers/numerics/bias.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/vectors/mac_case.h"
#include "analyzers/vectors/verify.h"

namespace qatgap::handoff {
namespace {

absl::Status Named(const graph::MacLayer& layer, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("layer '", layer.name, "': ", status.message()));
}

bool DependsOnHost(const numerics::TargetDescription& target) {
  return std::any_of(target.delegates.begin(), target.delegates.end(), [](const numerics::Delegate& delegate) {
    return delegate.host != numerics::Delegate::Host::kAny;
  });
}

// Raises weight scales as a target with kAdjustWeights does, and rounds the weights to them. Returns the channels.
std::vector<std::int64_t> AdjustWeights(const std::vector<double>& scales, graph::MacLayer& layer) {
  std::vector<std::int64_t> channels;
  if (scales.empty()) return channels;
  for (std::size_t c = 0; c < scales.size(); ++c) {
    if (scales[c] != layer.weight_params.scale(c)) channels.push_back(static_cast<std::int64_t>(c));
  }
  layer = graph::WithWeightScales(layer, scales);
  return channels;
}

vectors::Case CaseOf(const graph::MacLayer& layer, const numerics::QuantParams& input) {
  vectors::Case result;
  result.runtime = "qatgap";
  result.op = layer.kind == graph::OpKind::kLinear ? vectors::CaseOp::kLinear
              : layer.convolution.transposed       ? vectors::CaseOp::kTransposedConvolution
                                                   : vectors::CaseOp::kConvolution;
  result.convolution = layer.convolution;
  if (layer.convolution.transposed && layer.convolution.output_padding.empty()) {
    result.convolution.output_padding.assign(layer.convolution.stride.size(), 0);
  }
  result.inputs = {input};
  result.weight = layer.weight_params;
  result.output = layer.output;
  result.activation = layer.activation;
  result.weight_codes = layer.weight;
  result.bias.assign(layer.shipped_bias.begin(), layer.shipped_bias.end());
  return result;
}

// The integers that an integer-bias target makes of the bias, in the width it stores them in.
void SetIntegerBias(const numerics::LayerArithmetic& arithmetic, vectors::Case& golden) {
  const numerics::BiasRule& rule = arithmetic.target().bias;
  golden.bias_integer.clear();
  if (golden.bias.empty() || rule.mode != numerics::BiasMode::kInteger) return;
  for (std::int64_t c = 0; c < arithmetic.constants().channels; ++c) {
    golden.bias_integer.push_back(arithmetic.stored_bias(c).stored);
  }
  golden.bias_integer_bits = rule.bits > 32 ? 64 : 32;
}

// Where element `k` of channel `c` is in an output of this shape: channels are the last axis of a linear, the second
// of a convolution with one batch.
std::size_t OutputOffset(const graph::Shape& output, std::size_t c, std::size_t k) {
  const auto elements = static_cast<std::size_t>(graph::ElementCount(output));
  const auto channels = static_cast<std::size_t>(output[1]);
  return output.size() == 2 ? k * channels + c : c * (elements / channels) + k;
}

struct GoldenOutput {
  graph::Tensor codes, accumulators;   // in the output's shape
  std::size_t inside = 0;              // elements strictly between the clamps
};

absl::StatusOr<GoldenOutput> Compute(const vectors::Case& golden, const graph::Shape& shape,
                                     const numerics::LayerArithmetic& arithmetic) {
  QATGAP_ASSIGN_OR_RETURN(const graph::Tensor sums, vectors::ExactAccumulators(golden));
  if (sums.elements() != graph::ElementCount(shape)) {
    return absl::InternalError(absl::StrCat("accumulators of shape ", graph::ToString(sums.shape()),
                                            " for an output of ", graph::ToString(shape)));
  }
  const auto channels = static_cast<std::size_t>(shape[1]);
  const auto all = sums.data<std::int64_t>();
  const std::size_t count = all.size() / channels;
  const numerics::OutputRange& range = arithmetic.output_range();
  GoldenOutput result{.codes = graph::Tensor(graph::DType::kInt32, shape),
                      .accumulators = graph::Tensor(graph::DType::kInt64, shape)};
  const auto codes = result.codes.mutable_data<std::int32_t>();
  const auto accumulators = result.accumulators.mutable_data<std::int64_t>();
  std::vector<std::int32_t> row(count);
  for (std::size_t c = 0; c < channels; ++c) {
    const std::span<const std::int64_t> exact = all.subspan(c * count, count);
    arithmetic.Codes(numerics::ArithmeticStage::kRequantized, static_cast<std::int64_t>(c), exact, row);
    for (std::size_t k = 0; k < count; ++k) {
      const std::size_t offset = OutputOffset(shape, c, k);
      codes[offset] = row[k];
      accumulators[offset] = exact[k];
      if (row[k] > range.min && row[k] < range.max) ++result.inside;
    }
  }
  return result;
}

// An element whose every step shows: neither clamped nor without a bias, if there is one.
WorkedExample ExampleOf(const LayerHandoff& handoff) {
  const auto accumulators = handoff.accumulators.data<std::int64_t>();
  const graph::Shape& shape = handoff.golden.output_codes.shape();
  const numerics::OutputRange& range = handoff.arithmetic.output_range();
  std::int64_t behind = 1;
  for (std::size_t axis = 2; axis < shape.size(); ++axis) behind *= shape[axis];
  WorkedExample best;
  int best_score = -1;
  for (std::size_t i = 0; i < accumulators.size() && best_score < 3; ++i) {
    WorkedExample example{.channel = static_cast<std::int64_t>(i) / behind % shape[1], .index = {}, .trace = {}};
    const numerics::RequantConstants& constants = handoff.arithmetic.requant_constants(example.channel);
    example.trace = numerics::TraceRequantization(handoff.arithmetic.target(example.channel), constants, range,
                                                  accumulators[i]);
    const bool inside = example.trace.code > range.min && example.trace.code < range.max;
    const bool biased = constants.accumulator_bias != 0 || constants.bias != 0;
    const int score = (inside ? 2 : 0) + (biased ? 1 : 0);
    if (score <= best_score) continue;
    best_score = score;
    auto rest = static_cast<std::int64_t>(i);
    for (auto extent = shape.rbegin(); extent != shape.rend(); ++extent) {
      example.index.insert(example.index.begin(), rest % *extent);
      rest /= *extent;
    }
    best = std::move(example);
  }
  return best;
}

}  // namespace

std::string SafeName(std::string_view name) {
  constexpr std::size_t kLongest = 48;
  std::string result;
  for (const char letter : name.substr(0, kLongest)) {
    result += absl::ascii_isalnum(static_cast<unsigned char>(letter)) ? letter : '_';
  }
  return result.empty() ? "unnamed" : result;
}

std::string DisplayName(std::string_view name) {
  constexpr std::size_t kLongest = 64;
  std::string result;
  for (const char letter : name.substr(0, kLongest)) {
    const bool plain = absl::ascii_isalnum(static_cast<unsigned char>(letter)) ||
                       std::string_view("._#-/:() ,'").find(letter) != std::string_view::npos;
    result += plain ? letter : '_';
  }
  return result.empty() ? "(root)" : result;
}

absl::StatusOr<LayerHandoff> MakeLayer(const graph::MacLayer& layer, std::size_t input_index, int number,
                                       const numerics::TargetDescription& target) {
  const numerics::QuantParams& input = layer.input_grids[input_index];
  const auto shapes = ShapesOf(layer);
  if (!shapes.ok()) return Named(layer, shapes.status());
  graph::MacLayer shipped = layer;
  vectors::Case golden = CaseOf(shipped, input);
  const numerics::MacConstants constants = vectors::ConstantsOf(golden, /*host_has_vnni=*/true);
  const auto resolved = numerics::ResolveTarget(target, constants.traits);
  if (!resolved.ok()) return Named(layer, resolved.status());
  // Integers that the model holds are shipped as they are, with the weights they were made for.
  const bool stored = !layer.stored_bias.empty() && resolved->bias.mode == numerics::BiasMode::kInteger &&
                      resolved->bias.scale != numerics::BiasScale::kOwnPowerOfTwo;
  if (stored) golden.bias_integer = layer.stored_bias;
  std::vector<std::int64_t> adjusted;
  if (!stored) adjusted = AdjustWeights(numerics::AdjustedWeightScales(resolved->bias, constants), shipped);
  golden.weight = shipped.weight_params;
  golden.weight_codes = shipped.weight;
  auto arithmetic = numerics::LayerArithmetic::Create(target, vectors::ConstantsOf(golden, /*host_has_vnni=*/true));
  if (!arithmetic.ok()) return Named(layer, arithmetic.status());

  std::string name = SafeName(layer.name);
  if (layer.input_grids.size() > 1) absl::StrAppend(&name, "_input", input_index + 1);
  golden.name = absl::StrFormat("layers/%02d_%s", number, name);
  golden.target = target.name;
  golden.version = "arithmetic " + numerics::ArithmeticDigest(*resolved);
  if (DependsOnHost(target)) golden.host["vnni"] = true;
  SetIntegerBias(*arithmetic, golden);
  golden.output_codes = graph::Tensor(graph::DType::kInt32, shapes->output);

  // Evenly distributed codes can drive every output into its clamps, which would hide the arithmetic in front of them.
  numerics::QuantParams codes_of = input;
  // Below 128 no pair of products saturates in int16 (127 * 128 * 2 = 32512): the golden vectors hold on every host.
  if (resolved->accumulator.int16_pairs != numerics::Int16Pairs::kNever && input.quant_min == 0) {
    codes_of.quant_max = std::max(std::min<std::int64_t>(input.quant_max, 127), input.zero_point());
  }
  GoldenOutput best;
  graph::Tensor best_input;
  const auto elements = static_cast<std::size_t>(graph::ElementCount(shapes->output));
  for (const std::int64_t divisor : {1, 4, 16, 64}) {
    golden.input_codes = {GoldenInput(shapes->input, codes_of, divisor)};
    auto output = Compute(golden, shapes->output, *arithmetic);
    if (!output.ok()) return Named(layer, output.status());
    if (best_input.defined() && output->inside <= best.inside) continue;
    best = *std::move(output);
    best_input = golden.input_codes[0];
    if (best.inside >= elements / 4) break;
  }
  golden.input_codes = {std::move(best_input)};
  golden.output_codes = std::move(best.codes);
  LayerHandoff result{.layer = std::move(shipped),
                      .input_index = input_index,
                      .folder = golden.name,
                      .identifier = absl::StrFormat("layer%02d_%s", number, absl::AsciiStrToLower(name)),
                      .arithmetic = *std::move(arithmetic),
                      .adjusted_channels = std::move(adjusted),
                      .golden = std::move(golden),
                      .accumulators = std::move(best.accumulators),
                      .example = {}};
  result.example = ExampleOf(result);
  return result;
}

}  // namespace qatgap::handoff
