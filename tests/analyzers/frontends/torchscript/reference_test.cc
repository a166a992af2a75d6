// Every file of cases/reference, imported and run by GraphExecutor, against LibTorch's own interpreter on the same file
// and host: QAT models in kFakeQuant mode, converted ones in kEngine mode. Bit for bit. See make_reference_models.py.
#include <ATen/core/Dict.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "analyzers/execution/graph_executor.h"
#include "analyzers/execution/host.h"
#include "analyzers/execution/torch_bridge.h"
#include "analyzers/frontends/torchscript/torchscript_frontend.h"
#include "analyzers/graph/mac_layers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/testing/status_matchers.h"

namespace qatgap::frontends::torchscript {
namespace {

using execution::ExecutionMode;
using execution::GraphExecutor;
using numerics::Engine;

std::string Folder() {
  const char* other = std::getenv("QATGAP_REFERENCE_CASES");
  return other != nullptr ? other : std::string(QATGAP_SOURCE_DIR) + "/tests/analyzers/frontends/torchscript/cases/reference";
}

std::string Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

struct Case {
  std::string file, kind;
  bool scripted = false;
  Engine engine = Engine::kFbgemm;
  nlohmann::ordered_json inputs;
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const auto& entry : nlohmann::ordered_json::parse(Read(Folder() + "/cases.json"))) {
    cases.push_back({.file = entry["file"],
                     .kind = entry["kind"],
                     .scripted = entry["scripted"],
                     .engine = entry["engine"] == "qnnpack" ? Engine::kQnnpack : Engine::kFbgemm,
                     .inputs = entry["inputs"]});
  }
  return cases;
}

// The inputs of one run: what forward() takes, and the same tensors by the names that the importer gives them.
struct Arguments {
  std::map<std::string, graph::Tensor> by_name;
  std::vector<c10::IValue> values;
};

c10::IValue Make(const nlohmann::ordered_json& shape, const std::string& name, std::mt19937& random, Arguments& arguments) {
  if (shape.is_object()) {
    c10::Dict<std::string, at::Tensor> dict;
    for (const auto& [key, value] : shape.items()) {
      dict.insert(key, Make(value, name + "." + key, random, arguments).toTensor());
    }
    return dict;
  }
  if (shape[0].is_array()) {
    std::vector<c10::IValue> items;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      items.push_back(Make(shape[i], name + "." + std::to_string(i), random, arguments));
    }
    return c10::ivalue::Tuple::create(std::move(items));
  }
  graph::Tensor tensor(graph::DType::kFloat32, shape.get<graph::Shape>());
  for (float& value : tensor.mutable_data<float>()) {
    value = static_cast<float>(static_cast<double>(random()) / 0x1p32 * 5 - 2.5);
  }
  arguments.by_name.emplace(name, tensor);
  return execution::ToTorch(tensor);
}

Arguments MakeArguments(const Case& test, unsigned seed) {
  Arguments arguments;
  std::mt19937 random(seed);
  for (const auto& [name, shape] : test.inputs.items()) arguments.values.push_back(Make(shape, name, random, arguments));
  return arguments;
}

void Flatten(const c10::IValue& value, std::vector<at::Tensor>& tensors) {
  if (value.isTensor()) {
    tensors.push_back(value.toTensor().contiguous());
  } else if (value.isTuple()) {
    for (const c10::IValue& item : value.toTupleRef().elements()) Flatten(item, tensors);
  } else if (value.isList()) {
    for (const c10::IValue& item : value.toListRef()) Flatten(item, tensors);
  } else if (value.isGenericDict()) {
    for (const auto& item : value.toGenericDict()) Flatten(item.value(), tensors);
  }
}

void ExpectSameBits(const at::Tensor& expected, const graph::Tensor& actual, const std::string& what) {
  ASSERT_EQ(graph::Shape(expected.sizes().vec()), actual.shape()) << what;
  ASSERT_EQ(expected.scalar_type(), execution::TorchType(actual.dtype())) << what;
  if (actual.dtype() != graph::DType::kFloat32) {
    EXPECT_TRUE(expected.equal(execution::ToTorch(actual))) << what;
    return;
  }
  const auto values = actual.data<float>();
  const float* reference = expected.const_data_ptr<float>();
  std::size_t different = 0;
  float largest = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::bit_cast<std::uint32_t>(values[i]) == std::bit_cast<std::uint32_t>(reference[i])) continue;
    ++different;
    largest = std::max(largest, std::abs(values[i] - reference[i]));
  }
  EXPECT_EQ(different, 0U) << what << ": of " << values.size() << " outputs, by up to " << largest;
}

class ReferenceTest : public ::testing::TestWithParam<Case> {
 protected:
  static void SetUpTestSuite() {
    static const bool once = (execution::UseOneThread(), true);
    (void)once;
  }
};

TEST_P(ReferenceTest, EqualsTheInterpreter) {
  const Case& test = GetParam();
  if (!execution::HasEngine(test.engine)) GTEST_SKIP() << "this host's LibTorch lacks the engine";
  const std::string bytes = Read(Folder() + "/" + test.file);
  const auto model = Import(bytes, test.file);
  QATGAP_ASSERT_OK(model);
  EXPECT_EQ(ToString(model->kind), test.kind);
  // A scripted file without a branch or a loop is not known from a traced one.
  if (!test.scripted) {
    EXPECT_FALSE(model->scripted);
  }
  auto layers = graph::FindMacLayers(model->graph);
  QATGAP_ASSERT_OK(layers);
  const bool qat = model->kind != ModelKind::kConverted;
  auto executor = GraphExecutor::Create(model->graph, layers->layers, qat ? ExecutionMode::kFakeQuant : ExecutionMode::kEngine,
                                        qat ? Engine::kNone : test.engine);
  QATGAP_ASSERT_OK(executor);

  const execution::EngineScope scope(test.engine);
  std::istringstream stream(bytes);
  torch::jit::Module module = torch::jit::load(stream, c10::Device(c10::kCPU));
  module.eval();
  for (unsigned seed = 0; seed < 3; ++seed) {
    const Arguments arguments = MakeArguments(test, seed);
    std::vector<graph::Tensor> inputs;
    ASSERT_EQ(model->graph.inputs.size(), arguments.by_name.size());
    for (std::size_t i = 0; i < model->graph.inputs.size(); ++i) {
      if (arguments.by_name.size() == 1) {  // FX calls it "input"
        inputs.push_back(arguments.by_name.begin()->second);
        continue;
      }
      ASSERT_TRUE(arguments.by_name.contains(model->graph.input_name(i))) << model->graph.input_name(i);
      inputs.push_back(arguments.by_name.at(model->graph.input_name(i)));
    }
    const auto outputs = executor->Run(inputs, nullptr);
    QATGAP_ASSERT_OK(outputs);
    std::vector<at::Tensor> expected;
    {
      const at::NoGradGuard no_grad;
      Flatten(module.forward(arguments.values), expected);
    }
    ASSERT_EQ(outputs->size(), expected.size());
    ASSERT_EQ(model->graph.output_names.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ExpectSameBits(expected[i], (*outputs)[i].real, model->graph.output_names[i] + " of seed " + std::to_string(seed));
    }
  }
}

void PrintTo(const Case& test, std::ostream* stream) { *stream << test.file; }

// The number of axes was assumed: the executor takes no other.
TEST(AssumedRank, OthersAreRefusedAtRunTime) {
  const auto model = Import(Read(std::string(QATGAP_SOURCE_DIR) + "/tests/analyzers/frontends/torchscript/cases/shape_arithmetic.pt"), "m");
  QATGAP_ASSERT_OK(model);
  auto executor = GraphExecutor::Create(model->graph, {}, ExecutionMode::kFakeQuant);
  QATGAP_ASSERT_OK(executor);
  const graph::Tensor matrix(graph::DType::kFloat32, {2, 3}), cube(graph::DType::kFloat32, {2, 3, 4});
  const auto outputs = executor->Run({&matrix, 1}, nullptr);
  QATGAP_ASSERT_OK(outputs);
  EXPECT_THAT(outputs->front().real.shape(), ::testing::ElementsAre(6, 1));
  EXPECT_THAT(executor->Run({&cube, 1}, nullptr),
              testing::StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr("takes 2 axes")));
}

std::string CaseName(const ::testing::TestParamInfo<Case>& param) {
  std::string name = param.param.file.substr(0, param.param.file.rfind('.'));
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}
INSTANTIATE_TEST_SUITE_P(Cases, ReferenceTest, ::testing::ValuesIn(Cases()), CaseName);

}  // namespace
}  // namespace qatgap::frontends::torchscript
