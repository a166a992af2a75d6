#include <prometheus/exposer.h>

#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/metrics/server_metrics.h"

namespace qatgap::server {
namespace {

class PrometheusEndpoint final : public MetricsEndpoint {
 public:
  PrometheusEndpoint(const std::string& address, const ServerMetrics& metrics)
      : exposer_(address, /*num_threads=*/1), collectables_(metrics.collectables()) {
    for (const auto& collectable : collectables_) exposer_.RegisterCollectable(collectable);
    const std::vector<int> ports = exposer_.GetListeningPorts();
    address_ = absl::StrCat(address.substr(0, address.rfind(':')), ":", ports.empty() ? 0 : ports[0]);
  }
  std::string address() const override { return address_; }

 private:
  prometheus::Exposer exposer_;
  std::vector<std::shared_ptr<prometheus::Collectable>> collectables_;  // the exposer holds them weakly
  std::string address_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsEndpoint>> MetricsEndpoint::Start(
    const std::string& address, const ServerMetrics& metrics) {
  try {
    return std::unique_ptr<MetricsEndpoint>(new PrometheusEndpoint(address, metrics));
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat("--metrics-listen: cannot listen on '", address,
                                               "' (", error.what(),
                                               "); name another address or pass --no-metrics"));
  }
}

}  // namespace qatgap::server
