// Operators without weights: every golden case of every runtime, what the cases can and cannot tell apart, and the
// geometry on cases small enough to work out by hand.
#include "analyzers/vectors/operators.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
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
using ::testing::UnorderedElementsAre;

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
    if (std::all_of(relevant.begin(), relevant.end(), [&](const Case* layer) { return Mismatches(other, *layer) == 0; })) {
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

TEST(SharpnessTest, Print) {
  for (const char* name : {"onnxruntime", "pytorch-fbgemm", "pytorch-qnnpack", "tflite-reference", "tflite-ruy", "tflite-xnnpack", "tflite-int16x8", "tflite-micro"}) {
    std::cout << name << ":"; for (const auto& s : Reproducing(name)) std::cout << " [" << s << "]"; std::cout << "\n";
  }
}

}  // namespace
}  // namespace qatgap::vectors
