#include "analyzers/vectors/window.h"

#include <algorithm>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::vectors {
namespace {

using Extents = std::vector<std::int64_t>;

absl::StatusOr<Extents> Spread(std::string_view name, const Extents& given, const Extents& absent,
                               const std::string& where) {
  if (given.empty()) return absent;
  if (given.size() == absent.size()) return given;
  if (given.size() == 1) return Extents(absent.size(), given.front());
  return absl::InvalidArgumentError(
      absl::StrCat(where, ": attributes.", Text(name), " is [", absl::StrJoin(given, ", "),
                   "]; give one entry, or one for each of the ", absent.size(), " spatial axes"));
}

absl::Status SetPadding(const CaseDescription& description, const std::string& where, const Extents& input,
                        const Extents& output, Window* window) {
  const PaddingDescription& padding = description.padding;
  const std::size_t axes = window->kernel.size();
  window->begin.assign(axes, 0);
  window->end.assign(axes, 0);
  using Kind = PaddingDescription::Kind;
  if (padding.kind == Kind::kSame || padding.kind == Kind::kSameLower) {
    const bool transposed = description.op.op == CaseOp::kTransposedConvolution;
    for (std::size_t i = 0; i < axes; ++i) {
      const std::int64_t reach = window->dilation[i] * (window->kernel[i] - 1) + 1;
      const std::int64_t total = transposed ? (input[i] - 1) * window->stride[i] + reach - output[i]
                                            : (output[i] - 1) * window->stride[i] + reach - input[i];
      const std::int64_t both = std::max<std::int64_t>(total, 0);
      window->begin[i] = padding.kind == Kind::kSame ? both / 2 : both - both / 2;
      window->end[i] = both - window->begin[i];
    }
    return absl::OkStatus();
  }
  if (padding.kind == Kind::kValid || padding.begin.empty()) return absl::OkStatus();
  if (padding.begin.size() == 2 * axes) {
    // All beginnings before all ends: top, left, bottom, right.
    std::copy_n(padding.begin.begin(), axes, window->begin.begin());
    std::copy_n(padding.begin.begin() + static_cast<std::ptrdiff_t>(axes), axes, window->end.begin());
    return absl::OkStatus();
  }
  QATGAP_ASSIGN_OR_RETURN(window->begin, Spread("padding", padding.begin, window->begin, where));
  window->end = window->begin;
  if (!padding.end.empty()) {
    QATGAP_ASSIGN_OR_RETURN(window->end, Spread("padding", padding.end, Extents(axes, 0), where));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Window> MakeWindow(const CaseDescription& description, const std::string& where, const Extents& kernel,
                                  const Extents& default_stride, const Extents& input, const Extents& output) {
  Window window{.kernel = kernel, .stride = {}, .dilation = {}, .begin = {}, .end = {}, .output_padding = {}};
  const Extents ones(kernel.size(), 1), zeros(kernel.size(), 0);
  QATGAP_ASSIGN_OR_RETURN(window.stride, Spread("stride", description.stride, default_stride, where));
  QATGAP_ASSIGN_OR_RETURN(window.dilation, Spread("dilation", description.dilation, ones, where));
  QATGAP_ASSIGN_OR_RETURN(window.output_padding, Spread("output_padding", description.output_padding, zeros, where));
  QATGAP_RETURN_IF_ERROR(SetPadding(description, where, input, output, &window));
  if (description.op.op == CaseOp::kTransposedConvolution && description.output_padding.empty()) {
    // Not stated, it is what the output has beyond the least extent, as TFLite and Keras leave it to the output's
    // shape.
    for (std::size_t i = 0; i < kernel.size(); ++i) {
      const std::int64_t beyond = output[i] - TransposedOutputExtent(window, i, input[i]);
      if (beyond > 0 && beyond < window.stride[i]) window.output_padding[i] = beyond;
    }
  }
  return window;
}

std::int64_t OutputExtent(const Window& window, std::size_t axis, std::int64_t input, bool ceiling) {
  const std::int64_t reach = window.dilation[axis] * (window.kernel[axis] - 1) + 1;
  const std::int64_t room = input + window.begin[axis] + window.end[axis] - reach;
  if (room < 0) return 0;
  std::int64_t extent = room / window.stride[axis] + 1;
  if (ceiling && room % window.stride[axis] != 0) {
    // A window that would start in the padding behind the input is left out.
    if (extent * window.stride[axis] < input + window.begin[axis]) ++extent;
  }
  return extent;
}

std::int64_t TransposedOutputExtent(const Window& window, std::size_t axis, std::int64_t input) {
  return (input - 1) * window.stride[axis] - window.begin[axis] - window.end[axis] +
         window.dilation[axis] * (window.kernel[axis] - 1) + window.output_padding[axis] + 1;
}

}  // namespace qatgap::vectors
