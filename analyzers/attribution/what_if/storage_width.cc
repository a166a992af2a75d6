#include "analyzers/attribution/what_if/storage_width.h"

#include <array>

namespace qatgap::attribution::what_if {
namespace {

using report::WhatIf;

struct Width {
  WhatIf what_if;
  int bits;
};
constexpr std::array kWidths = {Width{WhatIf::kStorage8, 8}, Width{WhatIf::kStorage16, 16},
                                Width{WhatIf::kStorage24, 24}, Width{WhatIf::kStorage32, 32}};

}  // namespace

std::vector<PreparedRow> StorageRows(const Deployment& deployment) {
  const numerics::TargetDescription& deployed = deployment.arithmetic.target();
  std::vector<PreparedRow> rows;
  for (const auto& [what_if, bits] : kWidths) {
    numerics::TargetDescription rules = deployed;
    rules.bias.bits = bits;
    if (rules.bias.overflow == numerics::BiasOverflow::kRefuse ||
        rules.bias.overflow == numerics::BiasOverflow::kAdjustWeights) {
      rules.bias.overflow = numerics::BiasOverflow::kSaturate;
    }
    rows.push_back(Requantized({.what_if = what_if,
                                .note = bits == deployed.bias.bits ? "the target's own width" : "",
                                .is_remedy = bits > deployed.bias.bits},
                               numerics::LayerArithmetic::Create(rules, deployment.arithmetic.constants())));
  }
  return rows;
}

}  // namespace qatgap::attribution::what_if
