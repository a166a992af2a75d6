// The inside of LayerKernel, shared with the executor's engine mode. Includes LibTorch.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <map>

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

}  // namespace qatgap::execution
