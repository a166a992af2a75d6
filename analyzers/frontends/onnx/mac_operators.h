// Products and windows, as the float and the quantized operators share them. Internal to frontends/onnx.
#pragma once

#include "analyzers/frontends/onnx/importer.h"

namespace qatgap::frontends::onnx {

// Kernel, stride, dilation and padding of a convolution or a pool.
struct Window {
  std::vector<std::int64_t> kernel, stride, dilation, begin, end;  // one entry per spatial axis; begin and end: padding
  bool symmetric() const { return begin == end; }
  bool padded() const;
};
// From kernel_shape (or `kernel`), strides, dilations, pads and auto_pad. `shape` is the input's, which SAME padding of
// a stride beyond 1 needs.
absl::StatusOr<Window> WindowOf(const NodeView& node, std::vector<std::int64_t> kernel, const MaybeShape& shape);
// The input's batch and channels (or `channels`), and the spatial extents behind the window.
MaybeShape WindowShape(const MaybeShape& input, const Window& window, std::int64_t channels, bool ceil_mode);

// x with `value` around its spatial axes.
graph::ValueId PadSpatially(Importer& importer, graph::ValueId x, const Window& window, double value);
MaybeShape PaddedShape(const MaybeShape& input, const Window& window);

absl::StatusOr<Symbol> Convolve(Importer& importer, const NodeView& node, const Symbol& x, const Symbol& weight,
                                std::optional<graph::ValueId> bias);
// a * b, `b` a matrix that depends on constants alone or anything else.
absl::StatusOr<Symbol> Multiply(Importer& importer, const NodeView& node, const Symbol& a, const Symbol& b,
                                std::optional<graph::ValueId> bias);
// The pools, as QLinearAveragePool and QLinearGlobalAveragePool share them.
absl::StatusOr<Symbol> AveragePoolOf(Importer& importer, const NodeView& node, const Symbol& x);
absl::StatusOr<Symbol> GlobalAveragePoolOf(Importer& importer, const NodeView& node, const Symbol& x);

}  // namespace qatgap::frontends::onnx
