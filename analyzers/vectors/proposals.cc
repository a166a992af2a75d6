#include "analyzers/vectors/proposals.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "analyzers/numerics/layer_arithmetic.h"
#include "analyzers/vectors/accumulators.h"
#include "analyzers/vectors/mac_case.h"
#include "analyzers/vectors/verify.h"

namespace qatgap::vectors {
namespace {

constexpr int kProbes = 600;
constexpr std::int64_t kRows = 64;

// Draws that are the same on every platform: the distributions of <random> are not.
class Draw {
 public:
  explicit Draw(std::uint32_t seed) : random_(seed) {}
  std::int64_t Below(std::int64_t bound) {
    return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(bound));
  }
  std::int64_t Between(std::int64_t low, std::int64_t high) { return low + Below(high - low + 1); }
  double Unit() { return static_cast<double>(random_()) / 4294967296.0; }
  bool Chance(int percent) { return Below(100) < percent; }

 private:
  std::mt19937 random_;
};

double AsFloat(double value) { return static_cast<double>(static_cast<float>(value)); }

// Powers of two give ties; 15 * 2^-20 and its like give ties that a reciprocal misses; the rest are what models have.
double Scale(Draw* draw) {
  if (draw->Chance(40)) return std::ldexp(1.0, -static_cast<int>(draw->Between(2, 9)));
  if (draw->Chance(40))
    return std::ldexp(static_cast<double>(2 * draw->Between(1, 31) + 1), -static_cast<int>(draw->Between(10, 16)));
  return AsFloat(0.001 + 0.1 * draw->Unit());
}

// M from tiny to beyond 1; mostly where every accumulator has a code of its own.
double Multiplier(Draw* draw) {
  if (draw->Chance(50)) return std::ldexp(1.0, -static_cast<int>(draw->Between(-2, 8)));
  if (draw->Chance(20)) return std::ldexp(1.0 + draw->Unit(), -static_cast<int>(draw->Between(16, 34)));
  return AsFloat(2.0 * draw->Unit() + 0.001);
}

// In steps of s_x * s_w: ties, their neighbours, and all magnitudes up to beyond 40 bits.
double BiasSteps(Draw* draw) {
  const double sign = draw->Chance(50) ? -1 : 1;
  if (draw->Chance(40)) return sign * (static_cast<double>(draw->Below(64)) + 0.5);
  if (draw->Chance(30)) return sign * 100 * draw->Unit();
  return sign * std::ldexp(1.0 + (draw->Chance(50) ? 0 : draw->Unit()), static_cast<int>(draw->Between(4, 42)));
}

void SetScale(double scale, std::int64_t zero_point, numerics::QuantParams* params) {
  params->scales = {scale};
  params->zero_points = {std::clamp(zero_point, params->quant_min, params->quant_max)};
  params->axis = numerics::QuantParams::kPerTensor;
}

Case MakeProbe(const Case& like, Draw* draw) {
  Case probe;
  probe.op = CaseOp::kLinear;
  probe.activation = draw->Chance(20) ? numerics::Activation::kRelu6 : numerics::Activation::kNone;
  probe.inputs = {like.inputs.front()};
  probe.weight = like.weight;
  probe.output = like.output;
  numerics::QuantParams& input = probe.inputs.front();
  const double s_x = Scale(draw), s_w = Scale(draw), multiplier = Multiplier(draw);
  const std::int64_t middle = (probe.output.quant_min + probe.output.quant_max) / 2;
  const bool symmetric_input = like.inputs.front().zero_point() == 0;
  SetScale(s_x, symmetric_input ? 0 : draw->Between(input.quant_min, input.quant_max), &input);
  SetScale(s_w, like.weight.zero_point(), &probe.weight);
  double s_y = AsFloat(s_x * s_w / multiplier);
  // The code of 6 is a tie.
  if (probe.activation != numerics::Activation::kNone && draw->Chance(50))
    s_y = AsFloat(12.0 / static_cast<double>(2 * draw->Between(1, 40) + 1));
  SetScale(s_y, like.output.zero_point() == 0 && middle == 0 ? 0 : middle + draw->Between(-20, 20), &probe.output);
  const std::int64_t channels = draw->Chance(25) ? 2 : 1;
  if (channels == 2) {
    probe.weight.scales.push_back(s_w);
    probe.weight.zero_points.push_back(probe.weight.zero_points.front());
    probe.weight.axis = 0;
  }
  probe.weight_codes = graph::Tensor(graph::DType::kInt32, {channels, 1});
  const std::int64_t reach =
      std::min<std::int64_t>(probe.weight.quant_max - probe.weight.zero_point(), draw->Chance(50) ? 3 : 127);
  for (std::int32_t& code : probe.weight_codes.mutable_data<std::int32_t>()) {
    code = static_cast<std::int32_t>(probe.weight.zero_point() + draw->Between(1, std::max<std::int64_t>(reach, 1)));
  }
  if (draw->Chance(85)) {
    const double real = AsFloat(BiasSteps(draw) * s_x * s_w);
    probe.bias.assign(static_cast<std::size_t>(channels), std::isfinite(real) ? real : 0);
  }
  const std::int64_t codes = std::min(input.quant_max - input.quant_min + 1, kRows);
  probe.input_codes = {graph::Tensor(graph::DType::kInt32, {codes, 1})};
  std::int64_t row = 0;
  for (std::int32_t& code : probe.input_codes.front().mutable_data<std::int32_t>()) {
    // Both ends and, evenly, what is between.
    code = static_cast<std::int32_t>(input.quant_min + row++ * (input.quant_max - input.quant_min) /
                                                           std::max<std::int64_t>(codes - 1, 1));
  }
  return probe;
}

// Channel-major codes of every alternative; empty where it refuses the layer.
std::vector<std::vector<std::int32_t>> Outputs(const Case& probe, const std::vector<Alternative>& alternatives,
                                               std::span<const std::int64_t> accumulators) {
  std::vector<std::vector<std::int32_t>> outputs;
  const auto rows = static_cast<std::size_t>(ElementsPerChannel(probe));
  for (const Alternative& alternative : alternatives) {
    std::vector<std::int32_t>& codes = outputs.emplace_back();
    const auto arithmetic =
        numerics::LayerArithmetic::Create(alternative.target, ConstantsOf(probe, /*host_has_vnni=*/true));
    if (!arithmetic.ok()) continue;
    codes.resize(accumulators.size());
    for (std::size_t c = 0; c * rows < accumulators.size(); ++c) {
      arithmetic->Codes(numerics::ArithmeticStage::kRequantized, static_cast<std::int64_t>(c),
                        accumulators.subspan(c * rows, rows), std::span(codes).subspan(c * rows, rows));
    }
  }
  return outputs;
}

std::size_t Different(const std::vector<std::vector<std::int32_t>>& outputs) {
  std::set<std::vector<std::int32_t>> distinct;
  for (const auto& codes : outputs) {
    if (!codes.empty()) distinct.insert(codes);
  }
  return distinct.size();
}

// The element at which the outputs take the most different values, and in words who gives which.
std::string Reason(const Case& probe, const std::vector<Alternative>& alternatives,
                   const std::vector<std::vector<std::int32_t>>& outputs, std::span<const std::int64_t> accumulators) {
  std::map<std::int32_t, std::vector<std::string>> best;
  std::size_t at = 0;
  for (std::size_t i = 0; i < accumulators.size(); ++i) {
    std::map<std::int32_t, std::vector<std::string>> who;
    for (std::size_t a = 0; a < outputs.size(); ++a) {
      if (!outputs[a].empty()) who[outputs[a][i]].push_back(alternatives[a].value);
    }
    if (who.size() <= best.size()) continue;
    best = std::move(who);
    at = i;
  }
  std::vector<std::string> answers;
  for (const auto& [code, values] : best) {
    answers.push_back(absl::StrCat(absl::StrJoin(values, ", "), values.size() == 1 ? " gives " : " give ", code));
  }
  const std::size_t rows = probe.input_codes.front().data<std::int32_t>().size();
  const std::int32_t x = probe.input_codes.front().data<std::int32_t>()[at % rows];
  const std::int32_t w = probe.weight_codes.data<std::int32_t>()[at / rows];
  return absl::StrFormat(
      "input code %d times weight code %d with scales %.9g, %.9g and %.9g, zero points %d, %d and %d%s%s: %s", x, w,
      probe.inputs.front().scale(), probe.weight.scale(), probe.output.scale(), probe.inputs.front().zero_point(),
      probe.weight.zero_point(), probe.output.zero_point(),
      probe.bias.empty() ? "" : absl::StrFormat(", bias %.9g", probe.bias.front()),
      probe.activation == numerics::Activation::kNone ? "" : " and ReLU6", absl::StrJoin(answers, "; "));
}

}  // namespace

std::optional<Proposal> Propose(const std::string& field, const std::vector<Alternative>& alternatives,
                                const Case& like) {
  Draw draw(20240917);
  std::optional<Proposal> best;
  std::size_t most = 1;
  for (int i = 0; i < kProbes && most < alternatives.size(); ++i) {
    Case probe = MakeProbe(like, &draw);
    const auto sums = ExactAccumulators(probe);
    if (!sums.ok()) continue;
    const std::span<const std::int64_t> accumulators = sums->data<std::int64_t>();
    const auto outputs = Outputs(probe, alternatives, accumulators);
    const std::size_t different = Different(outputs);
    if (different <= most) continue;
    most = different;
    probe.name = absl::StrCat("probe_", field);
    std::replace(probe.name.begin(), probe.name.end(), '.', '_');
    probe.runtime = "to be captured";
    best = Proposal{
        .field = field, .reason = Reason(probe, alternatives, outputs, accumulators), .layer = std::move(probe)};
  }
  return best;
}

}  // namespace qatgap::vectors
