// The operators of a TensorFlow Lite file, each as nodes of the graph. Internal to the frontend.
#pragma once

#include <array>

#include "absl/status/status.h"
#include "analyzers/frontends/tflite/importer.h"

namespace qatgap::frontends::tflite {

// FAILED_PRECONDITION for an operator that is not imported.
absl::Status ImportOperator(Importer& importer, const OperatorRecord& op);

// mac_operators.cc
absl::Status ImportConvolution(Importer& importer, const OperatorRecord& op);
absl::Status ImportDepthwiseConvolution(Importer& importer, const OperatorRecord& op);
absl::Status ImportTransposedConvolution(Importer& importer, const OperatorRecord& op);
absl::Status ImportFullyConnected(Importer& importer, const OperatorRecord& op);
absl::Status ImportBatchMatMul(Importer& importer, const OperatorRecord& op);

// window_operators.cc
absl::Status ImportPool(Importer& importer, const OperatorRecord& op);
absl::Status ImportPad(Importer& importer, const OperatorRecord& op);
absl::Status ImportMirrorPad(Importer& importer, const OperatorRecord& op);
absl::Status ImportResizeNearest(Importer& importer, const OperatorRecord& op);
absl::Status ImportResizeBilinear(Importer& importer, const OperatorRecord& op);

// shape_operators.cc
absl::Status ImportReshape(Importer& importer, const OperatorRecord& op);
absl::Status ImportTranspose(Importer& importer, const OperatorRecord& op);
absl::Status ImportConcatenation(Importer& importer, const OperatorRecord& op);
absl::Status ImportSplit(Importer& importer, const OperatorRecord& op);
absl::Status ImportSlice(Importer& importer, const OperatorRecord& op);
absl::Status ImportStridedSlice(Importer& importer, const OperatorRecord& op);
absl::Status ImportPack(Importer& importer, const OperatorRecord& op);
absl::Status ImportUnpack(Importer& importer, const OperatorRecord& op);

// elementwise_operators.cc
absl::Status ImportQuantize(Importer& importer, const OperatorRecord& op);
absl::Status ImportDequantize(Importer& importer, const OperatorRecord& op);
absl::Status ImportBinary(Importer& importer, const OperatorRecord& op);
absl::Status ImportPrelu(Importer& importer, const OperatorRecord& op);
absl::Status ImportUnary(Importer& importer, const OperatorRecord& op);
absl::Status ImportSoftmax(Importer& importer, const OperatorRecord& op);
absl::Status ImportReduction(Importer& importer, const OperatorRecord& op);

// Zeros on both sides of height and width that SAME padding of a window takes; none for VALID. INVALID_ARGUMENT for
// strides and sizes below 1, FAILED_PRECONDITION where the image's size is not fixed but decides.
struct Window {
  std::array<std::int64_t, 2> kernel, stride, dilation;
};
absl::StatusOr<std::array<Padding, 2>> WindowPadding(const TensorRecord& image, const Window& window,
                                                     schema::Padding padding);

}  // namespace qatgap::frontends::tflite
