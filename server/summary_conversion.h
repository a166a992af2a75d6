// A target's summary as message and as value; part of analysis_conversion.h.
#pragma once

#include "analyzers/report/target_summary.h"
#include "qatgap/v1/target_summary.pb.h"

namespace qatgap::server {

void Fill(const report::TargetSummary& summary, v1::TargetSummary& message);
// Shares of another number of causes count as none.
report::TargetSummary FromProto(const v1::TargetSummary& message);

}  // namespace qatgap::server
