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

// AVX512-VNNI, by which PyTorch and others choose their kernels; as FBGEMM sees it, which an environment variable can make
// see less than the processor has.
bool HostHasVnni();

// One thread for the whole process, no gradients: float sums then have one order. Call once, before anything else.
void UseOneThread();

// FBGEMM multiplies with vpmaddubsw where it has no VNNI kernel: pairs of products are added in a saturating int16. A
// pair can only saturate when activation codes exceed 127, since 127 * 128 * 2 = 32512 < 32767 < 255 * 128 * 2.
// True when two weights of one channel of this layer can do so with codes up to `max_code`, and the kernel that FBGEMM
// takes on this host adds in pairs: its depthwise one everywhere, the others without VNNI.
// Never false where pairs saturate; measured in docs/findings/int16-pair-saturation.md.
bool MaySaturateInt16Pairs(numerics::Engine engine, const graph::MacLayer& layer, std::int64_t max_code);

}  // namespace qatgap::execution
