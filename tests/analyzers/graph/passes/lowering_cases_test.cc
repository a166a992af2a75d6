// Holds the lowering against PyTorch's converters, bit for bit. make_lowering_cases.py made the file.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "analyzers/graph/mac_layers.h"
#include "analyzers/graph/passes/lower.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/testing/graph_builder.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::graph {
namespace {

using ::qatgap::testing::GraphBuilder;
using ::testing::ElementsAreArray;
using Json = nlohmann::json;

const std::vector<Json>& Cases() {
  static const auto* cases = [] {
    std::ifstream file(std::string(QATGAP_SOURCE_DIR) + "/tests/analyzers/graph/passes/lowering_cases.json");
    return new std::vector<Json>(Json::parse(file).at("cases").get<std::vector<Json>>());
  }();
  return *cases;
}

template <typename T>
std::vector<T> Values(const Json& array) {
  const auto hex = array.at("hex").get<std::string>();
  std::vector<T> values(hex.size() / 2 / sizeof(T));
  for (std::size_t i = 0; i < hex.size() / 2; ++i) {
    const auto byte = static_cast<unsigned char>(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
    std::memcpy(reinterpret_cast<unsigned char*>(values.data()) + i, &byte, 1);
  }
  return values;
}

ObservedRange Range(const Json& range) {
  return {.min = Values<float>(range.at("min")),
          .max = Values<float>(range.at("max")),
          .epsilon = Values<float>(range.at("epsilon")).at(0),
          .symmetric = range.at("symmetric"),
          .quant_min = range.at("quant_min"),
          .quant_max = range.at("quant_max"),
          .is_signed = range.at("is_signed"),
          .averaging = range.at("averaging")};
}

// Of the right shape; the lowering does not look at the numbers.
numerics::QuantParams Trained(const Json& range) {
  const std::size_t count = Values<float>(range.at("min")).size();
  return {.scales = std::vector<double>(count, 0.125),
          .zero_points = std::vector<std::int64_t>(count, 0),
          .quant_min = range.at("quant_min"),
          .quant_max = range.at("quant_max"),
          .axis = range.at("axis")};
}

class QatLayer {
 public:
  explicit QatLayer(const Json& json) : json_(json), shape_(json.at("weight").at("shape").get<Shape>()) {
    const std::string style = json.at("style");
    g_.graph().convert_style = style == "pt2e" ? ConvertStyle::kPt2e
                               : style == "fx" ? ConvertStyle::kFx
                                               : ConvertStyle::kEager;
    const ValueId x = FakeQuant(g_.Input(), "input_range");
    const ValueId weight = Weight();
    ValueId y = Product({x, weight});
    if (!json.at("bn").is_null()) y = BatchNorm(y);
    if (json.at("relu")) y = g_.Relu(y);
    g_.Output(FakeQuant(y, json.contains("output_range") ? "output_range" : "input_range"));
  }

  const Graph& graph() { return g_.graph(); }

 private:
  ValueId FakeQuant(ValueId x, const char* range) {
    return g_.Dequantize(g_.Op(OpKind::kQuantize, {x},
                               QuantizeAttributes{.qparams = Trained(json_.at(range)), .observed = std::make_shared<const ObservedRange>(Range(json_.at(range)))}));
  }

  ValueId Weight() {
    const std::vector<float> values = Values<float>(json_.at("weight"));
    if (json_.at("weight_range").is_null()) return g_.Floats(shape_, values);
    auto origin = std::make_shared<WeightOrigin>();
    origin->real = Tensor::Of<float>(shape_, values);
    origin->observed = Range(json_.at("weight_range"));
    if (const Json& bn = json_.at("bn"); !bn.is_null()) {
      origin->batch_norm = {.gamma = Values<float>(bn.at("gamma")), .beta = Values<float>(bn.at("beta")),
                            .mean = Values<float>(bn.at("mean")), .variance = Values<float>(bn.at("variance")),
                            .epsilon = static_cast<float>(bn.at("epsilon").get<double>())};
    }
    return g_.Dequantize(g_.Op(OpKind::kConstant, {},
                               ConstantAttributes{.value = Tensor(DType::kInt32, shape_),
                                                  .qparams = Trained(json_.at("weight_range")),
                                                  .origin = std::move(origin)}));
  }

  ValueId Bias() {
    const std::vector<float> values = Values<float>(json_.at("bias"));
    const Shape shape{static_cast<std::int64_t>(values.size())};
    if (!json_.value("integer_bias", false)) return g_.Floats(shape, values);
    auto origin = std::make_shared<WeightOrigin>();
    origin->real = Tensor::Of<float>(shape, values);
    numerics::QuantParams params = Trained(json_.at("weight_range"));
    params.quant_min = -2147483648LL;
    params.quant_max = 2147483647;
    return g_.Dequantize(g_.Op(OpKind::kConstant, {},
                               ConstantAttributes{.value = Tensor(DType::kInt32, shape), .qparams = std::move(params),
                                                  .origin = std::move(origin)}));
  }

  ValueId Product(std::vector<ValueId> inputs) {
    if (!json_.at("bn").is_null()) {
      inputs.push_back(PerChannel(std::vector<float>(Channels(), 0.0F)));
    } else if (!json_.at("bias").is_null()) {
      inputs.push_back(Bias());
    }
    if (json_.at("kind") == "linear") return g_.Op(OpKind::kLinear, std::move(inputs), {}, "layer.0");
    const std::vector<std::int64_t> ones(shape_.size() - 2, 1), zeros(shape_.size() - 2, 0);
    return g_.Convolution(std::move(inputs), "layer.0",
                          {.stride = ones, .padding = zeros, .dilation = ones, .groups = json_.at("groups"),
                           .transposed = json_.at("transposed"), .output_padding = zeros});
  }

  std::size_t Channels() const { return Values<float>(json_.at("bn").at("gamma")).size(); }
  ValueId PerChannel(const std::vector<float>& values) {
    return g_.Floats({static_cast<std::int64_t>(values.size())}, values);
  }

  // Divided by the factor of the batch norm, then the bias, then the batch norm, as QAT modules do it.
  ValueId BatchNorm(ValueId y) {
    const Json& bn = json_.at("bn");
    y = g_.Op(OpKind::kDiv, {y, PerChannel(std::vector<float>(Channels(), 1.0F))});
    if (!json_.at("bias").is_null()) y = g_.Op(OpKind::kAdd, {y, Bias()});
    return g_.Op(OpKind::kBatchNorm,
                 {y, PerChannel(Values<float>(bn.at("gamma"))), PerChannel(Values<float>(bn.at("beta"))),
                  PerChannel(Values<float>(bn.at("mean"))), PerChannel(Values<float>(bn.at("variance")))},
                 BatchNormAttributes{.epsilon = bn.at("epsilon")});
  }

  const Json& json_;
  Shape shape_;
  GraphBuilder g_;
};

class LoweringCase : public ::testing::TestWithParam<std::size_t> {};

TEST_P(LoweringCase, EqualsTheConverter) {
  const Json& json = Cases()[GetParam()];
  const Json& expected = json.at("expected");
  const auto lowered = Lower(QatLayer(json).graph());
  QATGAP_ASSERT_OK(lowered);
  const auto layers = FindMacLayers(*lowered);
  QATGAP_ASSERT_OK(layers);
  ASSERT_EQ(layers->layers.size(), 1U) << (layers->unmatched.empty() ? "" : layers->unmatched[0].reason);
  const MacLayer& layer = layers->layers[0];

  const std::vector<std::int8_t> codes = Values<std::int8_t>(expected.at("codes"));
  EXPECT_THAT(layer.weight.data<std::int32_t>(), ElementsAreArray(std::vector<std::int32_t>(codes.begin(), codes.end())));
  const numerics::QuantParams weight_params{.scales = expected.at("scales"), .zero_points = expected.at("zero_points"),
                                            .quant_min = expected.at("quant_min"), .quant_max = expected.at("quant_max"),
                                            .axis = expected.at("axis")};
  EXPECT_EQ(layer.weight_params, weight_params) << ToString(layer.weight_params) << " and " << ToString(weight_params);
  ASSERT_EQ(layer.input_grids.size(), 1U);
  EXPECT_EQ(layer.input_grids[0].scale(), expected.at("input")[0].get<double>());
  EXPECT_EQ(layer.input_grids[0].zero_point(), expected.at("input")[1].get<std::int64_t>());
  if (expected.contains("output")) {
    EXPECT_EQ(layer.output.scale(), expected.at("output")[0].get<double>());
    EXPECT_EQ(layer.output.zero_point(), expected.at("output")[1].get<std::int64_t>());
  }
  if (expected.contains("integer_bias")) {
    const std::vector<std::int32_t> bias = Values<std::int32_t>(expected.at("integer_bias").at("codes"));
    EXPECT_THAT(layer.stored_bias, ElementsAreArray(std::vector<std::int64_t>(bias.begin(), bias.end())));
    EXPECT_THAT(layer.stored_bias_scales, ElementsAreArray(expected.at("integer_bias").at("scales").get<std::vector<double>>()));
  } else if (expected.at("bias").is_null()) {
    EXPECT_THAT(layer.shipped_bias, ::testing::Each(0.0F));
    EXPECT_TRUE(layer.stored_bias.empty());
  } else {
    EXPECT_THAT(layer.shipped_bias, ElementsAreArray(Values<float>(expected.at("bias"))));
    EXPECT_TRUE(layer.stored_bias.empty());
  }
}

INSTANTIATE_TEST_SUITE_P(Recorded, LoweringCase, ::testing::Range(std::size_t{0}, Cases().size()),
                         [](const auto& index) { return Cases()[index.param].at("name").template get<std::string>(); });

}  // namespace
}  // namespace qatgap::graph
