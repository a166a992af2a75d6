// What a fake-quant was made of, as far as the file keeps it: convert() starts from that, not from the fake-quant's scale.
#pragma once

#include <memory>

#include "analyzers/frontends/torchscript/evaluator.h"

namespace qatgap::frontends::torchscript {

// Of a FusedMovingAvgObsFakeQuantize: its operator names minimum and maximum; the module keeps epsilon.
std::shared_ptr<const graph::ObservedRange> RangeOfFusedModule(const Evaluator& evaluator, const at::Tensor& minimum,
                                                               const at::Tensor& maximum, const numerics::QuantParams& params,
                                                               bool symmetric);

// Of a FakeQuantize, from its activation_post_process; nullptr where that has observed nothing (fixed qparams).
std::shared_ptr<const graph::ObservedRange> RangeOfPlainModule(const Evaluator& evaluator, const numerics::QuantParams& params);

// Of the weight that is being fake-quantized: the parent module's weight and batch norm where `weight` is surely made of
// them, bit for bit, else `weight` itself.
std::shared_ptr<const graph::WeightOrigin> OriginOfWeight(const Evaluator& evaluator, const at::Tensor& weight,
                                                          const std::shared_ptr<const graph::ObservedRange>& observed);

}  // namespace qatgap::frontends::torchscript
