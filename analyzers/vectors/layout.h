// From the layout of the files to channels first, and the check that shapes and attributes fit together. Internal.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "analyzers/vectors/case.h"
#include "analyzers/vectors/case_description.h"

namespace qatgap::vectors {

// Axes of `tensor` in the order of `axes`: result axis i is axis axes[i] of it. int32.
graph::Tensor Permuted(const graph::Tensor& tensor, const std::vector<std::size_t>& axes);

// Arranges the codes of `layer` as Case says and fills in its attributes, from the description and the shapes. The
// layout that is not stated is the first under which everything fits: NCHW, NHWC with OHWI weights, NHWC with TFLite's
// 1HWC; NCHW last for TFLite and CMSIS-NN. INVALID_ARGUMENT naming `where`, the shapes, and why each layout does not
// fit.
absl::Status Arrange(const CaseDescription& description, const std::string& where, Case* layer);

}  // namespace qatgap::vectors
