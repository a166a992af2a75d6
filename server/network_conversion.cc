#include "server/network_conversion.h"

#include <cstdint>

#include "absl/strings/str_cat.h"

namespace qatgap::server {
namespace {

absl::Status Malformed(const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("malformed analysis result: NetworkNode.", what));
}

}  // namespace

void Fill(const report::NetworkGraph& network, NetworkMessages& messages) {
  for (const report::NetworkNode& node : network) {
    v1::NetworkNode& message = *messages.Add();
    message.set_name(node.name);
    message.set_kind(node.kind);
    if (node.layer >= 0) message.set_layer(node.layer);
    message.set_module(node.module);
    message.mutable_inputs()->Assign(node.inputs.begin(), node.inputs.end());
    message.set_branch(node.branch);
  }
}

absl::StatusOr<report::NetworkGraph> ReadNetwork(const NetworkMessages& messages, std::size_t layers) {
  report::NetworkGraph network;
  for (const v1::NetworkNode& message : messages) {
    const auto id = static_cast<std::int64_t>(network.size());
    if (message.has_layer() && (message.layer() < 0 || static_cast<std::size_t>(message.layer()) >= layers)) {
      return Malformed(absl::StrCat("layer is ", message.layer(), " of ", layers));
    }
    std::int64_t last = -1;
    for (const std::int64_t input : message.inputs()) {
      if (input <= last || input >= id) return Malformed(absl::StrCat("inputs of node ", id, " name node ", input));
      last = input;
    }
    network.push_back({.name = message.name(),
                       .kind = message.kind(),
                       .layer = message.has_layer() ? message.layer() : -1,
                       .module = message.module(),
                       .inputs = {message.inputs().begin(), message.inputs().end()},
                       .branch = message.branch()});
  }
  return network;
}

}  // namespace qatgap::server
