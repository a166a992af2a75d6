#include "absl/strings/str_cat.h"
#include "analyzers/frontends/pt2/program.h"

namespace qatgap::frontends::pt2 {

std::string ToString(ScalarType type) {
  switch (type) {
    case ScalarType::kUint8:
      return "uint8";
    case ScalarType::kInt8:
      return "int8";
    case ScalarType::kInt16:
      return "int16";
    case ScalarType::kInt32:
      return "int32";
    case ScalarType::kInt64:
      return "int64";
    case ScalarType::kFloat16:
      return "float16";
    case ScalarType::kFloat32:
      return "float32";
    case ScalarType::kFloat64:
      return "float64";
    case ScalarType::kBool:
      return "bool";
    case ScalarType::kBfloat16:
      return "bfloat16";
  }
  return absl::StrCat("type ", static_cast<int>(type));
}

std::optional<std::int64_t> DispatcherNumber(ScalarType type) {
  switch (type) {
    case ScalarType::kUint8:
      return 0;
    case ScalarType::kInt8:
      return 1;
    case ScalarType::kInt16:
      return 2;
    case ScalarType::kInt32:
      return 3;
    case ScalarType::kInt64:
      return 4;
    case ScalarType::kFloat16:
      return 5;
    case ScalarType::kFloat32:
      return 6;
    case ScalarType::kFloat64:
      return 7;
    case ScalarType::kBool:
      return 11;
    case ScalarType::kBfloat16:
      return 15;
  }
  return std::nullopt;
}

}  // namespace qatgap::frontends::pt2
