#include "server/jobs/job_manager.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "analyzers/status/status_macros.h"
#include "server/jobs/result_reader.h"
#include "server/jobs/runner_blobs.h"
#include "server/jobs/track_restoration.h"
#include "server/result_conversion.h"

namespace qatgap::server {
namespace {

// 128 random bits: ids of several servers on one store do not meet.
std::string NewId() {
  std::random_device device;
  std::string id;
  for (int i = 0; i < 4; ++i) absl::StrAppend(&id, absl::Hex(device(), absl::kZeroPad8));
  return id;
}

// `field` is "qat_model": the message names what the client sent.
absl::Status CheckArtifact(const BlobStore& blobs, const ArtifactRef& ref, const std::string& field) {
  if (!ref.given()) return absl::OkStatus();
  const absl::Status status = blobs.Find(ref.sha256).status();
  return absl::Status(status.code(),
                      absl::StrCat("spec.", field, ".", std::string(status.message())));
}

std::uint64_t LayerCount(const report::AnalysisResult& result) {
  std::uint64_t count = 0;
  for (const report::TargetResult& target : result.targets) count += target.layers.size();
  return count;
}

}  // namespace

JobManager::JobManager(JobManagerOptions options, JobManagerParts parts)
    : options_(options), parts_(parts) {}

absl::StatusOr<std::unique_ptr<JobManager>> JobManager::Start(JobManagerOptions options,
                                                              JobManagerParts parts) {
  std::unique_ptr<JobManager> manager(new JobManager(options, parts));
  QATGAP_RETURN_IF_ERROR(manager->Resume());
  for (int i = 0; i < std::max(1, options.runners); ++i) {
    manager->threads_.emplace_back([raw = manager.get()] { raw->Work(); });
  }
  return manager;
}

JobManager::~JobManager() { Stop(); }

absl::Status JobManager::Resume() {
  const std::scoped_lock lock(mutex_);
  QATGAP_ASSIGN_OR_RETURN(std::vector<Analysis> unfinished, parts_.store.ListUnfinished());
  for (Analysis& analysis : unfinished) {
    analysis.state = AnalysisState::kQueued;
    analysis.start_time.reset();
    analysis.progress = {};
    QATGAP_RETURN_IF_ERROR(parts_.store.Update(analysis));
    EnqueueLocked(std::move(analysis));
  }
  QATGAP_ASSIGN_OR_RETURN(counts_, parts_.store.CountByState());
  parts_.observer.OnStateCounts(counts_);
  return absl::OkStatus();
}

absl::StatusOr<Analysis> JobManager::Create(AnalysisSpec spec, const std::string& request_id) {
  const std::scoped_lock lock(mutex_);
  if (stopping_) return absl::UnavailableError("the server is stopping; try again");
  if (!request_id.empty()) {
    QATGAP_ASSIGN_OR_RETURN(std::optional<Analysis> known,
                            parts_.store.FindByRequestId(request_id));
    if (known) {
      const std::shared_ptr<Job> job = FindLocked(known->id);
      return job != nullptr ? job->analysis : *std::move(known);
    }
  }
  QATGAP_RETURN_IF_ERROR(CheckArtifact(parts_.blobs, spec.qat_model, "qat_model"));
  QATGAP_RETURN_IF_ERROR(CheckArtifact(parts_.blobs, spec.converted_model, "converted_model"));
  QATGAP_RETURN_IF_ERROR(CheckArtifact(parts_.blobs, spec.samples, "samples"));
  for (std::size_t i = 0; i < spec.sample_inputs.size(); ++i) {
    QATGAP_RETURN_IF_ERROR(
        CheckArtifact(parts_.blobs, spec.sample_inputs[i].file, absl::StrCat("sample_inputs[", i, "].file")));
  }
  QATGAP_RETURN_IF_ERROR(CheckArtifact(parts_.blobs, spec.labels, "labels"));
  QATGAP_RETURN_IF_ERROR(CheckArtifact(parts_.blobs, spec.held_out, "held_out"));
  QATGAP_RETURN_IF_ERROR(CheckArtifact(parts_.blobs, spec.held_out_labels, "held_out_labels"));
  const auto queued = counts_[static_cast<std::size_t>(AnalysisState::kQueued)];
  if (queued >= static_cast<std::int64_t>(options_.max_queued)) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the queue is full: ", queued, " analyses wait, ", options_.max_queued,
        " may; try again when one has ended, or start the server with a larger --max-queued"));
  }
  Analysis analysis;
  analysis.id = NewId();
  analysis.spec = std::move(spec);
  analysis.create_time = parts_.clock.Now();
  QATGAP_RETURN_IF_ERROR(parts_.store.Insert(analysis, request_id));
  ++counts_[static_cast<std::size_t>(AnalysisState::kQueued)];
  parts_.observer.OnStateCounts(counts_);
  EnqueueLocked(analysis);
  work_.notify_all();
  return analysis;
}

absl::StatusOr<Analysis> JobManager::Get(const std::string& id) const {
  const std::scoped_lock lock(mutex_);
  if (const std::shared_ptr<Job> job = FindLocked(id)) return job->analysis;
  return parts_.store.Get(id);
}

absl::StatusOr<std::vector<StoredAnalysis>> JobManager::List(const ListQuery& query) const {
  const std::scoped_lock lock(mutex_);
  QATGAP_ASSIGN_OR_RETURN(std::vector<StoredAnalysis> rows, parts_.store.List(query));
  for (StoredAnalysis& row : rows) {
    // Progress is not stored.
    if (const std::shared_ptr<Job> job = FindLocked(row.analysis.id)) row.analysis = job->analysis;
  }
  return rows;
}

absl::StatusOr<Analysis> JobManager::Cancel(const std::string& id) {
  std::unique_lock lock(mutex_);
  std::shared_ptr<Job> job = FindLocked(id);
  if (job != nullptr && job->finishing) {
    forgotten_.wait(lock, [&] { return FindLocked(id) == nullptr; });
    job = nullptr;
  }
  if (job == nullptr) {
    QATGAP_ASSIGN_OR_RETURN(Analysis analysis, parts_.store.Get(id));
    if (analysis.state == AnalysisState::kCancelled) return analysis;
    return absl::FailedPreconditionError(absl::StrCat(
        "analysis '", id, "' has already ", std::string(ToString(analysis.state))));
  }
  CloseLocked(*job, AnalysisState::kCancelled, absl::OkStatus());
  return job->analysis;
}

absl::Status JobManager::Delete(const std::string& id) {
  std::unique_lock lock(mutex_);
  if (const std::shared_ptr<Job> job = FindLocked(id)) {
    return absl::FailedPreconditionError(
        absl::StrCat("analysis '", id, "' is ", std::string(ToString(job->analysis.state)),
                     "; cancel it or wait for its end"));
  }
  QATGAP_ASSIGN_OR_RETURN(const Analysis analysis, parts_.store.Get(id));
  QATGAP_RETURN_IF_ERROR(parts_.store.Delete(id));
  --counts_[static_cast<std::size_t>(analysis.state)];
  parts_.observer.OnStateCounts(counts_);
  if (analysis.spec.track.empty()) return absl::OkStatus();
  parts_.observer.OnTrackedAnalysisDeleted(analysis);
  lock.unlock();  // reading a result takes a while
  RestoreTrack(parts_.store, analysis.spec.track, parts_.observer);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<WatchSubscription>> JobManager::Watch(
    const std::string& id, std::function<void()> on_ready) {
  auto watcher = std::make_shared<WatchSubscription>(std::move(on_ready));
  const std::scoped_lock lock(mutex_);
  if (const std::shared_ptr<Job> job = FindLocked(id)) {
    watcher->Publish(job->analysis);
    job->AddWatcher(watcher);
    if (stopping_) watcher->End(absl::UnavailableError("the server is stopping"));
    return watcher;
  }
  QATGAP_ASSIGN_OR_RETURN(const Analysis analysis, parts_.store.Get(id));
  watcher->Publish(analysis);
  return watcher;
}

void JobManager::Stop() {
  std::vector<std::thread> threads;
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    threads.swap(threads_);
    for (const auto& [id, job] : jobs_) {
      for (const auto& runner : job->runners) runner->Kill();
      if (job->finishing) continue;  // its watchers get the end
      job->ForEachWatcher([](WatchSubscription& watcher) {
        watcher.End(absl::UnavailableError("the server is stopping; the analysis will be run anew"));
      });
    }
  }
  work_.notify_all();
  for (std::thread& thread : threads) thread.join();
}

void JobManager::Work() {
  while (AwaitWork()) {
    // Before the unit is taken: an analysis that waits for a slot is queued, not running. Whoever holds the slots when
    // the server stops is ended, so this wait is too.
    const RunnerSlots::Slot slot = parts_.slots.Acquire();
    const std::optional<Task> task = TakeTask();
    if (!task) continue;
    UnitOutcome outcome;
    try {
      outcome = RunUnit(*task);
    } catch (const std::exception& error) {
      outcome.exit = RunnerExit::kProtocol;
      outcome.status = absl::InternalError(absl::StrCat("the server failed: ", error.what()));
    }
    CompleteUnit(*task, std::move(outcome));
  }
}

bool JobManager::AwaitWork() {
  std::unique_lock lock(mutex_);
  work_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
  return !stopping_;
}

std::optional<JobManager::Task> JobManager::TakeTask() {
  const std::scoped_lock lock(mutex_);
  if (stopping_ || queue_.empty()) return std::nullopt;
  const std::shared_ptr<Job> job = queue_.front();
  const std::optional<int> unit = job->TakeUnit();
  if (!job->HasUnitsToTake()) queue_.pop_front();
  if (job->analysis.state == AnalysisState::kQueued) {
    job->analysis.state = AnalysisState::kRunning;
    job->analysis.start_time = parts_.clock.Now();
    SaveLocked(job->analysis);
    CountLocked(AnalysisState::kQueued, AnalysisState::kRunning);
    job->ForEachWatcher([&](WatchSubscription& watcher) { watcher.Publish(job->analysis); });
  }
  return Task{.job = job, .unit = *unit};
}

absl::StatusOr<UnitOfWork> JobManager::MakeUnit(const Task& task) const {
  const AnalysisSpec& spec = task.job->analysis.spec;  // never changes
  UnitOfWork unit;
  unit.targets = spec.targets;
  unit.target_descriptions = spec.target_descriptions;
  unit.batch_size = spec.batch_size;
  unit.max_samples = spec.max_samples;
  unit.what_if = spec.what_if;
  unit.sensitivity = spec.sensitivity;
  unit.worst_samples = spec.worst_samples;
  unit.unit_index = task.unit;
  unit.unit_count = task.job->unit_count();
  const RunnerBlobs blobs(parts_.blobs, parts_.observer);
  QATGAP_RETURN_IF_ERROR(blobs.Open(spec.qat_model, unit.qat_model));
  QATGAP_RETURN_IF_ERROR(blobs.Open(spec.converted_model, unit.converted_model));
  QATGAP_RETURN_IF_ERROR(blobs.Open(spec.samples, unit.samples));
  for (const SampleInput& input : spec.sample_inputs) {
    SampleBlob& blob = unit.sample_inputs.emplace_back();
    blob.input_name = input.input_name;
    QATGAP_RETURN_IF_ERROR(blobs.Open(input.file, blob.file));
  }
  unit.normalizations = spec.normalizations;
  QATGAP_RETURN_IF_ERROR(blobs.Open(spec.labels, unit.labels));
  QATGAP_RETURN_IF_ERROR(blobs.Open(spec.held_out, unit.held_out));
  QATGAP_RETURN_IF_ERROR(blobs.Open(spec.held_out_labels, unit.held_out_labels));
  return unit;
}

UnitOutcome JobManager::RunUnit(const Task& task) {
  const auto not_started = [](const absl::Status& status) {
    return UnitOutcome{.exit = RunnerExit::kLaunch,
                       .status = absl::InternalError(std::string(status.message())),
                       .result = {},
                       .answer = {}};
  };
  absl::StatusOr<UnitOfWork> unit = MakeUnit(task);
  if (!unit.ok()) return not_started(unit.status());
  absl::StatusOr<std::unique_ptr<RunnerProcess>> launched = parts_.launcher.Launch(*std::move(unit));
  if (!launched.ok()) return not_started(launched.status());
  const std::shared_ptr<RunnerProcess> runner = *std::move(launched);
  {
    const std::scoped_lock lock(mutex_);
    // Cancelled or stopping since the unit was taken: nobody else knows of this runner yet.
    if (task.job->closed || stopping_) runner->Kill();
    task.job->runners.insert(runner);
  }
  UnitOutcome outcome = runner->Wait([&](const UnitProgress& progress) {
    const std::scoped_lock lock(mutex_);
    if (task.job->closed) return;
    task.job->SetProgress(task.unit, progress);
    task.job->ForEachWatcher(
        [&](WatchSubscription& watcher) { watcher.Publish(task.job->analysis.progress); });
  });
  const std::scoped_lock lock(mutex_);
  task.job->runners.erase(runner);
  return outcome;
}

void JobManager::CompleteUnit(const Task& task, UnitOutcome outcome) {
  {
    const std::scoped_lock lock(mutex_);
    Job& job = *task.job;
    parts_.observer.OnRunnerExit(outcome.exit, outcome.peak_bytes);
    if (job.closed) return;
    // Killed by Stop: the analysis stays as it is and is run anew by the next process.
    if (stopping_ && outcome.exit == RunnerExit::kCancelled) return;
    job.analysis.runner_peak_bytes = std::max(job.analysis.runner_peak_bytes, outcome.peak_bytes);
    absl::Status status = std::move(outcome.status);
    if (status.ok()) status = job.AddResult(task.unit, std::move(outcome.result));
    if (!status.ok()) return CloseLocked(job, AnalysisState::kFailed, std::move(status));
    if (!job.Complete()) return;
    job.finishing = true;
  }
  try {
    Finish(task.job);
  } catch (const std::exception& error) {
    const std::scoped_lock lock(mutex_);
    if (task.job->closed) return;
    CloseLocked(*task.job, AnalysisState::kFailed,
                absl::InternalError(absl::StrCat("the server failed: ", error.what())));
  }
}

// Outside the lock, as a large result takes a while to store; `finishing` keeps the job ours.
void JobManager::Finish(const std::shared_ptr<Job>& job) {
  Analysis analysis;
  std::shared_ptr<const report::AnalysisResult> result;
  {
    const std::scoped_lock lock(mutex_);
    analysis = job->analysis;
    result = std::make_shared<const report::AnalysisResult>(job->TakeResult());
  }
  analysis.state = AnalysisState::kSucceeded;
  analysis.end_time = parts_.clock.Now();
  const report::Report report = MakeReport(analysis, *result, parts_.blobs);
  for (const report::TargetResult& target : result->targets) {
    analysis.verdicts.push_back(report::VerdictOf(report, target));
  }
  analysis.summaries = report::SummariesOf(*result);
  const absl::Status stored = parts_.store.UpdateWithResult(analysis, SerializeResult(*result));
  if (stored.ok() && !analysis.spec.track.empty()) parts_.observer.OnTrackedResult(analysis, *result);
  const std::scoped_lock lock(mutex_);
  if (!stored.ok()) {
    return CloseLocked(*job, AnalysisState::kFailed,
                       absl::Status(stored.code(), absl::StrCat("the result could not be stored: ",
                                                                std::string(stored.message()))));
  }
  CountLocked(AnalysisState::kRunning, AnalysisState::kSucceeded);
  job->analysis = std::move(analysis);
  parts_.observer.OnResult(result->samples, LayerCount(*result));
  ForgetLocked(*job, std::move(result));
}

void JobManager::EnqueueLocked(Analysis analysis) {
  auto job = std::make_shared<Job>(std::move(analysis));
  jobs_.emplace(job->analysis.id, job);
  queue_.push_back(std::move(job));
}

void JobManager::CloseLocked(Job& job, AnalysisState state, absl::Status error) {
  CountLocked(job.analysis.state, state);
  job.analysis.state = state;
  job.analysis.error = std::move(error);
  job.analysis.end_time = parts_.clock.Now();
  SaveLocked(job.analysis);
  for (const auto& runner : job.runners) runner->Kill();
  ForgetLocked(job, nullptr);
}

void JobManager::ForgetLocked(Job& job, std::shared_ptr<const report::AnalysisResult> result) {
  job.closed = true;
  parts_.observer.OnAnalysisFinished(job.analysis);
  job.ForEachWatcher(
      [&](WatchSubscription& watcher) { watcher.Publish(job.analysis, result); });
  std::erase_if(queue_, [&](const auto& queued) { return queued.get() == &job; });
  jobs_.erase(job.analysis.id);  // the caller holds the job
  forgotten_.notify_all();
}

void JobManager::CountLocked(AnalysisState from, AnalysisState to) {
  --counts_[static_cast<std::size_t>(from)];
  ++counts_[static_cast<std::size_t>(to)];
  parts_.observer.OnStateCounts(counts_);
}

// For changes no client waits for an answer to. What could not be stored is run anew after a restart.
void JobManager::SaveLocked(const Analysis& analysis) {
  const absl::Status status = parts_.store.Update(analysis);
  if (!status.ok()) parts_.observer.OnStoreError(status);
}

std::shared_ptr<Job> JobManager::FindLocked(const std::string& id) const {
  const auto job = jobs_.find(id);
  return job == jobs_.end() ? nullptr : job->second;
}

}  // namespace qatgap::server
