#include "server/services/request_validation.h"

#include <cstddef>
#include <set>

#include "absl/strings/str_cat.h"
#include "analyzers/numerics/target.h"
#include "analyzers/status/status_macros.h"
#include "server/analysis_conversion.h"
#include "server/artifacts/sha256.h"

namespace qatgap::server {
namespace {

constexpr std::size_t kMaxIdBytes = 64;
constexpr std::size_t kMaxRequestIdBytes = 64;
constexpr std::size_t kMaxNameBytes = 255;
constexpr std::size_t kMaxTargetBytes = 64;
constexpr std::size_t kMaxTitleBytes = 200;
constexpr std::int64_t kDefaultBatch = 32;
constexpr std::int64_t kMaxBatch = 4096;
constexpr int kMaxUnits = 64;

absl::Status Violation(const std::string& field, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", what));
}

absl::Status CheckLength(const std::string& value, std::size_t limit, const std::string& field) {
  if (value.size() <= limit) return absl::OkStatus();
  return Violation(field,
                   absl::StrCat("must have at most ", limit, " bytes, has ", value.size()));
}

absl::Status CheckRef(bool present, const v1::ArtifactRef& ref, bool required,
                      const std::string& field) {
  if (!present) return required ? Violation(field, "is required") : absl::OkStatus();
  if (!IsSha256Hex(ref.sha256())) {
    return Violation(absl::StrCat(field, ".sha256"),
                     absl::StrCat("must be 64 lower-case hexadecimal digits, has ",
                                  ref.sha256().size(), " bytes"));
  }
  const std::string name_field = absl::StrCat(field, ".name");
  if (ref.name().empty()) return Violation(name_field, "is required");
  if (ref.name().find_first_of(std::string("/\0", 2)) != std::string::npos) {
    return Violation(name_field, "must be a file name without folders");
  }
  return CheckLength(ref.name(), kMaxNameBytes, name_field);
}

absl::Status CheckRange(std::int64_t value, std::int64_t last, const std::string& field) {
  if (value >= 0 && value <= last) return absl::OkStatus();
  return Violation(field, absl::StrCat("must be 1 to ", last, ", or 0 for the default, is ", value));
}

}  // namespace

absl::StatusOr<AnalysisSpec> ValidateSpec(const v1::AnalysisSpec& message) {
  QATGAP_RETURN_IF_ERROR(
      CheckRef(message.has_qat_model(), message.qat_model(), true, "spec.qat_model"));
  QATGAP_RETURN_IF_ERROR(CheckRef(message.has_converted_model(), message.converted_model(), false,
                                  "spec.converted_model"));
  QATGAP_RETURN_IF_ERROR(CheckRef(message.has_samples(), message.samples(), true, "spec.samples"));
  QATGAP_RETURN_IF_ERROR(CheckRef(message.has_labels(), message.labels(), false, "spec.labels"));
  if (message.targets().empty()) return Violation("spec.targets", "at least one is required");
  std::set<std::string> seen;
  for (const std::string& target : message.targets()) {
    QATGAP_RETURN_IF_ERROR(ValidateTarget(target, "spec.targets"));
    if (!seen.insert(target).second) {
      return Violation("spec.targets", absl::StrCat("'", target, "' is named twice"));
    }
  }
  QATGAP_RETURN_IF_ERROR(CheckRange(message.batch_size(), kMaxBatch, "spec.batch_size"));
  QATGAP_RETURN_IF_ERROR(CheckRange(message.parallel_units(), kMaxUnits, "spec.parallel_units"));
  QATGAP_RETURN_IF_ERROR(CheckLength(message.title(), kMaxTitleBytes, "spec.title"));
  AnalysisSpec spec = FromProto(message);
  if (spec.batch_size == 0) spec.batch_size = kDefaultBatch;
  if (spec.parallel_units == 0) spec.parallel_units = 1;
  return spec;
}

absl::Status ValidateRequestId(const std::string& request_id) {
  return CheckLength(request_id, kMaxRequestIdBytes, "request_id");
}

absl::Status ValidateId(const std::string& id) {
  if (id.empty()) return Violation("id", "is required");
  return CheckLength(id, kMaxIdBytes, "id");
}

absl::Status ValidateTarget(const std::string& name, const std::string& field) {
  if (name.empty()) return Violation(field, "a name is required");
  QATGAP_RETURN_IF_ERROR(CheckLength(name, kMaxTargetBytes, field));
  const absl::Status status = numerics::FindTarget(name).status();
  return absl::Status(status.code(), absl::StrCat(field, ": ", std::string(status.message())));
}

}  // namespace qatgap::server
