#include "analyzers/execution/host.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <fbgemm/Utils.h>
#include <torch/version.h>

#include <algorithm>

#include "analyzers/execution/torch_bridge.h"

namespace qatgap::execution {

Host DescribeHost() {
  Host host;
  host.libtorch_version = TORCH_VERSION;
  if (__builtin_cpu_supports("avx2") != 0) host.cpu_features.emplace_back("avx2");
  if (__builtin_cpu_supports("avx512f") != 0) host.cpu_features.emplace_back("avx512f");
  if (__builtin_cpu_supports("avx512vnni") != 0) host.cpu_features.emplace_back("avx512_vnni");
  for (const numerics::Engine engine : {numerics::Engine::kFbgemm, numerics::Engine::kQnnpack}) {
    if (HasEngine(engine)) host.engines.emplace_back(numerics::ToString(engine));
  }
  return host;
}

bool HasEngine(numerics::Engine engine) {
  if (engine == numerics::Engine::kNone) return false;
  const auto& supported = at::globalContext().supportedQEngines();
  return std::find(supported.begin(), supported.end(), TorchEngine(engine)) != supported.end();
}

void UseOneThread() {
  at::set_num_threads(1);
  at::set_num_interop_threads(1);
}

bool MaySaturateInt16Pairs(numerics::Engine engine, const graph::MacLayer& layer, std::int64_t max_code) {
  if (engine != numerics::Engine::kFbgemm || max_code <= 127) return false;
  // FBGEMM's depthwise kernels are written for AVX2 alone, on every host.
  const bool depthwise = layer.kind == graph::OpKind::kConvolution && layer.convolution.groups > 1;
  const fbgemm::inst_set_t set = fbgemm::fbgemmInstructionSet();
  const bool vnni = set == fbgemm::inst_set_t::avx512_vnni || set == fbgemm::inst_set_t::avx512_vnni_ymm;
  return depthwise || !vnni;
}

}  // namespace qatgap::execution
