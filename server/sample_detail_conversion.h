// Samples, sensitivities, input ranges and qparams between the values of the analyzers and the messages of the public
// contract; part of result_conversion.h.
#pragma once

#include <cstddef>

#include "absl/status/status.h"
#include "analyzers/report/sample_detail.h"
#include "qatgap/v1/sample_detail.pb.h"

namespace qatgap::server {

v1::QuantParams ToMessage(const numerics::QuantParams& params);
numerics::QuantParams FromMessage(const v1::QuantParams& message);

void Fill(const report::WorstSample& sample, v1::WorstSample& message);
report::WorstSample FromMessage(const v1::WorstSample& message);

void Fill(const report::InputRange& range, v1::InputRange& message);
report::InputRange FromMessage(const v1::InputRange& message);

void Fill(const report::LayerSensitivity& layer, v1::LayerSensitivity& message);
// INVALID_ARGUMENT: an index that points to none of `layers` layers.
absl::Status Read(const v1::LayerSensitivity& message, std::size_t layers, report::LayerSensitivity& layer);

}  // namespace qatgap::server
