#include "analyzers/execution/host.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <fbgemm/Fbgemm.h>
#include <fbgemm/Utils.h>
#include <torch/version.h>

#include <algorithm>
#include <array>

#include "analyzers/execution/torch_bridge.h"

namespace qatgap::execution {
namespace {

// Whether two weights of one output channel can carry a pair of products out of int16: the two largest, or the two
// smallest, times `max_code`. Which taps FBGEMM pairs depends on its packing; any two are taken.
bool SomePairSaturates(const graph::MacLayer& layer, std::int64_t max_code) {
  const auto codes = layer.weight.data<std::int32_t>();
  const auto channels = static_cast<std::size_t>(std::max<std::int64_t>(layer.output_channels, 1));
  const std::size_t rows = layer.convolution.transposed ? 1 : channels;  // transposed: one bound over everything
  const std::size_t taps = codes.size() / rows;
  for (std::size_t row = 0; row < rows; ++row) {
    std::int64_t high = 0, next_high = 0, low = 0, next_low = 0;
    for (const std::int64_t code : codes.subspan(row * taps, taps)) {
      next_high = std::max(next_high, std::min(high, code));
      high = std::max(high, code);
      next_low = std::min(next_low, std::max(low, code));
      low = std::min(low, code);
    }
    if ((high + next_high) * max_code > 32767 || (low + next_low) * max_code < -32768) return true;
  }
  return false;
}

// What FBGEMM chooses its kernel by; batch and image size play no part.
fbgemm::conv_param_t<2> ConvolutionShape(const graph::MacLayer& layer) {
  const graph::ConvolutionAttributes& conv = layer.convolution;
  const auto pair = [](const std::vector<std::int64_t>& v) {
    return std::array<int, 2>{static_cast<int>(v[0]), static_cast<int>(v[1])};
  };
  const std::array<int, 2> padding = pair(conv.padding);
  const std::int64_t inputs = layer.weight.dim(1) * conv.groups;
  return fbgemm::conv_param_t<2>(
      1, static_cast<int>(inputs), static_cast<int>(layer.output_channels), {64, 64}, static_cast<int>(conv.groups),
      {static_cast<int>(layer.weight.dim(2)), static_cast<int>(layer.weight.dim(3))}, pair(conv.stride),
      {padding[0], padding[1], padding[0], padding[1]}, pair(conv.dilation));
}

}  // namespace

Host DescribeHost() {
  Host host;
  host.libtorch_version = TORCH_VERSION;
  if (__builtin_cpu_supports("avx2") != 0) host.cpu_features.emplace_back("avx2");
  if (__builtin_cpu_supports("avx512f") != 0) host.cpu_features.emplace_back("avx512f");
  if (HostHasVnni()) host.cpu_features.emplace_back("avx512_vnni");
  for (const numerics::Engine engine : {numerics::Engine::kFbgemm, numerics::Engine::kQnnpack, numerics::Engine::kX86,
                                        numerics::Engine::kOnednn}) {
    if (HasEngine(engine)) host.engines.emplace_back(numerics::ToString(engine));
  }
  return host;
}

bool HasEngine(numerics::Engine engine) {
  if (engine == numerics::Engine::kNone) return false;
  const auto& supported = at::globalContext().supportedQEngines();
  return std::find(supported.begin(), supported.end(), TorchEngine(engine)) != supported.end();
}

bool HostHasVnni() {
  const fbgemm::inst_set_t set = fbgemm::fbgemmInstructionSet();
  return set == fbgemm::inst_set_t::avx512_vnni || set == fbgemm::inst_set_t::avx512_vnni_ymm;
}

void UseOneThread() {
  at::set_num_threads(1);
  at::set_num_interop_threads(1);
}

bool MaySaturateInt16Pairs(numerics::Engine engine, const graph::MacLayer& layer, std::int64_t max_code) {
  if (engine == numerics::Engine::kNone || engine == numerics::Engine::kQnnpack || !SomePairSaturates(layer, max_code)) {
    return false;
  }
  // oneDNN is exact with VNNI, and x86 gives it the convolutions then.
  const bool convolution = layer.kind == graph::OpKind::kConvolution;
  if (engine == numerics::Engine::kOnednn) return !HostHasVnni();
  if (engine == numerics::Engine::kX86 && convolution && HostHasVnni() && layer.convolution.groups <= 100) return false;
  if (layer.kind == graph::OpKind::kConvolution && layer.convolution.stride.size() == 2 && !layer.convolution.transposed) {
    // FBGEMM's depthwise kernels are written for AVX2 alone, on every host.
    if (fbgemm::takeDepthWiseFastPath<2, std::int32_t>(ConvolutionShape(layer))) return true;
  }
  return !HostHasVnni();
}

}  // namespace qatgap::execution
