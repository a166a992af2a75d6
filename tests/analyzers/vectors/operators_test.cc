// Operators without weights: every golden case of every runtime, what the cases can and cannot tell apart, and the
// geometry on cases small enough to work out by hand.
#include "analyzers/vectors/operators.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::vectors {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const fs::path kVectors = fs::path(QATGAP_SOURCE_DIR) / "tests/golden/vectors";

Case ReadFolder(const fs::path& folder) {
  Files files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::ifstream stream(entry.path(), std::ios::binary);
    files[absl::StrCat("case/", entry.path().filename().string())] = {std::istreambuf_iterator<char>(stream), {}};
  }
  absl::StatusOr<std::vector<Case>> cases = ReadCases(files);
  QATGAP_EXPECT_OK(cases);
  return cases.ok() && cases->size() == 1 ? std::move(cases->front()) : Case{};
}

// "target/case" of all that have no weight.
std::vector<std::string> OperatorFolders() {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(kVectors)) {
    if (entry.path().filename() != "case.json" || fs::exists(entry.path().parent_path() / "weight.npy")) continue;
    names.push_back(fs::relative(entry.path().parent_path(), kVectors).string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::int64_t Mismatches(const numerics::TargetDescription& target, const Case& layer) {
  const absl::StatusOr<graph::Tensor> computed = ComputeOperator(target, layer);
  if (!computed.ok()) return layer.output_codes.elements();
  const std::span<const std::int32_t> codes = computed->data<std::int32_t>();
  const std::span<const std::int32_t> expected = layer.output_codes.data<std::int32_t>();
  std::int64_t mismatches = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) mismatches += codes[i] != expected[i] ? 1 : 0;
  return mismatches;
}

class GoldenOperatorTest : public ::testing::TestWithParam<std::string> {};
TEST_P(GoldenOperatorTest, EveryElement) {
  const Case layer = ReadFolder(kVectors / GetParam());
  const absl::StatusOr<numerics::TargetDescription> target = numerics::FindTarget(layer.target);
  QATGAP_ASSERT_OK(target);
  const absl::StatusOr<graph::Tensor> computed = ComputeOperator(*target, layer);
  QATGAP_ASSERT_OK(computed);
  EXPECT_EQ(computed->shape(), layer.output_codes.shape());
  EXPECT_GT(layer.output_codes.elements(), 0);
  EXPECT_EQ(Mismatches(*target, layer), 0) << "of " << layer.output_codes.elements();
}
INSTANTIATE_TEST_SUITE_P(Case, GoldenOperatorTest, ::testing::ValuesIn(OperatorFolders()), [](const auto& test) {
  std::string name = test.param;
  std::replace_if(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
});

// Rules, as "add tflite", that reproduce every case of `target` with this operator.
template <typename Names, typename Field>
void AddReproducing(const std::vector<Case>& cases, std::vector<CaseOp> ops, const numerics::TargetDescription& target,
                    const std::string& word, const Names& names, Field field, std::set<std::string>* reproducing) {
  std::vector<const Case*> relevant;
  for (const Case& layer : cases) {
    if (std::find(ops.begin(), ops.end(), layer.op) != ops.end()) relevant.push_back(&layer);
  }
  for (const auto& entry : names) {
    if (relevant.empty()) continue;
    numerics::TargetDescription other = target;
    other.operators.*field = entry.value;
    const auto exact = [&](const Case* layer) { return Mismatches(other, *layer) == 0; };
    if (std::all_of(relevant.begin(), relevant.end(), exact)) {
      reproducing->insert(absl::StrCat(word, " ", std::string(entry.name)));
    }
  }
}

std::set<std::string> Reproducing(const std::string& name) {
  const numerics::TargetDescription target = numerics::FindTarget(name).value();
  std::vector<Case> cases;
  for (const std::string& folder : OperatorFolders()) {
    if (folder.starts_with(name + "/")) cases.push_back(ReadFolder(kVectors / folder));
  }
  std::set<std::string> result;
  using Rules = numerics::OperatorRules;
  AddReproducing(cases, {CaseOp::kAdd}, target, "add", numerics::kAddRuleNames, &Rules::add, &result);
  AddReproducing(cases, {CaseOp::kMul}, target, "mul", numerics::kMulRuleNames, &Rules::mul, &result);
  AddReproducing(cases, {CaseOp::kConcat}, target, "concat", numerics::kConcatRuleNames, &Rules::concat, &result);
  AddReproducing(cases, {CaseOp::kAveragePool}, target, "average_pool", numerics::kAveragePoolRuleNames,
                 &Rules::average_pool, &result);
  AddReproducing(cases, {CaseOp::kMean}, target, "mean", numerics::kMeanRuleNames, &Rules::mean, &result);
  return result;
}

// Rules that all cases of a target leave open: those of concat where both grids are the same, which is a copy by any,
// and a few that a case would have to be made for, such as ExecuTorch's mul with scales where a reciprocal matters.
struct Open {
  const char* target;
  std::set<std::string> rules;  // beside the target's own
};

class SharpnessTest : public ::testing::TestWithParam<Open> {};
TEST_P(SharpnessTest, TheCasesRefuteEveryOtherRule) {
  const numerics::OperatorRules rules = numerics::FindTarget(GetParam().target)->operators;
  const std::set<std::string> own = {absl::StrCat("add ", std::string(ToString(rules.add))),
                                     absl::StrCat("mul ", std::string(ToString(rules.mul))),
                                     absl::StrCat("concat ", std::string(ToString(rules.concat))),
                                     absl::StrCat("average_pool ", std::string(ToString(rules.average_pool))),
                                     absl::StrCat("mean ", std::string(ToString(rules.mean)))};
  std::set<std::string> open = Reproducing(GetParam().target);
  for (const std::string& rule : own) open.erase(rule);
  EXPECT_THAT(open, ::testing::ElementsAreArray(GetParam().rules));
}
INSTANTIATE_TEST_SUITE_P(
    Target, SharpnessTest,
    ::testing::Values(
        Open{"executorch-xnnpack",
             {"concat float", "concat onnxruntime", "concat pytorch", "concat tflite", "mul float", "mul pytorch"}},
        Open{"onnxruntime", {"concat float", "concat pytorch"}}, Open{"pytorch-fbgemm", {"mean xnnpack"}},
        Open{"pytorch-qnnpack", {"add tflite", "mean onnxruntime"}},
        Open{"tflite-reference", {"concat float", "concat onnxruntime", "concat pytorch"}},
        Open{"tflite-ruy", {"concat float", "concat onnxruntime", "concat pytorch"}},
        Open{"tflite-xnnpack", {"concat copy", "concat float", "concat onnxruntime", "concat pytorch"}},
        Open{"tflite-int16x8",
             {"concat copy", "concat float", "concat onnxruntime", "concat pytorch", "mean tflite_vector"}},
        Open{"tflite-micro", {"add qnnpack", "concat float", "concat onnxruntime", "concat pytorch", "concat tflite"}}),
    [](const auto& test) {
      std::string name = test.param.target;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

numerics::QuantParams Grid(double scale, std::int64_t zero_point) {
  return {.scales = {scale}, .zero_points = {zero_point}, .quant_min = -128, .quant_max = 127};
}

graph::Tensor Codes(graph::Shape shape, const std::vector<std::int32_t>& values) {
  return graph::Tensor::Of<std::int32_t>(std::move(shape), values);
}

Case Operator(CaseOp op, std::vector<graph::Tensor> inputs, graph::Shape output) {
  Case layer;
  layer.op = op;
  layer.inputs.assign(inputs.size(), Grid(1, 0));
  layer.output = Grid(1, 0);
  layer.input_codes = std::move(inputs);
  layer.output_codes = graph::Tensor(graph::DType::kInt32, std::move(output));
  return layer;
}

std::vector<std::int32_t> Computed(const Case& layer, const char* target = "generic-int32") {
  const absl::StatusOr<graph::Tensor> codes = ComputeOperator(numerics::FindTarget(target).value(), layer);
  QATGAP_EXPECT_OK(codes);
  if (!codes.ok()) return {};
  const std::span<const std::int32_t> values = codes->data<std::int32_t>();
  return {values.begin(), values.end()};
}

TEST(BroadcastTest, OfBothInputs) {
  // A column of 2 and a row of 3.
  const Case layer = Operator(CaseOp::kAdd, {Codes({2, 1}, {10, 20}), Codes({1, 3}, {1, 2, 3})}, {2, 3});
  EXPECT_THAT(Computed(layer), ElementsAre(11, 12, 13, 21, 22, 23));
  Case product = Operator(CaseOp::kMul, {Codes({1, 2, 1}, {2, -3}), Codes({2, 1, 1}, {4, 5})}, {2, 2, 1});
  EXPECT_THAT(Computed(product), ElementsAre(8, -12, 10, -15));
}

TEST(ActivationTest, ClampsAtTheZeroPointAndAtSix) {
  Case layer = Operator(CaseOp::kAdd, {Codes({4}, {-20, -3, 2, 40}), Codes({1}, {1})}, {4});
  layer.output = Grid(1, -10);
  EXPECT_THAT(Computed(layer), ElementsAre(-29, -12, -7, 31));
  layer.activation = numerics::Activation::kRelu;
  EXPECT_THAT(Computed(layer), ElementsAre(-10, -10, -7, 31));
  layer.activation = numerics::Activation::kRelu6;
  EXPECT_THAT(Computed(layer), ElementsAre(-10, -10, -7, -4));
}

TEST(ConcatTest, AlongAnInnerAxis) {
  Case layer = Operator(
      CaseOp::kConcat, {Codes({2, 1, 2}, {1, 2, 3, 4}), Codes({2, 2, 2}, {5, 6, 7, 8, 9, 10, 11, 12})}, {2, 3, 2});
  layer.axes = {1};
  layer.inputs[1] = Grid(2, 1);
  EXPECT_THAT(Computed(layer), ElementsAre(1, 2, 8, 10, 12, 14, 3, 4, 16, 18, 20, 22));
}

// 3 x 3, rows 1..9.
Case Pool(CaseOp op, std::vector<std::int64_t> kernel, std::vector<std::int64_t> stride, graph::Shape output) {
  Case layer = Operator(op, {Codes({1, 1, 3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9})}, std::move(output));
  layer.pool.kernel = std::move(kernel);
  layer.pool.stride = std::move(stride);
  layer.pool.padding = {0, 0};
  layer.pool.dilation = {1, 1};
  return layer;
}

TEST(PoolTest, PaddingBeforeAndBehind) {
  // 2 x 2 over one row above and one column behind: TFLite's asymmetric SAME.
  Case layer = Pool(CaseOp::kAveragePool, {2, 2}, {2, 2}, {1, 1, 2, 2});
  layer.pool.padding = {1, 0};
  layer.padding_end = {0, 1};
  // Windows: {1, 2}, {3}, {4, 5, 7, 8}, {6, 9}; divided by 4, or by the codes inside.
  EXPECT_THAT(Computed(layer), ElementsAre(1, 1, 6, 4));  // 0.75, 0.75, 6, 3.75
  layer.pool.count_include_pad = false;
  EXPECT_THAT(Computed(layer), ElementsAre(2, 3, 6, 8));  // 1.5, 3, 6, 7.5: half to even
  layer.op = CaseOp::kMaxPool;
  EXPECT_THAT(Computed(layer), ElementsAre(2, 3, 8, 9));
}

TEST(PoolTest, CeilingModeCountsNothingBehindThePadding) {
  // The second window of each axis starts at 2 and ends at 4, one behind the image, where there is no padding.
  Case layer = Pool(CaseOp::kAveragePool, {2, 2}, {2, 2}, {1, 1, 2, 2});
  layer.pool.ceil_mode = true;
  EXPECT_THAT(Computed(layer), ElementsAre(3, 4, 8, 9));  // 3, 4.5, 7.5, 9
}

TEST(PoolTest, DilationAndDivisor) {
  Case layer = Pool(CaseOp::kMaxPool, {2, 2}, {1, 1}, {1, 1, 1, 1});
  layer.pool.dilation = {2, 2};
  EXPECT_THAT(Computed(layer), ElementsAre(9));
  layer.op = CaseOp::kAveragePool;
  EXPECT_THAT(Computed(layer), ElementsAre(5));  // 1, 3, 7, 9
  layer.pool.divisor_override = 10;
  EXPECT_THAT(Computed(layer), ElementsAre(2));
}

TEST(PoolTest, MaxIsClampedByTheActivation) {
  Case layer = Pool(CaseOp::kMaxPool, {1, 3}, {1, 1}, {1, 1, 3, 1});
  layer.activation = numerics::Activation::kRelu6;
  EXPECT_THAT(Computed(layer), ElementsAre(3, 6, 6));
}

TEST(MeanTest, OverOneAndOverSeveralAxes) {
  Case layer = Operator(CaseOp::kMean, {Codes({2, 3, 2}, {1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 50, 60})}, {2, 1, 2});
  layer.axes = {1};
  EXPECT_THAT(Computed(layer), ElementsAre(3, 4, 30, 40));
  layer.axes = {0, 2};
  layer.output_codes = graph::Tensor(graph::DType::kInt32, {3});
  layer.keep_dims = false;
  EXPECT_THAT(Computed(layer), ElementsAre(8, 19, 30));  // 8.25, 19.25, 30.25
}

TEST(RefusalTest, IsAnErrorThatNamesTheValue) {
  Case layer = Operator(CaseOp::kAdd, {Codes({1}, {1}), Codes({1}, {1})}, {1});
  layer.inputs[1] = Grid(512, 0);
  const auto refused = ComputeOperator(numerics::FindTarget("tflite-xnnpack").value(), layer);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("second input's scale / output's is 512"));
  EXPECT_THAT(Computed(layer, "tflite-reference"), ElementsAre(127));
}

TEST(RefusalTest, ScalesThatLeaveBinary32) {
  for (const CaseOp op : {CaseOp::kAdd, CaseOp::kMul}) {
    Case layer = Operator(op, {Codes({1}, {0}), Codes({1}, {1})}, {1});
    layer.inputs = {Grid(1e300, 0), Grid(1e-300, 0)};
    for (const numerics::TargetDescription& target : numerics::ShippedTargets()) {
      EXPECT_EQ(ComputeOperator(target, layer).status().code(), absl::StatusCode::kFailedPrecondition) << target.name;
    }
  }
}

}  // namespace
}  // namespace qatgap::vectors
