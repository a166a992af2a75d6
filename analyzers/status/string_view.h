// Debian's abseil is built for C++14, where absl::string_view is a type of its own: absl::StrCat does not take a
// std::string_view. Text(s) is `s` as abseil takes it; it costs nothing and works with either build.
#pragma once

#include <string_view>

#include "absl/strings/string_view.h"

namespace qatgap {

inline absl::string_view Text(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace qatgap
