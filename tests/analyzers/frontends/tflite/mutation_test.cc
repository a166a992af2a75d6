// Damaged files: never a crash, and what is imported verifies (Import verifies the graph, and INTERNAL would be our
// fault).
#include <random>

#include "analyzers/frontends/tflite/tflite_frontend.h"
#include "gtest/gtest.h"
#include "tests/analyzers/frontends/tflite/model_files.h"

namespace qatgap::frontends::tflite {
namespace {

constexpr std::uint32_t kSeed = 20260715;

class Mutations : public ::testing::TestWithParam<std::string> {};

void Take(const std::string& bytes, int& imported, int& refused) {
  const absl::StatusOr<Model> model = Import(bytes, "damaged.tflite");
  if (model.ok()) {
    ++imported;
    return;
  }
  ++refused;
  EXPECT_NE(model.status().code(), absl::StatusCode::kInternal) << model.status();
  EXPECT_FALSE(model.status().message().empty());
}

TEST_P(Mutations, FlippedBytesAreImportedOrRefused) {
  SCOPED_TRACE(kSeed);
  const std::string original = testing::FileBytes(GetParam() + "/model.tflite");
  std::mt19937 random(kSeed);
  int imported = 0, refused = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string bytes = original;
    const int flips = 1 + static_cast<int>(random() % 4);
    for (int i = 0; i < flips; ++i) {
      // Half of them set a byte to an end of its range, where indices and sizes break.
      const std::size_t at = random() % bytes.size();
      bytes[at] = static_cast<char>(random() % 2 == 0 ? random() % 256 : (random() % 2 == 0 ? 0xFF : 0x7F));
    }
    Take(bytes, imported, refused);
  }
  EXPECT_GT(imported, 0) << "mutations of weights leave a model";
  EXPECT_GT(refused, 0);
}

TEST_P(Mutations, TruncatedFilesAreImportedOrRefused) {
  const std::string original = testing::FileBytes(GetParam() + "/model.tflite");
  int imported = 0, refused = 0;
  for (std::size_t size = 0; size < original.size(); size += 1 + size / 40)
    Take(original.substr(0, size), imported, refused);
  EXPECT_GT(refused, 100);
}

INSTANTIATE_TEST_SUITE_P(Models, Mutations,
                         ::testing::Values("convolutions_int8", "transposed", "residual", "operators", "tokens",
                                           "litert_pt2e", "half"),
                         [](const auto& param) { return param.param; });

}  // namespace
}  // namespace qatgap::frontends::tflite
