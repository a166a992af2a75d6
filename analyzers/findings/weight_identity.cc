#include "analyzers/findings/weight_identity.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "analyzers/findings/catalogue.h"

namespace qatgap::findings {
namespace {

// Two roundings of one row to eight bits, or to four, stay above the first; rows of two channels of a trained layer that look
// alike stay below the second.
constexpr double kOwnCosine = 0.9;
constexpr double kSameCosine = 0.99;
// A healthy conversion changes a scale by 128 / 127.5.
constexpr double kOtherFactor = 0.02;
// Of a layer that has nothing to do with the trained one, no more channels are looked at.
constexpr std::size_t kMostSuspects = 64;
constexpr std::size_t kListedMoves = 4;

struct Rows {
  std::vector<std::vector<double>> real;  // by channel
  std::vector<double> norm;
};

Rows RowsOf(const graph::MacLayer& layer) {
  Rows rows{.real = std::vector<std::vector<double>>(static_cast<std::size_t>(layer.output_channels)), .norm = {}};
  const auto codes = layer.weight.data<std::int32_t>();
  const std::vector<std::size_t> channel_of = graph::ChannelOfWeights(layer);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const std::size_t c = channel_of[i];
    rows.real[c].push_back(layer.weight_params.scale(c) * static_cast<double>(codes[i] - layer.weight_params.zero_point(c)));
  }
  for (const std::vector<double>& row : rows.real) {
    double squares = 0;
    for (const double value : row) squares += value * value;
    rows.norm.push_back(std::sqrt(squares));
  }
  return rows;
}

double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

double Cosine(const Rows& a, std::size_t i, const Rows& b, std::size_t k) {
  const double norms = a.norm[i] * b.norm[k];
  return norms == 0 ? 0 : Dot(a.real[i], b.real[k]) / norms;
}

void CheckOrder(const LayerFacts& facts, const Rows& trained, const Rows& deployed, const std::vector<std::size_t>& suspects,
                std::vector<report::Finding>& findings) {
  report::Finding finding = MakeFinding(kChannelsMoved, facts.info.name);
  std::vector<std::string> moves;
  for (const std::size_t c : suspects) {
    std::size_t best = c;
    double largest = kSameCosine;
    for (std::size_t k = 0; k < trained.real.size(); ++k) {
      const double cosine = Cosine(deployed, c, trained, k);
      if (cosine <= largest) continue;
      best = k;
      largest = cosine;
    }
    if (best == c) continue;
    finding.channels.push_back(static_cast<std::int64_t>(c));
    if (moves.size() < kListedMoves) moves.push_back(absl::StrFormat("%d has those of trained channel %d", c, best));
  }
  if (finding.channels.empty()) return;
  finding.detail = absl::StrFormat("%d channel(s) have the weights of another one: %s%s", finding.channels.size(),
                                   absl::StrJoin(moves, ", "), finding.channels.size() > moves.size() ? ", and more" : "");
  finding.advice = "the converter or a later step reordered output channels; put weights, weight scales and bias back into the "
                   "trained order, or reorder the input channels of the next layer too";
  findings.push_back(std::move(finding));
}

void CheckFactors(const LayerFacts& facts, const Rows& trained, const Rows& deployed, std::vector<report::Finding>& findings) {
  report::Finding finding = MakeFinding(kOtherBatchNorm, facts.info.name);
  std::size_t alive = 0;
  double least = 0, greatest = 0;
  for (std::size_t c = 0; c < trained.real.size(); ++c) {
    if (trained.norm[c] == 0 || deployed.norm[c] == 0) continue;
    ++alive;
    if (Cosine(trained, c, deployed, c) < kSameCosine) continue;
    const double factor = Dot(trained.real[c], deployed.real[c]) / (trained.norm[c] * trained.norm[c]);
    // Each weight is known to half a step of either grid.
    const double steps = facts.qat.weight_params.scale(c) + facts.deployed.weight_params.scale(c);
    const double noise = 0.5 * steps * std::sqrt(static_cast<double>(trained.real[c].size())) / trained.norm[c];
    if (std::abs(factor - 1) <= std::max(kOtherFactor, noise)) continue;
    least = finding.channels.empty() ? factor : std::min(least, factor);
    greatest = finding.channels.empty() ? factor : std::max(greatest, factor);
    finding.channels.push_back(static_cast<std::int64_t>(c));
  }
  if (2 * finding.channels.size() <= alive) return;
  finding.detail = absl::StrFormat("in %d of %d channels the deployed weights are the trained ones times a factor, from %.3g to "
                                   "%.3g",
                                   finding.channels.size(), alive, least, greatest);
  finding.advice = "the batch norm was folded with other statistics or another gamma than those that were trained: convert the "
                   "final checkpoint, in eval mode";
  findings.push_back(std::move(finding));
}

}  // namespace

void CheckWeightIdentity(const LayerFacts& facts, std::vector<report::Finding>& findings) {
  // Without a converted model the weights are the trained ones.
  if (!facts.converted_given || facts.qat.weight.shape() != facts.deployed.weight.shape()) return;
  if (facts.info.weight_codes_changed == 0 && facts.qat.weight_params.scales == facts.deployed.weight_params.scales) return;
  const Rows trained = RowsOf(facts.qat), deployed = RowsOf(facts.deployed);
  std::vector<std::size_t> suspects;
  for (std::size_t c = 0; c < trained.real.size() && suspects.size() < kMostSuspects; ++c) {
    if (deployed.norm[c] != 0 && Cosine(trained, c, deployed, c) < kOwnCosine) suspects.push_back(c);
  }
  CheckOrder(facts, trained, deployed, suspects, findings);
  CheckFactors(facts, trained, deployed, findings);
}

}  // namespace qatgap::findings
