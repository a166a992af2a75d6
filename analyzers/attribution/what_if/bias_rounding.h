// Other integers for the same bias: rounded with what else is wrong in the layer in mind.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/attribution/what_if/variant.h"

namespace qatgap::attribution::what_if {

// The bias rounded and stored together with the zero-point term that many kernels fold into it:
//   n = -z_x * sum (w - z_w),  Q = store(round(b / s_b + n)),  q_b' = Q - n
// n is an integer, so Q - n differs from q_b where b / s_b is a tie, and where the width decides: b and n can cancel in
// storage that neither of them fits, and their sum can leave storage that b fits. Padding is taken to be z_x.
// Not measured: s_b that is not the accumulator's step, transposed convolutions (n differs by position), z_x = 0 (n =
// 0).
PreparedRow ZeroPointRow(const Deployment& deployment);

// The stored integer whose output error over calibration samples is least:
//   q_b' = argmin E(q), E(q) = sum |code(q) - code_fake_quant| over the channel's calibration outputs,
//   q in {q_b + j * t, j = -4..4}, t = max(1, round(s_y / (8 s_b))): eighths of an output LSB, or single steps of s_b
//   where these are coarser; inside the target's width. Of equal errors the q nearest to q_b, of two the smaller.
// Rounding to nearest keeps |q_b s_b - b| least, not the output's error: weights rounded by the conversion, a
// requantization that rounds down and a saturated neighbour shift a channel's mean, and an integer beside q_b can take
// that back.
class ErrorAwareRounding {
 public:
  static constexpr int kReach = 4;
  static absl::StatusOr<ErrorAwareRounding> Create(const Deployment& deployment);

  // Adds a calibration batch of one channel.
  void Add(std::int64_t channel, std::span<const std::int32_t> accumulators, std::span<const std::int32_t> fake_quant);
  // The integers it comes to; those of the deployment where no batch was added.
  std::vector<std::int64_t> Best() const;

 private:
  struct Candidate {
    numerics::LayerArithmetic arithmetic;
    std::vector<std::uint64_t> error;  // E, per channel
  };
  std::vector<Candidate> candidates_;  // q_b first, then by distance
};

// Measures these integers.
PreparedRow StoredRow(const Deployment& deployment, const std::vector<std::int64_t>& stored);

}  // namespace qatgap::attribution::what_if
