// Input that cannot be analysed, end to end: exit code 2, a message of what, value and remedy, a server that goes on.
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/end_to_end/workspace.h"

namespace qatgap::end_to_end {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kNet[] = "residual_eager_qnnpack_scripted";

struct Files {
  std::string qat = TestFile(std::string(kNet) + "/qat.pt");
  std::string converted = {};
  std::string samples = TestFile("samples/images_64.npy");
  std::string labels = {};
  std::string target = "pytorch-qnnpack";
};

class BadInputTest : public ::testing::Test {
 protected:
  CommandResult Analyze(const Files& files) {
    std::vector<std::string> arguments = {"analyze",  "--qat", files.qat,    "--samples", files.samples,
                                          "--target", files.target, "--max-samples", "64", "--server",
                                          daemon_.address()};
    if (!files.converted.empty()) arguments.insert(arguments.end(), {"--converted", files.converted});
    if (!files.labels.empty()) arguments.insert(arguments.end(), {"--labels", files.labels});
    return workspace_.Qatgap(arguments);
  }

  // Exit code 2, the words, no path of the server, no exception text; and the server goes on.
  void ExpectRefused(const Files& files, const std::vector<std::string>& words) {
    const CommandResult result = Analyze(files);
    EXPECT_EQ(result.exit_code, 2) << result.errors;
    EXPECT_THAT(result.errors, HasSubstr("error: "));
    for (const std::string& word : words) EXPECT_THAT(result.errors, HasSubstr(word));
    EXPECT_THAT(result.errors, AllOf(Not(HasSubstr(workspace_.Path("data"))), Not(HasSubstr("Exception raised from")),
                                     Not(HasSubstr("terminate"))));
    EXPECT_EQ(workspace_.Qatgap({"target", "show", "pytorch-qnnpack", "--server", daemon_.address()}).exit_code, 0);
  }

  Workspace workspace_;
  Daemon daemon_{workspace_, {}};
};

TEST_F(BadInputTest, GarbageAsModel) {
  ExpectRefused({.qat = workspace_.Write("garbage.pt", std::string(5000, 'x'))}, {"'garbage.pt'", "torch.jit.save"});
}

TEST_F(BadInputTest, ATruncatedModel) {
  const std::string whole = ReadFile(TestFile(std::string(kNet) + "/qat.pt"));
  ExpectRefused({.qat = workspace_.Write("half.pt", whole.substr(0, whole.size() / 2))}, {"'half.pt'"});
}

TEST_F(BadInputTest, TheConvertedModelAsQatModel) {
  ExpectRefused({.qat = TestFile(std::string(kNet) + "/converted.pt")},
                {"'converted.pt' was given as the QAT model but is a converted one", "before convert()"});
}

TEST_F(BadInputTest, TheQatModelAsConvertedModel) {
  ExpectRefused({.converted = TestFile(std::string(kNet) + "/qat.pt")},
                {"'qat.pt' was given as the converted model but still has fake-quants", "convert()"});
}

TEST_F(BadInputTest, ModelsOfTwoNets) {
  ExpectRefused({.converted = TestFile("branching_eager_qnnpack_scripted/converted.pt")}, {"pair"});
}

TEST_F(BadInputTest, TruncatedSamples) {
  const std::string whole = ReadFile(TestFile("samples/images_64.npy"));
  ExpectRefused({.samples = workspace_.Write("cut.npy", whole.substr(0, whole.size() - 100))},
                {"cut.npy", "truncated"});
}

TEST_F(BadInputTest, LabelsOfTheWrongLength) {
  ExpectRefused({.labels = TestFile("samples/labels_512.npy")}, {"512 labels for 64 samples", "one a sample"});
}

TEST_F(BadInputTest, LabelsThatAreNoIntegers) {
  ExpectRefused({.labels = workspace_.WriteFloats("l.npy", {64}, {1.0F})}, {"float32", "integers"});
}

TEST_F(BadInputTest, NanInSamples) {
  std::vector<float> images = DemoImages();
  images[3 * 784 + 5] = std::numeric_limits<float>::quiet_NaN();
  ExpectRefused({.samples = workspace_.WriteFloats("nan.npy", {64, 1, 28, 28}, images)}, {"nan.npy", "NaN", "sample 3, element 5", "remove"});
}

TEST_F(BadInputTest, EmptySamples) {
  ExpectRefused({.samples = workspace_.WriteFloats("empty.npy", {0, 1, 28, 28}, {0.0F})}, {"empty.npy", "no samples"});
}

TEST_F(BadInputTest, SamplesOfTheWrongShape) {
  ExpectRefused({.samples = workspace_.WriteFloats("rgb.npy", {8, 3, 28, 28}, {0.5F})}, {"rgb.npy", "[8, 3, 28, 28]"});
}

TEST_F(BadInputTest, SamplesOfTheWrongRank) {
  ExpectRefused({.samples = workspace_.WriteFloats("flat.npy", {8, 784}, {0.5F})}, {"flat.npy", "[8, 784]"});
}

TEST_F(BadInputTest, AnUnknownTargetNamesTheNearest) {
  ExpectRefused({.target = "pytorch-qnnpak"}, {"pytorch-qnnpak", "pytorch-qnnpack"});
}

}  // namespace
}  // namespace qatgap::end_to_end
