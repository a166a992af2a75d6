// What the parts of the client share. Not for its users.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "client/lib/client.h"
#include "client/lib/local_file.h"
#include "qatgap/v1/analysis.grpc.pb.h"
#include "qatgap/v1/artifact.grpc.pb.h"
#include "qatgap/v1/gate.grpc.pb.h"
#include "qatgap/v1/model.grpc.pb.h"
#include "qatgap/v1/target.grpc.pb.h"

namespace qatgap::client {

struct Client::Impl {
  ConnectOptions options;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::ArtifactService::Stub> artifacts;
  std::unique_ptr<v1::AnalysisService::Stub> analyses;
  std::unique_ptr<v1::TargetService::Stub> targets;
  std::unique_ptr<v1::ModelService::Stub> models;
  std::unique_ptr<v1::GateService::Stub> gates;

  [[nodiscard]] Cancellation::Registration StopUponRequest(grpc::ClientContext& context) const {
    if (options.cancellation == nullptr) return {};
    return options.cancellation->Register([&context] { context.TryCancel(); });
  }

  void LimitTime(grpc::ClientContext& context, std::chrono::milliseconds extra = {}) const {
    context.set_deadline(std::chrono::system_clock::now() + options.deadline + extra);
  }

  // Names the address where the service could not be reached.
  absl::Status Explain(const grpc::Status& status) const;

  // One short call that a request to stop ends.
  template <typename Response, typename Call>
  absl::StatusOr<Response> Unary(const Call& call) const {
    grpc::ClientContext context;
    LimitTime(context);
    return Finish<Response>(context, call);
  }

  // One call that lasts as long as the work it waits for, which the service bounds.
  template <typename Response, typename Call>
  absl::StatusOr<Response> LongUnary(const Call& call) const {
    grpc::ClientContext context;
    return Finish<Response>(context, call);
  }

  template <typename Response, typename Call>
  absl::StatusOr<Response> Finish(grpc::ClientContext& context, const Call& call) const {
    const auto registration = StopUponRequest(context);
    Response response;
    const grpc::Status status = call(&context, &response);
    if (!status.ok()) return Explain(status);
    return response;
  }

  // Hands the chunks of a stream to `sink` in order; stops at its first error and returns it.
  template <typename Response, typename Open>
  absl::Status Download(const Open& open, const std::function<absl::Status(std::string_view)>& sink) const {
    grpc::ClientContext context;
    const auto registration = StopUponRequest(context);
    const auto reader = open(&context);
    Response response;
    absl::Status written;
    while (written.ok() && reader->Read(&response)) written = sink(response.chunk());
    if (!written.ok()) context.TryCancel();
    const grpc::Status status = reader->Finish();
    return written.ok() ? Explain(status) : written;
  }

  absl::Status Send(const std::string& path, const FileDigest& digest,
                    const std::function<void(std::uint64_t, std::uint64_t)>& on_progress) const;
  // One stream. Sets *heard when an event came.
  absl::StatusOr<v1::Analysis> WatchOnce(
      const std::string& id, const std::function<void(const v1::WatchAnalysisResponse&)>& on_event,
      bool* heard) const;
};

}  // namespace qatgap::client
