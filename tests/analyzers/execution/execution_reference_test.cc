// Every test model, imported and run by GraphExecutor, against LibTorch's own interpreter on the same file and host: the
// QAT model in kFakeQuant mode, the converted one in kEngine mode under the engine it was converted for. Bit for bit.
#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/jit/serialization/import.h>

#include <bit>
#include <sstream>
#include <string>

#include "analyzers/execution/graph_executor.h"
#include "analyzers/execution/host.h"
#include "analyzers/execution/torch_bridge.h"
#include "gtest/gtest.h"
#include "tests/testing/demo_models.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::execution {
namespace {

using numerics::Engine;
using testing::Images;
using testing::ImportModel;
using testing::ModelBytes;

constexpr std::int64_t kImages = 64;

struct Case {
  const char* folder;
  Engine engine;
};

constexpr Case kCases[] = {
    {"residual_eager_x86", Engine::kFbgemm},
    {"residual_eager_fbgemm", Engine::kFbgemm},
    {"residual_fx_x86", Engine::kFbgemm},
    {"residual_eager_qnnpack", Engine::kQnnpack},
    {"residual_eager_qnnpack_scripted", Engine::kQnnpack},
    {"residual_fx_qnnpack_scripted", Engine::kQnnpack},
    {"branching_eager_qnnpack_scripted", Engine::kQnnpack},
};

// A model with data-dependent branches takes one sample a run.
std::int64_t BatchOf(const std::string& folder) { return testing::IsBranching(folder) ? 1 : kImages; }

torch::jit::Module Load(const std::string& folder, const std::string& file) {
  std::istringstream stream(ModelBytes(folder, file));
  torch::jit::Module module = torch::jit::load(stream, c10::Device(c10::kCPU));
  module.eval();
  return module;
}

at::Tensor Interpret(torch::jit::Module& module, const graph::Tensor& images) {
  const at::NoGradGuard no_grad;
  return module.forward({ToTorch(images)}).toTensor().contiguous();
}

void ExpectSameBits(const at::Tensor& expected, const graph::Tensor& actual, const std::string& what) {
  ASSERT_EQ(graph::Shape(expected.sizes().vec()), actual.shape()) << what;
  const auto values = actual.data<float>();
  const float* reference = expected.const_data_ptr<float>();
  std::size_t different = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    different += std::bit_cast<std::uint32_t>(values[i]) != std::bit_cast<std::uint32_t>(reference[i]) ? 1U : 0U;
  }
  EXPECT_EQ(different, 0U) << what << ": of " << values.size() << " outputs";
}

GraphExecutor MakeExecutor(const graph::Graph& graph, ExecutionMode mode, Engine engine = Engine::kNone) {
  auto layers = graph::FindMacLayers(graph);
  EXPECT_THAT(layers, testing::IsOk());
  auto executor = GraphExecutor::Create(graph, layers->layers, mode, engine);
  EXPECT_THAT(executor, testing::IsOk());
  return *std::move(executor);
}

void ExpectEqualRuns(const std::string& folder, torch::jit::Module& module, GraphExecutor& executor) {
  const std::int64_t batch = BatchOf(folder);
  for (std::int64_t first = 0; first < kImages; first += batch) {
    const graph::Tensor images = Images(first, batch);
    const auto outputs = executor.Run({&images, 1}, nullptr);
    QATGAP_ASSERT_OK(outputs);
    ASSERT_EQ(outputs->size(), 1U);
    ExpectSameBits(Interpret(module, images), outputs->front().real, folder + " from image " + std::to_string(first));
  }
}

class ExecutionReferenceTest : public ::testing::TestWithParam<Case> {
 protected:
  static void SetUpTestSuite() { testing::UseOneThreadOnce(); }
};

TEST_P(ExecutionReferenceTest, FakeQuantPathEqualsTheInterpreter) {
  const std::string folder = GetParam().folder;
  const auto model = ImportModel(folder, "qat.pt");
  EXPECT_EQ(model.kind, frontends::ModelKind::kQat);
  EXPECT_EQ(model.scripted, folder.ends_with("scripted"));
  GraphExecutor executor = MakeExecutor(model.graph, ExecutionMode::kFakeQuant);
  torch::jit::Module module = Load(folder, "qat.pt");
  ExpectEqualRuns(folder, module, executor);
}

TEST_P(ExecutionReferenceTest, EnginePathEqualsTheInterpreter) {
  const auto& [folder, engine] = GetParam();
  if (!HasEngine(engine)) GTEST_SKIP() << "this host's LibTorch lacks " << numerics::ToString(engine);
  const auto model = ImportModel(folder, "converted.pt");
  EXPECT_EQ(model.kind, frontends::ModelKind::kConverted);
  GraphExecutor executor = MakeExecutor(model.graph, ExecutionMode::kEngine, engine);
  const EngineScope scope(engine);  // weights are packed by the engine that is set when the file is loaded
  torch::jit::Module module = Load(folder, "converted.pt");
  ExpectEqualRuns(folder, module, executor);
}

std::string CaseName(const ::testing::TestParamInfo<Case>& param) { return param.param.folder; }
INSTANTIATE_TEST_SUITE_P(Models, ExecutionReferenceTest, ::testing::ValuesIn(kCases), CaseName);

// Observers that were left on move the ranges with every run; they are frozen as they were saved, with a notice each.
TEST(ObserversOnTest, ImportsFrozenAndEqualsTheInterpreterWithObserversOff) {
  testing::UseOneThreadOnce();
  const std::string folder = "residual_eager_x86_observers_on";
  const auto model = ImportModel(folder, "qat.pt");
  std::size_t frozen = 0;
  for (const graph::Notice& notice : model.graph.notices) {
    frozen += notice.kind == graph::NoticeKind::kObserverFrozen ? 1U : 0U;
    EXPECT_FALSE(notice.module_path.empty());
  }
  torch::jit::Module module = Load(folder, "qat.pt");
  std::size_t switched_off = 0;
  for (const auto& buffer : module.named_buffers(/*recurse=*/true)) {
    if (!buffer.name.ends_with("observer_enabled")) continue;
    const at::NoGradGuard no_grad;
    if (buffer.value.reshape({-1})[0].item().toLong() != 0) ++switched_off;
    buffer.value.zero_();
  }
  EXPECT_GT(switched_off, 0U);
  EXPECT_EQ(frozen, switched_off);
  GraphExecutor executor = MakeExecutor(model.graph, ExecutionMode::kFakeQuant);
  ExpectEqualRuns(folder, module, executor);
}

TEST(ExecutorErrorsTest, NumberOfInputsAndNaN) {
  testing::UseOneThreadOnce();
  const auto branching = ImportModel("branching_eager_qnnpack_scripted", "qat.pt");
  GraphExecutor executor = MakeExecutor(branching.graph, ExecutionMode::kFakeQuant);
  EXPECT_THAT(executor.Run({}, nullptr),
              testing::StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr("1 inputs, 0 were given")));

  const auto residual = ImportModel("residual_eager_x86", "qat.pt");
  GraphExecutor plain = MakeExecutor(residual.graph, ExecutionMode::kFakeQuant);
  graph::Tensor images = Images(0, 1);
  images.mutable_data<float>()[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(plain.Run({&images, 1}, nullptr),
              testing::StatusIs(absl::StatusCode::kFailedPrecondition, ::testing::HasSubstr("quant")));
}

}  // namespace
}  // namespace qatgap::execution
