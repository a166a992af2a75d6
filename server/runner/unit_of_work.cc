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

absl::StatusOr<Inputs> OpenInputs(const std::vector<SampleBlob>& blobs, const Blob& labels, const UnitOfWork& unit,
                                  const std::vector<std::string>& names) {
  std::vector<samples::SampleFile> files;
  for (const SampleBlob& blob : blobs) {
    files.push_back({.fd = blob.file.fd, .name = blob.file.name, .input_name = blob.input_name});
  }
  Inputs inputs;
  QATGAP_ASSIGN_OR_RETURN(inputs.samples, samples::SampleSet::Open(files, names, unit.normalizations));
  inputs.total = inputs.samples->count();
  if (labels.fd >= 0) {
    QATGAP_ASSIGN_OR_RETURN(inputs.labels, samples::ArrayReader::Open(labels.fd, labels.name));
    if (inputs.labels->count() != inputs.total) {
      return absl::InvalidArgumentError(absl::StrCat(inputs.labels->label(), " has ", inputs.labels->count(),
                                                     " labels for ", inputs.total, " samples; give one a sample"));
    }
  }
  return inputs;
}

// Batches of calibration samples, and those of held-out ones behind them.
struct Work {
  std::int64_t batch_size = 0;
  Inputs samples, held_out;

  static std::int64_t Batches(const Inputs& inputs, std::int64_t size) { return (inputs.total + size - 1) / size; }
  std::int64_t calibration_batches() const { return Batches(samples, batch_size); }
  std::int64_t batches() const { return calibration_batches() + Batches(held_out, batch_size); }
  std::int64_t total() const { return samples.total + held_out.total; }
  // Samples in front of the batch.
  std::int64_t before(std::int64_t batch) const {
    const std::int64_t calibration = calibration_batches();
    return batch <= calibration ? std::min(batch * batch_size, samples.total)
                                : samples.total + std::min((batch - calibration) * batch_size, held_out.total);
  }
};

absl::Status InSamples(const Inputs& inputs, const absl::Status& ran) {
  return absl::IsInvalidArgument(ran)
             ? absl::InvalidArgumentError(absl::StrCat(inputs.samples->label(), ": ", std::string(ran.message())))
             : ran;
}

absl::StatusOr<Inputs> OpenCalibration(const UnitOfWork& unit, const std::vector<std::string>& names) {
  QATGAP_ASSIGN_OR_RETURN(Inputs inputs, OpenInputs(unit.samples, unit.labels, unit, names));
  if (unit.max_samples != 0) inputs.total = std::min(inputs.total, static_cast<std::int64_t>(unit.max_samples));
  return inputs;
}

absl::StatusOr<Work> OpenWork(const UnitOfWork& unit, const std::vector<std::string>& names) {
  Work work;
  QATGAP_ASSIGN_OR_RETURN(work.samples, OpenCalibration(unit, names));
  if (unit.held_out.fd >= 0) {
    QATGAP_ASSIGN_OR_RETURN(work.held_out, OpenInputs({{.input_name = "", .file = unit.held_out}}, unit.held_out_labels,
                                                      unit, names));
  }
  return work;
}

// The first batches of the samples, read apart: rows are read forward alone.
absl::Status Calibrate(const UnitOfWork& unit, const std::vector<std::string>& names, std::int64_t batch_size,
                       attribution::AnalysisSession& session) {
  Work work;
  work.batch_size = batch_size;
  QATGAP_ASSIGN_OR_RETURN(work.samples, OpenCalibration(unit, names));
  const std::int64_t batches = std::min(work.batches(), attribution::AnalysisSession::kCalibrationBatches);
  for (std::int64_t batch = 0; batch < batches; ++batch) {
    const std::int64_t first = work.before(batch);
    QATGAP_ASSIGN_OR_RETURN(const std::vector<graph::Tensor> rows,
                            work.samples.samples->Read(first, work.before(batch + 1) - first));
    QATGAP_RETURN_IF_ERROR(InSamples(work.samples, session.Calibrate(rows)));
  }
  return absl::OkStatus();
}

absl::Status RunOneBatch(Work& work, std::int64_t batch, attribution::AnalysisSession& session) {
  const bool held_out = batch >= work.calibration_batches();
  Inputs& inputs = held_out ? work.held_out : work.samples;
  const std::int64_t begin = work.before(batch), count = work.before(batch + 1) - begin;
  const std::int64_t first = held_out ? begin - work.samples.total : begin;
  QATGAP_ASSIGN_OR_RETURN(const std::vector<graph::Tensor> rows, inputs.samples->Read(first, count));
  std::vector<std::int64_t> labels;
  if (inputs.labels) {
    QATGAP_ASSIGN_OR_RETURN(labels, ReadLabels(*inputs.labels, first, count));
  }
  const auto index = static_cast<std::uint64_t>(first);
  return InSamples(inputs, held_out ? session.RunHeldOut(rows, labels, index) : session.RunBatch(rows, labels, index));
}

}  // namespace

absl::StatusOr<report::AnalysisResult> RunUnit(const UnitOfWork& unit, const UnitProgress& progress) {
  QATGAP_ASSIGN_OR_RETURN(std::vector<numerics::TargetDescription> targets,
                          server::CollectTargets(unit.targets, unit.target_descriptions, ""));
  QATGAP_ASSIGN_OR_RETURN(attribution::AnalysisModels models, ReadModels(unit));
  std::vector<std::string> names;
  for (std::size_t i = 0; i < models.qat.inputs.size(); ++i) names.push_back(models.qat.input_name(i));
  QATGAP_ASSIGN_OR_RETURN(Work work, OpenWork(unit, names));
  const std::int64_t limit = models.batch_limit();
  work.batch_size = limit == 0 ? unit.batch_size : std::min(limit, unit.batch_size);
  QATGAP_ASSIGN_OR_RETURN(
      auto session, attribution::AnalysisSession::Create(std::move(models), std::move(targets),
                                                         DescribeEnvironment(work.batch_size),
                                                         {.what_if = unit.what_if,
                                                          .sensitivity = unit.sensitivity,
                                                          .worst_samples = unit.worst_samples,
                                                          .held_out = unit.held_out.fd >= 0}));
  const auto start_of = [&](std::int64_t index) {
    return (index * work.batches() + unit.unit_count - 1) / unit.unit_count;
  };
  const std::int64_t first_batch = start_of(unit.unit_index), last_batch = start_of(unit.unit_index + 1);
  QATGAP_RETURN_IF_ERROR(
      progress.started(static_cast<std::uint64_t>(work.before(last_batch) - work.before(first_batch)),
                       static_cast<std::uint64_t>(work.total())));
  if (unit.what_if) QATGAP_RETURN_IF_ERROR(Calibrate(unit, names, work.batch_size, *session));
  for (std::int64_t batch = first_batch; batch < last_batch; ++batch) {
    QATGAP_RETURN_IF_ERROR(RunOneBatch(work, batch, *session));
    QATGAP_RETURN_IF_ERROR(
        progress.advanced(static_cast<std::uint64_t>(work.before(batch + 1) - work.before(first_batch))));
  }
  return session->TakeResult();
}

}  // namespace qatgap::runner
