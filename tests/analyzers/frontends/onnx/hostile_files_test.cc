// Files that are damaged or built to hurt: an error, never a crash.
#include <random>

#include "absl/strings/str_cat.h"
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
using ::testing::HasSubstr;
using Types = ::onnx::TensorProto;

ModelBuilder AddConstant() {
  ModelBuilder builder;
  builder.Input("x");
  builder.Output("y");
  builder.Node("Add", {"x", "w"}, {"y"});
  return builder;
}

TEST(HostileOnnx, ExternalDataNamesTensorAndRemedy) {
  ModelBuilder builder = AddConstant();
  builder.Tensor("w", Types::FLOAT, {4}).set_data_location(Types::EXTERNAL);
  EXPECT_THAT(Import(builder.Bytes(), "m.onnx"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("'m.onnx': tensor 'w' keeps its data in another file"),
                             HasSubstr("save_as_external_data=False"))));
}

TEST(HostileOnnx, WhatIsNoModel) {
  for (const std::string& bytes : {std::string(), std::string("PK\x03\x04"), std::string("hello"),
                                   std::string(100, '\xff'), std::string("\x08\x07")}) {
    EXPECT_THAT(Import(bytes, "m"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is not an ONNX model")));
  }
}

TEST(HostileOnnx, AShapeBeyondTheStoredBytes) {
  for (const std::vector<std::int64_t>& shape : {std::vector<std::int64_t>{1 << 30, 1 << 30, 1 << 30},
                                                 {-4},
                                                 {5},
                                                 {3, 0, 1 << 30},
                                                 {1, 1, 1, 1, 1, 1, 1, 1, 4}}) {
    ModelBuilder builder = AddConstant();
    builder.Tensor("w", Types::FLOAT, shape).set_raw_data(std::string(16, '\0'));
    EXPECT_THAT(Import(builder.Bytes(), "m"),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("the file is damaged")));
  }
}

TEST(HostileOnnx, ElementTypesThatAreNotTaken) {
  for (const int type : {0, 8, 14, 17, 99, -3}) {
    ModelBuilder builder = AddConstant();
    builder.Tensor("w", type, {1}).set_raw_data(std::string(4, '\0'));
    EXPECT_THAT(Import(builder.Bytes(), "m"),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("tensor 'w' has elements of")));
  }
}

TEST(HostileOnnx, NamesThatNothingMakesAndNamesMadeTwice) {
  ModelBuilder missing = AddConstant();
  EXPECT_THAT(Import(missing.Bytes(), "m"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("reads 'w', which nothing before it makes")));
  ModelBuilder twice;
  twice.Input("x");
  twice.Output("y");
  twice.Node("Relu", {"x"}, {"y"});
  twice.Node("Abs", {"x"}, {"y"});
  EXPECT_THAT(Import(twice.Bytes(), "m"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'y' is made twice")));
  ModelBuilder no_output;
  no_output.Input("x");
  no_output.Output("z");
  no_output.Node("Relu", {"x"}, {"y"});
  EXPECT_THAT(Import(no_output.Bytes(), "m"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no node makes the output 'z'")));
}

::onnx::GraphProto* AddBody(::onnx::NodeProto& node, const std::string& name) {
  auto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(::onnx::AttributeProto::GRAPH);
  return attribute.mutable_g();
}

// `depth` Ifs, each in the branch of the one before.
std::string Nested(int depth) {
  ModelBuilder builder;
  builder.Input("x");
  builder.Output("y0");
  builder.Input("go", {}, Types::BOOL);
  ::onnx::GraphProto* graph = &builder.graph();
  for (int i = 0; i < depth; ++i) {
    const std::string result = absl::StrCat("y", i), inner = absl::StrCat("y", i + 1);
    ::onnx::NodeProto& node = builder.Node("If", {"go"}, {result}, graph);
    ::onnx::GraphProto* other = AddBody(node, "else_branch");
    builder.Node("Relu", {"x"}, {inner}, other);
    ModelBuilder::Describe(*other->add_output(), inner, Types::FLOAT);
    graph = AddBody(node, "then_branch");
    ModelBuilder::Describe(*graph->add_output(), inner, Types::FLOAT);
  }
  builder.Node("Abs", {"x"}, {absl::StrCat("y", depth)}, graph);
  return builder.Bytes();
}

TEST(HostileOnnx, NestingIsBounded) {
  QATGAP_EXPECT_OK(Import(Nested(10), "m"));
  EXPECT_THAT(Import(Nested(19), "m"),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("nested deeper than 16")));
  EXPECT_THAT(Import(Nested(25), "m"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is not an ONNX model")));
}

// A loop in a loop in a loop: 1024^3 rounds.
TEST(HostileOnnx, UnrollingIsBounded) {
  ModelBuilder builder;
  builder.Input("x");
  builder.Output("y0");
  builder.Longs("n", {1024});
  builder.Integers("yes", Types::BOOL, {}, {1});
  ::onnx::GraphProto* graph = &builder.graph();
  std::string state = "x";
  for (int i = 0; i < 3; ++i) {
    ::onnx::NodeProto& node = builder.Node("Loop", {"n", "yes", state}, {absl::StrCat("y", i)}, graph);
    graph = AddBody(node, "body");
    ModelBuilder::Describe(*graph->add_input(), absl::StrCat("i", i), Types::INT64);
    ModelBuilder::Describe(*graph->add_input(), absl::StrCat("go", i), Types::BOOL);
    ModelBuilder::Describe(*graph->add_input(), absl::StrCat("s", i), Types::FLOAT);
    state = absl::StrCat("s", i);
    ModelBuilder::Describe(*graph->add_output(), "yes", Types::BOOL);
    ModelBuilder::Describe(*graph->add_output(), absl::StrCat("y", i + 1), Types::FLOAT);
  }
  builder.Node("Relu", {state}, {"y3"}, graph);
  EXPECT_THAT(Import(builder.Bytes(), "m"),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("loops unrolled")));
}

TEST(HostileOnnx, AFillBeyondMemory) {
  ModelBuilder builder;
  builder.Input("x");
  builder.Output("y");
  builder.Longs("shape", {1 << 20, 1 << 20, 1 << 20});
  builder.Node("ConstantOfShape", {"shape"}, {"w"});
  builder.Node("Add", {"x", "w"}, {"y"});
  EXPECT_THAT(Import(builder.Bytes(), "m"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("fills the shape")));
}

struct Mutation {
  const char* name;
  int rounds;
};
void PrintTo(const Mutation& mutation, std::ostream* out) { *out << mutation.name; }

class Mutated : public ::testing::TestWithParam<Mutation> {};

// Flipped bytes, cuts and repeats: every result is a model that verifies, or a status with a message.
TEST_P(Mutated, NeverCrashes) {
  const std::string original = FileBytes(std::string(GetParam().name) + ".onnx");
  constexpr unsigned kSeed = 20240611;
  std::mt19937 random(kSeed);
  int imported = 0;
  for (int round = 0; round < GetParam().rounds; ++round) {
    std::string bytes = original;
    const auto place = [&] { return std::uniform_int_distribution<std::size_t>(0, bytes.size() - 1)(random); };
    switch (round % 4) {
      case 0:
        bytes.resize(place());
        break;
      case 1:
        bytes.erase(place(), 1 + place() % 16);
        break;
      default:
        for (int flips = 0; flips < 1 + round % 7; ++flips) bytes[place()] = static_cast<char>(random() & 0xffu);
    }
    const auto model = Import(bytes, "mutated");
    if (model.ok()) {
      ++imported;
      EXPECT_TRUE(graph::Verify(model->graph).ok()) << "seed " << kSeed << " round " << round;
    } else {
      EXPECT_FALSE(model.status().message().empty());
      EXPECT_NE(model.status().code(), absl::StatusCode::kInternal)
          << "seed " << kSeed << " round " << round << ": " << model.status();
    }
  }
  EXPECT_GT(imported, 0) << "every mutation was refused: the loop reaches nothing";
}

INSTANTIATE_TEST_SUITE_P(Files, Mutated,
                         ::testing::Values(Mutation{"qat_traced_13", 600}, Mutation{"ort_qdq_u8s8_per_channel", 600},
                                           Mutation{"ort_operators_u8s8_per_channel", 600}, Mutation{"operators", 900},
                                           Mutation{"quantized_operators", 600}, Mutation{"branch_then", 600},
                                           Mutation{"qat_dynamo_21", 300}),
                         [](const auto& mutation) { return std::string(mutation.param.name); });

}  // namespace
}  // namespace qatgap::frontends::onnx
