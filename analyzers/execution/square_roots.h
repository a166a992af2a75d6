// LibTorch's square roots, for the folding of constants (graph/passes/fold_constants.h).
#pragma once

#include <span>

namespace qatgap::execution {

// As torch.sqrt of a contiguous float32 tensor: with MKL, not always the correctly rounded root.
void ReplaceBySquareRoots(std::span<float> values);

}  // namespace qatgap::execution
