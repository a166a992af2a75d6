// The trained models under tests/models and the tiny ones that make_models.py writes.
#include "analyzers/frontends/torchscript/torchscript_frontend.h"

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "analyzers/graph/graph.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/testing/status_matchers.h"

namespace qatgap::frontends::torchscript {
namespace {

using ::qatgap::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

std::string Read(const std::string& path) {
  std::ifstream file(std::string(QATGAP_SOURCE_DIR) + "/tests/" + path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string ReadModel(const std::string& name, const std::string& file) { return Read("models/" + name + "/" + file); }

absl::StatusOr<Model> ImportModel(const std::string& name, const std::string& file) {
  return Import(ReadModel(name, file), file);
}

absl::StatusOr<Model> ImportCase(const std::string& name) {
  return Import(Read("analyzers/frontends/torchscript/cases/" + name), name);
}

nlohmann::json About(const std::string& name) { return nlohmann::json::parse(ReadModel(name, "about.json")); }

// Paths of convolutions and linears in execution order, with both blocks of an If.
void CollectMacPaths(const graph::Graph& graph, const graph::Block& block, std::vector<std::string>& paths) {
  for (const graph::NodeId id : block.nodes) {
    const graph::Node& node = graph.nodes[static_cast<std::size_t>(id)];
    if (node.kind == graph::OpKind::kConvolution || node.kind == graph::OpKind::kLinear) {
      paths.push_back(node.module_path);
    }
    if (const auto* branch = std::get_if<graph::IfAttributes>(&node.attributes)) {
      CollectMacPaths(graph, branch->then_block, paths);
      CollectMacPaths(graph, branch->else_block, paths);
    }
  }
}

std::vector<std::string> MacPaths(const graph::Graph& graph) {
  std::vector<std::string> paths;
  CollectMacPaths(graph, graph.body, paths);
  return paths;
}

std::vector<graph::OpKind> Kinds(const graph::Graph& graph, const graph::Block& block) {
  std::vector<graph::OpKind> kinds;
  for (const graph::NodeId id : block.nodes) {
    const graph::OpKind kind = graph.nodes[static_cast<std::size_t>(id)].kind;
    if (kind != graph::OpKind::kConstant) kinds.push_back(kind);
  }
  return kinds;
}

std::vector<const graph::Node*> NodesOf(const graph::Graph& graph, graph::OpKind kind) {
  std::vector<const graph::Node*> nodes;
  for (const graph::Node& node : graph.nodes) {
    if (node.kind == kind) nodes.push_back(&node);
  }
  return nodes;
}

const graph::ConstantAttributes* ConstantOf(const graph::Graph& graph, graph::ValueId value) {
  const graph::Node* node = graph.producer(value);
  return node == nullptr ? nullptr : std::get_if<graph::ConstantAttributes>(&node->attributes);
}

// The code constant that a convolution or linear reads as its weight.
const graph::ConstantAttributes* WeightOf(const graph::Graph& graph, const graph::Node& product) {
  const graph::Node* dequantize = graph.producer(product.inputs[1]);
  if (dequantize == nullptr || dequantize->kind != graph::OpKind::kDequantize) return nullptr;
  return ConstantOf(graph, dequantize->inputs[0]);
}

std::vector<const graph::Node*> Products(const graph::Graph& graph) {
  std::vector<const graph::Node*> products = NodesOf(graph, graph::OpKind::kConvolution);
  for (const graph::Node* node : NodesOf(graph, graph::OpKind::kLinear)) products.push_back(node);
  return products;
}

// Qparams of every kQuantize node, in order.
std::vector<numerics::QuantParams> Grids(const graph::Graph& graph) {
  std::vector<numerics::QuantParams> grids;
  for (const graph::Node* node : NodesOf(graph, graph::OpKind::kQuantize)) {
    grids.push_back(std::get<graph::QuantizeAttributes>(node->attributes).qparams);
  }
  return grids;
}

class TrainedModel : public ::testing::TestWithParam<const char*> {};

TEST_P(TrainedModel, QatImportsWithTheMacLayersOfItsDescription) {
  const auto model = ImportModel(GetParam(), "qat.pt");
  QATGAP_ASSERT_OK(model);
  const nlohmann::json about = About(GetParam());
  EXPECT_EQ(model->kind, ModelKind::kQat);
  EXPECT_EQ(model->scripted, about["export"] == "script");
  EXPECT_EQ(MacPaths(model->graph), about["mac_layers"].get<std::vector<std::string>>());
  EXPECT_EQ(model->graph.inputs.size(), 1U);
  EXPECT_EQ(model->graph.body.outputs.size(), 1U);
  QATGAP_EXPECT_OK(graph::Verify(model->graph));
}

INSTANTIATE_TEST_SUITE_P(Models, TrainedModel,
                         ::testing::Values("residual_eager_x86", "residual_eager_fbgemm", "residual_eager_qnnpack",
                                           "residual_eager_qnnpack_scripted", "residual_fx_x86",
                                           "residual_fx_qnnpack_scripted", "branching_eager_qnnpack_scripted",
                                           "residual_eager_x86_observers_on"),
                         [](const auto& test) { return std::string(test.param); });

class ConvertedModel : public ::testing::TestWithParam<const char*> {};

TEST_P(ConvertedModel, ImportsWithTheMacLayersOfItsDescription) {
  const auto model = ImportModel(GetParam(), "converted.pt");
  QATGAP_ASSERT_OK(model);
  const nlohmann::json about = About(GetParam());
  EXPECT_EQ(model->kind, ModelKind::kConverted);
  EXPECT_EQ(MacPaths(model->graph), about["mac_layers"].get<std::vector<std::string>>());
  EXPECT_THAT(model->graph.notices, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Models, ConvertedModel,
                         ::testing::Values("residual_eager_x86", "residual_eager_fbgemm", "residual_eager_qnnpack",
                                           "residual_eager_qnnpack_scripted", "residual_fx_x86",
                                           "residual_fx_qnnpack_scripted", "branching_eager_qnnpack_scripted"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(TrainedModel, EveryProductReadsACodeConstant) {
  const auto model = ImportModel(GetParam(), "qat.pt");
  QATGAP_ASSERT_OK(model);
  for (const graph::Node* product : Products(model->graph)) {
    const graph::ConstantAttributes* weight = WeightOf(model->graph, *product);
    ASSERT_NE(weight, nullptr) << product->module_path;
    EXPECT_TRUE(weight->qparams.has_value()) << product->module_path;
    EXPECT_EQ(weight->qparams->quant_min, -128) << product->module_path;
    EXPECT_EQ(weight->value.dtype(), graph::DType::kInt32) << product->module_path;
  }
}

TEST_P(TrainedModel, ActivationRangesAreThoseOfItsDescription) {
  const auto model = ImportModel(GetParam(), "qat.pt");
  QATGAP_ASSERT_OK(model);
  const std::string range = About(GetParam())["activation_range"][0];
  for (const numerics::QuantParams& grid : Grids(model->graph)) {
    EXPECT_EQ(std::to_string(grid.quant_min) + ".." + std::to_string(grid.quant_max), range);
  }
}

// Scripting and tracing, QAT and converted: one layer has one name and one geometry.
TEST_P(ConvertedModel, PairsWithItsQatModel) {
  const auto qat = ImportModel(GetParam(), "qat.pt");
  const auto converted = ImportModel(GetParam(), "converted.pt");
  QATGAP_ASSERT_OK(qat);
  QATGAP_ASSERT_OK(converted);
  const auto trained = Products(qat->graph), shipped = Products(converted->graph);
  ASSERT_EQ(trained.size(), shipped.size());
  for (std::size_t i = 0; i < trained.size(); ++i) {
    EXPECT_EQ(trained[i]->module_path, shipped[i]->module_path);
    EXPECT_EQ(trained[i]->kind, shipped[i]->kind);
    if (trained[i]->kind == graph::OpKind::kConvolution) {
      const auto geometry = std::get<graph::ConvolutionAttributes>(trained[i]->attributes);
      EXPECT_EQ(geometry, std::get<graph::ConvolutionAttributes>(shipped[i]->attributes)) << trained[i]->module_path;
    }
    const auto* a = WeightOf(qat->graph, *trained[i]);
    const auto* b = WeightOf(converted->graph, *shipped[i]);
    ASSERT_TRUE(a != nullptr && b != nullptr) << trained[i]->module_path;
    EXPECT_EQ(a->value.shape(), b->value.shape()) << trained[i]->module_path;
    EXPECT_EQ(a->qparams->scales.size(), b->qparams->scales.size()) << trained[i]->module_path;
  }
}

// The input's grid is the same number in both, though the ranges differ where reduce_range was on.
TEST_P(ConvertedModel, QuantizesItsInputAsTheQatModelDoes) {
  const auto qat = ImportModel(GetParam(), "qat.pt");
  const auto converted = ImportModel(GetParam(), "converted.pt");
  QATGAP_ASSERT_OK(qat);
  QATGAP_ASSERT_OK(converted);
  const numerics::QuantParams a = Grids(qat->graph).front(), b = Grids(converted->graph).front();
  EXPECT_EQ(a.scales, b.scales);
  EXPECT_EQ(a.zero_points, b.zero_points);
}

TEST(BranchingModel, KeepsTheBranchInBothModels) {
  for (const char* file : {"qat.pt", "converted.pt"}) {
    const auto model = ImportModel("branching_eager_qnnpack_scripted", file);
    QATGAP_ASSERT_OK(model);
    const auto branches = NodesOf(model->graph, graph::OpKind::kIf);
    ASSERT_THAT(branches, SizeIs(1)) << file;
    const auto& blocks = std::get<graph::IfAttributes>(branches[0]->attributes);
    std::vector<std::string> then_paths, else_paths;
    CollectMacPaths(model->graph, blocks.then_block, then_paths);
    CollectMacPaths(model->graph, blocks.else_block, else_paths);
    EXPECT_THAT(then_paths, ElementsAre("conv1.0")) << file;
    EXPECT_THAT(else_paths, ElementsAre("conv2.0")) << file;
  }
}

TEST(ObserversOn, AreFrozenAndSaidSo) {
  const auto model = ImportModel("residual_eager_x86_observers_on", "qat.pt");
  QATGAP_ASSERT_OK(model);
  ASSERT_THAT(model->graph.notices, Not(IsEmpty()));
  for (const graph::Notice& notice : model->graph.notices) {
    EXPECT_EQ(notice.kind, graph::NoticeKind::kObserverFrozen);
    EXPECT_THAT(notice.module_path, Not(IsEmpty()));
  }
  // Importing does not move the ranges.
  const auto again = ImportModel("residual_eager_x86_observers_on", "qat.pt");
  QATGAP_ASSERT_OK(again);
  EXPECT_EQ(Grids(model->graph), Grids(again->graph));
  const auto off = ImportModel("residual_eager_x86", "qat.pt");
  QATGAP_ASSERT_OK(off);
  EXPECT_THAT(off->graph.notices, IsEmpty());
}

// --- tiny models: see make_models.py ---

struct Refused {
  const char* file;
  const char* reason;
};

class RefusedModel : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedModel, IsFailedPreconditionWithTheReason) {
  const auto model = ImportCase(std::string(GetParam().file) + ".pt");
  EXPECT_THAT(model, StatusIs(absl::StatusCode::kFailedPrecondition,
                              AllOf(HasSubstr(GetParam().reason), HasSubstr(std::string("'") + GetParam().file + ".pt'"),
                                    HasSubstr("; "), Not(HasSubstr("\n")))));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, RefusedModel,
    ::testing::Values(Refused{"unknown_operator", "operator aten::special_bessel_j0 is not supported in module 'inner.0'"},
                      Refused{"never_observed", "never observed data in module 'fq'"},
                      Refused{"overwrite_in_branch", "aten::relu_ changes, inside a branch, a tensor made outside"},
                      Refused{"shape_bound", "a bound of aten::slice depends on the shape of the input"},
                      Refused{"counter", "attribute 'calls' changes while the model runs"},
                      Refused{"endless", "a loop that runs too long"},
                      Refused{"long_loop", "a loop that runs too long"},
                      Refused{"double_weight", "a fake-quant of a weight of type Double"},
                      Refused{"bad_axis", "2 scales along axis 5 of a weight of shape [2, 2]"},
                      Refused{"from_file", "operator aten::from_file is not supported"}),
    [](const auto& test) { return std::string(test.param.file); });

TEST(Import, AModelWithoutQuantizationIsAFloatModel) {
  const auto model = ImportCase("float_only.pt");
  QATGAP_ASSERT_OK(model);
  EXPECT_EQ(model->kind, ModelKind::kFloat);
  EXPECT_THAT(Kinds(model->graph, model->graph.body), ElementsAre(graph::OpKind::kLinear));
}

TEST(Import, WhatIsNotATorchScriptFileIsAnInvalidArgument) {
  const std::string zip_of_something_else = std::string("PK\x03\x04", 4) + std::string(200, '\0');
  for (const std::string& bytes : {std::string(), std::string("PK"), std::string(1000, 'x'), zip_of_something_else}) {
    EXPECT_THAT(Import(bytes, "m.pt"), StatusIs(absl::StatusCode::kInvalidArgument,
                                                AllOf(HasSubstr("'m.pt'"), HasSubstr("torch.jit.save"))));
  }
}

TEST(Import, ATruncatedFileIsAnErrorAtEveryLength) {
  for (const char* file : {"qat.pt", "converted.pt"}) {
    const std::string whole = ReadModel("branching_eager_qnnpack_scripted", file);
    for (std::size_t part = 0; part < 40; ++part) {
      const auto model = Import(std::string_view(whole).substr(0, whole.size() * part / 40), file);
      EXPECT_THAT(model, StatusIs(absl::StatusCode::kInvalidArgument, Not(HasSubstr("\n")))) << part;
    }
  }
}

// Flipped bits in code, pickles and weights: any Status, no crash.
TEST(Import, ADamagedFileDoesNotCrash) {
  for (const char* file : {"converted.pt", "qat.pt"}) {
    const std::string whole = ReadModel("branching_eager_qnnpack_scripted", file);
    for (std::size_t i = 0; i < 60; ++i) {
      std::string damaged = whole;
      const std::size_t position = (i * 7919 + 13) * 31 % damaged.size();
      damaged[position] = static_cast<char>(damaged[position] ^ (1 << (i % 8)));
      const auto model = Import(damaged, "damaged.pt");
      if (model.ok()) {
        QATGAP_EXPECT_OK(graph::Verify(model->graph));
      }
    }
  }
}

TEST(FakeQuant, TracedFusedModuleHasTheRangeOfItsObserver) {
  const auto model = ImportCase("fused_traced.pt");
  QATGAP_ASSERT_OK(model);
  EXPECT_FALSE(model->scripted);
  EXPECT_EQ(model->format, "TorchScript, traced");
  EXPECT_THAT(model->graph.notices, IsEmpty());
  const auto grids = Grids(model->graph);
  ASSERT_THAT(grids, SizeIs(1));
  EXPECT_EQ(grids[0].quant_max, 255);
  EXPECT_FLOAT_EQ(static_cast<float>(grids[0].scale()), 2.0F / 255);
}

TEST(FakeQuant, PlainModuleWithItsObserverOnKeepsItsRange) {
  const auto model = ImportCase("plain_observer_on.pt");
  QATGAP_ASSERT_OK(model);
  EXPECT_TRUE(model->scripted);
  EXPECT_THAT(model->graph.notices,
              ElementsAre(AllOf(Field(&graph::Notice::kind, graph::NoticeKind::kObserverFrozen),
                                Field(&graph::Notice::module_path, "fq.activation_post_process"))));
  const auto grids = Grids(model->graph);
  ASSERT_THAT(grids, SizeIs(1));
  EXPECT_FLOAT_EQ(static_cast<float>(grids[0].scale()), 2.0F / 255);
}

TEST(FakeQuant, DisabledModulePassesItsInputAndSaysSo) {
  const auto model = ImportCase("disabled.pt");
  QATGAP_ASSERT_OK(model);
  EXPECT_THAT(model->graph.notices,
              ElementsAre(AllOf(Field(&graph::Notice::kind, graph::NoticeKind::kFakeQuantDisabled),
                                Field(&graph::Notice::module_path, "fq"))));
  EXPECT_THAT(Kinds(model->graph, model->graph.body),
              ElementsAre(graph::OpKind::kQuantize, graph::OpKind::kDequantize));
}

// clamp(nearbyint(w * fl(1/s)) + z): by hand; -0.05 * 10 is a tie in binary32 and goes to even.
TEST(FakeQuant, WeightCodesByHand) {
  const auto model = ImportCase("asymmetric_weight.pt");
  QATGAP_ASSERT_OK(model);
  const auto products = Products(model->graph);
  ASSERT_THAT(products, SizeIs(2));
  const auto codes = [&](std::size_t i) {
    const auto span = WeightOf(model->graph, *products[i])->value.data<std::int32_t>();
    return std::vector<std::int32_t>(span.begin(), span.end());
  };
  EXPECT_THAT(codes(0), ElementsAre(2, 5, 5, 7, 7, 8, 127, -128));
  EXPECT_THAT(codes(1), ElementsAre(-3, 0, 0, 2, 85, 118, 127, -128));
}

TEST(InPlace, EveryNameOfTheTensorSeesTheChangeAndACloneDoesNot) {
  const auto model = ImportCase("overwrite.pt");
  QATGAP_ASSERT_OK(model);
  const auto adds = NodesOf(model->graph, graph::OpKind::kAdd);
  const auto relus = NodesOf(model->graph, graph::OpKind::kRelu);
  ASSERT_THAT(adds, SizeIs(2));
  ASSERT_THAT(relus, SizeIs(1));
  EXPECT_THAT(adds[0]->inputs, ElementsAre(relus[0]->outputs[0], relus[0]->outputs[0]));
  EXPECT_THAT(adds[1]->inputs, ElementsAre(relus[0]->outputs[0], relus[0]->inputs[0]));
}

TEST(Branches, NegationSwapsTheSides) {
  const auto model = ImportCase("negated.pt");
  QATGAP_ASSERT_OK(model);
  const auto branches = NodesOf(model->graph, graph::OpKind::kIf);
  ASSERT_THAT(branches, SizeIs(2));
  const auto& first = std::get<graph::IfAttributes>(branches[0]->attributes);
  EXPECT_THAT(Kinds(model->graph, first.then_block), IsEmpty());
  EXPECT_THAT(Kinds(model->graph, first.else_block), ElementsAre(graph::OpKind::kAdd));
  const auto& second = std::get<graph::IfAttributes>(branches[1]->attributes);
  EXPECT_THAT(Kinds(model->graph, second.then_block), ElementsAre(graph::OpKind::kSigmoid));
}

TEST(Lists, OfFeatureMapsAreFollowed) {
  const auto model = ImportCase("dense.pt");
  QATGAP_ASSERT_OK(model);
  const auto concats = NodesOf(model->graph, graph::OpKind::kConcat);
  ASSERT_THAT(concats, SizeIs(2));
  EXPECT_THAT(concats[0]->inputs, SizeIs(1));
  EXPECT_THAT(concats[1]->inputs, SizeIs(2));
}

TEST(Shapes, SizesOfTheReshapedTensorAreKept) {
  const auto model = ImportCase("keeps_batch.pt");
  QATGAP_ASSERT_OK(model);
  const auto reshapes = NodesOf(model->graph, graph::OpKind::kReshape);
  ASSERT_THAT(reshapes, SizeIs(1));
  EXPECT_THAT(std::get<graph::SizesAttributes>(reshapes[0]->attributes).sizes, ElementsAre(0, 0, -1));
}

// reshape(b * c, -1): possible of two axes alone, so the model takes no others.
TEST(Shapes, ANumberOfAxesThatWasAssumedIsSaid) {
  const auto model = ImportCase("shape_arithmetic.pt");
  QATGAP_ASSERT_OK(model);
  EXPECT_THAT(model->graph.assumed_ranks, ElementsAre(2U));
  const auto other = ImportCase("keeps_batch.pt");
  QATGAP_ASSERT_OK(other);
  EXPECT_THAT(other->graph.assumed_ranks, IsEmpty());
}

// Codes keep the type of the input; sigmoid and hardsigmoid of codes have 1/256 and the lowest code as zero point.
TEST(Quantized, OutputsHaveTheTypeOfTheInput) {
  for (const bool is_signed : {false, true}) {
    const auto model = ImportCase(is_signed ? "qint8.pt" : "quint8.pt");
    QATGAP_ASSERT_OK(model);
    EXPECT_EQ(model->kind, ModelKind::kConverted);
    const auto grids = Grids(model->graph);
    ASSERT_THAT(grids, SizeIs(5));
    for (const numerics::QuantParams& grid : grids) EXPECT_EQ(grid.quant_min, is_signed ? -128 : 0);
    for (const std::size_t i : {2U, 3U}) {
      EXPECT_EQ(grids[i].scale(), 1.0 / 256);
      EXPECT_EQ(grids[i].zero_point(), is_signed ? -128 : 0);
    }
    EXPECT_EQ(grids[4].zero_point(), 1);
  }
}

TEST(Quantized, Conv1dHasOneSpatialAxis) {
  const auto model = ImportCase("quint8.pt");
  QATGAP_ASSERT_OK(model);
  const auto products = Products(model->graph);
  ASSERT_THAT(products, SizeIs(1));
  const auto& geometry = std::get<graph::ConvolutionAttributes>(products[0]->attributes);
  EXPECT_THAT(geometry.stride, ElementsAre(2));
  EXPECT_THAT(geometry.padding, ElementsAre(1));
  EXPECT_THAT(geometry.dilation, ElementsAre(1));
  EXPECT_EQ(geometry.groups, 2);
  const auto* weight = WeightOf(model->graph, *products[0]);
  ASSERT_NE(weight, nullptr);
  EXPECT_THAT(weight->value.shape(), ElementsAre(4, 1, 3));
  EXPECT_THAT(weight->qparams->scales, ElementsAre(0.5, 0.25, 0.125, 1.0));
  // round((arange(12) - 5) / scale), by hand
  const auto codes = weight->value.data<std::int32_t>();
  EXPECT_THAT(std::vector<std::int32_t>(codes.begin(), codes.end()),
              ElementsAre(-10, -8, -6, -8, -4, 0, 8, 16, 24, 4, 5, 6));
}

}  // namespace
}  // namespace qatgap::frontends::torchscript
