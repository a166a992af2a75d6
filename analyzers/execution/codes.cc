#include "absl/strings/str_cat.h"
#include "analyzers/execution/graph_executor.h"
#include "analyzers/graph/tensor_rows.h"
#include "analyzers/numerics/fake_quantize.h"
#include "analyzers/status/string_view.h"

namespace qatgap::execution {

absl::StatusOr<graph::Tensor> ToCodes(const graph::Tensor& reals, const numerics::QuantParams& grid,
                                      numerics::StepRule rule) {
  if (reals.dtype() != graph::DType::kFloat32) {
    return absl::InvalidArgumentError(absl::StrCat("a value of type ", Text(graph::ToString(reals.dtype())),
                                                   " is quantized; give float32 samples: .astype(numpy.float32)"));
  }
  graph::Tensor codes = graph::Uninitialized(graph::DType::kInt32, reals.shape());
  const numerics::ChannelExtents e = numerics::ExtentsAlong(reals.shape(), grid);
  const absl::Status status = numerics::QuantizeReals(reals.data<float>(), grid, e.outer, e.channels, e.inner,
                                                      codes.mutable_data<std::int32_t>(), rule);
  if (!status.ok()) return absl::FailedPreconditionError(status.message());
  return codes;
}

}  // namespace qatgap::execution
