#include "server/sample_detail_conversion.h"

#include "absl/strings/str_cat.h"
#include "server/statistics_conversion.h"

namespace qatgap::server {

v1::QuantParams ToMessage(const numerics::QuantParams& params) {
  v1::QuantParams message;
  message.mutable_scales()->Add(params.scales.begin(), params.scales.end());
  message.mutable_zero_points()->Add(params.zero_points.begin(), params.zero_points.end());
  message.set_quant_min(params.quant_min);
  message.set_quant_max(params.quant_max);
  message.set_axis(params.axis);
  return message;
}

numerics::QuantParams FromMessage(const v1::QuantParams& message) {
  return {.scales = {message.scales().begin(), message.scales().end()},
          .zero_points = {message.zero_points().begin(), message.zero_points().end()},
          .quant_min = message.quant_min(),
          .quant_max = message.quant_max(),
          .axis = message.axis()};
}

void Fill(const report::WorstSample& sample, v1::WorstSample& message) {
  message.set_sample(sample.sample);
  message.set_top1_changed(sample.top1_changed);
  message.set_reference_answer(sample.reference_answer);
  message.set_answer(sample.answer);
  message.set_changed(sample.changed);
  message.set_max_absolute(sample.max_absolute);
  message.set_sum_squares(sample.sum_squares);
  for (const report::CodeDifference& difference : sample.differences) {
    v1::CodeDifference& part = *message.add_differences();
    part.set_output(difference.output);
    part.set_element(difference.element);
    part.set_reference(difference.reference);
    part.set_value(difference.value);
  }
}

report::WorstSample FromMessage(const v1::WorstSample& message) {
  report::WorstSample sample{.sample = message.sample(),
                             .top1_changed = message.top1_changed(),
                             .reference_answer = message.reference_answer(),
                             .answer = message.answer(),
                             .changed = message.changed(),
                             .max_absolute = message.max_absolute(),
                             .sum_squares = message.sum_squares(),
                             .differences = {}};
  for (const v1::CodeDifference& part : message.differences()) {
    sample.differences.push_back({.output = part.output(),
                                  .element = part.element(),
                                  .reference = part.reference(),
                                  .value = part.value()});
  }
  return sample;
}

void Fill(const report::InputRange& range, v1::InputRange& message) {
  message.set_name(range.name);
  *message.mutable_grid() = ToMessage(range.grid);
  message.set_count(range.count);
  message.set_clipped(range.clipped);
  message.set_least(range.least);
  message.set_greatest(range.greatest);
}

report::InputRange FromMessage(const v1::InputRange& message) {
  return {.name = message.name(),
          .grid = FromMessage(message.grid()),
          .count = message.count(),
          .clipped = message.clipped(),
          .least = message.least(),
          .greatest = message.greatest()};
}

void Fill(const report::LayerSensitivity& layer, v1::LayerSensitivity& message) {
  message.set_layer(layer.layer);
  FillAll(layer.outputs, *message.mutable_outputs());
  message.set_top1_changed(layer.top1_changed);
  message.set_lost(layer.lost);
  message.set_gained(layer.gained);
}

absl::Status Read(const v1::LayerSensitivity& message, std::size_t layers, report::LayerSensitivity& layer) {
  if (message.layer() < 0 || static_cast<std::size_t>(message.layer()) >= layers) {
    return absl::InvalidArgumentError(absl::StrCat("malformed analysis result: LayerSensitivity.layer is ",
                                                   message.layer(), " of ", layers));
  }
  layer.layer = message.layer();
  layer.top1_changed = message.top1_changed();
  layer.lost = message.lost();
  layer.gained = message.gained();
  return ReadAll(message.outputs(), layer.outputs);
}

}  // namespace qatgap::server
