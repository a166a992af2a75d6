#include "analyzers/execution/layer_parts.h"

#include <algorithm>

#include "analyzers/execution/layer_kernel.h"
#include "analyzers/graph/tensor_rows.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::execution {

absl::StatusOr<graph::Tensor> RunInParts(const graph::MacLayer& layer, const graph::Tensor& codes, bool divide,
                                         const std::function<absl::StatusOr<graph::Tensor>(const graph::Tensor&)>& compute,
                                         const std::function<absl::Status(const LayerPart&)>& done) {
  QATGAP_ASSIGN_OR_RETURN(const graph::Shape shape, OutputShape(layer, codes.shape()));
  graph::Tensor values = graph::Uninitialized(graph::DType::kInt32, shape);
  const auto size = static_cast<std::size_t>(values.elements());
  const std::int64_t samples = shape.size() > 1 ? shape[0] : 1;
  const std::int64_t part = divide ? SamplesOfPart(samples, codes.elements() + values.elements()) : samples;
  for (std::int64_t first = 0; first < samples; first += part) {
    const bool whole = part >= samples;
    const std::int64_t count = std::min(part, samples - first);
    QATGAP_ASSIGN_OR_RETURN(const graph::Tensor rows, compute(whole ? codes : graph::Rows(codes, first, count)));
    graph::Tensor values_of_part = whole ? values : graph::Rows(values, first, count);
    FromChannelMajor(layer, rows, values_of_part);
    const std::size_t begin = size / static_cast<std::size_t>(samples) * static_cast<std::size_t>(first);
    QATGAP_RETURN_IF_ERROR(done({.codes = values_of_part, .first = begin, .size = size}));
  }
  return values;
}

}  // namespace qatgap::execution
