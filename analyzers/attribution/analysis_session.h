// One analysis as it runs: models and targets in, batches through every path, an AnalysisResult out.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "analyzers/attribution/analysis_options.h"
#include "analyzers/attribution/models.h"
#include "analyzers/graph/graph.h"
#include "analyzers/numerics/target.h"
#include "analyzers/report/analysis_result.h"

namespace qatgap::attribution {

class AnalysisSession {
 public:
  // `environment` is kept in the result as it is.
  // FAILED_PRECONDITION: models that do not pair, no MAC layer, a target that refuses every layer.
  static absl::StatusOr<std::unique_ptr<AnalysisSession>> Create(AnalysisModels models,
                                                                 std::vector<numerics::TargetDescription> targets,
                                                                 report::Environment environment,
                                                                 AnalysisOptions options = {});
  // What is known without samples: layers, what each target stores per channel, findings. A layer that a target refuses
  // is a finding here, and listed as unmeasured; no layer result stands for it. Errors: the other ones of Create.
  static absl::StatusOr<report::AnalysisResult> Inspect(AnalysisModels models,
                                                        std::vector<numerics::TargetDescription> targets,
                                                        report::Environment environment);
  ~AnalysisSession();

  // That of the models it was created from.
  std::int64_t batch_limit() const;

  // Batches of the analysis that Calibrate is for: the first so many, whoever runs the others.
  static constexpr std::int64_t kCalibrationBatches = 16;
  // Runs a batch through the QAT model for the ranges and roundings that what-ifs choose from samples; nothing is
  // measured. Before the first RunBatch. Sessions whose results are merged are given the same batches, in any order.
  absl::Status Calibrate(std::span<const graph::Tensor> inputs);

  // Runs one batch through the QAT model, every ladder and every path. `inputs` are the model's inputs, first axis
  // samples; `labels` is empty or one class a sample; `first_sample` is the index of the first one. Batches may come in any
  // order: the sums do not depend on it. An error leaves the result unusable.
  absl::Status RunBatch(std::span<const graph::Tensor> inputs, std::span<const std::int64_t> labels,
                        std::uint64_t first_sample = 0);
  // The same for samples that are reported apart, as AnalysisResult::held_out; wants AnalysisOptions::held_out.
  absl::Status RunHeldOut(std::span<const graph::Tensor> inputs, std::span<const std::int64_t> labels,
                          std::uint64_t first_sample = 0);

  // Sums up what the batches so far left to be summed up; not from several threads at once.
  const report::AnalysisResult& result() const;
  // The same without a copy, which takes as much memory again; nothing can be done with the session afterwards.
  report::AnalysisResult TakeResult();

 private:
  struct Impl;
  explicit AnalysisSession(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace qatgap::attribution
