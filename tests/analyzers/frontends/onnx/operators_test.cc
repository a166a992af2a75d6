// One output for each operator, against onnxruntime 1.32 (operator_cases.py).
#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/frontends/onnx/case_files.h"

namespace qatgap::frontends::onnx {
namespace {

std::vector<float> Reals(const graph::Tensor& tensor) {
  std::vector<float> reals;
  const auto append = [&](const auto& values) {
    for (const auto value : values) reals.push_back(static_cast<float>(value));
  };
  switch (tensor.dtype()) {
    case graph::DType::kFloat32:
      append(tensor.data<float>());
      break;
    case graph::DType::kInt64:
      append(tensor.data<std::int64_t>());
      break;
    case graph::DType::kInt32:
      append(tensor.data<std::int32_t>());
      break;
    case graph::DType::kBool:
      append(tensor.data<bool>());
      break;
    default:
      ADD_FAILURE() << "output of " << graph::ToString(tensor.dtype());
  }
  return reals;
}

TEST(OnnxOperators, GiveOnnxRuntimesNumbers) {
  const Model model = ImportCase("operators");
  const BatchResult run = RunFakeQuant(model.graph, Array("operators.input.npy"));
  const graph::Tensor all = Array("operators.output.npy");
  auto expected = all.data<float>();
  ASSERT_EQ(run.outputs.size(), model.graph.output_names.size());
  for (std::size_t i = 0; i < run.outputs.size(); ++i) {
    const std::string& name = model.graph.output_names[i];
    const std::vector<float> y = Reals(run.outputs[i].real);
    ASSERT_LE(y.size(), expected.size()) << name;
    float largest = 1;
    for (std::size_t k = 0; k < y.size(); ++k) largest = std::max(largest, std::abs(expected[k]));
    // Sums of at most 144 products, whose partial sums stay below 16 times the largest result, in another order, and
    // functions of a few units in the last place: 144 * 16 * 2^-24 < 2^-12; measured below 2^-19.
    const float tolerance = name.ends_with(":exact") ? 0.0F : largest * 0x1p-19F;
    float worst = 0;
    for (std::size_t k = 0; k < y.size(); ++k) {
      const float difference = std::abs(y[k] - expected[k]);
      if (!(difference <= worst)) worst = difference;
    }
    EXPECT_FALSE(!(worst <= tolerance)) << name << " differs by " << worst << ", allowed " << tolerance << ", of "
                                        << y.size() << " elements";
    expected = expected.subspan(y.size());
  }
  EXPECT_TRUE(expected.empty());
}

// The scales are such that no output is an exact tie, which binary32 puts on either side by the order of its
// operations: a/64 + b/200 in steps of 1/50 has one in 288 codes.
TEST(OnnxOperators, GiveOnnxRuntimesCodes) {
  const Model model = ImportCase("quantized_operators");
  EXPECT_EQ(model.kind, ModelKind::kConverted);
  const BatchResult run = RunFakeQuant(model.graph, Array("quantized_operators.input.npy"));
  const graph::Tensor all = Array("quantized_operators.output.npy");
  auto expected = all.data<float>();
  for (std::size_t i = 0; i < run.outputs.size(); ++i) {
    const std::string name = model.graph.output_names[i].substr(0, model.graph.output_names[i].find(':'));
    const auto codes = run.outputs[i].codes.data<std::int32_t>();
    ASSERT_LE(codes.size(), expected.size()) << name;
    for (std::size_t k = 0; k < codes.size(); ++k)
      ASSERT_EQ(codes[k], static_cast<int>(expected[k])) << name << " code " << k;
    expected = expected.subspan(codes.size());
  }
  EXPECT_TRUE(expected.empty());
}

TEST(OnnxOperators, ProductsOfQuantizedOperatorsAreLayers) {
  const Model model = ImportCase("quantized_operators");
  const auto found = graph::FindMacLayers(model.graph);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->layers.size(), 5U) << "three convolutions, QGemm, QLinearMatMul with a constant";
  for (const graph::MacLayer& layer : found->layers)
    EXPECT_EQ(layer.input_grids.size(), 1U) << layer.name << ": padding stays on the grid";
}

}  // namespace
}  // namespace qatgap::frontends::onnx
