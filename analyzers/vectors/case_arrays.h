// The arrays of a case folder, checked against case.json. Internal.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/graph/tensor.h"
#include "analyzers/vectors/case.h"
#include "analyzers/vectors/case_description.h"

namespace qatgap::vectors {

// Codes as int32, in the file's layout. INVALID_ARGUMENT naming file, dtype or element: another dtype than the
// description's, no element, more than 2^28 elements, a code outside quant_min..quant_max.
absl::StatusOr<graph::Tensor> ReadCodes(const Files& files, const std::string& path, const CodeDescription& codes);

// float32 or float64, every value finite in binary32.
absl::StatusOr<std::vector<double>> ReadRealBias(const Files& files, const std::string& path);

struct IntegerBias {
  std::vector<std::int64_t> values;
  int bits = 0;  // of the file's type
};

// int8, int16, int32 or int64.
absl::StatusOr<IntegerBias> ReadIntegerBias(const Files& files, const std::string& path);

}  // namespace qatgap::vectors
