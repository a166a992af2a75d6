// What to measure beside ladders and paths.
#pragma once

#include <cstdint>

namespace qatgap::attribution {

struct AnalysisOptions {
  bool what_if = false;             // rows of TargetResult::what_ifs; wants calibration batches, see AnalysisSession::Calibrate
  bool sensitivity = false;         // TargetResult::sensitivities
  std::int64_t worst_samples = 0;   // that each comparison keeps
  bool held_out = false;            // AnalysisResult::held_out; see AnalysisSession::RunHeldOut
};

}  // namespace qatgap::attribution
