// Handoffs of the demo models: real weights, batch norms and scales.
#include <ostream>
#include <string>

#include "analyzers/handoff/handoff.h"
#include "analyzers/numerics/target.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/handoff/reference_bench.h"
#include "tests/testing/demo_models.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::handoff {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct Demo {
  const char* name;
  const char* folder;
  const char* file;
  const char* target;
  std::size_t layers;
};
void PrintTo(const Demo& demo, std::ostream* out) { *out << demo.folder << "/" << demo.file << " for " << demo.target; }

class DemoHandoff : public ::testing::TestWithParam<Demo> {};

TEST_P(DemoHandoff, EveryLayerIsReproducedInC) {
  const auto model = testing::ImportModel(GetParam().folder, GetParam().file);
  const auto target = numerics::FindTarget(GetParam().target);
  QATGAP_ASSERT_OK(target);
  const auto files = MakeHandoff(model.graph, *target);
  QATGAP_ASSERT_OK(files);
  EXPECT_EQ(LayerFolders(*files).size(), GetParam().layers);
  const ReferenceBench bench(*files);
  for (const std::string& folder : LayerFolders(*files)) {
    EXPECT_THAT(bench.Run(folder), AllOf(HasSubstr("0 of "), HasSubstr("exit 0"))) << folder;
    EXPECT_LT(files->at(folder + "/layer.h").size(), 300000U) << folder;
  }
}

constexpr Demo kDemos[] = {
    {"QatQnnpack", "residual_eager_qnnpack", "qat.pt", "pytorch-qnnpack", 11},
    {"ConvertedQnnpack", "residual_eager_qnnpack", "converted.pt", "pytorch-qnnpack", 11},
    {"QatQ31", "residual_eager_qnnpack", "qat.pt", "tflite-reference", 11},
    {"QatInt8Bias", "residual_eager_x86", "qat.pt", "generic-int8", 11},
    {"QatFloatBias", "residual_fx_x86", "qat.pt", "pytorch-fbgemm", 11},
    {"BranchingTwoInputs", "branching_eager_qnnpack_scripted", "qat.pt", "pytorch-qnnpack", 6},
};

INSTANTIATE_TEST_SUITE_P(Demo, DemoHandoff, ::testing::ValuesIn(kDemos),
                         [](const auto& demo) { return std::string(demo.param.name); });

}  // namespace
}  // namespace qatgap::handoff
