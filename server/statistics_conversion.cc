#include "server/statistics_conversion.h"

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::server {

using statistics::DifferenceStatistics;

void Fill(const DifferenceStatistics& value, v1::DifferenceStatistics& message) {
  message.set_count(value.count);
  message.set_changed(value.changed);
  message.set_sum(value.sum);
  message.set_sum_absolute(value.sum_absolute);
  message.set_sum_squares(value.sum_squares);
  message.set_max_absolute(value.max_absolute);
  message.set_reference_sum(value.reference_sum);
  message.set_reference_sum_squares(value.reference_sum_squares);
  message.set_cross_sum(value.cross_sum);
  message.set_cross_total(value.cross_total);
  for (const std::uint64_t bin : value.histogram.bins()) message.add_histogram(bin);
}

absl::Status Read(const v1::DifferenceStatistics& message, DifferenceStatistics& value) {
  if (message.histogram_size() != statistics::kHistogramBins) {
    return absl::InvalidArgumentError(
        absl::StrCat("malformed analysis result: a histogram has ", message.histogram_size(), " bins"));
  }
  value.count = message.count();
  value.changed = message.changed();
  value.sum = message.sum();
  value.sum_absolute = message.sum_absolute();
  value.sum_squares = message.sum_squares();
  value.max_absolute = message.max_absolute();
  value.reference_sum = message.reference_sum();
  value.reference_sum_squares = message.reference_sum_squares();
  value.cross_sum = message.cross_sum();
  value.cross_total = message.cross_total();
  for (int i = 0; i < statistics::kHistogramBins; ++i) {
    value.histogram.Add(static_cast<std::size_t>(i), message.histogram(i));
  }
  return absl::OkStatus();
}

absl::Status ReadAll(const google::protobuf::RepeatedPtrField<v1::DifferenceStatistics>& field,
                     std::vector<DifferenceStatistics>& values) {
  values.reserve(static_cast<std::size_t>(field.size()));
  for (const auto& message : field) QATGAP_RETURN_IF_ERROR(Read(message, values.emplace_back()));
  return absl::OkStatus();
}

}  // namespace qatgap::server
