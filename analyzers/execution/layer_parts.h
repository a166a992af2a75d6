// A MAC layer run a part of its samples at a time. Internal to execution/.
#pragma once

#include <cstdint>
#include <functional>

#include "absl/status/statusor.h"
#include "analyzers/graph/mac_layers.h"
#include "analyzers/graph/tensor.h"

namespace qatgap::execution {

// Codes of some samples in the layer's own layout: of its `size` ones those from `first` on.
struct LayerPart {
  const graph::Tensor& codes;
  std::size_t first = 0, size = 0;
};

// The layer's output codes in its own layout, int32. `divide`: a part at a time that stays in the cache, else all at
// once. `compute` makes the rows of input codes, `done` sees each part.
absl::StatusOr<graph::Tensor> RunInParts(const graph::MacLayer& layer, const graph::Tensor& codes, bool divide,
                                         const std::function<absl::StatusOr<graph::Tensor>(const graph::Tensor&)>& compute,
                                         const std::function<absl::Status(const LayerPart&)>& done);

}  // namespace qatgap::execution
