// A check in words, the same in every surface. Internal to gate/.
#pragma once

#include <string>

#include "analyzers/report/gate/verdict.h"

namespace qatgap::report::gate {

std::string Number(double value);                     // six significant digits: "0.0125"
std::string NumberOr(std::optional<double> value, std::string_view otherwise);
std::string PlaceOf(const Check& check);              // "pytorch-qnnpack, layer1.0.conv" or "pytorch-qnnpack"
// "injected.bias_rounding.changed_rate is 0.02, max 0.01; baseline 0.001 (+0.019)"
std::string Sentence(const Check& check);
// "3 failed, 1 warning, 1 waived, 40 passed"
std::string Summary(const GateResult& result);

}  // namespace qatgap::report::gate
