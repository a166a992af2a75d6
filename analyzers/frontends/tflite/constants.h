// Constants of the file as tensors of the graph. Internal to the frontend.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/frontends/tflite/axis_order.h"
#include "analyzers/frontends/tflite/model_file.h"
#include "analyzers/graph/tensor.h"

namespace qatgap::frontends::tflite {

// Axes, shapes, paddings: INT32 or INT64. FAILED_PRECONDITION when the tensor is no constant.
absl::StatusOr<std::vector<std::int64_t>> Integers(const TensorRecord& record);

// Codes as int32, with the axes in `order`. FAILED_PRECONDITION: an int64 bias beyond int32.
absl::StatusOr<graph::Tensor> Codes(const TensorRecord& record, const AxisOrder& order);

// FLOAT32, or FLOAT16 and BFLOAT16 widened, which is exact; the axes in `order`.
absl::StatusOr<graph::Tensor> Reals(const TensorRecord& record, const AxisOrder& order);

// `codes` with `zero_point` codes in front of axis i, front[i] of them. One zero point per slice of `axis`, or one.
graph::Tensor PaddedInFront(const graph::Tensor& codes, const graph::Shape& front, const numerics::QuantParams& params);

}  // namespace qatgap::frontends::tflite
