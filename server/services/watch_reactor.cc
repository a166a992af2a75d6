#include "server/services/watch_reactor.h"

#include <exception>
#include <optional>
#include <utility>
#include <variant>

#include "server/analysis_conversion.h"
#include "server/result_conversion.h"
#include "server/services/request_validation.h"
#include "server/services/status_conversion.h"

namespace qatgap::server {
namespace {

struct Convert {
  v1::WatchAnalysisResponse& response;

  void operator()(const Analysis& analysis) const {
    *response.mutable_analysis() = ToProto(analysis);
  }
  void operator()(const AnalysisProgress& progress) const {
    *response.mutable_progress() = ToProto(progress);
  }
  void operator()(const FinishedLayer& finished) const {
    const report::TargetResult& target = finished.result->targets[finished.target];
    *response.mutable_finished_layer() =
        MakeLayerSummary(*finished.result, target, target.layers[finished.layer]);
  }
};

}  // namespace

WatchReactor::WatchReactor(JobManager& jobs, ServerMetrics& metrics, const std::string& id)
    : metrics_(metrics) {
  absl::Status status = ValidateId(id);
  if (status.ok()) {
    absl::StatusOr<std::shared_ptr<WatchSubscription>> subscription =
        jobs.Watch(id, [this] { Pump(); });
    status = subscription.status();
    if (status.ok()) {
      const std::scoped_lock lock(mutex_);
      subscription_ = *std::move(subscription);
    }
  }
  if (status.ok()) {
    Pump();
  } else {
    const std::scoped_lock lock(mutex_);
    FinishLocked(status);
  }
}

void WatchReactor::Pump() {
  const std::scoped_lock lock(mutex_);
  // Called by Watch before the constructor has the subscription: the constructor pumps again.
  if (subscription_ == nullptr || writing_ || finished_) return;
  if (cancelled_) return FinishLocked(absl::CancelledError("the client is gone"));
  try {
    if (const std::optional<WatchEvent> event = subscription_->Next()) {
      std::visit(Convert{response_}, *event);
      writing_ = true;
      StartWrite(&response_);
    } else if (subscription_->Ended()) {
      FinishLocked(subscription_->EndStatus());
    }
  } catch (const std::exception& error) {
    FinishLocked(absl::InternalError(std::string("the server failed: ") + error.what()));
  }
}

void WatchReactor::OnWriteDone(bool ok) {
  {
    const std::scoped_lock lock(mutex_);
    writing_ = false;
    if (!ok) cancelled_ = true;
  }
  Pump();
}

void WatchReactor::OnCancel() {
  {
    const std::scoped_lock lock(mutex_);
    cancelled_ = true;
  }
  Pump();
}

void WatchReactor::OnDone() {
  // After this no other thread calls Pump; both are needed before the memory goes.
  if (subscription_ != nullptr) subscription_->Detach();
  metrics_.OnRpc(Rpc::kWatchAnalysis, code_, absl::Now() - start_);
  delete this;
}

void WatchReactor::FinishLocked(const absl::Status& status) {
  finished_ = true;
  code_ = status.code();
  Finish(ToGrpc(status));
}

}  // namespace qatgap::server
