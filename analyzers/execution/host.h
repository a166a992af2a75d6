// What float and engine stages depend on: LibTorch, its engines, the processor.
#pragma once

#include <string>
#include <vector>

#include "analyzers/graph/mac_layers.h"
#include "analyzers/numerics/target.h"

namespace qatgap::execution {

struct Host {
  std::string libtorch_version;
  std::vector<std::string> cpu_features;  // those that change results: "avx2", "avx512f", "avx512_vnni"
  std::vector<std::string> engines;       // "fbgemm", "qnnpack": linked in and usable here
};

Host DescribeHost();

bool HasEngine(numerics::Engine engine);

// One thread for the whole process, no gradients: float sums then have one order. Call once, before anything else.
void UseOneThread();

// FBGEMM multiplies with vpmaddubsw where it has no VNNI kernel: pairs of products are added in a saturating int16. A
// pair can only saturate when activation codes exceed 127, since 127 * 128 * 2 = 32512 < 32767 < 255 * 128.
// True when that can happen for `engine` on this host, for codes up to `max_code` in this layer.
bool MaySaturateInt16Pairs(numerics::Engine engine, const graph::MacLayer& layer, std::int64_t max_code);

}  // namespace qatgap::execution
