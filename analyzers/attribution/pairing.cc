#include "analyzers/attribution/pairing.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "analyzers/status/string_view.h"

namespace qatgap::attribution {
namespace {

std::string Difference(const graph::MacLayer& qat, const graph::MacLayer& deployed) {
  if (qat.kind != deployed.kind) {
    return absl::StrCat("it is a ", Text(ToString(qat.kind)), " in the QAT model and a ",
                        Text(ToString(deployed.kind)), " in the converted model");
  }
  if (qat.weight.shape() != deployed.weight.shape()) {
    return absl::StrCat("its weight is ", graph::ToString(qat.weight.shape()), " in the QAT model and ",
                        graph::ToString(deployed.weight.shape()), " in the converted model");
  }
  if (!(qat.convolution == deployed.convolution)) {
    return "its stride, padding, dilation or groups differ between the two models";
  }
  return "";
}

void AddUnmatched(const graph::MacLayers& qat, Pairing& pairing) {
  for (const graph::UnmatchedMac& mac : qat.unmatched) {
    pairing.unmeasured.push_back(
        {.name = mac.name, .what = mac.source_op, .reason = mac.reason, .is_mac_layer = true});
  }
}

// Why the layers do not pair one to one in execution order; empty if they do.
std::string OrderDifference(const graph::MacLayers& qat, const graph::MacLayers& deployed) {
  if (qat.layers.size() != deployed.layers.size()) return "their numbers differ";
  for (std::size_t i = 0; i < qat.layers.size(); ++i) {
    const std::string difference = Difference(qat.layers[i], deployed.layers[i]);
    if (difference.empty()) continue;
    return absl::StrCat("layer ", i + 1, " is '", qat.layers[i].name, "' and '", deployed.layers[i].name, "': ", difference);
  }
  return "";
}

// Pairs by name as far as names match. `difference` says where layers of one name do not fit.
Pairing PairByName(const graph::MacLayers& qat, const graph::MacLayers& deployed, std::string& difference) {
  std::map<std::string, std::size_t> by_name;
  for (std::size_t i = 0; i < deployed.layers.size(); ++i) by_name[deployed.layers[i].name] = i;
  std::map<std::string, std::string> unmatched_reason;
  for (const graph::UnmatchedMac& mac : deployed.unmatched) unmatched_reason[mac.name] = mac.reason;

  Pairing pairing;
  for (std::size_t i = 0; i < qat.layers.size(); ++i) {
    const graph::MacLayer& layer = qat.layers[i];
    const auto it = by_name.find(layer.name);
    if (it == by_name.end()) {
      const auto reason = unmatched_reason.find(layer.name);
      pairing.unmeasured.push_back(
          {.name = layer.name,
           .what = std::string(ToString(layer.kind)),
           .reason = reason != unmatched_reason.end()
                         ? absl::StrCat("in the converted model ", reason->second)
                         : "the converted model has no quantized layer of this name",
           .is_mac_layer = true});
      continue;
    }
    pairing.pairs.push_back({.qat = i, .deployed = it->second});
    const std::string found = difference.empty() ? Difference(layer, deployed.layers[it->second]) : "";
    if (!found.empty()) difference = absl::StrCat("at layer '", layer.name, "': ", found);
  }
  return pairing;
}

}  // namespace

absl::StatusOr<Pairing> PairLayers(const graph::MacLayers& qat, const graph::MacLayers& deployed) {
  std::string difference;
  Pairing pairing = PairByName(qat, deployed, difference);
  // A name like "fc" is in many networks: layers of one network pair for the most part, or one model is but partly
  // quantized and the layers it has pair.
  const std::size_t smaller = std::min(qat.layers.size(), deployed.layers.size());
  const std::size_t named = pairing.pairs.size();
  if (named > 0 && 2 * named >= smaller) {
    if (!difference.empty()) {
      return absl::FailedPreconditionError(absl::StrCat("the models do not pair ", difference,
                                                        "; give the QAT model and the model converted from it"));
    }
    AddUnmatched(qat, pairing);
    return pairing;
  }
  const std::string order = qat.layers.empty() ? "there are none" : OrderDifference(qat, deployed);
  if (order.empty()) {
    pairing = {.pairs = {}, .unmeasured = {}, .by_order = true};
    for (std::size_t i = 0; i < qat.layers.size(); ++i) pairing.pairs.push_back({.qat = i, .deployed = i});
    AddUnmatched(qat, pairing);
    return pairing;
  }
  std::string example;
  if (!qat.layers.empty() && !deployed.layers.empty()) {
    example = absl::StrCat(" (the first ones are '", qat.layers.front().name, "' and '", deployed.layers.front().name, "')");
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "the models do not pair: of ", qat.layers.size(), " quantized layers in the QAT model and ",
      deployed.layers.size(), " in the converted model, ", named, " have one name", example,
      ", and in execution order they do not fit either: ", order,
      "; give the QAT model and the model converted from it, with unchanged module names"));
}

}  // namespace qatgap::attribution
