#include "server/runner/unit_of_work.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "analyzers/attribution/analysis_session.h"
#include "analyzers/samples/array_reader.h"
#include "analyzers/samples/sample_set.h"
#include "analyzers/status/status_macros.h"
#include "server/own_targets.h"
#include "server/runner/model_reader.h"

namespace qatgap::runner {
namespace {

absl::StatusOr<std::vector<std::int64_t>> ReadLabels(samples::ArrayReader& reader, std::int64_t first, std::int64_t count) {
  QATGAP_ASSIGN_OR_RETURN(const graph::Tensor rows, reader.Read(first, count));
  std::vector<std::int64_t> labels;
  const auto append = [&](auto values) { labels.assign(values.begin(), values.end()); };
  if (rows.elements() != count) {
    return absl::InvalidArgumentError(absl::StrCat(reader.label(), " has shape ", graph::ToString(reader.shape()),
                                                   "; labels are one integer a sample"));
  }
  switch (rows.dtype()) {
    case graph::DType::kInt64:
      append(rows.data<std::int64_t>());
      return labels;
    case graph::DType::kInt32:
      append(rows.data<std::int32_t>());
      return labels;
    case graph::DType::kUint8:
      append(rows.data<std::uint8_t>());
      return labels;
    default:
      return absl::InvalidArgumentError(absl::StrCat(reader.label(), " has dtype ", std::string(ToString(rows.dtype())),
                                                     "; labels are integers: .astype(numpy.int64)"));
  }
}

struct Inputs {
  std::optional<samples::SampleSet> samples;
  std::optional<samples::ArrayReader> labels;
  std::int64_t total = 0;
};

absl::StatusOr<Inputs> OpenInputs(const UnitOfWork& unit, const graph::Graph& model) {
  std::vector<samples::SampleFile> files;
  for (const SampleBlob& blob : unit.samples) {
    files.push_back({.fd = blob.file.fd, .name = blob.file.name, .input_name = blob.input_name});
  }
  std::vector<std::string> names;
  for (std::size_t i = 0; i < model.inputs.size(); ++i) names.push_back(model.input_name(i));
  Inputs inputs;
  QATGAP_ASSIGN_OR_RETURN(inputs.samples, samples::SampleSet::Open(files, names, unit.normalizations));
  inputs.total = inputs.samples->count();
  if (unit.labels.fd >= 0) {
    QATGAP_ASSIGN_OR_RETURN(inputs.labels, samples::ArrayReader::Open(unit.labels.fd, unit.labels.name));
    if (inputs.labels->count() != inputs.total) {
      return absl::InvalidArgumentError(absl::StrCat(inputs.labels->label(), " has ", inputs.labels->count(),
                                                     " labels for ", inputs.total, " samples; give one a sample"));
    }
  }
  if (unit.max_samples != 0) inputs.total = std::min(inputs.total, static_cast<std::int64_t>(unit.max_samples));
  return inputs;
}

}  // namespace

absl::StatusOr<report::AnalysisResult> RunUnit(const UnitOfWork& unit, const UnitProgress& progress) {
  QATGAP_ASSIGN_OR_RETURN(std::vector<numerics::TargetDescription> targets,
                          server::CollectTargets(unit.targets, unit.target_descriptions, ""));
  QATGAP_ASSIGN_OR_RETURN(attribution::AnalysisModels models, ReadModels(unit));
  QATGAP_ASSIGN_OR_RETURN(Inputs inputs, OpenInputs(unit, models.qat));
  Inputs calibration;  // opened apart: rows are read forward alone
  if (unit.what_if) {
    QATGAP_ASSIGN_OR_RETURN(calibration, OpenInputs(unit, models.qat));
  }
  const std::int64_t limit = models.batch_limit();
  const std::int64_t batch_size = limit == 0 ? unit.batch_size : std::min(limit, unit.batch_size);
  QATGAP_ASSIGN_OR_RETURN(
      auto session, attribution::AnalysisSession::Create(std::move(models), std::move(targets),
                                                         DescribeEnvironment(batch_size), {.what_if = unit.what_if}));
  const std::int64_t batches = (inputs.total + batch_size - 1) / batch_size;
  const auto start_of = [&](std::int64_t index) { return (index * batches + unit.unit_count - 1) / unit.unit_count; };
  const std::int64_t first_batch = start_of(unit.unit_index), last_batch = start_of(unit.unit_index + 1);
  const auto end_of_batches = [&](std::int64_t batch) { return std::min(batch * batch_size, inputs.total); };
  QATGAP_RETURN_IF_ERROR(
      progress.started(static_cast<std::uint64_t>(end_of_batches(last_batch) - end_of_batches(first_batch)),
                       static_cast<std::uint64_t>(inputs.total)));
  const auto in_samples = [&](const absl::Status& ran) {
    return absl::IsInvalidArgument(ran)
               ? absl::InvalidArgumentError(absl::StrCat(inputs.samples->label(), ": ", std::string(ran.message())))
               : ran;
  };
  const std::int64_t calibration_batches =
      unit.what_if ? std::min(batches, attribution::AnalysisSession::kCalibrationBatches) : 0;
  for (std::int64_t batch = 0; batch < calibration_batches; ++batch) {
    const std::int64_t first = batch * batch_size;
    QATGAP_ASSIGN_OR_RETURN(const std::vector<graph::Tensor> rows,
                            calibration.samples->Read(first, end_of_batches(batch + 1) - first));
    QATGAP_RETURN_IF_ERROR(in_samples(session->Calibrate(rows)));
  }
  calibration = {};
  std::uint64_t done = 0;
  for (std::int64_t batch = first_batch; batch < last_batch; ++batch) {
    const std::int64_t first = batch * batch_size, count = end_of_batches(batch + 1) - first;
    QATGAP_ASSIGN_OR_RETURN(const std::vector<graph::Tensor> rows, inputs.samples->Read(first, count));
    std::vector<std::int64_t> labels;
    if (inputs.labels) {
      QATGAP_ASSIGN_OR_RETURN(labels, ReadLabels(*inputs.labels, first, count));
    }
    QATGAP_RETURN_IF_ERROR(in_samples(session->RunBatch(rows, labels)));
    done += static_cast<std::uint64_t>(count);
    QATGAP_RETURN_IF_ERROR(progress.advanced(done));
  }
  return session->result();
}

}  // namespace qatgap::runner
