// The codes that the importer makes of weights, against LibTorch itself: bit for bit.
#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/native/quantized/PackedParams.h>
#include <ATen/ops/int_repr.h>
#include <ATen/ops/sqrt.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "analyzers/frontends/torchscript/torchscript_frontend.h"
#include "analyzers/numerics/fake_quantize.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::frontends::torchscript {
namespace {

std::string ReadModel(const std::string& name, const std::string& file) {
  std::ifstream stream(std::string(QATGAP_SOURCE_DIR) + "/tests/models/" + name + "/" + file, std::ios::binary);
  EXPECT_TRUE(stream.good()) << name;
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

torch::jit::Module Load(const std::string& bytes) {
  std::istringstream stream(bytes);
  torch::jit::Module module = torch::jit::load(stream, c10::Device(c10::kCPU));
  module.eval();
  return module;
}

torch::jit::Module Child(torch::jit::Module module, const std::string& path) {
  const std::vector<std::string> names = absl::StrSplit(path, '.');
  for (const std::string& name : names) module = module.attr(name).toModule();
  return module;
}

// One convolution or linear of the imported graph.
struct Product {
  std::string path;
  const graph::ConstantAttributes* weight = nullptr;
  const graph::Tensor* bias = nullptr;
};

std::vector<Product> Products(const graph::Graph& graph) {
  std::vector<Product> products;
  for (const graph::Node& node : graph.nodes) {
    if (node.kind != graph::OpKind::kConvolution && node.kind != graph::OpKind::kLinear) continue;
    const graph::Node* codes = graph.producer(graph.producer(node.inputs[1])->inputs[0]);
    Product product{node.module_path, &std::get<graph::ConstantAttributes>(codes->attributes), nullptr};
    if (node.inputs.size() == 3) {
      product.bias = &std::get<graph::ConstantAttributes>(graph.producer(node.inputs[2])->attributes).value;
    }
    products.push_back(product);
  }
  return products;
}

std::vector<float> Dequantize(const graph::ConstantAttributes& weight) {
  std::vector<float> real(static_cast<std::size_t>(weight.value.elements()));
  const bool per_channel = weight.qparams->per_channel();
  EXPECT_TRUE(!per_channel || weight.qparams->axis == 0);
  const std::int64_t channels = per_channel ? weight.value.dim(0) : 1;
  numerics::DequantizeCodes(weight.value.data<std::int32_t>(), *weight.qparams, /*outer=*/1, channels,
                            weight.value.elements() / channels, real);
  return real;
}

class QatWeights : public ::testing::TestWithParam<const char*> {};

TEST_P(QatWeights, DequantizedCodesAreTheFakeQuantizedWeights) {
  const at::NoGradGuard no_grad;
  const std::string bytes = ReadModel(GetParam(), "qat.pt");
  const auto model = Import(bytes, "qat.pt");
  QATGAP_ASSERT_OK(model);
  ASSERT_FALSE(Products(model->graph).empty());
  const torch::jit::Module module = Load(bytes);
  for (const Product& product : Products(model->graph)) {
    const torch::jit::Module layer = Child(module, product.path);
    at::Tensor weight = layer.attr("weight").toTensor();
    if (layer.hasattr("bn")) {  // as ConvBn2d scales it: w * (gamma / sqrt(var + eps))
      const torch::jit::Module bn = layer.attr("bn").toModule();
      const at::Tensor deviation = at::sqrt(bn.attr("running_var").toTensor() + 1e-5);
      weight = weight * (bn.attr("weight").toTensor() / deviation).reshape({-1, 1, 1, 1});
    }
    torch::jit::Module fake_quant = layer.attr("weight_fake_quant").toModule();
    fake_quant.attr("observer_enabled").toTensor().zero_();
    const at::Tensor expected = fake_quant.forward({weight}).toTensor().contiguous();
    const std::vector<float> actual = Dequantize(*product.weight);
    ASSERT_EQ(static_cast<std::int64_t>(actual.size()), expected.numel()) << product.path;
    EXPECT_EQ(std::memcmp(actual.data(), expected.const_data_ptr<float>(), actual.size() * sizeof(float)), 0)
        << product.path;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, QatWeights,
                         ::testing::Values("residual_eager_x86", "residual_eager_fbgemm", "residual_eager_qnnpack",
                                           "residual_eager_qnnpack_scripted", "residual_fx_x86",
                                           "residual_fx_qnnpack_scripted", "branching_eager_qnnpack_scripted",
                                           "residual_eager_x86_observers_on"),
                         [](const auto& test) { return std::string(test.param); });

class ConvertedWeights : public ::testing::TestWithParam<const char*> {};

// The importer packs with the first engine that takes the file; here every engine unpacks the same.
TEST_P(ConvertedWeights, AreWhatEveryEngineUnpacks) {
  const std::string bytes = ReadModel(GetParam(), "converted.pt");
  const auto model = Import(bytes, "converted.pt");
  QATGAP_ASSERT_OK(model);
  ASSERT_FALSE(Products(model->graph).empty());
  const at::QEngine before = at::globalContext().qEngine();
  for (const at::QEngine engine : at::globalContext().supportedQEngines()) {
    if (engine != at::QEngine::FBGEMM && engine != at::QEngine::QNNPACK) continue;
    at::globalContext().setQEngine(engine);
    const torch::jit::Module module = Load(bytes);
    for (const Product& product : Products(model->graph)) {
      SCOPED_TRACE(product.path + " with " + c10::toString(engine));
      const c10::IValue holder = Child(module, product.path).attr("_packed_params");
      const bool is_linear = holder.isObject() && holder.toObject()->type()->findAttribute("_packed_params");
      const auto [weight, bias] =
          is_linear ? holder.toObject()->getAttr("_packed_params").toCustomClass<LinearPackedParamsBase>()->unpack()
                    : holder.toCustomClass<ConvPackedParamsBase<2>>()->unpack();
      const at::Tensor codes = at::int_repr(weight).to(at::kInt).contiguous();
      EXPECT_EQ(product.weight->value.shape(), codes.sizes().vec());
      const auto actual = product.weight->value.data<std::int32_t>();
      EXPECT_EQ(std::memcmp(actual.data(), codes.const_data_ptr(), codes.nbytes()), 0);
      if (weight.qscheme() == at::kPerTensorAffine) {
        EXPECT_EQ(product.weight->qparams->scales, std::vector<double>{weight.q_scale()});
      } else {
        const at::Tensor scales = weight.q_per_channel_scales().to(at::kDouble);
        EXPECT_EQ(product.weight->qparams->scales, std::vector<double>(scales.const_data_ptr<double>(),
                                                                       scales.const_data_ptr<double>() + scales.numel()));
      }
      ASSERT_TRUE(bias.has_value() && product.bias != nullptr);
      const at::Tensor plain = bias->detach().contiguous();
      ASSERT_EQ(plain.numel(), product.bias->elements());
      EXPECT_EQ(std::memcmp(product.bias->data<float>().data(), plain.const_data_ptr(), plain.nbytes()), 0);
    }
  }
  at::globalContext().setQEngine(before);
}

INSTANTIATE_TEST_SUITE_P(Models, ConvertedWeights,
                         ::testing::Values("residual_eager_x86", "residual_eager_fbgemm", "residual_eager_qnnpack",
                                           "residual_eager_qnnpack_scripted", "residual_fx_x86",
                                           "residual_fx_qnnpack_scripted", "branching_eager_qnnpack_scripted"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace qatgap::frontends::torchscript
