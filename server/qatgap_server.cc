#include "server/qatgap_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"
#include "server/artifacts/blob_store.h"
#include "server/http/http_endpoint.h"
#include "server/http/page_routes.h"
#include "server/jobs/job_manager.h"
#include "server/jobs/result_reader.h"
#include "server/jobs/runner_slots.h"
#include "server/jobs/synchronous_units.h"
#include "server/jobs/track_restoration.h"
#include "server/listen_address.h"
#include "server/metrics/server_metrics.h"
#include "server/services/analysis_service.h"
#include "server/services/artifact_service.h"
#include "server/services/gate_service.h"
#include "server/services/model_service.h"
#include "server/services/target_service.h"
#include "server/store/sqlite_store.h"
#include "server/version.h"

namespace qatgap::server {
namespace {

// What an RPC in flight gets to come to its end.
constexpr std::chrono::seconds kDrainTime{2};

absl::StatusOr<ListenAddress> ParsePageAddress(const ServerOptions& options) {
  QATGAP_ASSIGN_OR_RETURN(ListenAddress listen, ParseListenAddress(options.http_listen, "--http-listen"));
  QATGAP_RETURN_IF_ERROR(CheckReachable(listen, options.insecure, "--http-listen"));
  if (!listen.is_unix) return listen;
  return absl::InvalidArgumentError("--http-listen: browsers know no unix: sockets; give HOST:PORT, or --no-http");
}

}  // namespace

// In the order of construction: each refers to ones above it.
struct Server::Parts {
  explicit Parts(const ServerOptions& options)
      : metrics({.version = kVersion,
                 .max_queued = options.max_queued,
                 .runners = std::max(1, options.runners),
                 .tracks = options.tracks}) {}

  std::unique_ptr<RunnerLauncher> launcher;
  std::unique_ptr<Clock> clock;
  ServerMetrics metrics;
  std::unique_ptr<BlobStore> blobs;
  std::unique_ptr<Store> store;
  std::unique_ptr<RunnerSlots> slots;
  std::unique_ptr<JobManager> jobs;
  std::unique_ptr<SynchronousUnits> units;
  std::unique_ptr<ResultReader> results;
  std::unique_ptr<ArtifactServiceImpl> artifact_service;
  std::unique_ptr<AnalysisServiceImpl> analysis_service;
  std::unique_ptr<TargetServiceImpl> target_service;
  std::unique_ptr<ModelServiceImpl> model_service;
  std::unique_ptr<GateServiceImpl> gate_service;
  std::unique_ptr<MetricsEndpoint> metrics_endpoint;
  std::unique_ptr<PageRoutes> page;
  std::unique_ptr<HttpEndpoint> http_endpoint;
  std::unique_ptr<grpc::Server> grpc_server;
  std::string address;
};

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Server::~Server() { Stop(); }

absl::StatusOr<std::unique_ptr<Server>> Server::Start(ServerOptions options,
                                                      std::unique_ptr<RunnerLauncher> launcher,
                                                      std::unique_ptr<Clock> clock) {
  QATGAP_ASSIGN_OR_RETURN(const ListenAddress listen, ParseListenAddress(options.listen));
  QATGAP_RETURN_IF_ERROR(CheckReachable(listen, options.insecure));
  ListenAddress page_address;
  if (!options.http_listen.empty()) {
    QATGAP_ASSIGN_OR_RETURN(page_address, ParsePageAddress(options));
  }
  std::error_code error;
  std::filesystem::create_directories(options.data_dir, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("--data-dir: cannot make '", options.data_dir, "': ", error.message()));
  }
  auto parts = std::make_unique<Parts>(options);
  parts->launcher = std::move(launcher);
  parts->clock = std::move(clock);
  QATGAP_ASSIGN_OR_RETURN(
      parts->blobs, BlobStore::Open(options.data_dir + "/blobs", options.max_artifact_bytes));
  QATGAP_ASSIGN_OR_RETURN(parts->store, OpenSqliteStore(options.data_dir + "/qatgap.sqlite"));
  RestoreTracks(*parts->store, options.tracks.max_tracks, parts->metrics);
  parts->slots = std::make_unique<RunnerSlots>(std::max(1, options.runners));
  QATGAP_ASSIGN_OR_RETURN(
      parts->jobs,
      JobManager::Start({.runners = options.runners, .max_queued = options.max_queued},
                        {.store = *parts->store,
                         .blobs = *parts->blobs,
                         .launcher = *parts->launcher,
                         .slots = *parts->slots,
                         .clock = *parts->clock,
                         .observer = parts->metrics}));
  parts->units = std::make_unique<SynchronousUnits>(options.max_queued,
                                                    SynchronousUnitsParts{.blobs = *parts->blobs,
                                                                          .launcher = *parts->launcher,
                                                                          .slots = *parts->slots,
                                                                          .observer = parts->metrics});
  parts->results = std::make_unique<ResultReader>(*parts->store, *parts->blobs, options.result_cache_bytes);
  parts->artifact_service = std::make_unique<ArtifactServiceImpl>(*parts->blobs, parts->metrics);
  parts->analysis_service =
      std::make_unique<AnalysisServiceImpl>(*parts->jobs, *parts->results, parts->metrics);
  parts->target_service = std::make_unique<TargetServiceImpl>(*parts->units, parts->metrics);
  parts->model_service = std::make_unique<ModelServiceImpl>(*parts->units, parts->metrics);
  parts->gate_service =
      std::make_unique<GateServiceImpl>(*parts->results, *parts->blobs, *parts->clock, parts->metrics);
  if (!options.metrics_listen.empty()) {
    QATGAP_ASSIGN_OR_RETURN(parts->metrics_endpoint,
                            MetricsEndpoint::Start(options.metrics_listen, parts->metrics));
  }
  if (!options.http_listen.empty()) {
    parts->page = std::make_unique<PageRoutes>(*parts->jobs, *parts->results);
    QATGAP_ASSIGN_OR_RETURN(parts->http_endpoint,
                            HttpEndpoint::Start({.host = page_address.host, .port = page_address.port, .names = options.http_hosts},
                                                [page = parts->page.get()](const HttpRequest& r) { return page->Answer(r); }));
  }

  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  // Two servers on one port would each get some of the clients.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  int port = 0;
  builder.AddListeningPort(listen.text, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(parts->artifact_service.get());
  builder.RegisterService(parts->analysis_service.get());
  builder.RegisterService(parts->target_service.get());
  builder.RegisterService(parts->model_service.get());
  builder.RegisterService(parts->gate_service.get());
  parts->grpc_server = builder.BuildAndStart();
  if (parts->grpc_server == nullptr || port == 0) {
    return absl::UnavailableError(absl::StrCat(
        "--listen: cannot listen on '", listen.text, "'; is another qatgapd using it?"));
  }
  parts->address = listen.is_unix ? listen.text : absl::StrCat(listen.host, ":", port);
  grpc::HealthCheckServiceInterface& health = *parts->grpc_server->GetHealthCheckService();
  for (const char* service : {v1::ArtifactService::service_full_name(),
                              v1::AnalysisService::service_full_name(),
                              v1::TargetService::service_full_name(),
                              v1::ModelService::service_full_name(),
                              v1::GateService::service_full_name()}) {
    health.SetServingStatus(service, true);
  }
  return std::unique_ptr<Server>(new Server(std::move(parts)));
}

const std::string& Server::address() const { return parts_->address; }

std::string Server::metrics_address() const {
  return parts_->metrics_endpoint == nullptr ? std::string() : parts_->metrics_endpoint->address();
}

std::string Server::http_address() const {
  return parts_->http_endpoint == nullptr ? std::string() : parts_->http_endpoint->address();
}

void Server::Stop() {
  parts_->grpc_server->GetHealthCheckService()->Shutdown();
  parts_->http_endpoint.reset();
  // First the units and jobs: that ends the calls and watches, which would otherwise last until the drain time is over.
  // Units before jobs, whose threads may wait for a slot that a unit holds.
  parts_->units->Stop();
  parts_->jobs->Stop();
  parts_->grpc_server->Shutdown(std::chrono::system_clock::now() + kDrainTime);
  parts_->grpc_server->Wait();
}

}  // namespace qatgap::server
