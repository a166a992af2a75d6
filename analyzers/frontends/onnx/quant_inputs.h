// Scales and zero points as nodes carry them. Internal to frontends/onnx.
#pragma once

#include "analyzers/frontends/onnx/importer.h"

namespace qatgap::frontends::onnx {

// Qparams from a scale input and a zero point input (may be absent: 0) for codes of `type`. More than one scale is per
// channel along `axis` of a tensor of `shape`. FAILED_PRECONDITION: computed scales. INVALID_ARGUMENT: counts that
// disagree, a scale that is not positive and finite, a zero point out of range.
absl::StatusOr<numerics::QuantParams> ParamsFrom(const NodeView& node, std::size_t scale, std::size_t zero_point,
                                                 int type, std::int64_t axis, const MaybeShape& shape);

// The type of codes: the zero point's, where it is given.
int TypeOfZeroPoint(const NodeView& node, std::size_t zero_point, int fallback);

// An activation of a quantized operator, (codes, scale, zero point) from input `first` on, as a real value.
absl::StatusOr<Symbol> DequantizedInput(Importer& importer, const NodeView& node, std::size_t first);

// An integer initializer, (codes, scale, zero point) from input `first` on, as a dequantized constant.
absl::StatusOr<Symbol> DequantizedConstant(Importer& importer, const NodeView& node, const Literal& codes,
                                           numerics::QuantParams params);

}  // namespace qatgap::frontends::onnx
