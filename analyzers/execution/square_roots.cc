#include "analyzers/execution/square_roots.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/sqrt.h>

#include <cstdint>

namespace qatgap::execution {

void ReplaceBySquareRoots(std::span<float> values) {
  at::from_blob(values.data(), {static_cast<std::int64_t>(values.size())}, at::kFloat).sqrt_();
}

}  // namespace qatgap::execution
