// What archives become: names, kinds, codes, branches. make_archives.py tells what each holds.
#include "analyzers/frontends/pt2/pt2_frontend.h"

#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "analyzers/graph/mac_layers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/frontends/pt2/archives.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::frontends::pt2 {
namespace {

using ::qatgap::testing::StatusIs;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using graph::OpKind;

absl::StatusOr<Model> ImportCase(const std::string& name) { return Import(ArchiveBytes(name + ".pt2"), name + ".pt2"); }

std::vector<const graph::Node*> NodesOf(const graph::Graph& graph, OpKind kind) {
  std::vector<const graph::Node*> nodes;
  for (const graph::Node& node : graph.nodes) {
    if (node.kind == kind) nodes.push_back(&node);
  }
  return nodes;
}

void Walk(const graph::Graph& graph, const graph::Block& block, std::vector<const graph::Node*>& nodes) {
  for (const graph::NodeId id : block.nodes) {
    const graph::Node& node = graph.nodes[static_cast<std::size_t>(id)];
    nodes.push_back(&node);
    if (const auto* branch = std::get_if<graph::IfAttributes>(&node.attributes)) {
      Walk(graph, branch->then_block, nodes);
      Walk(graph, branch->else_block, nodes);
    }
  }
}

// Convolutions and linears that are reached, in execution order.
std::vector<const graph::Node*> Products(const graph::Graph& graph) {
  std::vector<const graph::Node*> nodes;
  Walk(graph, graph.body, nodes);
  std::erase_if(nodes, [](const graph::Node* node) {
    return node->kind != OpKind::kConvolution && node->kind != OpKind::kLinear;
  });
  return nodes;
}

std::vector<std::string> Paths(const std::vector<const graph::Node*>& nodes) {
  std::vector<std::string> paths;
  for (const graph::Node* node : nodes) paths.push_back(node->module_path);
  return paths;
}

// The code constant behind a dequantize that is operand `input` of a product; nullptr when it is none.
const graph::ConstantAttributes* CodesOf(const graph::Graph& graph, const graph::Node& product, std::size_t input) {
  if (product.inputs.size() <= input) return nullptr;
  const graph::Node* dequantize = graph.producer(product.inputs[input]);
  if (dequantize == nullptr || dequantize->kind != OpKind::kDequantize) return nullptr;
  const graph::Node* constant = graph.producer(dequantize->inputs[0]);
  return constant == nullptr ? nullptr : std::get_if<graph::ConstantAttributes>(&constant->attributes);
}

std::set<std::string> Names(const graph::MacLayers& found, bool with_unmatched) {
  std::set<std::string> names;
  for (const graph::MacLayer& layer : found.layers) names.insert(layer.name);
  for (const graph::UnmatchedMac& mac : found.unmatched) {
    if (with_unmatched) names.insert(mac.name);
  }
  return names;
}

template <typename T>
std::vector<T> Elements(const graph::Tensor& tensor) {
  const auto span = tensor.data<T>();
  return {span.begin(), span.end()};
}

struct Kinds {
  const char* archive;
  ModelKind kind;
  graph::ConvertStyle style;
  const char* format;
};
class KindOf : public ::testing::TestWithParam<Kinds> {};

TEST_P(KindOf, AnArchive) {
  const auto model = ImportCase(GetParam().archive);
  QATGAP_ASSERT_OK(model);
  EXPECT_EQ(model->kind, GetParam().kind);
  EXPECT_EQ(model->graph.convert_style, GetParam().style);
  EXPECT_EQ(model->format, GetParam().format);
  EXPECT_FALSE(model->scripted);
}

constexpr const char* kPlain = "torch.export archive";
constexpr const char* kPt2e = "torch.export archive, PT2E";
INSTANTIATE_TEST_SUITE_P(
    Archives, KindOf,
    ::testing::Values(Kinds{"x86_prepared", ModelKind::kQat, graph::ConvertStyle::kPt2e, kPt2e},
                      Kinds{"x86_converted", ModelKind::kConverted, graph::ConvertStyle::kPt2e, kPt2e},
                      Kinds{"xnnpack_prepared", ModelKind::kQat, graph::ConvertStyle::kPt2e, kPt2e},
                      Kinds{"eager", ModelKind::kQat, graph::ConvertStyle::kEager, kPlain},
                      Kinds{"plain", ModelKind::kQat, graph::ConvertStyle::kAsIs, kPlain},
                      Kinds{"decomposed", ModelKind::kFloat, graph::ConvertStyle::kEager, kPlain}),
    [](const auto& test) { return std::string(test.param.archive); });

class PreparedAndConverted : public ::testing::TestWithParam<const char*> {};

TEST_P(PreparedAndConverted, PairByName) {
  const std::string quantizer = GetParam();
  const auto prepared = ImportCase(quantizer + "_prepared"), converted = ImportCase(quantizer + "_converted");
  QATGAP_ASSERT_OK(prepared);
  QATGAP_ASSERT_OK(converted);
  const bool tiny = quantizer == "bias" || quantizer == "dynamic";
  const std::vector<std::string> want =
      tiny ? std::vector<std::string>{"conv", "fc"}
           : std::vector<std::string>{"stem.0", "depthwise.0", "point", "biased.0", "fc"};
  EXPECT_EQ(Paths(Products(prepared->graph)), want);
  EXPECT_EQ(Paths(Products(converted->graph)), want);
  const auto qat_layers = graph::FindMacLayers(prepared->graph), int_layers = graph::FindMacLayers(converted->graph);
  QATGAP_ASSERT_OK(qat_layers);
  QATGAP_ASSERT_OK(int_layers);
  // Every product is found on both sides by one name, as a MAC layer or with a reason why it is none.
  EXPECT_EQ(Names(*qat_layers, /*with_unmatched=*/true), std::set<std::string>(want.begin(), want.end()));
  EXPECT_EQ(Names(*int_layers, /*with_unmatched=*/true), std::set<std::string>(want.begin(), want.end()));
  if (quantizer == "bias") return;  // a stored bias is the graph passes' to read
  EXPECT_EQ(Names(*qat_layers, /*with_unmatched=*/false), Names(*int_layers, /*with_unmatched=*/false));
}

// Codes of converted weights are of the file; prepared ones know what they were made of.
TEST_P(PreparedAndConverted, WeightsAreCodeConstants) {
  for (const char* side : {"_prepared", "_converted"}) {
    const auto model = ImportCase(std::string(GetParam()) + side);
    QATGAP_ASSERT_OK(model);
    for (const graph::Node* product : Products(model->graph)) {
      const auto* weight = CodesOf(model->graph, *product, 1);
      ASSERT_NE(weight, nullptr) << product->module_path;
      ASSERT_TRUE(weight->qparams);
      EXPECT_EQ(weight->qparams->axis, 0);
      EXPECT_EQ(static_cast<std::int64_t>(weight->qparams->scales.size()), weight->value.dim(0));
      if (model->kind != ModelKind::kQat) continue;
      ASSERT_NE(weight->origin, nullptr);
      ASSERT_TRUE(weight->origin->observed);
      EXPECT_EQ(weight->origin->observed->min.size(), weight->qparams->scales.size());
      EXPECT_EQ(weight->origin->observed->epsilon, 0x1p-12F);
      EXPECT_TRUE(weight->origin->observed->symmetric);
      EXPECT_TRUE(weight->origin->observed->is_signed);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Quantizers, PreparedAndConverted, ::testing::Values("x86", "xnnpack", "bias", "dynamic"),
                         [](const auto& test) { return std::string(test.param); });

class FusedBatchNorm : public ::testing::TestWithParam<const char*> {};

TEST_P(FusedBatchNorm, IsTheOriginOfTheWeight) {
  const auto model = ImportCase(GetParam());
  QATGAP_ASSERT_OK(model);
  std::set<std::string> fused;
  for (const graph::Node* product : Products(model->graph)) {
    const auto* weight = CodesOf(model->graph, *product, 1);
    ASSERT_NE(weight, nullptr);
    if (weight->origin->batch_norm) {
      fused.insert(product->module_path);
      EXPECT_EQ(weight->origin->batch_norm->epsilon, 1e-5F);
    }
  }
  const bool eager = std::string(GetParam()) == "eager";
  EXPECT_EQ(fused,
            eager ? std::set<std::string>{"conv"} : (std::set<std::string>{"stem.0", "depthwise.0", "biased.0"}));
}

INSTANTIATE_TEST_SUITE_P(Archives, FusedBatchNorm, ::testing::Values("x86_prepared", "xnnpack_prepared", "eager"),
                         [](const auto& test) { return std::string(test.param); });

TEST(Names, StacksAndSourceLinesAreKept) {
  for (const char* archive : {"x86_prepared", "x86_converted"}) {
    const auto model = ImportCase(archive);
    QATGAP_ASSERT_OK(model);
    for (const graph::Node* product : Products(model->graph)) {
      EXPECT_THAT(product->source_line, ::testing::MatchesRegex("make_archives\\.py:[0-9]+")) << product->module_path;
      EXPECT_THAT(product->source_line, ::testing::Not(HasSubstr("/")));
    }
    const graph::Node* stem = Products(model->graph)[0];
    EXPECT_EQ(stem->module_stack, "Net > stem: Sequential > stem.0: Conv2d");
    EXPECT_EQ(stem->source_op, "aten::conv2d");
  }
}

// Batch norm patterns of torchao carry a module of their own instead of the layer's name.
TEST(Names, PatternNodesBelongToTheirLayers) {
  const auto model = ImportCase("x86_prepared");
  QATGAP_ASSERT_OK(model);
  std::vector<std::string> norms;
  for (const graph::Node* node : NodesOf(model->graph, OpKind::kBatchNorm)) norms.push_back(node->module_path);
  EXPECT_THAT(norms, ElementsAre("stem.1", "depthwise.1", "biased.1"));
}

// The bias stays codes with qparams: input scale times weight scale, one a channel, 32 bits.
TEST(StoredBias, StaysCodes) {
  const auto model = ImportCase("bias_converted");
  QATGAP_ASSERT_OK(model);
  const auto products = Products(model->graph);
  ASSERT_THAT(products, SizeIs(2));
  for (const graph::Node* product : products) {
    const auto* weight = CodesOf(model->graph, *product, 1);
    const auto* bias = CodesOf(model->graph, *product, 2);
    ASSERT_NE(weight, nullptr);
    ASSERT_NE(bias, nullptr) << product->module_path;
    ASSERT_TRUE(bias->qparams);
    EXPECT_EQ(bias->value.dtype(), graph::DType::kInt32);
    EXPECT_EQ(bias->qparams->quant_min, std::numeric_limits<std::int32_t>::min());
    EXPECT_EQ(bias->qparams->quant_max, std::numeric_limits<std::int32_t>::max());
    EXPECT_THAT(bias->qparams->zero_points, Each(0));
    const graph::Node* input = model->graph.producer(product->inputs[0]);
    ASSERT_EQ(input->kind, OpKind::kDequantize);
    const auto& quantize = std::get<graph::QuantizeAttributes>(model->graph.producer(input->inputs[0])->attributes);
    for (std::size_t c = 0; c < bias->qparams->scales.size(); ++c) {
      EXPECT_EQ(static_cast<float>(bias->qparams->scale(c)),
                static_cast<float>(quantize.qparams.scale()) * static_cast<float>(weight->qparams->scale(c)));
    }
  }
}

TEST(DynamicBatch, IsKeptByReshapes) {
  for (const char* archive : {"dynamic_prepared", "dynamic_converted"}) {
    const auto model = ImportCase(archive);
    QATGAP_ASSERT_OK(model);
    const auto reshapes = NodesOf(model->graph, OpKind::kReshape);
    ASSERT_THAT(reshapes, SizeIs(1));
    EXPECT_THAT(std::get<graph::SizesAttributes>(reshapes[0]->attributes).sizes, ElementsAre(0, -1));
  }
  // A batch of one that was fixed while exporting is kept too.
  const auto fixed = ImportCase("bias_prepared");
  QATGAP_ASSERT_OK(fixed);
  const auto reshapes = NodesOf(fixed->graph, OpKind::kReshape);
  ASSERT_THAT(reshapes, SizeIs(1));
  EXPECT_THAT(std::get<graph::SizesAttributes>(reshapes[0]->attributes).sizes, ElementsAre(0, -1));
}

TEST(Branches, AreKept) {
  const auto model = ImportCase("cond");
  QATGAP_ASSERT_OK(model);
  EXPECT_TRUE(model->graph.has_control_flow());
  EXPECT_THAT(Paths(Products(model->graph)), ElementsAre("conv1", "conv2", "conv3"));
  const auto branches = NodesOf(model->graph, OpKind::kIf);
  ASSERT_THAT(branches, SizeIs(1));
  const auto& branch = std::get<graph::IfAttributes>(branches[0]->attributes);
  EXPECT_THAT(branch.then_block.nodes, SizeIs(1));
  EXPECT_THAT(branch.else_block.nodes, SizeIs(1));
  EXPECT_THAT(branches[0]->source_line, HasSubstr("make_archives.py:"));
}

// The layer behind two branches is reached by two scales: those of the fake-quants in them.
TEST(Branches, ALayerBehindThemHasTwoInputScales) {
  const auto model = ImportCase("cond_qat");
  QATGAP_ASSERT_OK(model);
  EXPECT_EQ(model->kind, ModelKind::kQat);
  const auto layers = graph::FindMacLayers(model->graph);
  QATGAP_ASSERT_OK(layers);
  std::map<std::string, std::vector<double>> scales;
  for (const graph::MacLayer& layer : layers->layers) {
    for (const numerics::QuantParams& grid : layer.input_grids) scales[layer.name].push_back(grid.scale());
  }
  EXPECT_THAT(scales["conv1"], ElementsAre(0.03125));
  EXPECT_THAT(scales["conv2"], ElementsAre(0.03125));
  EXPECT_THAT(scales["conv3"], ElementsAre(0.0625, 0.09375));
}

TEST(Branches, NestAndLeaveBodiesUnquantizedLikePt2e) {
  const auto nested = ImportCase("cond_nested");
  QATGAP_ASSERT_OK(nested);
  EXPECT_THAT(NodesOf(nested->graph, OpKind::kIf), SizeIs(2));
  EXPECT_THAT(Paths(Products(nested->graph)), ElementsAre("first", "second", "second", "last"));
  const auto prepared = ImportCase("cond_prepared");
  QATGAP_ASSERT_OK(prepared);
  const auto products = Products(prepared->graph);
  ASSERT_THAT(Paths(products), ElementsAre("conv1", "conv2", "conv3"));
  EXPECT_EQ(CodesOf(prepared->graph, *products[0], 1), nullptr);
  EXPECT_NE(CodesOf(prepared->graph, *products[2], 1), nullptr);
}

TEST(Interface, InputsAndOutputsHaveTheUsersNames) {
  const auto model = ImportCase("float_operators");
  QATGAP_ASSERT_OK(model);
  ASSERT_THAT(model->graph.inputs, SizeIs(2));
  EXPECT_EQ(model->graph.input_name(0), "tokens");
  EXPECT_EQ(model->graph.input_name(1), "image");
  EXPECT_THAT(model->graph.output_names, ElementsAre("best", "up.0", "up.1", "std", "full", "view"));
  const auto tuple = ImportCase("storages");
  QATGAP_ASSERT_OK(tuple);
  EXPECT_THAT(tuple->graph.output_names, ElementsAre("output.0", "output.1", "output.2", "output.3"));
  const auto one = ImportCase("plain");
  QATGAP_ASSERT_OK(one);
  EXPECT_THAT(one->graph.output_names, ElementsAre("output"));
}

// conv.weight is stored channels last; "transposed" starts within its storage; "again.weight" is "tied.weight".
TEST(Storages, StridesOffsetsAndTiesAreFollowed) {
  const auto model = ImportCase("storages");
  QATGAP_ASSERT_OK(model);
  bool found = false;
  std::set<const void*> squares;
  for (const graph::Node* node : NodesOf(model->graph, OpKind::kConstant)) {
    const graph::Tensor& value = std::get<graph::ConstantAttributes>(node->attributes).value;
    if (value.shape() == graph::Shape{4, 4}) squares.insert(value.storage().get());
    if (node->source_op != "transposed") continue;
    found = true;
    EXPECT_THAT(value.shape(), ElementsAre(2, 3));
    // rows 1..3, columns 2..3 of arange(30).reshape(5, 6) / 8, transposed
    EXPECT_THAT(Elements<float>(value), ElementsAre(1.0F, 1.75F, 2.5F, 1.125F, 1.875F, 2.625F));
  }
  EXPECT_TRUE(found);
  EXPECT_THAT(squares, SizeIs(1));
}

TEST(MatrixProduct, WithAConstantIsALinearLayer) {
  const auto model = ImportCase("plain");
  QATGAP_ASSERT_OK(model);
  const auto linears = NodesOf(model->graph, OpKind::kLinear);
  ASSERT_THAT(linears, SizeIs(1));
  const auto* weight = CodesOf(model->graph, *linears[0], 1);
  ASSERT_NE(weight, nullptr);
  EXPECT_THAT(weight->value.shape(), ElementsAre(5, 12));
  EXPECT_THAT(weight->qparams->scales, ElementsAre(0.015625));
}

TEST(FakeQuant, OfAnObserverThatWasLeftOnIsFrozen) {
  const auto model = ImportCase("fake_quant_observer_on");
  QATGAP_ASSERT_OK(model);
  EXPECT_THAT(model->graph.notices, ElementsAre(AllOf(Field(&graph::Notice::kind, graph::NoticeKind::kObserverFrozen),
                                                      Field(&graph::Notice::module_path, "fq"))));
  const auto quantizes = NodesOf(model->graph, OpKind::kQuantize);
  ASSERT_THAT(quantizes, SizeIs(1));
  const auto& quantize = std::get<graph::QuantizeAttributes>(quantizes[0]->attributes);
  EXPECT_EQ(static_cast<float>(quantize.qparams.scale()), 2.0F / 255);  // it saw -1..1
  EXPECT_EQ(quantize.qparams.zero_point(), 127);                        // 1 / fl(2 / 255) is a little less than 127.5
  ASSERT_NE(quantize.observed, nullptr);
  EXPECT_THAT(quantize.observed->min, ElementsAre(-1.0F));
  EXPECT_THAT(quantize.observed->max, ElementsAre(1.0F));
  EXPECT_EQ(quantize.observed->epsilon, std::numeric_limits<float>::epsilon());
  EXPECT_FALSE(quantize.observed->symmetric);
  EXPECT_FALSE(quantize.observed->is_signed);
}

TEST(FakeQuant, ThatIsOffPassesItsInputAndSaysSo) {
  const auto model = ImportCase("fake_quant_off");
  QATGAP_ASSERT_OK(model);
  EXPECT_EQ(model->kind, ModelKind::kQat);
  EXPECT_THAT(model->graph.notices,
              ElementsAre(AllOf(Field(&graph::Notice::kind, graph::NoticeKind::kFakeQuantDisabled),
                                Field(&graph::Notice::module_path, "fq"))));
  EXPECT_THAT(NodesOf(model->graph, OpKind::kQuantize), IsEmpty());
}

TEST(FakeQuant, ThatNeverSawDataIsRefused) {
  EXPECT_THAT(
      ImportCase("fake_quant_never_observed"),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               AllOf(HasSubstr("never observed data"), HasSubstr("in module 'fq'"), HasSubstr("calibration data"))));
}

TEST(InPlace, AViewThatChangedIsRefused) {
  EXPECT_THAT(ImportCase("in_place_view"), StatusIs(absl::StatusCode::kFailedPrecondition,
                                                    AllOf(HasSubstr("'add'"), HasSubstr("through another view"))));
}

}  // namespace
}  // namespace qatgap::frontends::pt2
