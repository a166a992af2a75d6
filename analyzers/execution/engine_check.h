// Whether a real engine runs a layer at all, known without data.
#pragma once

#include "absl/status/status.h"
#include "analyzers/graph/mac_layers.h"
#include "analyzers/numerics/target.h"

namespace qatgap::execution {

// OK where `engine`, which this host has, runs the layer for every grid that reaches its input, or where the layer runs in
// float anyway. FAILED_PRECONDITION with the reason: codes that are not quint8, weights that are not qint8, a kind of
// convolution that the engine lacks or computes wrongly.
absl::Status CheckEngine(const graph::MacLayer& layer, numerics::Engine engine);

}  // namespace qatgap::execution
