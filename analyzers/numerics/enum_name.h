// An enumerator and the word that target files use for it.
#pragma once

#include <string_view>

namespace qatgap::numerics {

template <typename Enum>
struct EnumName {
  Enum value;
  std::string_view name;
};

// The word of `value` in a table of EnumNames.
template <typename Names, typename Enum>
constexpr std::string_view NameOf(const Names& names, Enum value) {
  for (const auto& entry : names) {
    if (entry.value == value) return entry.name;
  }
  return "unknown";
}

}  // namespace qatgap::numerics
