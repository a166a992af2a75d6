// The arrow rule of the tree as a table, and a checker of one include against it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qatgap::layering {

struct Include {
  std::string file;    // "analyzers/graph/graph.cc", relative to the checkout
  std::string header;  // "analyzers/graph/graph.h" or "ATen/core/Tensor.h"
};

// What forbids the include; nullopt when it is allowed. A folder without a rule is forbidden everything.
std::optional<std::string> Violation(const Include& include);

// The headers that a source text includes, in order.
std::vector<std::string> IncludesOf(std::string_view text);

// Every include of the .h and .cc files below the folders analyzers, server and client of a checkout.
std::vector<Include> IncludesOfTree(const std::string& checkout);

}  // namespace qatgap::layering
