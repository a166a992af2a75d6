#include <random>
#include <string>
#include <vector>

#include "analyzers/frontends/import.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/samples/array_files.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::frontends {
namespace {

using ::qatgap::testing::IsOkAndHolds;
using ::qatgap::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string Zip(const std::vector<std::string>& names) {
  std::vector<std::pair<std::string, std::string>> members;
  for (const std::string& name : names) members.emplace_back(name, "x");
  return samples::Npz(members);
}

// A field of a protobuf message: a number, or bytes of fewer than 128.
std::string Number(int field, int value) { return {static_cast<char>(field << 3), static_cast<char>(value)}; }
std::string Part(int field, const std::string& bytes) {
  return std::string{static_cast<char>(field << 3 | 2), static_cast<char>(bytes.size())} + bytes;
}
std::string OnnxBytes() {
  return Number(1, 8) + Part(2, "pytorch") + Part(7, Part(2, "main_graph")) + Part(8, Number(2, 17));
}

struct KnownCase {
  const char* name;
  std::string bytes;
  Format format;
};
class KnownFormat : public ::testing::TestWithParam<KnownCase> {};

// The ending of the name says nothing.
TEST_P(KnownFormat, IsTold) { EXPECT_THAT(FormatOf(GetParam().bytes, "model.bin"), IsOkAndHolds(GetParam().format)); }

std::vector<KnownCase> KnownCases() {
  return {
      {"TorchScript", Zip({"net/data.pkl", "net/code/__torch__/net.py", "net/constants.pkl", "net/data/0"}),
       Format::kTorchScript},
      {"TorchScriptWithoutCode", Zip({"net/data.pkl", "net/constants.pkl"}), Format::kTorchScript},
      {"ExportedProgram", Zip({"net/archive_format", "net/models/model.json", "net/data/weights/weight_0"}),
       Format::kExportedProgram},
      {"ExportedProgramWithoutRoot", Zip({"archive_format", "models/model.json"}), Format::kExportedProgram},
      {"Tflite", std::string("\x1c\0\0\0TFL3rest", 12), Format::kTflite},
      {"Onnx", OnnxBytes(), Format::kOnnx},
      {"OnnxWithFieldsInAnotherOrder", Part(7, "") + Number(1, 8) + Part(20, "f"), Format::kOnnx},
      {"OnnxCut", OnnxBytes().substr(0, 16), Format::kOnnx},
  };
}
INSTANTIATE_TEST_SUITE_P(Formats, KnownFormat, ::testing::ValuesIn(KnownCases()),
                         [](const auto& known) { return std::string(known.param.name); });

struct OtherCase {
  const char* name;
  std::string bytes;
  const char* message;
};
class OtherFile : public ::testing::TestWithParam<OtherCase> {};

TEST_P(OtherFile, IsNamedWithTheRemedy) {
  EXPECT_THAT(FormatOf(GetParam().bytes, "m.pt"),
              StatusIs(absl::StatusCode::kInvalidArgument, AllOf(HasSubstr("'m.pt' "), HasSubstr(GetParam().message))));
}

std::vector<OtherCase> OtherCases() {
  return {
      {"Empty", "", "is empty"},
      {"StateDict", Zip({"net/data.pkl", "net/data/0", "net/version"}), "state dict or pickled module of torch.save"},
      {"OldExport", Zip({"serialized_exported_program.json", "version"}), "older PyTorch"},
      {"AotInductor", Zip({"net/archive_format", "net/data/aotinductor/model/x.so"}), "AOTInductor"},
      {"ExportWithoutProgram", Zip({"net/archive_format", "net/data/weights/weight_0"}), "without a program"},
      {"Keras", Zip({"config.json", "model.weights.h5"}), "Keras"},
      {"Npz", Zip({"a.npy"}), "NumPy arrays"},
      {"Zip", Zip({"a.txt"}), "holds no model"},
      {"CutZip", Zip({"net/data.pkl", "net/code/a.py"}).substr(0, 60), "truncated or damaged"},
      {"OldTorchSave", std::string("\x80\x02\x8a\x0al\xfc", 6), "pickle, as torch.save wrote it"},
      {"Pickle", std::string("\x80\x04\x95", 3), "pickle"},
      {"Executorch", std::string("\x30\0\0\0ET12", 8), "ExecuTorch"},
      {"Ort", std::string("\x30\0\0\0ORTM", 8), "onnxruntime's own format"},
      {"Library",
       "\x7f"
       "ELF\x02\x01",
       "compiled library"},
      {"Hdf5", "\x89HDF\r\n\x1a\n", "HDF5"},
      {"Npy", "\x93NUMPY\x01", "NumPy array"},
      {"Gzip", "\x1f\x8b\x08", "gzip"},
      {"Safetensors", samples::RawSafetensors("{\"a\":1}", ""), ".safetensors file: weights without a graph"},
      {"SavedModel", Number(1, 1) + Part(2, Part(1, "x")), "SavedModel"},
      {"GraphDef", Part(1, "node") + Part(1, "node") + Part(4, ""), "TensorFlow graph"},
      {"LfsPointer", "version https://git-lfs.github.com/spec/v1\n", "git lfs pull"},
      {"Text", "import torch\n", "is a text file"},
      {"Garbage", std::string("\xfe\xff\0\1\2", 5), "torch.jit.save"},
  };
}
INSTANTIATE_TEST_SUITE_P(Files, OtherFile, ::testing::ValuesIn(OtherCases()),
                         [](const auto& other) { return std::string(other.param.name); });

// Any outcome but a crash.
TEST(FormatOfTest, MutatedFilesNeverCrash) {
  constexpr std::uint32_t kSeed = 20250301;
  SCOPED_TRACE(kSeed);
  std::mt19937 random(kSeed);
  const std::vector<std::string> files = {Zip({"net/data.pkl", "net/code/a.py", "net/models/m.json"}), OnnxBytes(),
                                          std::string("\x1c\0\0\0TFL3rest", 12)};
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = files[random() % files.size()];
    for (std::uint32_t flips = 1 + random() % 4; flips > 0; --flips)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    const auto format = FormatOf(bytes, "m.pt");
    if (!format.ok()) {
      ASSERT_THAT(format.status().message(), HasSubstr("'m.pt' "));
    }
  }
}

}  // namespace
}  // namespace qatgap::frontends
