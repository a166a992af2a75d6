// Bytes as a stream of messages with a field `chunk`.
#pragma once

#include <grpcpp/support/sync_stream.h>

#include <cstddef>
#include <string>

#include "absl/status/status.h"

namespace qatgap::server {

// 1 MiB a message. CANCELLED when the client has gone.
template <typename Response>
absl::Status WriteChunks(const std::string& bytes, grpc::ServerWriter<Response>& writer) {
  constexpr std::size_t kChunkBytes = 1U << 20;
  Response response;
  for (std::size_t start = 0; start < bytes.size(); start += kChunkBytes) {
    response.set_chunk(bytes.substr(start, kChunkBytes));
    if (!writer.Write(response)) return absl::CancelledError("the client is gone");
  }
  return absl::OkStatus();
}

}  // namespace qatgap::server
