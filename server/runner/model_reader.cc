#include "server/runner/model_reader.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/execution/host.h"
#include "analyzers/frontends/import.h"
#include "analyzers/status/status_macros.h"
#include "server/version.h"

namespace qatgap::runner {

namespace {

attribution::GivenKind KindOf(frontends::ModelKind kind) {
  switch (kind) {
    case frontends::ModelKind::kQat:
      return attribution::GivenKind::kQat;
    case frontends::ModelKind::kConverted:
      return attribution::GivenKind::kConverted;
    case frontends::ModelKind::kFloat:
      break;
  }
  return attribution::GivenKind::kFloat;
}

absl::StatusOr<attribution::GivenModel> Read(const Blob& blob) {
  QATGAP_ASSIGN_OR_RETURN(frontends::Model model, ReadModel(blob));
  return attribution::GivenModel{.graph = std::move(model.graph),
                                 .kind = KindOf(model.kind),
                                 .format = std::move(model.format),
                                 .name = blob.name};
}

}  // namespace

absl::StatusOr<std::string> ReadAll(const Blob& blob) {
  std::string bytes;
  std::string buffer(1U << 20U, '\0');
  for (off_t offset = 0;;) {
    const ssize_t got = pread(blob.fd, buffer.data(), buffer.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::InternalError(absl::StrCat("reading '", blob.name, "' failed: ", std::strerror(errno)));
    if (got == 0) return bytes;
    bytes.append(buffer, 0, static_cast<std::size_t>(got));
    offset += got;
  }
}

absl::StatusOr<frontends::Model> ReadModel(const Blob& blob) {
  QATGAP_ASSIGN_OR_RETURN(const std::string bytes, ReadAll(blob));
  return frontends::ImportModel(bytes, blob.name);
}

absl::StatusOr<attribution::AnalysisModels> ReadModels(const UnitOfWork& unit) {
  std::optional<attribution::GivenModel> reference, converted;
  std::string converted_format;
  if (unit.qat_model.fd >= 0) {
    QATGAP_ASSIGN_OR_RETURN(reference, Read(unit.qat_model));
  }
  if (unit.converted_model.fd >= 0) {
    QATGAP_ASSIGN_OR_RETURN(converted, Read(unit.converted_model));
    converted_format = converted->format;
  }
  QATGAP_ASSIGN_OR_RETURN(attribution::AnalysisModels models,
                          attribution::CombineModels(std::move(reference), std::move(converted)));
  models.converted_format = std::move(converted_format);
  models.has_labels = unit.labels.fd >= 0 || unit.held_out_labels.fd >= 0;
  return models;
}

report::Environment DescribeEnvironment(std::int64_t batch_size) {
  const execution::Host host = execution::DescribeHost();
  return {.tool_version = std::string(server::kVersion),
          .libtorch_version = host.libtorch_version,
          .cpu_features = host.cpu_features,
          .engines = host.engines,
          .batch_size = batch_size,
          .threads = 1};
}

}  // namespace qatgap::runner
