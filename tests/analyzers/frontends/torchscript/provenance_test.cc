// What the importer keeps beside the arithmetic: observed ranges, the weights behind codes, module stacks, names.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "analyzers/frontends/torchscript/torchscript_frontend.h"
#include "analyzers/graph/graph.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::frontends::torchscript {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

graph::Graph ImportFile(const std::string& path) {
  std::ifstream file(std::string(QATGAP_SOURCE_DIR) + "/tests/" + path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  auto model = Import(bytes, path);
  EXPECT_THAT(model, testing::IsOk());
  return std::move(model->graph);
}

graph::Graph ImportReference(const std::string& name) {
  return ImportFile("analyzers/frontends/torchscript/cases/reference/" + name + ".pt");
}

// Code constants that a convolution or linear reads as its weight, with the node that reads them.
std::vector<std::pair<const graph::Node*, const graph::ConstantAttributes*>> Weights(const graph::Graph& graph) {
  std::vector<std::pair<const graph::Node*, const graph::ConstantAttributes*>> weights;
  for (const graph::Node& node : graph.nodes) {
    if (node.kind != graph::OpKind::kConvolution && node.kind != graph::OpKind::kLinear) continue;
    const graph::Node* dequantize = graph.producer(node.inputs[1]);
    const graph::Node* codes = dequantize->kind == graph::OpKind::kDequantize ? graph.producer(dequantize->inputs[0]) : nullptr;
    if (codes != nullptr) weights.emplace_back(&node, &std::get<graph::ConstantAttributes>(codes->attributes));
  }
  return weights;
}

class QatFile : public ::testing::TestWithParam<const char*> {};

// The codes are the real weight, times the batch norm's factor, divided by the scale that the observed range gives: to
// within one code, since the exact rounding is the fake-quant's own.
TEST_P(QatFile, WeightsComeFromTheirOrigin) {
  const graph::Graph graph = ImportFile(GetParam());
  const auto weights = Weights(graph);
  ASSERT_THAT(weights, Not(SizeIs(0)));
  for (const auto& [node, constant] : weights) {
    SCOPED_TRACE(node->module_path);
    ASSERT_NE(constant->origin, nullptr);
    const graph::WeightOrigin& origin = *constant->origin;
    ASSERT_EQ(origin.real.shape(), constant->value.shape());
    ASSERT_TRUE(origin.observed.has_value());
    EXPECT_TRUE(origin.observed->is_signed);
    EXPECT_TRUE(origin.observed->symmetric);
    EXPECT_EQ(origin.observed->quant_min, constant->qparams->quant_min);
    EXPECT_EQ(origin.observed->quant_max, constant->qparams->quant_max);
    EXPECT_EQ(origin.observed->min.size(), constant->qparams->scales.size());
    EXPECT_EQ(origin.observed->max.size(), constant->qparams->scales.size());
    EXPECT_EQ(origin.observed->epsilon, 0x1p-23F);
    const auto codes = constant->value.data<std::int32_t>();
    const auto real = origin.real.data<float>();
    const std::size_t row = codes.size() / static_cast<std::size_t>(constant->value.dim(0));
    for (std::size_t i = 0; i < codes.size(); ++i) {
      double value = static_cast<double>(real[i]);
      if (origin.batch_norm) {
        const auto& norm = *origin.batch_norm;
        value *= static_cast<double>(norm.gamma[i / row]) /
                 std::sqrt(static_cast<double>(norm.variance[i / row]) + static_cast<double>(norm.epsilon));
      }
      // A channel without a negative weight has zero point -128, symmetric or not: the fused operator's own rule.
      const double code = std::clamp(value / constant->qparams->scale(i / row) +
                                         static_cast<double>(constant->qparams->zero_point(i / row)),
                                     -128.0, 127.0);
      ASSERT_LE(std::abs(code - static_cast<double>(codes[i])), 0.501) << i;
    }
  }
}

TEST_P(QatFile, ActivationsKeepTheirRange) {
  const graph::Graph graph = ImportFile(GetParam());
  std::size_t activations = 0;
  for (const graph::Node& node : graph.nodes) {
    if (node.kind != graph::OpKind::kQuantize) continue;
    ++activations;
    const auto& quantize = std::get<graph::QuantizeAttributes>(node.attributes);
    ASSERT_NE(quantize.observed, nullptr) << node.module_path;
    EXPECT_FALSE(quantize.observed->is_signed);
    EXPECT_FALSE(quantize.observed->symmetric);
    ASSERT_THAT(quantize.observed->min, SizeIs(1));
    EXPECT_EQ(quantize.observed->quant_min, quantize.qparams.quant_min);
    EXPECT_EQ(quantize.observed->quant_max, quantize.qparams.quant_max);
    // scale = max((max - min) / (quant_max - quant_min), epsilon) with 0 in the range
    const float range = std::max(quantize.observed->max[0], 0.0F) - std::min(quantize.observed->min[0], 0.0F);
    const auto steps = static_cast<float>(quantize.qparams.quant_max - quantize.qparams.quant_min);
    EXPECT_FLOAT_EQ(static_cast<float>(quantize.qparams.scale()), std::max(range / steps, quantize.observed->epsilon));
  }
  EXPECT_GT(activations, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Files, QatFile,
    ::testing::Values("models/residual_eager_x86/qat.pt", "models/residual_eager_qnnpack_scripted/qat.pt",
                      "models/residual_fx_x86/qat.pt", "models/residual_fx_qnnpack_scripted/qat.pt",
                      "analyzers/frontends/torchscript/cases/reference/conv1d_qat_traced.pt",
                      "analyzers/frontends/torchscript/cases/reference/conv1d_qat_scripted.pt",
                      "analyzers/frontends/torchscript/cases/reference/linear_bn_qat_traced.pt",
                      "analyzers/frontends/torchscript/cases/reference/linear_bn_qat_scripted.pt"),
    [](const auto& test) {
      std::string name = test.param;
      name = name.substr(0, name.rfind('.'));
      std::replace_if(name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
      return name;
    });

// conv2d of reference_nets.py: the second batch norm has eps 1e-3, the layer at 5 has none.
TEST(WeightOrigin, NamesTheBatchNormOfItsModule) {
  for (const char* name : {"conv2d_qat_traced", "conv2d_qat_scripted"}) {
    const graph::Graph graph = ImportReference(name);
    const auto weights = Weights(graph);
    ASSERT_THAT(weights, SizeIs(6)) << name;
    EXPECT_EQ(weights[0].first->module_path, "body.0");
    ASSERT_TRUE(weights[0].second->origin->batch_norm.has_value()) << name;
    EXPECT_EQ(weights[0].second->origin->batch_norm->epsilon, 1e-5F);
    ASSERT_TRUE(weights[1].second->origin->batch_norm.has_value()) << name;
    EXPECT_EQ(weights[1].second->origin->batch_norm->epsilon, 1e-3F);
    EXPECT_THAT(weights[1].second->origin->batch_norm->mean, SizeIs(4));
    EXPECT_FALSE(weights[2].second->origin->batch_norm.has_value()) << name;
  }
}

TEST(ModuleStack, NamesEveryModuleOfThePath) {
  const graph::Graph graph = ImportReference("conv2d_qat_traced");
  const auto weights = Weights(graph);
  ASSERT_THAT(weights, Not(SizeIs(0)));
  EXPECT_EQ(weights[0].first->module_stack, "Stubs > body: Sequential > body.0: ConvBnReLU2d");
  EXPECT_EQ(weights[0].first->source_line, "");  // the file has no debug records
}

// Line 15 calls the modules, whose own code is PyTorch's; line 11 is in a method that line 14 calls.
TEST(SourceLine, IsTheInnermostOfTheUsersProgram) {
  for (const char* name : {"source_lines_traced", "source_lines_scripted"}) {
    const graph::Graph graph = ImportFile(std::string("analyzers/frontends/torchscript/cases/") + name + ".pt");
    std::map<graph::OpKind, std::string> lines;
    for (const graph::Node& node : graph.nodes) lines[node.kind] = node.source_line;
    EXPECT_EQ(lines[graph::OpKind::kQuantize], "model.py:11") << name;
    EXPECT_EQ(lines[graph::OpKind::kLinear], "model.py:15") << name;
    EXPECT_EQ(lines[graph::OpKind::kRelu], "model.py:15") << name;
    EXPECT_EQ(lines[graph::OpKind::kAdd], "model.py:15") << name;
  }
}

TEST(Interface, TuplesAndDictsAreFlattenedByName) {
  for (const char* name : {"interface_qat_scripted", "interface_converted_scripted"}) {
    const graph::Graph graph = ImportReference(name);
    std::vector<std::string> inputs;
    for (std::size_t i = 0; i < graph.inputs.size(); ++i) inputs.push_back(graph.input_name(i));
    EXPECT_THAT(inputs, ElementsAre("pair.0", "pair.1", "named.z", "named.y")) << name;
    EXPECT_THAT(graph.output_names, ElementsAre("output.left", "output.right")) << name;
  }
}

TEST(Products, WithAQuantizedConstantAreLinears) {
  const graph::Graph graph = ImportReference("products_qat_traced");
  const auto weights = Weights(graph);
  ASSERT_THAT(weights, SizeIs(4));
  for (const auto& [node, constant] : weights) {
    EXPECT_EQ(node->kind, graph::OpKind::kLinear);
    EXPECT_EQ(constant->origin->real.shape(), constant->value.shape());
  }
  // matmul(x, w) has w as [in, out]: its scales, one per row of w, lie along the columns of the linear's weight.
  EXPECT_EQ(weights[0].second->qparams->axis, 1);
  EXPECT_EQ(weights[1].second->qparams->axis, 0);
}

}  // namespace
}  // namespace qatgap::frontends::torchscript
