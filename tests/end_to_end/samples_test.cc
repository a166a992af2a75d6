// Samples in every form, end to end: the same numbers in another file are the same report; what does not fit is named.
#include <bit>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/samples/array_files.h"
#include "tests/end_to_end/workspace.h"

namespace qatgap::end_to_end {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::int64_t kImages = 8;
constexpr std::size_t kPixels = 28 * 28;

std::string Qat() { return TestFile("residual_eager_qnnpack_scripted/qat.pt"); }
std::string Converted() { return TestFile("residual_eager_qnnpack_scripted/converted.pt"); }
std::string Case(const std::string& name) { return TestFile(std::string("../end_to_end/cases/").append(name)); }

// The value of --samples.
std::string Of(const std::string& input, const std::string& path) {
  return std::string(input).append("=").append(path);
}

template <typename T>
std::string NpyOf(const std::string& descriptor, const std::string& shape, const std::vector<T>& values) {
  return samples::Npy(samples::Header(descriptor, shape), samples::Bytes(values));
}

class SamplesTest : public ::testing::Test {
 protected:
  // Bytes of everything that was measured.
  std::string Statistics(const std::vector<std::string>& arguments) {
    const json report = ReportOf(arguments);
    return report.is_null() ? "" : report["statistics"].dump();
  }
  json ReportOf(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--target", "pytorch-qnnpack", "--quiet", "--batch-size", "4"});
    return workspace_.Report(std::move(arguments));
  }
  std::string OfImages(const std::vector<std::string>& arguments) {
    std::vector<std::string> all = {"--qat", Qat()};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return Statistics(all);
  }
  std::string OfTwoInputs(const std::vector<std::string>& arguments) {
    std::vector<std::string> all = {"--qat", Case("two_inputs_qat.pt"), "--converted", Case("two_inputs_converted.pt")};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return Statistics(all);
  }
  // Exit code 2 and the words; no path of the server.
  void ExpectRefused(std::vector<std::string> arguments, const std::vector<std::string>& words) {
    arguments.insert(arguments.begin(), "analyze");
    arguments.insert(arguments.end(), {"--target", "pytorch-qnnpack", "--quiet"});
    const CommandResult result = workspace_.Qatgap(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.errors;
    for (const std::string& word : words) EXPECT_THAT(result.errors, HasSubstr(word));
    EXPECT_THAT(result.errors, AllOf(Not(HasSubstr("blobs/")), Not(HasSubstr("Exception raised from"))));
  }

  std::vector<float> Images() const {
    std::vector<float> images = DemoImages();
    images.resize(kImages * kPixels);
    return images;
  }
  std::string ImagesNpy() { return NpyOf("<f4", "(8, 1, 28, 28)", Images()); }
  std::string Baseline() { return OfImages({"--samples", workspace_.Write("images.npy", ImagesNpy())}); }

  Workspace workspace_;
};

TEST_F(SamplesTest, EveryFormOfTheSameFloatsIsTheSameReport) {
  const std::string expected = Baseline();
  ASSERT_NE(expected, "");
  const std::string data = samples::Bytes(Images());
  EXPECT_EQ(
      OfImages({"--samples", workspace_.Write("a.safetensors",
                                              samples::Safetensors(
                                                  {samples::Entry("x", "F32", "[8,1,28,28]", 0, data.size())}, data))}),
      expected);
  EXPECT_EQ(OfImages({"--samples", workspace_.Write("a.npz", samples::Npz({{"x.npy", ImagesNpy()}},
                                                                          samples::Compression::kDeflated))}),
            expected);
  EXPECT_EQ(OfImages({"--samples", Of("x", workspace_.Path("images.npy"))}), expected);
  const std::string folder = workspace_.Path("calib");
  std::filesystem::create_directory(folder);
  for (std::size_t i = 0; i < kImages; ++i) {
    const std::vector<float> images = Images();
    const auto begin = images.begin() + static_cast<std::ptrdiff_t>(i * kPixels);
    workspace_.Write(std::string("calib/image").append(std::to_string(i)).append(".npy"),
                     NpyOf("<f4", "(1, 28, 28)", std::vector<float>(begin, begin + kPixels)));
  }
  EXPECT_EQ(OfImages({"--samples", folder}), expected);
  // Each of two units skips what the other reads.
  EXPECT_EQ(OfImages({"--samples", folder, "--parallel", "2"}), expected);
}

// Multiples of 1/64 up to 1 are float16 exactly.
TEST_F(SamplesTest, HalvesAreTheirFloats) {
  std::vector<float> floats;
  std::vector<std::uint16_t> halves;
  for (std::size_t i = 0; i < 4 * kPixels; ++i) {
    const auto steps = static_cast<unsigned>(i * 7 % 65);
    floats.push_back(static_cast<float>(steps) / 64);
    const auto exponent = static_cast<unsigned>(std::bit_width(steps));
    // 1.f * 2^(exponent - 1 - 6): biased by 15, the bit in front of the fraction dropped.
    halves.push_back(steps == 0
                         ? std::uint16_t{0}
                         : static_cast<std::uint16_t>(((exponent + 8) << 10U) + ((steps << (11 - exponent)) & 0x3FFU)));
  }
  EXPECT_EQ(OfImages({"--samples", workspace_.Write("h.npy", NpyOf("<f2", "(4, 1, 28, 28)", halves))}),
            OfImages({"--samples", workspace_.Write("f.npy", NpyOf("<f4", "(4, 1, 28, 28)", floats))}));
}

TEST_F(SamplesTest, Uint8WithANormalisationIsTheSameFloats) {
  std::vector<std::uint8_t> bytes;
  std::vector<float> floats;
  const float scale = 1.0F / 255.0F, mean = 0.2860F, deviation = 0.3530F;
  for (std::size_t i = 0; i < 4 * kPixels; ++i) {
    bytes.push_back(static_cast<std::uint8_t>(i * 31));
    const float scaled = static_cast<float>(bytes.back()) * scale;
    const float centred = scaled - mean;
    floats.push_back(centred / deviation);
  }
  const std::string images = workspace_.Write("u.npy", NpyOf("|u1", "(4, 1, 28, 28)", bytes));
  const std::string normalized = OfImages({"--samples", images, "--normalize", "mean=0.2860,std=0.3530,scale=1/255"});
  EXPECT_EQ(normalized, OfImages({"--samples", workspace_.Write("f.npy", NpyOf("<f4", "(4, 1, 28, 28)", floats))}));
  const json report = ReportOf({"--qat", Qat(), "--samples", images, "--normalize", "scale=1/255"});
  EXPECT_EQ(report["inputs"]["normalizations"].size(), 1U);
}

TEST_F(SamplesTest, SeveralInputsByNameInAnyForm) {
  std::vector<float> image, hint;
  for (int i = 0; i < 6 * 3 * 36; ++i) image.push_back(static_cast<float>(i % 17 - 8) / 4);
  for (int i = 0; i < 6 * 5; ++i) hint.push_back(static_cast<float>(i % 7 - 3) / 2);
  const std::string image_npy = NpyOf("<f4", "(6, 3, 6, 6)", image), hint_npy = NpyOf("<f4", "(6, 5)", hint);
  const std::string image_file = workspace_.Write("i.npy", image_npy), hint_file = workspace_.Write("h.npy", hint_npy);
  const std::string expected = OfTwoInputs({"--samples", Of("image", image_file), "--samples", Of("hint", hint_file)});
  ASSERT_NE(expected, "");
  EXPECT_EQ(OfTwoInputs({"--samples", Of("hint", hint_file), "--samples", Of("image", image_file)}), expected);
  EXPECT_EQ(
      OfTwoInputs({"--samples",
                   workspace_.Write("both.npz", samples::Npz({{"hint.npy", hint_npy}, {"image.npy", image_npy}}))}),
      expected);
  const std::string a = samples::Bytes(image), b = samples::Bytes(hint);
  EXPECT_EQ(OfTwoInputs({"--samples",
                         workspace_.Write("both.safetensors",
                                          samples::Safetensors(
                                              {samples::Entry("hint", "F32", "[6,5]", a.size(), a.size() + b.size()),
                                               samples::Entry("image", "F32", "[6,3,6,6]", 0, a.size())},
                                              a + b))}),
            expected);
  std::filesystem::create_directory(workspace_.Path("inputs"));
  workspace_.Write("inputs/image.npy", image_npy);
  workspace_.Write("inputs/hint.npy", hint_npy);
  EXPECT_EQ(OfTwoInputs({"--samples", workspace_.Path("inputs"), "--parallel", "2"}), expected);
}

TEST_F(SamplesTest, InputsThatDoNotFitAreNamed) {
  const std::vector<std::string> models = {"--qat", Case("two_inputs_qat.pt")};
  const auto refused = [&](const std::vector<std::string>& arguments, const std::vector<std::string>& words) {
    std::vector<std::string> all = models;
    all.insert(all.end(), arguments.begin(), arguments.end());
    ExpectRefused(all, words);
  };
  const std::string image = NpyOf("<f4", "(2, 3, 6, 6)", std::vector<float>(2 * 3 * 36)),
                    hint = NpyOf("<f4", "(2, 5)", std::vector<float>(10)),
                    three = NpyOf("<f4", "(3, 5)", std::vector<float>(15));
  const std::string image_file = workspace_.Write("i.npy", image), hint_file = workspace_.Write("h.npy", hint);
  refused({"--samples", image_file}, {"'i.npy' does not say which of the model's inputs 'image', 'hint'"});
  refused({"--samples", Of("image", image_file)}, {"no samples for 'hint'"});
  refused({"--samples", Of("image", image_file), "--samples", Of("mask", hint_file)}, {"'h.npy' is given for 'mask'"});
  refused({"--samples",
           workspace_.Write("e.npz", samples::Npz({{"image.npy", image}, {"hint.npy", hint}, {"mask.npy", hint}}))},
          {"array 'mask' of 'e.npz' is none of the model's inputs"});
  refused({"--samples", Of("image", image_file), "--samples", Of("hint", workspace_.Write("t.npy", three))},
          {"i.npy has 2 samples, t.npy has 3"});
  refused({"--samples", Of("image", image_file), "--samples", Of("hint", image_file)},
          {"i.npy", "[2, 3, 6, 6], [2, 3, 6, 6]"});
  refused({"--samples", Of("image", image_file), "--samples", Of("hint", hint_file), "--normalize", "scale=2"},
          {"does not say which of the model's inputs 'image', 'hint'", "--normalize INPUT:"});
  refused({"--samples", Of("image", image_file), "--samples",
           Of("hint", workspace_.Write("n.npy", NpyOf("<i8", "(2, 5)", std::vector<std::int64_t>(10))))},
          {"int64", "float32"});
}

TEST_F(SamplesTest, FilesThatDoNotFitAreNamed) {
  const auto refused = [&](const std::string& name, const std::string& bytes, const std::vector<std::string>& words) {
    ExpectRefused({"--qat", Qat(), "--samples", workspace_.Write(name, bytes)}, words);
  };
  const std::string data = samples::Bytes(Images());
  const std::string whole = samples::Safetensors({samples::Entry("x", "F32", "[8,1,28,28]", 0, data.size())}, data);
  refused("cut.safetensors", whole.substr(0, whole.size() - 9),
          {"cut.safetensors (array x)", "truncated", "copy or save it again"});
  refused("head.safetensors", whole.substr(0, 30), {"head.safetensors ends inside its header"});
  std::vector<float> images = Images();
  images[5 * kPixels + 3] = std::numeric_limits<float>::quiet_NaN();
  refused("nan.safetensors",
          samples::Safetensors({samples::Entry("x", "F32", "[8,1,28,28]", 0, data.size())}, samples::Bytes(images)),
          {"nan.safetensors (array x) holds NaN or Inf at sample 5, element 3"});
  refused("d.npy", NpyOf("<f8", "(1, 1, 28, 28)", std::vector<double>(kPixels)),
          {"d.npy has dtype float64", ".astype(numpy.float32)"});
  refused("u.npy", NpyOf("|u1", "(1, 1, 28, 28)", std::vector<std::uint8_t>(kPixels)),
          {"u.npy has dtype uint8", "--normalize"});
  refused("i.npy", NpyOf("<i8", "(1, 1, 28, 28)", std::vector<std::int64_t>(kPixels)), {"i.npy", "int64", "float32"});
  refused("two.npz", samples::Npz({{"x.npy", ImagesNpy()}, {"y.npy", ImagesNpy()}}),
          {"'two.npz' holds 2 arrays (x, y)"});
  refused("rgb.safetensors",
          samples::Safetensors({samples::Entry("x", "F32", "[8,3,4,4]", 0, 1536)}, std::string(1536, '\0')),
          {"rgb.safetensors (array x)", "[8, 3, 4, 4]"});
}

TEST_F(SamplesTest, ArgumentsThatAreWrongAreToldBeforeAnythingIsSent) {
  const std::string images = workspace_.Write("images.npy", ImagesNpy());
  const auto normalize = [&](const std::string& value, const std::vector<std::string>& words) {
    ExpectRefused({"--qat", Qat(), "--samples", images, "--normalize", value}, words);
  };
  normalize("means=1", {"has no 'means', only mean, std, scale and axis"});
  normalize("mean=a", {"has 'mean=a' where a number belongs"});
  normalize("0.5", {"has '0.5' where a number belongs"});
  normalize("scale=1/0", {"where a number belongs"});
  normalize("mean=1,mean=2", {"has mean twice"});
  normalize("axis=0", {"axis that is not 1 to 7"});
  normalize("mean=1,2,std=1", {"images.npy has shape [8, 1, 28, 28]: 1 channels on axis 1, its normalisation has 2"});
  normalize("std=0", {"std must be a float32 other than 0"});
  ExpectRefused({"--qat", Qat(), "--samples", workspace_.Write("a.bin", "x")},
                {"not a .npy, .npz or .safetensors file"});
  std::filesystem::create_directory(workspace_.Path("empty"));
  ExpectRefused({"--qat", Qat(), "--samples", workspace_.Path("empty")}, {"holds no .npy file"});
  ExpectRefused({"--samples", images}, {"no model is given", "--qat FILE, --converted FILE or both"});
}

TEST_F(SamplesTest, TheConvertedModelAlone) {
  const json report = ReportOf({"--converted", Converted(), "--samples", workspace_.Write("images.npy", ImagesNpy())});
  ASSERT_FALSE(report.is_null());
  EXPECT_TRUE(report["inputs"]["qat_model"].is_null());
  EXPECT_EQ(report["inputs"]["converted_model"]["name"], "converted.pt");
  const json& statistics = report["statistics"];
  EXPECT_EQ(statistics["mac_layers"], 11);
  EXPECT_THAT(statistics["converted_format"].get<std::string>(), HasSubstr("TorchScript"));
  EXPECT_THAT(statistics["notes"].dump(), HasSubstr("converted"));
  // The twin has the converted model's own constants.
  for (const json& layer : statistics["targets"][0]["layers"]) EXPECT_EQ(layer["causes"]["conversion"]["changed"], 0);
  const CommandResult inspected = workspace_.Qatgap({"inspect", "--converted", Converted(), "--quiet"});
  EXPECT_EQ(inspected.exit_code, 0) << inspected.errors;
  EXPECT_THAT(inspected.output, HasSubstr("11 of 11 layers"));
}

}  // namespace
}  // namespace qatgap::end_to_end
