// The deployed network as message and as value; part of result_conversion.h.
#pragma once

#include <cstddef>

#include "absl/status/statusor.h"
#include "analyzers/report/network_graph.h"
#include "qatgap/v1/network.pb.h"

namespace qatgap::server {

using NetworkMessages = google::protobuf::RepeatedPtrField<v1::NetworkNode>;

void Fill(const report::NetworkGraph& network, NetworkMessages& messages);

// `layers` is the number of layers that a node may name. INVALID_ARGUMENT for an index that points nowhere, or to a node
// that does not come before.
absl::StatusOr<report::NetworkGraph> ReadNetwork(const NetworkMessages& messages, std::size_t layers);

}  // namespace qatgap::server
