#include "client/lib/client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/lib/client_impl.h"
#include "client/lib/error_details.h"
#include "client/lib/grpc_status.h"
#include "client/lib/local_file.h"

namespace qatgap::client {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{1} << 20;
constexpr int kMaxWatchAttempts = 10;
// An inspection of a model of 100 000 channels under ten targets takes about 80 MB; gRPC's default is 4 MiB.
constexpr int kLargestMessageBytes = 256 << 20;
// Slower uploads than this are taken for a hanging connection.
constexpr std::uint64_t kSlowestUploadBytesPerSecond = 64 << 10;
// gRPC servers take pings of an idle connection more often than every 5 minutes for abuse.
constexpr int kKeepaliveMilliseconds = 6 * 60 * 1000;
constexpr int kKeepaliveTimeoutMilliseconds = 20 * 1000;

std::string RandomRequestId() {
  std::random_device device;
  return absl::StrFormat("%08x%08x%08x%08x", device(), device(), device(), device());
}

}  // namespace

absl::Status Client::Impl::Explain(const grpc::Status& status) const {
  absl::Status converted = ToAbslStatus(status);
  if (absl::IsUnavailable(converted)) {
    return WithRemedy(
        absl::UnavailableError(absl::StrCat("the service cannot be reached (", options.address,
                                            ": ", status.error_message(), ")")),
        "check that qatgapd runs there and that --server is right");
  }
  if (absl::IsDeadlineExceeded(converted)) {
    return WithRemedy(absl::DeadlineExceededError(absl::StrCat(
                          "the service did not answer in time (", options.address, ")")),
                      "try again, or look at the load of the service");
  }
  return converted;
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(ConnectOptions options) {
  const std::string& address = options.address;
  if (address.empty() || absl::StartsWith(address, "http://") ||
      absl::StartsWith(address, "https://") || !absl::StrContains(address, ':')) {
    return WithRemedy(
        absl::InvalidArgumentError(absl::StrCat("not a service address (", address, ")")),
        "give HOST:PORT or unix:PATH");
  }
  auto impl = std::make_unique<Impl>();
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMilliseconds);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMilliseconds);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  arguments.SetMaxReceiveMessageSize(kLargestMessageBytes);
  impl->channel = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  impl->artifacts = v1::ArtifactService::NewStub(impl->channel);
  impl->analyses = v1::AnalysisService::NewStub(impl->channel);
  impl->targets = v1::TargetService::NewStub(impl->channel);
  impl->models = v1::ModelService::NewStub(impl->channel);
  impl->gates = v1::GateService::NewStub(impl->channel);
  impl->options = std::move(options);
  return std::unique_ptr<Client>(new Client(std::move(impl)));
}

absl::Status Client::Impl::Send(
    const std::string& path, const FileDigest& digest,
    const std::function<void(std::uint64_t, std::uint64_t)>& on_progress) const {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::InvalidArgumentError(absl::StrCat("cannot read the file (", path, ")"));
  grpc::ClientContext context;
  LimitTime(context, std::chrono::seconds(digest.size_bytes / kSlowestUploadBytesPerSecond));
  const auto registration = StopUponRequest(context);
  v1::UploadArtifactResponse response;
  const auto writer = artifacts->UploadArtifact(&context, &response);

  v1::UploadArtifactRequest request;
  request.mutable_header()->set_sha256(digest.sha256);
  request.mutable_header()->set_size_bytes(digest.size_bytes);
  bool open = writer->Write(request);
  std::uint64_t sent = 0;
  std::string chunk;
  bool shrunk = false;
  while (open && sent < digest.size_bytes) {
    chunk.resize(
        static_cast<std::size_t>(std::min<std::uint64_t>(kChunkBytes, digest.size_bytes - sent)));
    file.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    if (static_cast<std::size_t>(file.gcount()) != chunk.size()) {
      shrunk = true;
      context.TryCancel();
      break;
    }
    request.set_chunk(chunk);
    open = writer->Write(request);
    if (!open) break;
    sent += chunk.size();
    if (on_progress) on_progress(sent, digest.size_bytes);
  }
  if (open && !shrunk) writer->WritesDone();
  const grpc::Status status = writer->Finish();
  if (shrunk) {
    return WithRemedy(
        absl::InvalidArgumentError(absl::StrCat("the file changed during the upload (", path, ")")),
        "wait until the program that writes it has ended");
  }
  return Explain(status);
}

absl::StatusOr<UploadResult> Client::Upload(
    const std::string& path, const std::function<void(std::uint64_t, std::uint64_t)>& on_progress) {
  const auto digest = DigestFile(path, impl_->options.cancellation);
  if (!digest.ok()) return digest.status();
  UploadResult result;
  result.artifact.set_sha256(digest->sha256);
  result.artifact.set_name(BaseName(path));

  const auto known = impl_->Unary<v1::GetArtifactResponse>([&](auto* context, auto* response) {
    v1::GetArtifactRequest request;
    request.set_sha256(digest->sha256);
    return impl_->artifacts->GetArtifact(context, request, response);
  });
  if (known.ok()) {
    result.already_there = true;
    return result;
  }
  if (!absl::IsNotFound(known.status())) return known.status();
  if (absl::Status sent = impl_->Send(path, *digest, on_progress); !sent.ok()) return sent;
  return result;
}

absl::StatusOr<v1::Analysis> Client::Create(const v1::AnalysisSpec& spec) {
  v1::CreateAnalysisRequest request;
  *request.mutable_spec() = spec;
  request.set_request_id(RandomRequestId());
  grpc::Status status;
  for (int attempt = 0; attempt < 2; ++attempt) {
    // Not ended by a request to stop: the caller must learn the id to cancel the analysis.
    grpc::ClientContext context;
    impl_->LimitTime(context);
    v1::CreateAnalysisResponse response;
    status = impl_->analyses->CreateAnalysis(&context, request, &response);
    if (status.ok()) return std::move(*response.mutable_analysis());
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE) break;
  }
  return impl_->Explain(status);
}

absl::StatusOr<v1::Analysis> Client::Get(const std::string& id) {
  auto response = impl_->Unary<v1::GetAnalysisResponse>([&](auto* context, auto* answer) {
    v1::GetAnalysisRequest request;
    request.set_id(id);
    return impl_->analyses->GetAnalysis(context, request, answer);
  });
  if (!response.ok()) return response.status();
  return std::move(*response->mutable_analysis());
}

absl::StatusOr<v1::Analysis> Client::Impl::WatchOnce(
    const std::string& id, const std::function<void(const v1::WatchAnalysisResponse&)>& on_event,
    bool* heard) const {
  grpc::ClientContext context;
  const auto registration = StopUponRequest(context);
  v1::WatchAnalysisRequest request;
  request.set_id(id);
  const auto reader = analyses->WatchAnalysis(&context, request);
  v1::WatchAnalysisResponse event;
  v1::Analysis last;
  while (reader->Read(&event)) {
    *heard = true;
    if (event.has_analysis()) last = event.analysis();
    if (on_event) on_event(event);
  }
  const grpc::Status status = reader->Finish();
  if (HasEnded(last.state())) return last;
  if (!status.ok()) return Explain(status);
  return absl::UnavailableError(
      absl::StrCat("the service stopped reporting before the analysis ended (", id, ")"));
}

absl::StatusOr<v1::Analysis> Client::Watch(
    const std::string& id, const std::function<void(const v1::WatchAnalysisResponse&)>& on_event) {
  bool heard = false;
  absl::StatusOr<v1::Analysis> result;
  for (int attempt = 0; attempt < kMaxWatchAttempts; ++attempt) {
    result = impl_->WatchOnce(id, on_event, &heard);
    if (result.ok() || !heard || !absl::IsUnavailable(result.status())) return result;
    // The service went away in the middle. Analyses survive its restart, so wait for it.
    const auto give_up = std::chrono::system_clock::now() + impl_->options.reconnect_limit;
    bool back = false;
    while (!back && std::chrono::system_clock::now() < give_up) {
      if (impl_->options.cancellation != nullptr && impl_->options.cancellation->requested()) {
        return absl::CancelledError("interrupted");
      }
      back = impl_->channel->WaitForConnected(
          std::min(give_up, std::chrono::system_clock::now() + std::chrono::milliseconds(200)));
    }
    if (!back) return result;
  }
  return result;
}

absl::StatusOr<v1::Analysis> Client::Cancel(const std::string& id) {
  // Not ended by a request to stop: this call carries it out.
  grpc::ClientContext context;
  impl_->LimitTime(context);
  v1::CancelAnalysisRequest request;
  request.set_id(id);
  v1::CancelAnalysisResponse response;
  const grpc::Status status = impl_->analyses->CancelAnalysis(&context, request, &response);
  if (!status.ok()) return impl_->Explain(status);
  return std::move(*response.mutable_analysis());
}

absl::Status Client::Delete(const std::string& id) {
  return impl_
      ->Unary<v1::DeleteAnalysisResponse>([&](auto* context, auto* response) {
        v1::DeleteAnalysisRequest request;
        request.set_id(id);
        return impl_->analyses->DeleteAnalysis(context, request, response);
      })
      .status();
}

namespace {

// Collects all pages; `page` fills a response for a token and returns its items.
template <typename Item, typename Page>
absl::StatusOr<std::vector<Item>> AllPages(std::optional<std::size_t> limit, const Page& page) {
  std::vector<Item> items;
  std::string token;
  while (true) {
    auto response = page(token);
    if (!response.ok()) return response.status();
    auto& [page_items, next] = *response;
    for (auto& item : page_items) {
      if (limit && items.size() == *limit) return items;
      items.push_back(std::move(item));
    }
    if (next.empty() || (limit && items.size() == *limit)) return items;
    if (next == token) return absl::InternalError("the service repeats a page");
    token = std::move(next);
  }
}

template <typename Repeated>
auto Page(Repeated* items, std::string next) {
  return std::pair(std::move(*items), std::move(next));
}

}  // namespace

absl::StatusOr<std::vector<v1::Analysis>> Client::List(std::optional<std::size_t> limit,
                                                          const std::string& track) {
  using Result =
      absl::StatusOr<std::pair<google::protobuf::RepeatedPtrField<v1::Analysis>, std::string>>;
  return AllPages<v1::Analysis>(limit, [&](const std::string& token) -> Result {
    auto response = impl_->Unary<v1::ListAnalysesResponse>([&](auto* context, auto* answer) {
      v1::ListAnalysesRequest request;
      request.set_track(track);
      request.set_page_size(limit ? static_cast<int>(std::min<std::size_t>(*limit, 100)) : 100);
      request.set_page_token(token);
      return impl_->analyses->ListAnalyses(context, request, answer);
    });
    if (!response.ok()) return response.status();
    return Page(response->mutable_analyses(), response->next_page_token());
  });
}

absl::StatusOr<std::vector<v1::LayerSummary>> Client::ListLayers(const std::string& id,
                                                                 const std::string& target) {
  using Result =
      absl::StatusOr<std::pair<google::protobuf::RepeatedPtrField<v1::LayerSummary>, std::string>>;
  return AllPages<v1::LayerSummary>(std::nullopt, [&](const std::string& token) -> Result {
    auto response = impl_->Unary<v1::ListLayerResultsResponse>([&](auto* context, auto* answer) {
      v1::ListLayerResultsRequest request;
      request.set_id(id);
      request.set_target(target);
      request.set_page_token(token);
      return impl_->analyses->ListLayerResults(context, request, answer);
    });
    if (!response.ok()) return response.status();
    return Page(response->mutable_layers(), response->next_page_token());
  });
}

absl::StatusOr<std::vector<v1::Target>> Client::ListTargets() {
  using Result =
      absl::StatusOr<std::pair<google::protobuf::RepeatedPtrField<v1::Target>, std::string>>;
  return AllPages<v1::Target>(std::nullopt, [&](const std::string& token) -> Result {
    auto response = impl_->Unary<v1::ListTargetsResponse>([&](auto* context, auto* answer) {
      v1::ListTargetsRequest request;
      request.set_page_token(token);
      return impl_->targets->ListTargets(context, request, answer);
    });
    if (!response.ok()) return response.status();
    return Page(response->mutable_targets(), response->next_page_token());
  });
}

absl::StatusOr<v1::Target> Client::GetTarget(const std::string& name) {
  auto response = impl_->Unary<v1::GetTargetResponse>([&](auto* context, auto* answer) {
    v1::GetTargetRequest request;
    request.set_name(name);
    return impl_->targets->GetTarget(context, request, answer);
  });
  if (!response.ok()) return response.status();
  return std::move(*response->mutable_target());
}

absl::Status Client::DownloadReport(const std::string& id, v1::ReportFormat format,
                                    const std::function<absl::Status(std::string_view)>& sink) {
  v1::GetReportRequest request;
  request.set_id(id);
  request.set_format(format);
  return impl_->Download<v1::GetReportResponse>(
      [&](grpc::ClientContext* context) { return impl_->analyses->GetReport(context, request); }, sink);
}

}  // namespace qatgap::client
