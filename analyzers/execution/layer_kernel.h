// The product of one MAC layer: exact accumulators by LibTorch, and the layer as a real engine computes it.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "analyzers/graph/mac_layers.h"
#include "analyzers/graph/tensor.h"
#include "analyzers/numerics/quant_params.h"
#include "analyzers/numerics/target.h"

namespace qatgap::execution {

// Results are channel-major: [output channels, elements], element = (sample, spatial position) for a convolution and the
// row for a linear, in row-major order. Constants are prepared once, and shared by copies; calls are const but not thread-safe
// (engines are chosen process-wide).
class LayerKernel {
 public:
  // FAILED_PRECONDITION when an accumulator could leave int32, which no target of 32 bits could hold exactly either.
  static absl::StatusOr<LayerKernel> Create(const graph::MacLayer& layer, const numerics::QuantParams& input);
  // A = sum (x - z_x)(w - z_w), exact, as int32. `codes` is int32, [N, C, ...] (convolution) or [..., C] (linear).
  // Computed in binary32 where every partial sum is proved below 2^24: at once, or in pieces of the input channels, whose
  // sums are added as integers. Else in binary64. All are exact for any order of summation.
  absl::StatusOr<graph::Tensor> Accumulate(const graph::Tensor& codes) const;

  // sum x (w - z_w) for reals x (float32) that need not lie on a grid; binary64.
  absl::StatusOr<graph::Tensor> SumReals(const graph::Tensor& x) const;

  // Output codes (int32) of the engine for these input codes. FAILED_PRECONDITION with the reason when the engine
  // cannot run this layer (not quint8, ReLU6, asymmetric weights).
  absl::StatusOr<graph::Tensor> RunEngine(numerics::Engine engine, const graph::Tensor& codes) const;

  // True when one product in binary32 was proved exact.
  bool uses_float32() const;
  // How many products in binary32 it takes; 0: one in binary64.
  std::size_t pieces() const;

 private:
  struct Impl;
  explicit LayerKernel(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

// Shape of the layer's output for an input of this shape.
absl::StatusOr<graph::Shape> OutputShape(const graph::MacLayer& layer, const graph::Shape& input);

// [channels, elements] <-> the layer's own layout, which `output` has.
graph::Tensor ToChannelMajor(const graph::MacLayer& layer, const graph::Tensor& output);
void FromChannelMajor(const graph::MacLayer& layer, const graph::Tensor& rows, graph::Tensor& output);

// How many of a batch's samples, whose inputs and outputs have so many elements together, to compute at a time: some megabytes
// with everything that is computed from them. 1 to `samples`.
std::int64_t SamplesOfPart(std::int64_t samples, std::int64_t elements);

}  // namespace qatgap::execution
