// A target's rules as messages; part of result_conversion, which fills the rest of v1::Target. Knows no gRPC.
#pragma once

#include "analyzers/numerics/target.h"
#include "qatgap/v1/target_description.pb.h"

namespace qatgap::server {

// Fields that the other fields of the description do not make it read are left unset.
v1::TargetDescription RulesToProto(const numerics::TargetDescription& target);

}  // namespace qatgap::server
