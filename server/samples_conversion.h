// What is said of samples, between the values of analyzers/samples and the messages of the public contract.
#pragma once

#include <cstddef>

#include "analyzers/samples/normalization.h"
#include "qatgap/v1/samples.pb.h"

namespace qatgap::server {

// Files of samples that an analysis may have, as analysis.proto says.
inline constexpr std::size_t kMaxSampleInputs = 32;

v1::Normalization ToProto(const samples::Normalization& normalization);
// Fills in the defaults; what a client may ask for is checked by samples::Validate.
samples::Normalization FromProto(const v1::Normalization& message);

}  // namespace qatgap::server
