// Measures one model file of the zoo: does it import, and does what is imported agree with what PyTorch computes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "tests/conformance/zoo_folder.h"

namespace qatgap::conformance {

// One flat JSON object; every measurement that could not be made is a string "<name>_error" that says why.
//   imports, format, kind, import_seconds, lower_seconds (each since the step before)
//   path_elements, path_differing, path_max: fake-quant path (QAT) or the converted file's own path against the reference
//     "path_reference": "interpreter" (LibTorch in this process) or "recorded" (in the folder), "path_mode"
//   path_operators_differing, path_operators_max: of an ONNX file, against its operators each run by PyTorch
//   constants_layers, constants_missing, constants_float_outputs (layers without output codes),
//   constants_{weights,scales,zero_points,biases,outputs} (compared) and the same with _differing
//   residual_codes (sum of |d|), residual_differing, residual_elements, coverage_analysed, coverage_layers, engine_notes
//   islands: names of operators that ran as float islands
nlohmann::ordered_json Measure(const ZooFolder& folder, const Part& part);

// As Measure, the QAT and the converted file of one flow together: residual and coverage alone.
nlohmann::ordered_json MeasurePair(const ZooFolder& folder, const Part& qat, const Part& converted);

}  // namespace qatgap::conformance
