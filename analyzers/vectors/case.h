// A golden vector case: one layer's constants, its input codes and the output codes that a real runtime gave. The
// format of the folders is described in tests/golden/README.md.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/graph/graph.h"
#include "analyzers/graph/tensor.h"
#include "analyzers/numerics/layer_arithmetic.h"
#include "analyzers/numerics/quant_params.h"

namespace qatgap::vectors {

enum class CaseOp { kConvolution, kTransposedConvolution, kLinear, kAdd, kMul, kConcat, kAveragePool, kMaxPool, kMean };

// Everything is kept as qatgap computes it: channels first (N, C, spatial...), weights [out, in / groups, ...]
// (transposed convolution: [in, out / groups, ...]), whatever layout the files have.
struct Case {
  std::string name;  // folder, relative to the directory of vectors
  std::string runtime, version, target;
  std::string kernel;  // engine, resolver, delegate: free text; "channels last" and "adaptive" in it change roundings
  CaseOp op = CaseOp::kConvolution;
  std::map<std::string, bool> host;          // "vnni": true, where the file says so
  graph::ConvolutionAttributes convolution;  // `padding` before the first element of each spatial axis
  // Behind the last, of convolution or pool; empty: the same as before the first.
  std::vector<std::int64_t> padding_end;
  graph::PoolAttributes pool;
  std::vector<std::int64_t> axes;  // concat: one axis; mean: the reduced ones
  bool keep_dims = true;
  std::vector<numerics::QuantParams> inputs;  // one for a MAC layer
  numerics::QuantParams weight, output;
  numerics::Activation activation = numerics::Activation::kNone;
  std::vector<graph::Tensor> input_codes;  // int32
  graph::Tensor weight_codes;              // int32
  std::vector<double> bias;                // bias.npy; empty: none
  std::vector<std::int64_t> bias_integer;  // bias_int.npy; empty: none
  int bias_integer_bits = 0;               // of its dtype: a runtime may choose its arithmetic by it; 0: none
  graph::Tensor output_codes;              // int32

  bool is_mac() const {
    return op == CaseOp::kConvolution || op == CaseOp::kTransposedConvolution || op == CaseOp::kLinear;
  }
};

// The files of a directory, by path relative to it ("conv_basic/case.json"), with their bytes.
using Files = std::map<std::string, std::string>;

// Every folder of `files` that holds a case.json, by name. The spelling of operators, dtypes, attributes and layouts is
// taken loosely, the numbers strictly: INVALID_ARGUMENT naming case, file, field and value for no case at all, a
// missing field or file, a wrong dtype, shapes that do not fit, a scale that is not finite and > 0, codes outside the
// range of their dtype or quant_min..quant_max, a bias that is not finite.
absl::StatusOr<std::vector<Case>> ReadCases(const Files& files);

// The files of one case below "<name>/", or without a folder where the name is empty; ReadCases reads them back. No
// output.npy where there are no output codes. `layer` must be one that ReadCases could have returned.
Files WriteCase(const Case& layer);

// Bytes of a zip archive (stored or deflated), for a directory sent as one artifact. Claimed sizes take no memory
// before they are checked; at most 512 MiB unpacked. INVALID_ARGUMENT naming `name`: no archive, damaged, encrypted,
// paths that leave the directory; RESOURCE_EXHAUSTED: too large.
absl::StatusOr<Files> ReadArchive(std::string_view zip, std::string_view name);

// "conv2d", "depthwise_conv2d", "conv_transpose2d", "linear", "add", ...: the format's word.
std::string OpName(const Case& layer);

}  // namespace qatgap::vectors
