// The qparams that PyTorch's fused fake-quant uses, from the range its observer holds.
#pragma once

#include <cstdint>

namespace qatgap::frontends::pt2 {

struct FusedQuantParams {
  float scale = 0;
  std::int32_t zero_point = 0;
};

// As aten::fused_moving_avg_obs_fake_quant chooses them on CPU when its observer is off, whatever its scale and
// zero_point buffers say (PyTorch 2.13; compared with the operator itself bit for bit in the tests):
// the range is widened to hold 0; symmetric ranges that have both signs are first made so that -min = s * (n/2 + 1) and
// max = s * (n/2) for n = quant_max - quant_min, and their zero point is the middle of the codes;
// scale = fl((max - min) / n), 0.1 where its reciprocal is infinite, and 6.1e-5 at least. This is FBGEMM's arithmetic,
// which rounds the scale to binary32 before the zero point is computed: for 0..65535 and -4761.5205..5334.2861 the zero
// point is 30908, where a binary64 scale would give 30909.
// Needs finite min <= max and quant_min < quant_max that fit int32.
FusedQuantParams ChooseFusedQuantParams(float min, float max, std::int32_t quant_min, std::int32_t quant_max,
                                        bool symmetric);

}  // namespace qatgap::frontends::pt2
