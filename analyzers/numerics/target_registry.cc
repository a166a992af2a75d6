#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzers/numerics/embedded_targets.h"
#include "analyzers/numerics/target.h"

namespace qatgap::numerics {
namespace {

std::vector<TargetDescription> ParseShipped() {
  std::vector<TargetDescription> targets;
  for (const EmbeddedTarget& file : EmbeddedTargets()) {
    absl::StatusOr<TargetDescription> target =
        ParseTarget(file.yaml, absl::StrCat(std::string(file.name), ".yaml"));
    if (!target.ok() || target->name != file.name) {
      // Our own data file is wrong: no client data comes here.
      std::fprintf(
          stderr, "qatgap: shipped target %.*s: %s\n", static_cast<int>(file.name.size()),
          file.name.data(),
          target.ok() ? "name differs from the file's" : target.status().ToString().c_str());
      std::abort();
    }
    targets.push_back(*std::move(target));
  }
  std::sort(targets.begin(), targets.end(),
            [](const TargetDescription& a, const TargetDescription& b) { return a.name < b.name; });
  return targets;
}

// Levenshtein distance.
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substituted, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

const std::vector<TargetDescription>& ShippedTargets() {
  static const std::vector<TargetDescription>* const targets =
      new std::vector<TargetDescription>(ParseShipped());  // never destroyed: safe at exit
  return *targets;
}

absl::StatusOr<TargetDescription> FindTarget(std::string_view name) {
  const std::vector<TargetDescription>& targets = ShippedTargets();
  for (const TargetDescription& target : targets) {
    if (target.name == name) return target;
  }
  // A name from a request can be of any length; the distance needs only its beginning.
  const std::string_view shown = name.substr(0, 64);
  const auto nearest = std::min_element(
      targets.begin(), targets.end(), [&](const TargetDescription& a, const TargetDescription& b) {
        return EditDistance(shown, a.name) < EditDistance(shown, b.name);
      });
  return absl::NotFoundError(absl::StrCat(
      "no target '", std::string(shown), "'; did you mean '", nearest->name, "'? Shipped targets: ",
      absl::StrJoin(targets, ", ", [](std::string* out, const TargetDescription& target) {
        absl::StrAppend(out, target.name);
      })));
}

}  // namespace qatgap::numerics
