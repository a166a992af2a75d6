// Finds the MAC layers of a graph: a convolution or linear with constant quantized weights, the constant affine
// operators and activation behind it, up to the quantize node that makes the output codes.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/graph/graph.h"
#include "analyzers/numerics/layer_arithmetic.h"

namespace qatgap::graph {

// A batch norm behind a product, as it was folded: factor = gamma / sqrt(variance + epsilon) goes into the weights,
// (bias - mean) * factor + beta is the bias that remains. One number per output channel, in binary64.
struct BatchNormFold {
  double epsilon = 0;
  std::vector<double> gamma, beta, mean, variance;
  std::vector<double> bias;            // in front of the batch norm; zeros where there was none
  std::vector<double> factor;
  std::vector<double> folded_bias;
};

struct MacLayer {
  std::string name;                    // module path, the pairing key: "layer1.0.conv1"
  OpKind kind = OpKind::kConvolution;  // kConvolution or kLinear
  ConvolutionAttributes convolution;   // for kConvolution
  Tensor weight;                       // int32 codes, [out, in / groups, ...] (transposed: [in, out / groups, ...])
  numerics::QuantParams weight_params; // scale includes the affine gain behind the product; axis = output channel
  std::vector<double> bias;            // real, folded exactly in binary64, one per output channel; empty: none
  std::vector<float> shipped_bias;     // the float32 bias convert() would ship: stored, or batch norm folded in float32
  // A bias that the model holds as integers behind a dequantize, one per output channel, zero point subtracted, and their
  // scales: `bias` and `shipped_bias` are then the reals they stand for. Empty: the model holds reals.
  std::vector<std::int64_t> stored_bias;
  std::vector<double> stored_bias_scales;
  std::vector<BatchNormFold> batch_norms;  // in their order; empty in a converted model, which no longer has the parts
  numerics::Activation activation = numerics::Activation::kNone;
  numerics::QuantParams output;
  std::int64_t output_channels = 0;

  ValueId input = -1;                  // the real value that enters the product
  ValueId product = -1;                // the product's own output
  ValueId output_codes = -1;           // what the quantize node makes
  NodeId product_node = -1;
  NodeId quantize_node = -1;
  // Qparams that can reach the input, in branch order; empty when the input is not on an integer grid.
  std::vector<numerics::QuantParams> input_grids;
};

// What targets that delegate look at, for one reaching input.
numerics::MacTraits TraitsOf(const MacLayer& layer, const numerics::QuantParams& input, bool host_has_vnni);

// The output channel of each weight code, in storage order: of [out, in / groups, ...], or, transposed, of
// [in, out / groups, ...] with `in` in blocks of groups.
std::vector<std::size_t> ChannelOfWeights(const MacLayer& layer);

// `layer` with these weight scales, one per output channel (equal ones for per-tensor weights, which stay so), and its codes
// rounded to the scales that changed.
MacLayer WithWeightScales(const MacLayer& layer, const std::vector<double>& scales);

// A MAC operator that cannot be analysed, with the reason for the report.
struct UnmatchedMac {
  std::string name;
  std::string source_op;
  std::string reason;
  bool quantized_weight = false;
};

struct MacLayers {
  std::vector<MacLayer> layers;        // in execution order
  std::vector<UnmatchedMac> unmatched;
};

// INTERNAL if the graph does not Verify.
absl::StatusOr<MacLayers> FindMacLayers(const Graph& graph);

// The same of a model without quantization: `weight` holds reals as they are in front of batch norm, `bias` is folded; there
// are no qparams, grids and output codes. INTERNAL if the graph does not Verify.
absl::StatusOr<MacLayers> FindFloatLayers(const Graph& graph);

// Qparams of the grids that a real value can lie on, in branch order; empty if some producer leaves every grid
// (average pool, add, a graph input).
std::vector<numerics::QuantParams> ReachingGrids(const Graph& graph, ValueId value);

}  // namespace qatgap::graph
