// RPCs of services whose messages are not compiled in here (health, reflection), as bytes.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

namespace qatgap::server {

// One field of wire type 2 with a number below 16 and fewer than 128 bytes.
std::string EncodeString(int field, const std::string& value);

// A call that sends one message and reads any number.
class RawCall {
 public:
  RawCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
          const std::string& request);
  // The next message's bytes into `response`; false at the end.
  bool Read(std::string* response);
  // After the last Read, or to end a stream that has no end.
  grpc::Status Finish();

 private:
  bool Wait();

  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
};

// Body of http://<address>/metrics.
std::string Scrape(const std::string& address);

}  // namespace qatgap::server
