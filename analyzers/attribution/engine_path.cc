#include "analyzers/attribution/engine_path.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "analyzers/execution/engine_check.h"
#include "analyzers/execution/host.h"

namespace qatgap::attribution {

std::optional<report::Unmeasured> WhyNoEnginePath(const numerics::TargetDescription& target,
                                                  const std::vector<graph::MacLayer>& layers) {
  if (!execution::HasEngine(target.engine)) return std::nullopt;
  for (const graph::MacLayer& layer : layers) {
    const absl::Status status = execution::CheckEngine(layer, target.engine);
    if (status.ok()) continue;
    return report::Unmeasured{.name = absl::StrCat("engine path of ", target.name),
                              .what = "path",
                              .reason = absl::StrCat("layer '", layer.name, "': ", std::string(status.message())),
                              .is_mac_layer = false};
  }
  return std::nullopt;
}

}  // namespace qatgap::attribution
