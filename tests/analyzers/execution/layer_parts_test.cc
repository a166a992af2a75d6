#include "analyzers/execution/layer_parts.h"

#include <algorithm>
#include <random>
#include <vector>

#include "analyzers/execution/layer_kernel.h"
#include "analyzers/graph/tensor_rows.h"
#include "gtest/gtest.h"
#include "tests/testing/demo_models.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::execution {
namespace {

using graph::Tensor;

graph::MacLayer Convolution(std::mt19937& random) {
  graph::MacLayer layer;
  layer.name = "conv";
  layer.kind = graph::OpKind::kConvolution;
  layer.weight = Tensor(graph::DType::kInt32, {8, 4, 3, 3});
  std::uniform_int_distribution<std::int32_t> weight(-127, 127);
  for (std::int32_t& code : layer.weight.mutable_data<std::int32_t>()) code = weight(random);
  layer.weight_params.scales = {0.01};
  layer.weight_params.zero_points = {0};
  layer.weight_params.quant_min = -128;
  layer.weight_params.quant_max = 127;
  layer.convolution = {{1, 1}, {1, 1}, {1, 1}, 1, false, {}};
  layer.output_channels = 8;
  return layer;
}

TEST(LayerPartsTest, PartsAreTheWhole) {
  testing::UseOneThreadOnce();
  std::mt19937 random(5);
  const graph::MacLayer layer = Convolution(random);
  numerics::QuantParams input;
  input.scales = {1};
  input.zero_points = {3};
  const auto kernel = LayerKernel::Create(layer, input);
  QATGAP_ASSERT_OK(kernel);
  Tensor codes(graph::DType::kInt32, {7, 4, 120, 120});
  std::uniform_int_distribution<std::int32_t> code(0, 255);
  for (std::int32_t& value : codes.mutable_data<std::int32_t>()) value = code(random);

  const auto run = [&](bool divide, std::vector<std::int32_t>& seen) {
    std::size_t calls = 0;
    const auto done = [&](const LayerPart& part) {
      const auto values = part.codes.data<std::int32_t>();
      EXPECT_EQ(part.first, seen.size()) << "parts come in order";
      EXPECT_EQ(part.size, static_cast<std::size_t>(7 * 8 * 120 * 120));
      seen.insert(seen.end(), values.begin(), values.end());
      ++calls;
      return absl::OkStatus();
    };
    const auto result = RunInParts(layer, codes, divide, [&](const Tensor& x) { return kernel->Accumulate(x); }, done);
    QATGAP_EXPECT_OK(result);
    const auto values = result->data<std::int32_t>();
    EXPECT_TRUE(std::equal(values.begin(), values.end(), seen.begin(), seen.end()));
    return calls;
  };
  std::vector<std::int32_t> whole, parts;
  EXPECT_EQ(run(false, whole), 1U);
  EXPECT_GT(run(true, parts), 3U);
  EXPECT_EQ(parts, whole);
}

TEST(LayerPartsTest, AnErrorEndsTheRun) {
  std::mt19937 random(5);
  const graph::MacLayer layer = Convolution(random);
  const Tensor codes(graph::DType::kInt32, {1, 4, 8, 8});
  const auto fails = [](const Tensor&) -> absl::StatusOr<Tensor> { return absl::FailedPreconditionError("no"); };
  EXPECT_EQ(RunInParts(layer, codes, true, fails, [](const LayerPart&) { return absl::OkStatus(); }).status().message(), "no");
}

TEST(SamplesOfPartTest, FromOneToAll) {
  EXPECT_EQ(SamplesOfPart(32, 1), 32);
  EXPECT_EQ(SamplesOfPart(32, std::int64_t{1} << 40), 1);
  EXPECT_EQ(SamplesOfPart(32, std::int64_t{1} << 22), 2);
  EXPECT_EQ(SamplesOfPart(0, 0), 1);
}

}  // namespace
}  // namespace qatgap::execution
