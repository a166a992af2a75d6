#include "server/own_targets.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::server {
namespace {

absl::Status Violation(std::string_view field, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(Text(field), ": ", what));
}

}  // namespace

absl::StatusOr<numerics::TargetDescription> ParseOwnTarget(std::string_view yaml, std::string_view field) {
  if (yaml.empty()) return Violation(field, "is required");
  if (yaml.size() > kMaxDescriptionBytes) {
    return Violation(field, absl::StrCat("must have at most ", kMaxDescriptionBytes, " bytes, has ", yaml.size()));
  }
  QATGAP_ASSIGN_OR_RETURN(numerics::TargetDescription target, numerics::ParseTarget(yaml, field));
  std::string& detail = target.evidence.detail;
  detail = detail.empty() ? "user-defined" : absl::StrCat("user-defined; its author says: ", detail);
  target.evidence.kind = numerics::EvidenceKind::kUnverified;
  return target;
}

absl::StatusOr<std::vector<numerics::TargetDescription>> CollectTargets(const std::vector<std::string>& names,
                                                                        const std::vector<std::string>& descriptions,
                                                                        std::string_view field) {
  std::vector<numerics::TargetDescription> targets;
  std::set<std::string> seen;
  for (const std::string& name : names) {
    absl::StatusOr<numerics::TargetDescription> target = numerics::FindTarget(name);
    if (!target.ok()) {
      return absl::Status(target.status().code(),
                          absl::StrCat(Text(field), "targets: ", std::string(target.status().message())));
    }
    if (!seen.insert(name).second) {
      return Violation(absl::StrCat(Text(field), "targets"), absl::StrCat("'", name, "' is named twice"));
    }
    targets.push_back(*std::move(target));
  }
  for (std::size_t i = 0; i < descriptions.size(); ++i) {
    const std::string where = absl::StrCat(Text(field), "target_descriptions[", i, "]");
    QATGAP_ASSIGN_OR_RETURN(numerics::TargetDescription target, ParseOwnTarget(descriptions[i], where));
    if (!seen.insert(target.name).second) {
      return Violation(where, absl::StrCat("name: another target is named '", target.name, "' too; rename one"));
    }
    const absl::StatusOr<numerics::TargetDescription> shipped = numerics::FindTarget(target.name);
    if (shipped.ok() && numerics::ArithmeticDigest(*shipped) != numerics::ArithmeticDigest(target)) {
      return Violation(where, absl::StrCat("name: '", target.name,
                                           "' is a shipped target of other arithmetic; give yours another name"));
    }
    targets.push_back(std::move(target));
  }
  return targets;
}

}  // namespace qatgap::server
