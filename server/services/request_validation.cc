#include "server/services/request_validation.h"

#include <cstddef>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "analyzers/numerics/target.h"
#include "analyzers/samples/normalization.h"
#include "analyzers/status/status_macros.h"
#include "server/analysis_conversion.h"
#include "server/artifacts/sha256.h"
#include "server/own_targets.h"
#include "server/samples_conversion.h"

namespace qatgap::server {
namespace {

constexpr std::size_t kMaxIdBytes = 64;
constexpr std::size_t kMaxRequestIdBytes = 64;
constexpr std::size_t kMaxNameBytes = 255;
constexpr std::size_t kMaxTargetBytes = 64;
constexpr std::size_t kMaxTitleBytes = 200;
constexpr std::size_t kMaxTrackBytes = 64;
constexpr std::int64_t kDefaultBatch = 32;
constexpr std::int64_t kMaxBatch = 4096;
constexpr int kMaxUnits = 64;
constexpr int kMaxNormalizations = 32;
constexpr int kMaxDescriptions = 16;
constexpr int kMaxInspectedTargets = 32;
// Where no target is named: the most common rule, so that the biases are looked at.
constexpr char kDefaultInspectedTarget[] = "generic-int32";

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

// Adds the target to the unit.
absl::Status AddTarget(const v1::TargetRef& ref, const std::string& field, ShortUnit& unit) {
  if (ref.has_name()) {
    QATGAP_RETURN_IF_ERROR(ValidateTarget(ref.name(), absl::StrCat(field, ".name")));
    unit.targets.push_back(ref.name());
    return absl::OkStatus();
  }
  if (!ref.has_description()) return Violation(field, "a name or a description is required");
  QATGAP_RETURN_IF_ERROR(ParseOwnTarget(ref.description(), absl::StrCat(field, ".description")).status());
  unit.target_descriptions.push_back(ref.description());
  return absl::OkStatus();
}

// One of the two models, or both.
template <typename Message>
absl::Status CheckModels(const Message& message, const std::string& prefix) {
  if (!message.has_qat_model() && !message.has_converted_model()) {
    return Violation(absl::StrCat(prefix, "qat_model"), "is required where no converted_model is given");
  }
  const std::string qat = absl::StrCat(prefix, "qat_model"), converted = absl::StrCat(prefix, "converted_model");
  QATGAP_RETURN_IF_ERROR(CheckRef(message.has_qat_model(), message.qat_model(), false, qat));
  return CheckRef(message.has_converted_model(), message.converted_model(), false, converted);
}

absl::Status CheckSamples(const v1::AnalysisSpec& message) {
  if (message.sample_inputs().empty()) {
    QATGAP_RETURN_IF_ERROR(CheckRef(message.has_samples(), message.samples(), true, "spec.samples"));
  } else if (message.has_samples()) {
    return Violation("spec.samples", "must not be given beside sample_inputs; give all files there");
  }
  if (message.sample_inputs_size() > static_cast<int>(kMaxSampleInputs)) {
    return Violation("spec.sample_inputs", absl::StrCat("must be at most ", kMaxSampleInputs, ", are ",
                                                        message.sample_inputs_size()));
  }
  for (int i = 0; i < message.sample_inputs_size(); ++i) {
    const v1::SampleInput& input = message.sample_inputs(i);
    const std::string field = absl::StrCat("spec.sample_inputs[", i, "]");
    QATGAP_RETURN_IF_ERROR(CheckLength(input.input_name(), kMaxNameBytes, absl::StrCat(field, ".input_name")));
    QATGAP_RETURN_IF_ERROR(CheckRef(input.has_file(), input.file(), true, absl::StrCat(field, ".file")));
  }
  if (message.normalizations_size() > kMaxNormalizations) {
    return Violation("spec.normalizations", absl::StrCat("must be at most ", kMaxNormalizations, ", are ",
                                                         message.normalizations_size()));
  }
  for (int i = 0; i < message.normalizations_size(); ++i) {
    const std::string field = absl::StrCat("spec.normalizations[", i, "]");
    QATGAP_RETURN_IF_ERROR(CheckLength(message.normalizations(i).input_name(), kMaxNameBytes,
                                       absl::StrCat(field, ".input_name")));
    if (const absl::Status valid = samples::Validate(FromProto(message.normalizations(i))); !valid.ok()) {
      return Violation(field, std::string(valid.message()));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckHeldOut(const v1::AnalysisSpec& message) {
  if (message.worst_samples() > report::kMaxWorstSamples) {
    return Violation("spec.worst_samples",
                     absl::StrCat("must be at most ", report::kMaxWorstSamples, ", is ", message.worst_samples()));
  }
  QATGAP_RETURN_IF_ERROR(CheckRef(message.has_held_out(), message.held_out(), false, "spec.held_out"));
  QATGAP_RETURN_IF_ERROR(
      CheckRef(message.has_held_out_labels(), message.held_out_labels(), false, "spec.held_out_labels"));
  if (message.has_held_out_labels() && !message.has_held_out()) {
    return Violation("spec.held_out_labels", "are given without held_out; give the samples they are of");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<AnalysisSpec> ValidateSpec(const v1::AnalysisSpec& message) {
  QATGAP_RETURN_IF_ERROR(CheckModels(message, "spec."));
  QATGAP_RETURN_IF_ERROR(CheckSamples(message));
  QATGAP_RETURN_IF_ERROR(CheckRef(message.has_labels(), message.labels(), false, "spec.labels"));
  QATGAP_RETURN_IF_ERROR(CheckHeldOut(message));
  if (message.targets().empty() && message.target_descriptions().empty()) {
    return Violation("spec.targets", "at least one is required");
  }
  for (const std::string& target : message.targets()) {
    QATGAP_RETURN_IF_ERROR(ValidateTarget(target, "spec.targets"));
  }
  if (message.target_descriptions_size() > kMaxDescriptions) {
    return Violation("spec.target_descriptions", absl::StrCat("must be at most ", kMaxDescriptions, ", are ",
                                                              message.target_descriptions_size()));
  }
  QATGAP_RETURN_IF_ERROR(CheckRange(message.batch_size(), kMaxBatch, "spec.batch_size"));
  QATGAP_RETURN_IF_ERROR(CheckRange(message.parallel_units(), kMaxUnits, "spec.parallel_units"));
  QATGAP_RETURN_IF_ERROR(CheckLength(message.title(), kMaxTitleBytes, "spec.title"));
  QATGAP_RETURN_IF_ERROR(ValidateTrack(message.track(), "spec.track"));
  AnalysisSpec spec = FromProto(message);
  QATGAP_RETURN_IF_ERROR(CollectTargets(spec.targets, spec.target_descriptions, "spec.").status());
  if (spec.batch_size == 0) spec.batch_size = kDefaultBatch;
  if (spec.parallel_units == 0) spec.parallel_units = 1;
  return spec;
}

absl::Status ValidateTrack(const std::string& track, const std::string& field) {
  QATGAP_RETURN_IF_ERROR(CheckLength(track, kMaxTrackBytes, field));
  for (const char c : track) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '.' && c != '-') {
      return Violation(field, absl::StrCat("must be letters, digits, '_', '.' and '-' of ASCII, is '",
                                           absl::CHexEscape(track), "'"));
    }
  }
  return absl::OkStatus();
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

absl::StatusOr<ShortUnit> ValidateUnit(const v1::VerifyTargetRequest& message) {
  ShortUnit unit;
  unit.kind = UnitKind::kVerify;
  QATGAP_RETURN_IF_ERROR(AddTarget(message.target(), "target", unit));
  QATGAP_RETURN_IF_ERROR(CheckRef(message.has_vectors(), message.vectors(), true, "vectors"));
  unit.vectors = FromProto(message.vectors());
  return unit;
}

absl::StatusOr<ShortUnit> ValidateUnit(const v1::IdentifyTargetRequest& message) {
  ShortUnit unit;
  unit.kind = UnitKind::kIdentify;
  QATGAP_RETURN_IF_ERROR(CheckRef(message.has_vectors(), message.vectors(), true, "vectors"));
  unit.vectors = FromProto(message.vectors());
  return unit;
}

absl::StatusOr<ShortUnit> ValidateUnit(const v1::InspectModelRequest& message) {
  ShortUnit unit;
  unit.kind = UnitKind::kInspect;
  QATGAP_RETURN_IF_ERROR(CheckModels(message, ""));
  if (message.targets_size() > kMaxInspectedTargets) {
    return Violation("targets", absl::StrCat("must be at most ", kMaxInspectedTargets, ", are ", message.targets_size()));
  }
  for (int i = 0; i < message.targets_size(); ++i) {
    QATGAP_RETURN_IF_ERROR(AddTarget(message.targets(i), absl::StrCat("targets[", i, "]"), unit));
  }
  QATGAP_RETURN_IF_ERROR(CollectTargets(unit.targets, unit.target_descriptions, "").status());
  if (message.targets().empty()) unit.targets = {kDefaultInspectedTarget};
  unit.qat_model = FromProto(message.qat_model());
  unit.converted_model = FromProto(message.converted_model());
  return unit;
}

absl::StatusOr<ShortUnit> ValidateUnit(const v1::CreateHandoffRequest& message) {
  ShortUnit unit;
  unit.kind = UnitKind::kHandoff;
  QATGAP_RETURN_IF_ERROR(CheckRef(message.has_qat_model() || message.has_converted_model(),
                                  message.has_qat_model() ? message.qat_model() : message.converted_model(), true,
                                  message.has_converted_model() ? "converted_model" : "qat_model"));
  QATGAP_RETURN_IF_ERROR(AddTarget(message.target(), "target", unit));
  unit.qat_model = FromProto(message.qat_model());
  unit.converted_model = FromProto(message.converted_model());
  return unit;
}

}  // namespace qatgap::server
