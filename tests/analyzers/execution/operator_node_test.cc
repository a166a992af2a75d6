// Operators by name (kOperator), run through LibTorch's dispatcher.
#include <cmath>

#include "analyzers/execution/graph_executor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/demo_models.h"
#include "tests/testing/graph_builder.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::execution {
namespace {

using graph::Argument;
using graph::OpKind;
using graph::TensorArgument;
using graph::TensorListArgument;
using graph::ValueId;
using testing::GraphBuilder;
using testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

graph::OperatorAttributes Named(std::string name, std::vector<Argument> arguments, std::string overload = "") {
  return {.name = std::move(name), .overload = std::move(overload), .arguments = std::move(arguments)};
}

ValueId Call(GraphBuilder& b, std::vector<ValueId> inputs, graph::OperatorAttributes call) {
  return b.Op(OpKind::kOperator, std::move(inputs), std::move(call), "block.op");
}

absl::StatusOr<std::vector<ModelOutput>> RunOn(GraphBuilder& b, const graph::Shape& shape, const std::vector<float>& x) {
  testing::UseOneThreadOnce();
  auto executor = GraphExecutor::Create(b.graph(), {}, ExecutionMode::kFakeQuant);
  if (!executor.ok()) return executor.status();
  const graph::Tensor input = graph::Tensor::Of<float>(shape, x);
  return executor->Run({&input, 1}, nullptr);
}

TEST(OperatorNodeTest, ArgumentsAndDefaults) {
  GraphBuilder b;
  const ValueId x = b.Input();
  b.Output(Call(b, {x}, Named("aten::softmax", {TensorArgument{0}, std::int64_t{1}}, "int")));     // dtype defaults to None
  b.Output(Call(b, {x}, Named("aten::leaky_relu", {TensorArgument{0}, 0.5})));
  b.Output(Call(b, {x}, Named("aten::layer_norm", {TensorArgument{0}, std::int64_t{2}})));        // int[]: one number
  b.Output(Call(b, {x, x}, Named("aten::stack", {TensorListArgument{{0, 1}}, std::int64_t{0}})));
  const auto outputs = RunOn(b, {1, 2}, {-2, 2});
  QATGAP_ASSERT_OK(outputs);
  const float e4 = std::exp(-4.0F);
  EXPECT_FLOAT_EQ((*outputs)[0].real.data<float>()[0], e4 / (1 + e4));
  EXPECT_THAT((*outputs)[1].real.data<float>(), ElementsAre(-1, 2));
  EXPECT_NEAR((*outputs)[2].real.data<float>()[1], 1.0, 1e-5);  // 2 / sqrt(4 + 1e-5)
  EXPECT_EQ((*outputs)[3].real.shape(), (graph::Shape{2, 1, 2}));
}

TEST(OperatorNodeTest, SeveralOutputsKeepTheGrid) {
  GraphBuilder b;
  const ValueId x = b.FakeQuant(b.Input(), testing::PerTensor(0.5, 10));
  const graph::NodeId id = b.graph().AddNode(
      b.graph().body,
      {.kind = OpKind::kOperator, .inputs = {x}, .outputs = {},
       .attributes = Named("aten::chunk", {TensorArgument{0}, std::int64_t{2}, std::int64_t{1}}),
       .module_path = "split", .source_op = "aten::chunk"}, 2);
  const std::vector<ValueId> halves = b.graph().nodes[static_cast<std::size_t>(id)].outputs;
  b.Output(halves[1]);
  b.Output(halves[0]);
  const auto outputs = RunOn(b, {1, 4}, {0.4F, 1.1F, 1.6F, -2.0F});
  QATGAP_ASSERT_OK(outputs);
  EXPECT_THAT((*outputs)[0].real.data<float>(), ElementsAre(1.5, -2));
  EXPECT_THAT((*outputs)[1].codes.data<std::int32_t>(), ElementsAre(11, 12));
  ASSERT_NE((*outputs)[1].grid, nullptr);
  EXPECT_EQ((*outputs)[1].grid->zero_point(), 10);
}

TEST(OperatorNodeTest, OfConstantsIsRunOnce) {
  GraphBuilder b;
  const ValueId x = b.Input();
  b.Output(b.Op(OpKind::kMul, {x, Call(b, {b.Floats({1}, {4})}, Named("aten::sqrt", {TensorArgument{0}}))}));
  const auto outputs = RunOn(b, {1}, {3});
  QATGAP_ASSERT_OK(outputs);
  EXPECT_THAT((*outputs)[0].real.data<float>(), ElementsAre(6));
}

struct Refused {
  const char* name;
  graph::OperatorAttributes call;
  const char* message;
};

class OperatorRefused : public ::testing::TestWithParam<Refused> {};

TEST_P(OperatorRefused, NamesTheOperatorAndTheModule) {
  GraphBuilder b;
  const ValueId x = b.Input();
  b.Output(Call(b, {x}, GetParam().call));
  const auto outputs = RunOn(b, {1, 2}, {1, 2});
  ASSERT_FALSE(outputs.ok());
  EXPECT_THAT(std::string(outputs.status().message()), AllOf(HasSubstr(GetParam().message), HasSubstr("block.op")));
}

INSTANTIATE_TEST_SUITE_P(
    Calls, OperatorRefused,
    ::testing::Values(Refused{"NotOnTheList", Named("aten::dropout", {TensorArgument{0}}), "not on the list"},
                      Refused{"Files", Named("aten::save", {TensorArgument{0}}), "not on the list"},
                      Refused{"UnknownOverload", Named("aten::softmax", {TensorArgument{0}}, "nothing"), "no operator"},
                      Refused{"TooManyArguments", Named("aten::tanh", {TensorArgument{0}, true}), "takes 1 arguments"},
                      Refused{"MissingArgument", Named("aten::transpose", {TensorArgument{0}}, "int"), "lacks its argument"}),
    [](const auto& refused) { return std::string(refused.param.name); });

}  // namespace
}  // namespace qatgap::execution
