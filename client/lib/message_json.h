// A message of the service as JSON for programs: numbers are numbers (also of 64 bits), enumerators are lower-case words
// without their prefix ("from_source"), members have the names and the order of the contract.
#pragma once

#include <google/protobuf/message.h>

#include <string>

namespace qatgap::client {

// Pretty printed, ends with '\n'. Scalars and lists are always there; messages only when set. Left out: bytes, and
// the member `text`, which is for people. NaN and infinities become null.
std::string ToJson(const google::protobuf::Message& message);

}  // namespace qatgap::client
