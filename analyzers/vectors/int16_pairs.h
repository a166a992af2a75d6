// Accumulators of x86 kernels that add two products at a time in a saturating int16 (vpmaddubsw), as hosts without VNNI
// do, and FBGEMM's depthwise kernel on every host. Internal.
//
// The products are those of the raw codes, u8 x times s8 w, before any zero point: 255 * 127 + 255 * 127 = 64770 gives
// 32767. Pairs are consecutive columns of LayerMatrix: input channels within a tap, taps behind each other; an odd last
// one has 0 for a partner. Measured on LibTorch 2.13 and ONNX Runtime 1.32.
#pragma once

#include "absl/status/statusor.h"
#include "analyzers/graph/tensor.h"
#include "analyzers/numerics/target.h"
#include "analyzers/vectors/case.h"

namespace qatgap::vectors {

enum class PairKernel {
  kNone,        // exact sums
  kAcrossTaps,  // a pair may hold the last channel of one tap and the first of the next; padding is z_x  (FBGEMM, MLAS)
  // An odd number of channels has 0 for the last one's partner; padding is 0, z_x * w is added exactly  (oneDNN)
  kWithinTaps,
};

// The kernel that `target`, which does not delegate, takes for the layer on such a host. By the bias rule: float before
// scaling is FBGEMM and its choice of kernels, float after scaling is oneDNN, an integer is MLAS.
PairKernel PairKernelOf(const numerics::TargetDescription& target, const Case& layer, bool host_has_vnni);

// A as such a kernel computes it, [channels][elements], int64: the saturated sums, then corrected by the zero points.
// kNone: the exact ones.
absl::StatusOr<graph::Tensor> PairSaturatedAccumulators(const Case& layer, PairKernel kernel);

}  // namespace qatgap::vectors
