// What is done to samples before the model gets them, as the user declares it: images of uint8 become reals.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "analyzers/graph/tensor.h"

namespace qatgap::samples {

// y = (x * scale - mean[c]) / std[c]: three operations, each rounded to float32 (half to even), in this order, of
// constants that were rounded to float32 first. x is exact: float32, or a uint8. 1/255 is not exact, so that x * scale
// differs from x / 255 in 126 of the 256 values of a uint8, by one unit in the last place.
struct Normalization {
  std::string input_name = {};    // of the model; empty where it has one input
  std::vector<double> mean = {};  // one, or one per channel; empty: 0
  std::vector<double> std = {};   // one, or one per channel; empty: 1
  double scale = 1;
  std::int64_t channel_axis = 1;  // 1..7, axis 0 counts samples; -1: the last
  friend bool operator==(const Normalization&, const Normalization&) = default;
};

// INVALID_ARGUMENT: a number that is not finite in float32, a std or scale of 0, mean and std of two counts other than
// 1, more than 65536 channels, an axis out of range.
absl::Status Validate(const Normalization& normalization);

// "image: (x * 0.00392157 - [0.5]) / [0.25], channel axis 1": for reports.
std::string Describe(const Normalization& normalization);

// Whether an array of this shape has the axis and its channels. INVALID_ARGUMENT naming `label`, shape and counts.
absl::Status CheckChannels(const Normalization& normalization, const graph::Shape& shape, const std::string& label);

// `samples`, float32 or uint8, as float32. Both checks must have passed.
graph::Tensor Normalize(const graph::Tensor& samples, const Normalization& normalization);

}  // namespace qatgap::samples
