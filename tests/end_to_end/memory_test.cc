// Memory does not grow with the number of samples.
#include <algorithm>
#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "tests/end_to_end/workspace.h"

namespace qatgap::end_to_end {
namespace {

constexpr std::int64_t kSamples = 8192;
constexpr std::int64_t kFew = 512;
// Samples are read a batch at a time and differences are added to sums of a fixed size, so both runs allocate the same
// shapes and should differ by the allocator's noise alone. The additional samples are 7,680 * 28 * 28 * 4 = 24,084,480
// bytes of file: a third of it is far above noise, and far below what a reader that keeps them would show.
// Measured: 179,732,480 and 182,054,912 bytes.
constexpr std::int64_t kNoiseBytes = (kSamples - kFew) * 28 * 28 * 4 / 3;

// A .safetensors file of one array: the same floats as a .npy file behind another header.
std::string WriteSafetensors(const Workspace& workspace) {
  const std::string npy = ReadFile(workspace.WriteFloats("many.npy", {kSamples, 1, 28, 28}, DemoImages()));
  const std::string data = npy.substr(npy.size() - kSamples * 28 * 28 * 4);
  const std::string header = "{\"images\":{\"dtype\":\"F32\",\"shape\":[8192,1,28,28],\"data_offsets\":[0," +
                             std::to_string(data.size()) + "]}}";
  std::string size(8, '\0');
  for (unsigned i = 0; i < 8; ++i) size[i] = static_cast<char>(header.size() >> (8 * i));
  return workspace.Write("many.safetensors", size + header + data);
}

void ExpectAsMuchFor8192As512(const Workspace& workspace, const std::string& samples) {
  const auto peak = [&](std::int64_t count) {
    const nlohmann::json report = workspace.Report(
        {"--qat", TestFile("residual_eager_qnnpack_scripted/qat.pt"), "--converted",
         TestFile("residual_eager_qnnpack_scripted/converted.pt"), "--samples", samples, "--target", "pytorch-qnnpack",
         "--max-samples", std::to_string(count), "--quiet"});
    EXPECT_EQ(report["statistics"]["samples"], count);
    return report["analysis"]["runner_peak_bytes"].get<std::int64_t>();
  };
  const std::int64_t few = peak(kFew), many = peak(kSamples);
  ::testing::Test::RecordProperty("peak_bytes_512", std::to_string(few));
  ::testing::Test::RecordProperty("peak_bytes_8192", std::to_string(many));
  EXPECT_GT(few, 0);
  EXPECT_LE(many - few, kNoiseBytes) << few << " bytes for " << kFew << " samples, " << many << " for " << kSamples;
}

TEST(MemoryTest, PeakOf8192SamplesIsThatOf512) {
  const Workspace workspace;
  ExpectAsMuchFor8192As512(workspace, workspace.WriteFloats("many.npy", {kSamples, 1, 28, 28}, DemoImages()));
}

TEST(MemoryTest, PeakOf8192SamplesOfASafetensorsFileIsThatOf512) {
  const Workspace workspace;
  ExpectAsMuchFor8192As512(workspace, WriteSafetensors(workspace));
}

}  // namespace
}  // namespace qatgap::end_to_end
