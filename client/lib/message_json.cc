#include "client/lib/message_json.h"

#include <google/protobuf/descriptor.h>

#include <cstddef>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace qatgap::client {
namespace {

using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using nlohmann::ordered_json;

// EVIDENCE_KIND_FROM_SOURCE of EvidenceKind: "from_source".
std::string WordOf(const EnumValueDescriptor& value) {
  std::string prefix;
  for (const char c : value.type()->name()) {
    if (absl::ascii_isupper(static_cast<unsigned char>(c)) && !prefix.empty()) prefix += '_';
    prefix += absl::ascii_toupper(static_cast<unsigned char>(c));
  }
  const std::size_t skipped = value.name().rfind(prefix + "_", 0) == 0 ? prefix.size() + 1 : 0;
  return absl::AsciiStrToLower(value.name().substr(skipped));
}

ordered_json ObjectOf(const Message& message);

// One value of a field, the `index`th of a repeated one.
ordered_json ValueOf(const Message& message, const FieldDescriptor* field, int index) {
  const Reflection* reflection = message.GetReflection();
  const bool many = field->is_repeated();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return many ? reflection->GetRepeatedInt32(message, field, index) : reflection->GetInt32(message, field);
    case FieldDescriptor::CPPTYPE_INT64:
      return many ? reflection->GetRepeatedInt64(message, field, index) : reflection->GetInt64(message, field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return many ? reflection->GetRepeatedUInt32(message, field, index) : reflection->GetUInt32(message, field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return many ? reflection->GetRepeatedUInt64(message, field, index) : reflection->GetUInt64(message, field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return many ? reflection->GetRepeatedDouble(message, field, index) : reflection->GetDouble(message, field);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return many ? reflection->GetRepeatedFloat(message, field, index) : reflection->GetFloat(message, field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return many ? reflection->GetRepeatedBool(message, field, index) : reflection->GetBool(message, field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return WordOf(many ? *reflection->GetRepeatedEnum(message, field, index) : *reflection->GetEnum(message, field));
    case FieldDescriptor::CPPTYPE_STRING:
      return many ? reflection->GetRepeatedString(message, field, index) : reflection->GetString(message, field);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return ObjectOf(many ? reflection->GetRepeatedMessage(message, field, index)
                           : reflection->GetMessage(message, field));
  }
  return nullptr;
}

ordered_json ObjectOf(const Message& message) {
  ordered_json object = ordered_json::object();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    if (field->type() == FieldDescriptor::TYPE_BYTES || field->name() == "text") continue;
    if (field->is_repeated()) {
      ordered_json& list = object[field->name()] = ordered_json::array();
      for (int n = 0; n < message.GetReflection()->FieldSize(message, field); ++n) {
        list.push_back(ValueOf(message, field, n));
      }
    } else if (!field->has_presence() || message.GetReflection()->HasField(message, field)) {
      object[field->name()] = ValueOf(message, field, 0);
    }
  }
  return object;
}

}  // namespace

std::string ToJson(const Message& message) {
  // A string that is not UTF-8 cannot come from a message; replaced, should it.
  return absl::StrCat(ObjectOf(message).dump(2, ' ', false, ordered_json::error_handler_t::replace), "\n");
}

}  // namespace qatgap::client
