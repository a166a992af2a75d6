#include "tests/analyzers/vectors/synthetic_cases.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <span>
#include <string>
#include <utility>

#include "analyzers/numerics/layer_arithmetic.h"
#include "analyzers/vectors/mac_case.h"
#include "analyzers/vectors/verify.h"

namespace qatgap::vectors {
namespace {

struct Shape {
  const char* name;
  CaseOp op;
  graph::Shape input, weight, output;
  graph::ConvolutionAttributes attributes;
  std::vector<std::int64_t> padding_end;
};

std::vector<Shape> Shapes() {
  using C = graph::ConvolutionAttributes;
  constexpr auto kConv = CaseOp::kConvolution, kTransposed = CaseOp::kTransposedConvolution, kLinear = CaseOp::kLinear;
  return {
      {"conv2d_plain",
       kConv,
       {1, 3, 12, 11},
       {8, 3, 3, 3},
       {1, 8, 12, 11},
       C{{1, 1}, {1, 1}, {1, 1}, 1, false, {}},
       {}},
      {"conv2d_uneven",
       kConv,
       {1, 4, 13, 12},
       {4, 4, 3, 3},
       {1, 4, 7, 6},
       C{{2, 2}, {1, 0}, {1, 1}, 1, false, {}},
       {1, 1}},
      {"conv2d_groups", kConv, {2, 6, 9, 9}, {4, 3, 3, 2}, {2, 4, 5, 8}, C{{1, 1}, {0, 0}, {2, 1}, 2, false, {}}, {}},
      {"depthwise", kConv, {1, 6, 12, 12}, {6, 1, 3, 3}, {1, 6, 12, 12}, C{{1, 1}, {1, 1}, {1, 1}, 6, false, {}}, {}},
      {"conv1d", kConv, {2, 5, 40}, {6, 5, 3}, {2, 6, 38}, C{{1}, {0}, {1}, 1, false, {}}, {}},
      {"transposed",
       kTransposed,
       {1, 4, 6, 6},
       {4, 3, 3, 3},
       {1, 6, 12, 11},
       C{{2, 2}, {1, 1}, {1, 1}, 2, true, {1, 0}},
       {}},
      {"linear", kLinear, {40, 24}, {10, 24}, {40, 10}, C{}, {}},
      {"linear_rows", kLinear, {3, 20, 7}, {6, 7}, {3, 20, 6}, C{}, {}},
  };
}

graph::Tensor Codes(const graph::Shape& shape, std::int64_t low, std::int64_t high, std::mt19937* random) {
  graph::Tensor codes(graph::DType::kInt32, shape);
  for (std::int32_t& code : codes.mutable_data<std::int32_t>()) {
    code = static_cast<std::int32_t>(
        low + static_cast<std::int64_t>((*random)() % static_cast<std::uint64_t>(high - low + 1)));
  }
  return codes;
}

double Float(double value) { return static_cast<double>(static_cast<float>(value)); }

std::vector<Case> Make(std::uint32_t seed, bool powers_of_two) {
  std::mt19937 random(seed);
  const auto unit = [&] { return static_cast<double>(random()) / 4294967296.0; };
  std::vector<Case> cases;
  for (const Shape& shape : Shapes()) {
    const std::size_t index = cases.size();
    Case& layer = cases.emplace_back();
    layer.name = shape.name;
    layer.runtime = "synthetic";
    layer.op = shape.op;
    layer.convolution = shape.attributes;
    layer.padding_end = shape.padding_end;
    const bool is_signed = index % 2 == 1;
    const std::int64_t low = is_signed ? -128 : 0, high = is_signed ? 127 : 255;
    // Every third case keeps to scales that are powers of two, so that values meet ties.
    const bool ties = powers_of_two || index % 3 == 0;
    const auto scale = [&](double about) {
      return ties ? std::exp2(std::round(std::log2(about))) : Float(about * (0.7 + 0.6 * unit()));
    };
    layer.input_codes = {Codes(shape.input, low, high, &random)};
    layer.weight_codes = Codes(shape.weight, -128, 127, &random);
    layer.output_codes = graph::Tensor(graph::DType::kInt32, shape.output);
    layer.inputs = {{.scales = {scale(0.02)}, .zero_points = {low + 3}, .quant_min = low, .quant_max = high}};
    layer.weight = {.scales = {}, .zero_points = {}, .quant_min = -128, .quant_max = 127};
    const std::int64_t channels = ChannelsOf(layer);
    const bool per_channel = index % 4 != 2 && !powers_of_two;
    for (std::int64_t c = 0; c < (per_channel ? channels : 1); ++c) {
      layer.weight.scales.push_back(scale(0.01));
      layer.weight.zero_points.push_back(0);
    }
    if (per_channel) layer.weight.axis = shape.op == CaseOp::kTransposedConvolution ? 1 : 0;
    const double steps = static_cast<double>(graph::ElementCount(shape.weight)) / static_cast<double>(channels);
    const double spread = std::sqrt(steps) * 74 * 74;  // of an accumulator
    layer.output = {.scales = {scale(layer.inputs[0].scale() * layer.weight.scales[0] * spread / 40)},
                    .zero_points = {low + 101},
                    .quant_min = low,
                    .quant_max = high};
    for (std::int64_t c = 0; c < channels; ++c) {
      const double s_b = layer.inputs[0].scale() * layer.weight.scale(static_cast<std::size_t>(c));
      const double q = std::round((unit() - 0.5) * spread) + (c % 2 == 0 ? 0.5 : unit());
      layer.bias.push_back(Float(q * s_b));
    }
    layer.activation = index == 1 ? numerics::Activation::kRelu : numerics::Activation::kNone;
    for (std::int32_t& code : layer.output_codes.mutable_data<std::int32_t>()) {
      code = static_cast<std::int32_t>(layer.output.zero_point());
    }
  }
  return cases;
}

}  // namespace

std::vector<Case> SyntheticCases(std::uint32_t seed) { return Make(seed, /*powers_of_two=*/false); }
std::vector<Case> PowerOfTwoCases(std::uint32_t seed) { return Make(seed, /*powers_of_two=*/true); }

Case Captured(const numerics::TargetDescription& target, Case layer) {
  const auto arithmetic = numerics::LayerArithmetic::Create(target, ConstantsOf(layer, /*host_has_vnni=*/true));
  const auto sums = ExactAccumulators(layer);
  if (!arithmetic.ok() || !sums.ok()) {
    std::fprintf(stderr, "%s: %s\n", layer.name.c_str(), arithmetic.status().ToString().c_str());
    std::abort();
  }
  const std::int64_t elements = ElementsPerChannel(layer);
  std::vector<std::int32_t> codes(static_cast<std::size_t>(elements));
  const graph::Shape& shape = layer.output_codes.shape();
  for (std::int64_t c = 0; c < ChannelsOf(layer); ++c) {
    arithmetic->Codes(numerics::ArithmeticStage::kRequantized, c,
                      sums->data<std::int64_t>().subspan(static_cast<std::size_t>(c * elements), codes.size()), codes);
    for (std::int64_t i = 0; i < elements; ++i) {
      std::int64_t flat = 0;
      const graph::Shape index = OutputIndex(layer, c, i);
      for (std::size_t axis = 0; axis < shape.size(); ++axis) flat = flat * shape[axis] + index[axis];
      layer.output_codes.mutable_data<std::int32_t>()[static_cast<std::size_t>(flat)] =
          codes[static_cast<std::size_t>(i)];
    }
  }
  return layer;
}

std::vector<Case> Captured(const numerics::TargetDescription& target, std::vector<Case> cases) {
  for (Case& layer : cases) layer = Captured(target, std::move(layer));
  return cases;
}

}  // namespace qatgap::vectors
