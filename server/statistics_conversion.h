// Integer sums between the values of the analyzers and the messages of the public contract; part of result_conversion.h.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "analyzers/statistics/difference_statistics.h"
#include "qatgap/v1/report.pb.h"

namespace qatgap::server {

void Fill(const statistics::DifferenceStatistics& value, v1::DifferenceStatistics& message);

template <typename Values>
void FillAll(const Values& values, google::protobuf::RepeatedPtrField<v1::DifferenceStatistics>& field) {
  for (const statistics::DifferenceStatistics& value : values) Fill(value, *field.Add());
}

// INVALID_ARGUMENT: a wrong number of bins.
absl::Status Read(const v1::DifferenceStatistics& message, statistics::DifferenceStatistics& value);
absl::Status ReadAll(const google::protobuf::RepeatedPtrField<v1::DifferenceStatistics>& field,
                     std::vector<statistics::DifferenceStatistics>& values);

}  // namespace qatgap::server
