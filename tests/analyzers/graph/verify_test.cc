#include <functional>
#include <string>

#include "analyzers/graph/graph.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/graph_builder.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::graph {
namespace {

using ::qatgap::testing::GraphBuilder;
using ::qatgap::testing::PerTensor;
using ::qatgap::testing::StatusIs;
using ::testing::HasSubstr;

Node& Last(GraphBuilder& g) { return g.graph().nodes.back(); }

struct Rejection {
  const char* name;
  std::function<void(GraphBuilder&, ValueId)> spoil;
  const char* message;
};

class VerifyRejects : public ::testing::TestWithParam<Rejection> {};

TEST_P(VerifyRejects, NamesTheNode) {
  GraphBuilder g;
  const ValueId x = g.Input();
  GetParam().spoil(g, x);
  EXPECT_THAT(Verify(g.graph()), StatusIs(absl::StatusCode::kInternal, HasSubstr(GetParam().message)));
}

const Rejection kRejections[] = {
    {"InputIdOutOfRange", [](GraphBuilder& g, ValueId) { g.graph().inputs.push_back(99); },
     "a graph input names value 99"},
    {"InputListedTwice", [](GraphBuilder& g, ValueId x) { g.graph().inputs.push_back(x); },
     "value 0 is a graph input twice"},
    {"NodeIdOutOfRange", [](GraphBuilder& g, ValueId) { g.graph().body.nodes.push_back(7); }, "node 7 is out of range"},
    {"NegativeNodeId", [](GraphBuilder& g, ValueId) { g.graph().body.nodes.push_back(-1); }, "node -1 is out of range"},
    {"NodeListedTwice",
     [](GraphBuilder& g, ValueId x) {
       g.Relu(x);
       g.graph().body.nodes.push_back(0);
     },
     "node 0 is out of range or listed twice"},
    {"ReadsUnknownValue", [](GraphBuilder& g, ValueId) { g.Relu(42); }, "node 0 (relu in '') names value 42"},
    {"ReadsNegativeValue", [](GraphBuilder& g, ValueId) { g.Relu(-1); }, "names value -1"},
    {"ReadsBeforeMade",
     [](GraphBuilder& g, ValueId x) {
       g.Relu(x);
       g.Relu(x);
       g.graph().nodes[0].inputs = {g.graph().nodes[1].outputs[0]};
     },
     "node 0 (relu in '') reads value 2 before it is made"},
    {"MadeTwice",
     [](GraphBuilder& g, ValueId x) {
       g.Relu(x);
       g.Relu(x);
       Last(g).outputs = g.graph().nodes[0].outputs;
     },
     "makes value 1 a second time"},
    {"OutputIdOutOfRange",
     [](GraphBuilder& g, ValueId x) {
       g.Relu(x);
       Last(g).outputs = {77};
     },
     "names value 77"},
    {"TwoOutputs",
     [](GraphBuilder& g, ValueId x) {
       g.Relu(x);
       Last(g).outputs.push_back(g.graph().AddValue("y"));
     },
     "has 2 outputs"},
    {"NeverMadeBlockOutput", [](GraphBuilder& g, ValueId) { g.Output(g.graph().AddValue("y")); },
     "block output 1 is never made"},
    {"BlockOutputOutOfRange", [](GraphBuilder& g, ValueId) { g.Output(5); }, "a block output names value 5"},
    {"TooFewInputs", [](GraphBuilder& g, ValueId x) { g.Op(OpKind::kAdd, {x}); }, "(add in '') has 1 inputs"},
    {"TooManyInputs", [](GraphBuilder& g, ValueId x) { g.Op(OpKind::kRelu, {x, x}); }, "(relu in '') has 2 inputs"},
    {"ConstantWithInput",
     [](GraphBuilder& g, ValueId x) {
       g.Floats({1}, {0});
       Last(g).inputs = {x};
     },
     "(constant in '') has 1 inputs"},
    {"BatchNormInputs", [](GraphBuilder& g, ValueId x) { g.Op(OpKind::kBatchNorm, {x, x}, BatchNormAttributes{}); },
     "has 2 inputs"},
    {"EmptyConcat", [](GraphBuilder& g, ValueId) { g.Op(OpKind::kConcat, {}, AxisAttributes{}); }, "has 0 inputs"},
    {"ConvolutionWithoutAttributes", [](GraphBuilder& g, ValueId x) { g.Op(OpKind::kConvolution, {x, x}); },
     "has attributes of another kind"},
    {"ReluWithAttributes", [](GraphBuilder& g, ValueId x) { g.Op(OpKind::kRelu, {x}, ClampAttributes{}); },
     "has attributes of another kind"},
    {"QuantizeWithoutQparams", [](GraphBuilder& g, ValueId x) { g.Op(OpKind::kQuantize, {x}, PoolAttributes{}); },
     "has attributes of another kind"},
    {"IfWithoutBranches", [](GraphBuilder& g, ValueId x) { g.Op(OpKind::kIf, {x}); }, "has attributes of another kind"},
    {"DequantizeOfReal", [](GraphBuilder& g, ValueId x) { g.Dequantize(x); }, "(dequantize in '') input 0 must be codes"},
    {"QuantizeLikeOfRealGrid", [](GraphBuilder& g, ValueId x) { g.Op(OpKind::kQuantizeLike, {x, x}); },
     "input 1 must be codes"},
    {"ReluOfCodes", [](GraphBuilder& g, ValueId x) { g.Relu(g.Quantize(x, PerTensor(1, 0))); },
     "(relu in '') input 0 must not be codes"},
    {"FloatCodes",
     [](GraphBuilder& g, ValueId) {
       g.Floats({1}, {0});
       std::get<ConstantAttributes>(Last(g).attributes).qparams = PerTensor(1, 0);
     },
     "holds codes that are not int32"},
    {"IfBranchesDifferInCount",
     [](GraphBuilder& g, ValueId x) {
       g.If(x, [&] { return g.Relu(x); }, [&] { return g.Relu(x); });
       std::get<IfAttributes>(Last(g).attributes).else_block.outputs.clear();
     },
     "its branches differ in outputs"},
    {"IfCodesInOneBranch",
     [](GraphBuilder& g, ValueId x) {
       g.If(x, [&] { return g.Quantize(x, PerTensor(1, 0)); }, [&] { return g.Relu(x); });
     },
     "output 0 is codes in one branch and real in the other"},
    {"IfLeaksItsValues",
     [](GraphBuilder& g, ValueId x) {
       ValueId inner = -1;
       g.If(x, [&] { return inner = g.Relu(x); }, [&] { return g.Relu(x); });
       g.Relu(inner);
     },
     "before it is made"},
    {"ElseReadsThen",
     [](GraphBuilder& g, ValueId x) {
       ValueId inner = -1;
       g.If(x, [&] { return inner = g.Relu(x); }, [&] { return g.Relu(inner); });
     },
     "before it is made"},
    {"BothBranchesMakeOneValue",
     [](GraphBuilder& g, ValueId x) {
       g.If(x, [&] { return g.Relu(x); }, [&] { return g.Relu(x); });
       g.graph().nodes[1].outputs = g.graph().nodes[0].outputs;
       auto& branches = std::get<IfAttributes>(Last(g).attributes);
       branches.else_block.outputs = branches.then_block.outputs;
     },
     "makes value 1 a second time"},
};

INSTANTIATE_TEST_SUITE_P(Rules, VerifyRejects, ::testing::ValuesIn(kRejections),
                         [](const auto& rule) { return std::string(rule.param.name); });

TEST(VerifyTest, AcceptsAnEmptyGraph) { QATGAP_EXPECT_OK(Verify(Graph{})); }

TEST(VerifyTest, AcceptsCodesBehindAnIf) {
  GraphBuilder g;
  const ValueId x = g.Input();
  const ValueId zero = g.Floats({}, {0});
  const ValueId predicate = g.Op(OpKind::kGreater, {x, zero});
  const ValueId codes = g.If(predicate, [&] { return g.Quantize(x, PerTensor(1, 0)); },
                             [&] { return g.Quantize(x, PerTensor(2, 0)); });
  const ValueId pooled = g.AveragePool(g.Dequantize(codes));
  g.Output(g.Dequantize(g.Op(OpKind::kQuantizeLike, {pooled, codes})));
  QATGAP_EXPECT_OK(Verify(g.graph()));
  EXPECT_TRUE(g.graph().has_control_flow());
  EXPECT_THAT(ToString(g.graph()), HasSubstr("then:"));
}

}  // namespace
}  // namespace qatgap::graph
