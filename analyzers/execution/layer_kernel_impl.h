// The inside of LayerKernel, shared with the executor's engine mode. Includes LibTorch.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <map>
#include <string>

#include "analyzers/execution/layer_kernel.h"
#include "analyzers/execution/torch_bridge.h"

namespace qatgap::execution {

// [N, C, ...] or [..., C] to [C, rest], contiguous.
at::Tensor ChannelMajor(const graph::MacLayer& layer, const at::Tensor& output);

// The layer's constants as an engine packs them.
class PackedLayer {
 public:
  // FAILED_PRECONDITION with the reason when the engine cannot run the layer.
  static absl::StatusOr<PackedLayer> Create(const graph::MacLayer& layer, numerics::Engine engine);
  // quint8 in, quint8 out. Throws what LibTorch throws. The engine must be set.
  at::Tensor Run(const at::Tensor& input) const;

 private:
  c10::IValue packed_;
  const char* op_ = nullptr;
  const char* overload_ = "";
  double output_scale_ = 1;
  std::int64_t output_zero_point_ = 0;
};

// Why a packed transposed convolution cannot be used, or "": a small input is run and held against the definition, with
// `weight` as the engine got it. PyTorch 2.13's FBGEMM changes 508 of 512 weights of a [16, 8, 2, 2] layer while it packs
// them, other ones each time, and its oneDNN is off by up to 180 codes wherever the numbers of channels differ. Throws what
// LibTorch throws. The engine must be set.
std::string ProbeTransposed(const graph::MacLayer& layer, const PackedLayer& packed, const at::Tensor& weight);

}  // namespace qatgap::execution
