// Archives run by qatgap and their twins run by LibTorch, in one process on one host: the same bits.
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/fused_moving_avg_obs_fake_quant.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <cmath>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "analyzers/execution/graph_executor.h"
#include "analyzers/frontends/pt2/fused_fake_quant.h"
#include "analyzers/frontends/pt2/operator_schemas.h"
#include "analyzers/frontends/pt2/pt2_frontend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/frontends/pt2/archives.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::frontends::pt2 {
namespace {

using Shapes = std::vector<std::vector<std::int64_t>>;

at::Tensor View(const graph::Tensor& tensor) {
  const auto type = tensor.dtype() == graph::DType::kFloat32   ? at::kFloat
                    : tensor.dtype() == graph::DType::kFloat64 ? at::kDouble
                    : tensor.dtype() == graph::DType::kInt64   ? at::kLong
                    : tensor.dtype() == graph::DType::kInt32   ? at::kInt
                                                               : at::kBool;
  return at::from_blob(tensor.storage().get(), tensor.shape(), type).clone();
}

graph::Tensor Copy(const at::Tensor& tensor) {
  const at::Tensor dense = tensor.contiguous();
  return graph::Tensor::Of<float>(
      {tensor.sizes().begin(), tensor.sizes().end()},
      std::span<const float>(dense.const_data_ptr<float>(), static_cast<std::size_t>(dense.numel())));
}

std::vector<at::Tensor> RunTwin(torch::jit::Module& twin, const std::vector<at::Tensor>& inputs) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> outputs;
  const c10::IValue result = twin.forward({inputs.begin(), inputs.end()});
  for (const c10::IValue& output : result.toTupleRef().elements()) outputs.push_back(output.toTensor());
  return outputs;
}

struct Twin {
  const char* archive;
  const char* twin;
  Shapes inputs;
  int sign = 0;  // of all elements; 0: both
  // A float convolution whose weights PyTorch keeps channels last: on hosts without AVX-512 that moves its last bits.
  bool channels_last = false;
};

class BitExact : public ::testing::TestWithParam<Twin> {};

TEST_P(BitExact, FakeQuantPathEqualsPyTorch) {
  at::set_num_threads(1);
  auto model = Import(ArchiveBytes(absl::StrCat(GetParam().archive, ".pt2")), GetParam().archive);
  QATGAP_ASSERT_OK(model);
  auto executor = execution::GraphExecutor::Create(model->graph, {}, execution::ExecutionMode::kFakeQuant);
  QATGAP_ASSERT_OK(executor);
  std::istringstream stream(ArchiveBytes(absl::StrCat(GetParam().twin, ".pt")));
  torch::jit::Module twin = torch::jit::load(stream);
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  for (int run = 0; run < 5; ++run) {
    std::vector<at::Tensor> inputs;
    std::vector<graph::Tensor> ours;
    for (const auto& shape : GetParam().inputs) {
      at::Tensor x = at::zeros(shape);
      for (float& value : std::span(x.mutable_data_ptr<float>(), static_cast<std::size_t>(x.numel()))) {
        value = normal(random) * static_cast<float>(1 << run);
        if (GetParam().sign != 0) value = (std::fabs(value) + 0.1F) * static_cast<float>(GetParam().sign);
      }
      inputs.push_back(x);
      ours.push_back(Copy(x));
    }
    const std::vector<at::Tensor> want = RunTwin(twin, inputs);
    const auto got = executor->Run(ours, nullptr);
    QATGAP_ASSERT_OK(got);
    ASSERT_EQ(got->size(), want.size());
    for (std::size_t i = 0; i < want.size(); ++i) {
      const at::Tensor real = View((*got)[i].real);
      EXPECT_TRUE(GetParam().channels_last ? at::allclose(real, want[i], 1e-6, 1e-6) : at::equal(real, want[i]))
          << "run " << run << ", output " << model->graph.output_names[i];
    }
  }
}

const Shapes kImage{{2, 2, 8, 8}}, kSmall{{1, 2, 4, 4}}, kThree{{3, 2, 4, 4}};

INSTANTIATE_TEST_SUITE_P(
    Archives, BitExact,
    ::testing::Values(
        Twin{"x86_prepared", "x86_prepared", kImage}, Twin{"x86_converted", "x86_converted", kImage},
        Twin{"xnnpack_prepared", "xnnpack_prepared", kImage}, Twin{"xnnpack_converted", "xnnpack_converted", kImage},
        Twin{"bias_prepared", "bias_prepared", kSmall}, Twin{"bias_converted", "bias_converted", kSmall},
        Twin{"dynamic_prepared", "dynamic_prepared", kThree}, Twin{"dynamic_converted", "dynamic_converted", kThree},
        Twin{"eager", "eager", {{2, 2, 6, 6}}}, Twin{"plain", "plain", kSmall},
        Twin{"decomposed", "decomposed", kImage}, Twin{"decomposed_volume", "decomposed_volume", {{1, 2, 4, 4, 4}}},
        Twin{"fake_quant_off", "fake_quant_off", {{2}}},
        Twin{"float_operators", "float_operators", {{2, 3, 8}, {1, 2, 3, 3}}}, Twin{"storages", "storages", {{4, 4}}, 0, true},
        Twin{"in_place", "in_place", {{2, 3}}}, Twin{"cond", "cond_then", kSmall, 1},
        Twin{"cond", "cond_else", kSmall, -1}, Twin{"cond_nested", "cond_nested_then", kSmall, 1},
        Twin{"cond_nested", "cond_nested_else", kSmall, -1}, Twin{"cond_qat", "cond_qat_then", kSmall, 1},
        Twin{"cond_qat", "cond_qat_else", kSmall, -1}),
    [](const auto& test) { return std::string(test.param.twin); });

// --- the arithmetic of the fused fake-quant, against the operator itself ---

struct Codes {
  const char* name;
  std::int64_t min, max;
};
class FusedQuantParamsTest : public ::testing::TestWithParam<std::tuple<Codes, bool>> {};

TEST_P(FusedQuantParamsTest, EqualTheOperators) {
  const auto& [codes, symmetric] = GetParam();
  constexpr std::int64_t kRanges = 4000;
  std::mt19937 random(20240607);
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int> exponent(-9, 5);
  at::Tensor minimum = at::zeros({kRanges}), maximum = at::zeros({kRanges});
  auto* const mins = minimum.mutable_data_ptr<float>();
  auto* const maxs = maximum.mutable_data_ptr<float>();
  for (std::int64_t i = 10; i < kRanges; ++i) {  // the first ten are 0..0
    const float size = std::pow(10.0F, static_cast<float>(exponent(random)));
    const float a = normal(random) * size, b = i % 3 == 0 ? 0.0F : normal(random) * size;
    mins[i] = std::min(a, b);
    maxs[i] = std::max(a, b);
  }
  at::Tensor scale = at::zeros({kRanges}), zero_point = at::zeros({kRanges}, at::kInt);
  const at::Tensor off = at::zeros({1}, at::kLong), on = at::ones({1}, at::kLong);
  at::fused_moving_avg_obs_fake_quant(at::zeros({kRanges, 1}), off, on, minimum, maximum, scale, zero_point, 0.01,
                                      codes.min, codes.max, 0, /*per_row_fake_quant=*/true, symmetric);
  for (std::int64_t i = 0; i < kRanges; ++i) {
    const FusedQuantParams ours = ChooseFusedQuantParams(mins[i], maxs[i], static_cast<std::int32_t>(codes.min),
                                                         static_cast<std::int32_t>(codes.max), symmetric);
    ASSERT_EQ(ours.scale, scale.const_data_ptr<float>()[i]) << mins[i] << ".." << maxs[i];
    ASSERT_EQ(ours.zero_point, zero_point.const_data_ptr<std::int32_t>()[i]) << mins[i] << ".." << maxs[i];
  }
  // Per tensor it is the same arithmetic.
  for (std::int64_t i = 10; i < kRanges; i += 97) {
    at::Tensor low = minimum.slice(0, i, i + 1).clone(), high = maximum.slice(0, i, i + 1).clone();
    at::Tensor one_scale = at::zeros({1}), one_zero = at::zeros({1}, at::kInt);
    at::fused_moving_avg_obs_fake_quant(at::zeros({1}), off, on, low, high, one_scale, one_zero, 0.01, codes.min,
                                        codes.max, -1, /*per_row_fake_quant=*/false, symmetric);
    EXPECT_EQ(one_scale.item<float>(), scale.const_data_ptr<float>()[i]);
    EXPECT_EQ(one_zero.item<std::int32_t>(), zero_point.const_data_ptr<std::int32_t>()[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(Ranges, FusedQuantParamsTest,
                         ::testing::Combine(::testing::Values(Codes{"quint8", 0, 255}, Codes{"reduced", 0, 127},
                                                              Codes{"qint8", -128, 127}, Codes{"narrow", -127, 127},
                                                              Codes{"int4", -8, 7}, Codes{"uint16", 0, 65535},
                                                              Codes{"int16", -32768, 32767}),
                                            ::testing::Bool()),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param).name) +
                                  (std::get<1>(test.param) ? "_symmetric" : "_affine");
                         });

// --- the table of keyword arguments, against LibTorch's registry ---

struct SameDefault {
  const c10::IValue& value;

  bool operator()(std::monostate) const { return value.isNone(); }
  bool operator()(bool flag) const { return value.isBool() && value.toBool() == flag; }
  bool operator()(std::int64_t number) const {
    return value.isScalar() && value.toScalar().to<std::int64_t>() == number;
  }
  bool operator()(double number) const { return value.isDouble() && value.toDouble() == number; }
  bool operator()(const std::string& text) const { return value.isString() && value.toStringRef() == text; }
  template <typename Other>
  bool operator()(const Other&) const {
    return false;
  }
};

TEST(OperatorSchemas, AreLibTorchs) {
  for (const OperatorSchema& ours : OperatorSchemas()) {
    const std::string label = absl::StrCat(std::string(ours.name), ".", std::string(ours.overload));
    const auto handle = c10::Dispatcher::singleton().findSchema({std::string(ours.name), std::string(ours.overload)});
    ASSERT_TRUE(handle) << label;
    const auto& theirs = handle->schema().arguments();
    ASSERT_EQ(theirs.size(), ours.arguments.size()) << label;
    for (std::size_t i = 0; i < theirs.size(); ++i) {
      EXPECT_EQ(theirs[i].name(), ours.arguments[i].first) << label;
      const c10::IValue otherwise = theirs[i].default_value().value_or(c10::IValue());
      EXPECT_TRUE(std::visit(SameDefault{otherwise}, ours.arguments[i].second)) << label << " " << theirs[i].name();
    }
  }
}

}  // namespace
}  // namespace qatgap::frontends::pt2
