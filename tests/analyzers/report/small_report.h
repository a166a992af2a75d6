// A report small enough to know every figure of: two layers, two targets, hand-made sums.
#pragma once

#include "analyzers/report/report.h"

namespace qatgap::report {

// `d` differences of one LSB among `count` codes of reference 10.
inline statistics::DifferenceStatistics Moved(std::uint64_t count, std::uint64_t d, std::int64_t cross_total) {
  statistics::DifferenceStatistics s;
  s.count = count;
  s.changed = s.sum_absolute = s.sum_squares = d;
  s.sum = static_cast<std::int64_t>(d);
  s.max_absolute = d > 0 ? 1 : 0;
  s.reference_sum = 10 * static_cast<std::int64_t>(count);
  s.reference_sum_squares = 100 * count;
  s.cross_sum = 10 * static_cast<std::int64_t>(d);
  s.cross_total = cross_total;
  s.histogram.Add(9, count - d);
  s.histogram.Add(10, d);
  return s;
}

inline ChannelResult SmallChannel(double bias, std::uint64_t conversion, std::uint64_t rounding) {
  ChannelResult channel;
  channel.bias = {.real = bias, .scale = 0.25, .rounded = 4 * bias, .stored = static_cast<std::int64_t>(4 * bias),
                  .saturated = false, .residual_lsb = 0.123456789};
  channel.multiplier = 1.0 / 3;
  for (auto& cause : channel.causes) cause = Moved(100, 0, 0);
  channel.causes[1] = Moved(100, conversion, static_cast<std::int64_t>(conversion));
  channel.causes[2] = Moved(100, rounding, static_cast<std::int64_t>(rounding));
  channel.causes[7] = Moved(100, conversion + rounding, static_cast<std::int64_t>(conversion + rounding));
  return channel;
}

// Layer "a" has two channels and two reaching inputs, of which samples took the first; "b" moves more codes.
inline Report SmallReport() {
  const numerics::QuantParams grid{.scales = {0.5}, .zero_points = {10}, .quant_min = 0, .quant_max = 255};
  Report report;
  report.analysis_id = "id1";
  report.title = "small";
  report.create_time = "2030-01-02T03:04:05Z";
  report.qat_model = {"m.pt", "aa", 5};
  AnalysisResult& result = report.result;
  result.qat_format = "TorchScript, traced";
  result.mac_layers = 2;
  result.samples = 4;
  result.layers = {{.name = "a", .kind = "conv2d", .channels = 2, .weight_shape = {2, 1, 1, 1}, .output = grid,
                    .inputs = {grid, grid}, .weights = 2, .source_line = "m.py:3", .module_stack = "Net > a: Conv2d"},
                   {.name = "b", .kind = "linear", .channels = 1, .weight_shape = {1, 2}, .output = grid, .inputs = {grid},
                    .weights = 2}};
  result.outputs = {grid};
  for (const char* name : {"t1", "t2"}) {
    TargetResult& target = result.targets.emplace_back();
    target.name = name;
    target.title = "Target";
    target.layers = {{.layer = 0, .samples = 4, .engine_note = "none", .channels = {SmallChannel(1, 2, 1), SmallChannel(-2, 0, 0)}},
                     {.layer = 1, .samples = 4, .engine_note = "none", .channels = {SmallChannel(3, 4, 0)}}};
    target.comparisons = {{.path = Path::kTarget, .reference = Path::kFakeQuant, .outputs = {Moved(4, 1, 1)},
                           .top1_changed = 1, .layers = {Moved(200, 10, 10), Moved(100, 20, 20)}}};
  }
  result.findings = {{.id = "QG001", .severity = Severity::kError, .title = "Saturates", .layer = "b", .target = "t1",
                      .channels = {0}, .detail = "d", .advice = "do"}};
  result.network = {{.name = "x", .kind = "input"}, {.name = "a", .kind = "conv2d", .layer = 0, .inputs = {0}},
                    {.name = "b", .kind = "linear", .layer = 1, .inputs = {1}}};
  return report;
}

}  // namespace qatgap::report
