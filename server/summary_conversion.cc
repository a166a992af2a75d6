#include "server/summary_conversion.h"

#include <algorithm>

namespace qatgap::server {
namespace {
constexpr auto kParts = static_cast<int>(report::Cause::kTotal);
}

void Fill(const report::TargetSummary& summary, v1::TargetSummary& message) {
  message.set_target(summary.target);
  message.set_count(summary.count);
  message.set_changed(summary.changed);
  message.set_bias_changed(summary.bias_changed);
  message.set_samples(summary.samples);
  if (summary.top1_changed) message.set_top1_changed(*summary.top1_changed);
  if (!summary.shares.defined) return;
  message.mutable_shares()->Add(summary.shares.share.begin(), summary.shares.share.begin() + kParts);
}

report::TargetSummary FromProto(const v1::TargetSummary& message) {
  report::TargetSummary summary{.target = message.target(),
                                .count = message.count(),
                                .changed = message.changed(),
                                .bias_changed = message.bias_changed(),
                                .samples = message.samples()};
  if (message.has_top1_changed()) summary.top1_changed = message.top1_changed();
  summary.shares.defined = message.shares_size() == kParts;
  if (summary.shares.defined) {
    std::copy(message.shares().begin(), message.shares().end(), summary.shares.share.begin());
    summary.shares.share[static_cast<std::size_t>(kParts)] = 1;
  }
  return summary;
}

}  // namespace qatgap::server
