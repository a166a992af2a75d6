// The QAT model trained with the bias that is stored: fake-quantized in training, as weights are.
//
// The deployed layer stays as it is and the references move: b := q_b * s_b in both,
//   float_bias' = stage `bias_stored`
//   fake_quant' = fake_quant + real(q_b * s_b) - real(b), both exact, with the QAT model's weights
// so that what float32 arithmetic does in the trained model stays in the row, element by element. It measures
// agreement; what training with such a bias costs in accuracy only training shows.
#pragma once

#include <cstdint>
#include <span>

#include "absl/status/statusor.h"
#include "analyzers/attribution/ladder.h"
#include "analyzers/attribution/what_if/variant.h"

namespace qatgap::attribution::what_if {

class TrainedBias {
 public:
  // `qat` are the QAT model's constants for this input.
  static absl::StatusOr<TrainedBias> Create(const Deployment& deployment, const numerics::MacConstants& qat);

  // One channel of a batch: `float_bias` is overwritten, `fake_quant` moved.
  void MoveReferences(std::int64_t channel, const LadderInput& batch, std::span<const std::int32_t> accumulators,
                      std::span<std::int32_t> float_bias, std::span<std::int32_t> fake_quant) const;

 private:
  TrainedBias(numerics::LayerArithmetic deployed, numerics::LayerArithmetic before, numerics::LayerArithmetic after)
      : deployed_(std::move(deployed)), before_(std::move(before)), after_(std::move(after)) {}

  numerics::LayerArithmetic deployed_, before_, after_;  // QAT model: with its own bias, with the stored one
};

// The row without samples. A remedy only where nothing saturates: else the trained model would have to do without
// the part of the bias that storage cannot hold.
report::WhatIfRow TrainedBiasRow(const Deployment& deployment);

}  // namespace qatgap::attribution::what_if
