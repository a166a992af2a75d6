// A MAC layer as a matrix product, output channel by output channel. Internal.
//
// A group of channels is a matrix of `depth` columns: taps in the kernels' order (last spatial axis fastest), input
// channels fastest within a tap. Pixels are the output's elements of one channel. A transposed convolution is the
// convolution of its input stretched by the stride, with the kernel flipped.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "analyzers/vectors/case.h"

namespace qatgap::vectors {

class LayerMatrix {
 public:
  explicit LayerMatrix(const Case& layer);

  std::int64_t groups() const { return groups_; }
  std::int64_t channels_per_group() const { return channels_per_group_; }
  std::int64_t inputs_per_group() const { return inputs_per_group_; }
  std::int64_t depth() const { return inputs_per_group_ * taps_; }
  std::int64_t pixels() const { return images_ * output_[0] * output_[1] * output_[2]; }

  // The weight codes of an output channel, `depth` of them.
  std::vector<std::int32_t> WeightRow(std::int64_t channel) const;
  // patches[k * count + i]: the input code that meets column k at pixel first + i; `absent` where there is none, in the
  // padding and between the elements of a stretched input.
  void Patches(std::int64_t group, std::int64_t first, std::int64_t count, std::int32_t absent,
               std::span<std::int32_t> patches) const;
  // As many pixels as keep a block of patches small.
  std::int64_t BlockPixels() const;

 private:
  const Case* layer_;
  bool transposed_;
  std::int64_t images_ = 1, groups_ = 1, inputs_per_group_ = 1, channels_per_group_ = 1, taps_ = 1;
  std::int64_t input_[3] = {1, 1, 1}, kernel_[3] = {1, 1, 1}, output_[3] = {1, 1, 1};
  // Per axis [output * kernel + tap]: where in the input; -1: nowhere.
  std::vector<std::int64_t> position_[3];
};

}  // namespace qatgap::vectors
