// The target files as they were when the library was built; see embed_targets.cmake.
#pragma once

#include <span>
#include <string_view>

namespace qatgap::numerics {

struct EmbeddedTarget {
  std::string_view name;  // file name without .yaml
  std::string_view yaml;
};

std::span<const EmbeddedTarget> EmbeddedTargets();

}  // namespace qatgap::numerics
