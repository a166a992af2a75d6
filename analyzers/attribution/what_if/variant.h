// One way of keeping a layer's bias, as arithmetic: accumulators in, output codes out. docs/what_if.md defines each.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "analyzers/graph/mac_layers.h"
#include "analyzers/graph/tensor.h"
#include "analyzers/numerics/layer_arithmetic.h"
#include "analyzers/numerics/target.h"
#include "analyzers/report/what_if_result.h"

namespace qatgap::attribution::what_if {

// One layer as it is deployed, for one reaching input and target.
struct Deployment {
  graph::MacLayer layer;                 // weights as the target runs them: rounded anew where it adjusts them
  numerics::LayerArithmetic arithmetic;  // of these weights; the rules of the target it delegates to
  numerics::OperatorRules operators;
};

class Variant {
 public:
  virtual ~Variant() = default;
  // Before the channels of a batch. `codes` are the layer's input codes.
  virtual absl::Status Begin(const graph::Tensor& codes) {
    static_cast<void>(codes);
    return absl::OkStatus();
  }
  // Output codes of one channel; `accumulators` are the deployment's. Sizes are equal.
  virtual void Codes(std::int64_t channel, std::span<const std::int32_t> accumulators,
                     std::span<std::int32_t> codes) = 0;
};

// The layer's own arithmetic with other constants or rules.
class RequantizedVariant : public Variant {
 public:
  explicit RequantizedVariant(numerics::LayerArithmetic arithmetic) : arithmetic_(std::move(arithmetic)) {}
  void Codes(std::int64_t channel, std::span<const std::int32_t> accumulators, std::span<std::int32_t> codes) override {
    arithmetic_.Codes(numerics::ArithmeticStage::kRequantized, channel, accumulators, codes);
  }

 private:
  numerics::LayerArithmetic arithmetic_;
};

// A row of the report before anything was measured, and what measures it: null where row.measured is false.
struct PreparedRow {
  report::WhatIfRow row;
  std::unique_ptr<Variant> variant;
};

inline PreparedRow NotMeasured(report::WhatIf what_if, std::string why) {
  return {.row = {.what_if = what_if, .note = std::move(why)}, .variant = nullptr};
}

// A row measured by `arithmetic`; where that is an error, the reason stands in its place.
inline PreparedRow Requantized(report::WhatIfRow row, absl::StatusOr<numerics::LayerArithmetic> arithmetic) {
  if (!arithmetic.ok()) return NotMeasured(row.what_if, std::string(arithmetic.status().message()));
  row.measured = true;
  return {.row = std::move(row), .variant = std::make_unique<RequantizedVariant>(*std::move(arithmetic))};
}

}  // namespace qatgap::attribution::what_if
