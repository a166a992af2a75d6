// Rules that single nodes leave open, and refusals.
#include <cstring>

#include "analyzers/frontends/onnx/onnx_frontend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/frontends/onnx/case_files.h"
#include "tests/analyzers/frontends/onnx/model_builder.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::frontends::onnx {
namespace {

using ::qatgap::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Types = ::onnx::TensorProto;

// x -> node -> y
ModelBuilder OneNode(const std::string& op, std::vector<std::string> inputs = {"x"}) {
  ModelBuilder builder;
  builder.Input("x");
  builder.Output("y");
  builder.Node(op, inputs, {"y"});
  return builder;
}
::onnx::NodeProto& OnlyNode(ModelBuilder& builder) { return *builder.graph().mutable_node(0); }

std::vector<float> OutputOf(const ModelBuilder& builder, const std::vector<float>& x, const graph::Shape& shape) {
  const auto model = Import(builder.Bytes(), "m");
  if (!model.ok()) throw std::runtime_error(model.status().ToString());
  const auto run = RunFakeQuant(model->graph, graph::Tensor::Of<float>(shape, x));
  const auto y = run.outputs.at(0).real.data<float>();
  return {y.begin(), y.end()};
}

// --- kinds of a model ---

TEST(OnnxKinds, FloatWithoutQuantization) {
  const auto model = Import(OneNode("Relu").Bytes(), "m");
  QATGAP_ASSERT_OK(model);
  EXPECT_EQ(model->kind, ModelKind::kFloat);
  EXPECT_EQ(model->format, "ONNX");
  EXPECT_EQ(model->graph.input_name(0), "x");
  EXPECT_THAT(model->graph.output_names, ElementsAre("y"));
}

TEST(OnnxKinds, AnInitializerThatIsAlsoAnInputIsNone) {
  ModelBuilder builder = OneNode("Add", {"x", "w"});
  builder.Input("w", {1});
  builder.Floats("w", {1}, {2});
  const auto model = Import(builder.Bytes(), "m");
  QATGAP_ASSERT_OK(model);
  EXPECT_EQ(model->graph.inputs.size(), 1U);
}

// --- constants of every type ---

struct Stored {
  const char* name;
  int type;
  std::string raw;
  std::vector<float> values;
};
void PrintTo(const Stored& stored, std::ostream* out) { *out << stored.name; }

class ConstantTypes : public ::testing::TestWithParam<Stored> {};

TEST_P(ConstantTypes, AreReadFromRawBytes) {
  const Stored& stored = GetParam();
  ModelBuilder builder;
  builder.Input("x", {-1, static_cast<std::int64_t>(stored.values.size())});
  builder.Output("y");
  builder.Tensor("c", stored.type, {static_cast<std::int64_t>(stored.values.size())}).set_raw_data(stored.raw);
  ModelBuilder::Set(builder.Node("Cast", {"c"}, {"r"}), "to", Types::FLOAT);
  builder.Node("Add", {"x", "r"}, {"y"});
  EXPECT_EQ(OutputOf(builder, std::vector<float>(stored.values.size(), 0),
                     {1, static_cast<std::int64_t>(stored.values.size())}),
            stored.values);
}

template <typename T>
std::string Raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

INSTANTIATE_TEST_SUITE_P(
    Types, ConstantTypes,
    ::testing::Values(Stored{"Float", Types::FLOAT, Raw<float>({1.5F, -2}), {1.5F, -2}},
                      Stored{"Double", Types::DOUBLE, Raw<double>({0.25, -3}), {0.25F, -3}},
                      // 1.0, the smallest subnormal 2^-24, -2, the largest 65504
                      Stored{"Float16",
                             Types::FLOAT16,
                             Raw<std::uint16_t>({0x3c00, 0x0001, 0xc000, 0x7bff}),
                             {1, 0x1p-24F, -2, 65504}},
                      Stored{"Bfloat16", Types::BFLOAT16, Raw<std::uint16_t>({0x3f80, 0xc040}), {1, -3}},
                      Stored{"Int8", Types::INT8, Raw<std::int8_t>({-128, 127}), {-128, 127}},
                      Stored{"Uint8", Types::UINT8, Raw<std::uint8_t>({0, 255}), {0, 255}},
                      Stored{"Int16", Types::INT16, Raw<std::int16_t>({-32768, 5}), {-32768, 5}},
                      Stored{"Uint16", Types::UINT16, Raw<std::uint16_t>({65535, 5}), {65535, 5}},
                      Stored{"Int32", Types::INT32, Raw<std::int32_t>({-7, 1 << 20}), {-7, 1 << 20}},
                      Stored{"Uint32", Types::UINT32, Raw<std::uint32_t>({0x80000000u, 3}), {0x1p31F, 3}},
                      Stored{"Int64", Types::INT64, Raw<std::int64_t>({-7, 9}), {-7, 9}},
                      Stored{"Bool", Types::BOOL, std::string("\x01\x00", 2), {1, 0}},
                      // The first element is the low nibble: 0x9f holds -1, -7.
                      Stored{"Int4", 22, "\x9f", {-1, -7}}, Stored{"Uint4", 21, "\x9f", {15, 9}}),
    [](const auto& stored) { return std::string(stored.param.name); });

TEST(OnnxConstants, SmallIntegersFromTheTypedField) {
  ModelBuilder builder;
  builder.Input("x", {-1, 2});
  builder.Output("y");
  builder.Integers("c", Types::INT8, {2}, {-3, 4});
  ModelBuilder::Set(builder.Node("Cast", {"c"}, {"r"}), "to", Types::FLOAT);
  builder.Node("Add", {"x", "r"}, {"y"});
  EXPECT_THAT(OutputOf(builder, {0, 0}, {1, 2}), ElementsAre(-3, 4));
}

TEST(OnnxConstants, ANumberThatItsTypeCannotHoldIsAnError) {
  ModelBuilder builder = OneNode("Add", {"x", "c"});
  builder.Integers("c", Types::INT8, {2}, {-3, 200});
  EXPECT_THAT(Import(builder.Bytes(), "m"), StatusIs(absl::StatusCode::kInvalidArgument,
                                                     HasSubstr("tensor 'c' holds a number that int8 cannot hold")));
}

// --- quantization ---

// x (uint8 grid) -> MatMul with w [2, 3] int8, scales per column -> linear with w^T and scales along axis 0.
TEST(OnnxQuantization, AMatrixProductIsALinearWithItsScalesPerOutput) {
  ModelBuilder builder;
  builder.Input("x", {-1, 2});
  builder.Output("y");
  builder.Floats("s", {}, {0.5F});
  builder.Integers("z", Types::UINT8, {}, {128});
  builder.Integers("w", Types::INT8, {2, 3}, {1, 2, 3, 4, 5, 6});
  builder.Floats("ws", {3}, {0.5F, 0.25F, 2});
  builder.Node("QuantizeLinear", {"x", "s", "z"}, {"xq"});
  builder.Node("DequantizeLinear", {"xq", "s", "z"}, {"xr"});
  ModelBuilder::Set(builder.Node("DequantizeLinear", {"w", "ws"}, {"wr"}), "axis", -1);
  builder.Node("MatMul", {"xr", "wr"}, {"p"});
  builder.Node("QuantizeLinear", {"p", "s", "z"}, {"yq"});
  builder.Node("DequantizeLinear", {"yq", "s", "z"}, {"y"});
  const auto model = Import(builder.Bytes(), "m");
  QATGAP_ASSERT_OK(model);
  EXPECT_EQ(model->kind, ModelKind::kConverted);
  EXPECT_EQ(model->format, "ONNX, QDQ");
  const auto found = graph::FindMacLayers(model->graph);
  QATGAP_ASSERT_OK(found);
  ASSERT_EQ(found->layers.size(), 1U);
  EXPECT_THAT(found->layers[0].weight.data<std::int32_t>(), ElementsAre(1, 4, 2, 5, 3, 6));
  EXPECT_THAT(found->layers[0].weight_params.scales, ElementsAre(0.5, 0.25, 2));
  EXPECT_EQ(found->layers[0].weight_params.axis, 0);
  // (1, 2): 1*0.5 + 2*4*0.5 = 4.5; 0.25*(2 + 10) = 3; 2*(3 + 12) = 30
  EXPECT_THAT(OutputOf(builder, {1, 2}, {1, 2}), ElementsAre(4.5, 3, 30));
}

ModelBuilder QuantizePair() {
  ModelBuilder builder;
  builder.Input("x", {-1, 2});
  builder.Output("y");
  builder.Floats("s", {}, {0.5F});
  builder.Integers("z", Types::UINT8, {}, {128});
  builder.Node("QuantizeLinear", {"x", "s", "z"}, {"q"});
  return builder;
}

TEST(OnnxQuantization, CodesReadWithAnotherScaleAreRefused) {
  ModelBuilder builder = QuantizePair();
  builder.Floats("s2", {}, {0.25F});
  builder.Node("DequantizeLinear", {"q", "s2", "z"}, {"y"});
  EXPECT_THAT(Import(builder.Bytes(), "m"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("operator DequantizeLinear '/layer1/DequantizeLinear' in module 'layer1'"),
                             HasSubstr("reads codes with scale 0.25"))));
}

TEST(OnnxQuantization, ArithmeticOnCodesIsRefused) {
  ModelBuilder builder = QuantizePair();
  builder.Node("Sigmoid", {"q"}, {"y"});
  EXPECT_THAT(Import(builder.Bytes(), "m"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("computes on quantized codes (uint8)")));
}

TEST(OnnxQuantization, AScaleThatIsNotPositiveIsAnError) {
  ModelBuilder builder = OneNode("QuantizeLinear", {"x", "s"});
  builder.Floats("s", {}, {0});
  EXPECT_THAT(Import(builder.Bytes(), "m"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("scale")));
}

TEST(OnnxQuantization, AComputedScaleIsRefused) {
  ModelBuilder builder;
  builder.Input("x");
  builder.Output("y");
  builder.Node("ReduceMax", {"x"}, {"s"});
  builder.Node("QuantizeLinear", {"x", "s"}, {"y"});
  EXPECT_THAT(Import(builder.Bytes(), "m"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("its scale is not a constant")));
}

TEST(OnnxQuantization, AModelMayEndInCodes) {
  ModelBuilder builder = QuantizePair();
  builder.graph().mutable_node(0)->set_output(0, "y");
  const auto model = Import(builder.Bytes(), "m");
  QATGAP_ASSERT_OK(model);
  const auto run = RunFakeQuant(model->graph, graph::Tensor::Of<float>({1, 2}, std::vector<float>{1, -70}));
  EXPECT_THAT(run.outputs[0].codes.data<std::int32_t>(), ElementsAre(130, 0));
}

struct Refusal {
  const char* op;
  const char* says;
};
void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.op; }

class Refused : public ::testing::TestWithParam<Refusal> {};

TEST_P(Refused, NamesOperatorNodeAndRemedy) {
  const auto model = Import(OneNode(GetParam().op).Bytes(), "net.onnx");
  EXPECT_THAT(model, StatusIs(absl::StatusCode::kFailedPrecondition,
                              AllOf(HasSubstr("'net.onnx': operator " + std::string(GetParam().op) + " '/layer1/"),
                                    HasSubstr("in module 'layer1'"), HasSubstr(GetParam().says))));
}

INSTANTIATE_TEST_SUITE_P(Operators, Refused,
                         ::testing::Values(Refusal{"ConvInteger", "int32 accumulators"},
                                           Refusal{"MatMulInteger", "int32 accumulators"},
                                           Refusal{"DynamicQuantizeLinear", "quantize statically"},
                                           Refusal{"NonMaxSuppression", "is not an operator that is taken"},
                                           Refusal{"RandomNormal", "is not an operator that is taken"},
                                           Refusal{"Scan", "is not an operator that is taken"}),
                         [](const auto& refusal) { return std::string(refusal.param.op); });

TEST(OnnxRefusals, ALoopOfUnknownLength) {
  ModelBuilder builder = OneNode("Loop", {"n", "", "x"});
  builder.Input("n", {}, Types::INT64);
  auto& body = *OnlyNode(builder).add_attribute();
  body.set_name("body");
  body.set_type(::onnx::AttributeProto::GRAPH);
  body.mutable_g();
  EXPECT_THAT(Import(builder.Bytes(), "m"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("a number of rounds that is not a constant")));
}

TEST(OnnxRefusals, ALocalFunction) {
  ModelBuilder builder = OneNode("Gelu");
  OnlyNode(builder).set_domain("pkg.mine");
  EXPECT_THAT(Import(builder.Bytes(), "m"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("inline local functions")));
}

TEST(OnnxRefusals, OpsetsBeyondThoseThatAreTaken) {
  for (const std::int64_t opset : {9, 99}) {
    ModelBuilder builder(opset);
    builder.Input("x");
    builder.Output("y");
    builder.Node("Relu", {"x"}, {"y"});
    EXPECT_THAT(Import(builder.Bytes(), "m"),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("opsets 11 to 25 are taken")));
  }
}

}  // namespace
}  // namespace qatgap::frontends::onnx
