// What verifying and identifying gave, as messages of the public contract.
#pragma once

#include "absl/status/statusor.h"
#include "analyzers/numerics/target.h"
#include "analyzers/vectors/identify.h"
#include "analyzers/vectors/verify.h"
#include "qatgap/v1/target.pb.h"

namespace qatgap::runner {

qatgap::v1::VerifyTargetResponse ToProto(const vectors::Verification& verification,
                                         const numerics::TargetDescription& target);

// With the archive of the proposed cases. INTERNAL when it cannot be written.
absl::StatusOr<qatgap::v1::IdentifyTargetResponse> ToProto(const vectors::Identification& identification);

}  // namespace qatgap::runner
