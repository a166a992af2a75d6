#include "analyzers/frontends/tflite/operators.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace qatgap::frontends::tflite {
namespace {

using Import = absl::Status (*)(Importer&, const OperatorRecord&);

Import ImportOf(schema::BuiltinOperator code) {
  using enum schema::BuiltinOperator;
  switch (code) {
    case CONV_2D:
      return ImportConvolution;
    case DEPTHWISE_CONV_2D:
      return ImportDepthwiseConvolution;
    case TRANSPOSE_CONV:
      return ImportTransposedConvolution;
    case FULLY_CONNECTED:
      return ImportFullyConnected;
    case BATCH_MATMUL:
      return ImportBatchMatMul;
    case AVERAGE_POOL_2D:
    case MAX_POOL_2D:
      return ImportPool;
    case PAD:
    case PADV2:
      return ImportPad;
    case MIRROR_PAD:
      return ImportMirrorPad;
    case RESIZE_NEAREST_NEIGHBOR:
      return ImportResizeNearest;
    case RESIZE_BILINEAR:
      return ImportResizeBilinear;
    case RESHAPE:
    case SQUEEZE:
    case EXPAND_DIMS:
      return ImportReshape;
    case TRANSPOSE:
      return ImportTranspose;
    case CONCATENATION:
      return ImportConcatenation;
    case SPLIT:
    case SPLIT_V:
      return ImportSplit;
    case SLICE:
      return ImportSlice;
    case STRIDED_SLICE:
      return ImportStridedSlice;
    case PACK:
      return ImportPack;
    case UNPACK:
      return ImportUnpack;
    case QUANTIZE:
      return ImportQuantize;
    case DEQUANTIZE:
      return ImportDequantize;
    case ADD:
    case SUB:
    case MUL:
    case DIV:
    case MAXIMUM:
    case MINIMUM:
    case SQUARED_DIFFERENCE:
      return ImportBinary;
    case PRELU:
      return ImportPrelu;
    case ABS:
    case ELU:
    case EXP:
    case GELU:
    case HARD_SWISH:
    case LEAKY_RELU:
    case LOG:
    case LOGISTIC:
    case NEG:
    case RELU:
    case RELU6:
    case RELU_0_TO_1:
    case RELU_N1_TO_1:
    case RSQRT:
    case SQRT:
    case SQUARE:
    case TANH:
      return ImportUnary;
    case SOFTMAX:
      return ImportSoftmax;
    case MEAN:
    case SUM:
      return ImportReduction;
    default:
      return nullptr;
  }
}

}  // namespace

absl::Status ImportOperator(Importer& importer, const OperatorRecord& op) {
  using schema::TensorType;
  // Shapes that the file computes anew are in its tensors' declarations as well.
  const bool of_shapes = !op.outputs.empty() && std::all_of(op.outputs.begin(), op.outputs.end(), [&](int output) {
    const TensorType type = importer.tensor(output).type;
    return type == TensorType::INT32 || type == TensorType::INT64 || type == TensorType::BOOL;
  });
  if (of_shapes) {
    importer.Skip(op);
    return absl::OkStatus();
  }
  const Import import = ImportOf(op.code);
  if (import == nullptr) {
    return absl::FailedPreconditionError(
        "this operator is not imported (docs/formats.md lists those that are); convert the model without it");
  }
  return import(importer, op);
}

absl::StatusOr<std::array<Padding, 2>> WindowPadding(const TensorRecord& image, const Window& window,
                                                     schema::Padding padding) {
  std::array<Padding, 2> zeros{};
  for (std::size_t i = 0; i < 2; ++i) {
    const std::int64_t kernel = window.kernel[i], stride = window.stride[i], dilation = window.dilation[i];
    if (kernel < 1 || stride < 1 || dilation < 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("its window has the size ", kernel, ", stride ", stride, ", dilation ", dilation));
    }
    if (padding == schema::Padding::VALID) continue;
    if (padding != schema::Padding::SAME) return absl::InvalidArgumentError("its padding is neither SAME nor VALID");
    if (image.dynamic[i + 1] && stride != 1) {
      return absl::FailedPreconditionError(absl::StrCat("its padding SAME depends on the size of '", image.name,
                                                        "', which is not fixed; convert the model with fixed sizes"));
    }
    const std::int64_t size = image.dynamic[i + 1] ? kernel * dilation : image.shape[i + 1];
    const std::int64_t outputs = (size + stride - 1) / stride;
    const std::int64_t total = std::max<std::int64_t>((outputs - 1) * stride + (kernel - 1) * dilation + 1 - size, 0);
    zeros[i] = {.before = total / 2, .after = total - total / 2};
  }
  return zeros;
}

}  // namespace qatgap::frontends::tflite
