// How a window (a kernel with stride, padding and dilation) moves along spatial axes, from a description and extents.
// Internal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/vectors/case_description.h"

namespace qatgap::vectors {

struct Window {
  std::vector<std::int64_t> kernel, stride, dilation, begin, end;  // one entry per spatial axis
  std::vector<std::int64_t> output_padding;                        // transposed convolution
};

// The attributes of `description` spread over kernel.size() axes; absent ones are 1 (`stride`: `default_stride`),
// padding 0. "same" padding is that of these extents. INVALID_ARGUMENT naming `where` and the attribute: a count that
// is neither one nor an entry an axis.
absl::StatusOr<Window> MakeWindow(const CaseDescription& description, const std::string& where,
                                  const std::vector<std::int64_t>& kernel,
                                  const std::vector<std::int64_t>& default_stride,
                                  const std::vector<std::int64_t>& input, const std::vector<std::int64_t>& output);

// The output's extent that the window gives along `axis`; below 1 when the kernel does not fit.
std::int64_t OutputExtent(const Window& window, std::size_t axis, std::int64_t input, bool ceiling);
std::int64_t TransposedOutputExtent(const Window& window, std::size_t axis, std::int64_t input);

}  // namespace qatgap::vectors
