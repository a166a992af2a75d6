#include "server/runner/model_reader.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/execution/host.h"
#include "analyzers/status/status_macros.h"
#include "server/version.h"

namespace qatgap::runner {

namespace torchscript = frontends::torchscript;

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

absl::StatusOr<frontends::Model> ReadModel(const Blob& blob, frontends::ModelKind wanted) {
  QATGAP_ASSIGN_OR_RETURN(const std::string bytes, ReadAll(blob));
  QATGAP_ASSIGN_OR_RETURN(frontends::Model model, torchscript::Import(bytes, blob.name));
  if (model.kind == wanted) return model;
  return absl::InvalidArgumentError(
      wanted == frontends::ModelKind::kQat
          ? absl::StrCat("'", blob.name, "' was given as the QAT model but is a converted one; give the model as it was "
                         "trained, before convert()")
          : absl::StrCat("'", blob.name, "' was given as the converted model but still has fake-quants; give the output "
                         "of convert()"));
}

absl::StatusOr<attribution::AnalysisModels> ReadModels(const UnitOfWork& unit) {
  attribution::AnalysisModels models;
  QATGAP_ASSIGN_OR_RETURN(frontends::Model qat, ReadModel(unit.qat_model, frontends::ModelKind::kQat));
  models.qat = std::move(qat.graph);
  models.qat_format = std::move(qat.format);
  if (unit.converted_model.fd >= 0) {
    QATGAP_ASSIGN_OR_RETURN(frontends::Model converted,
                            ReadModel(unit.converted_model, frontends::ModelKind::kConverted));
    models.converted = std::move(converted.graph);
  }
  models.has_labels = unit.labels.fd >= 0;
  if (models.qat.inputs.size() != 1) {
    return absl::FailedPreconditionError(
        absl::StrCat("the QAT model has ", models.qat.inputs.size(), " inputs; models of one input are analysed so far"));
  }
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
