// Pages as the fake service makes them.
#pragma once

#include <string>
#include <vector>

namespace qatgap::testing {

// Pages of two items whatever the client asks for.
template <typename Item, typename Add>
std::string FillPage(const std::vector<Item>& items, const std::string& token, const Add& add) {
  std::size_t first = token.empty() ? 0 : std::stoul(token);
  for (std::size_t i = first; i < items.size() && i < first + 2; ++i) *add() = items[i];
  return first + 2 < items.size() ? std::to_string(first + 2) : "";
}

}  // namespace qatgap::testing
