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

TEST(MemoryTest, PeakOf8192SamplesIsThatOf512) {
  const Workspace workspace;
  const std::string samples = workspace.WriteFloats("many.npy", {kSamples, 1, 28, 28}, DemoImages());
  const auto peak = [&](std::int64_t count) {
    const nlohmann::json report = workspace.Report(
        {"--qat", TestFile("residual_eager_qnnpack_scripted/qat.pt"), "--converted",
         TestFile("residual_eager_qnnpack_scripted/converted.pt"), "--samples", samples, "--target", "pytorch-qnnpack",
         "--max-samples", std::to_string(count), "--quiet"});
    EXPECT_EQ(report["statistics"]["samples"], count);
    return report["analysis"]["runner_peak_bytes"].get<std::int64_t>();
  };
  const std::int64_t few = peak(kFew), many = peak(kSamples);
  RecordProperty("peak_bytes_512", std::to_string(few));
  RecordProperty("peak_bytes_8192", std::to_string(many));
  EXPECT_GT(few, 0);
  EXPECT_LE(many - few, kNoiseBytes) << few << " bytes for " << kFew << " samples, " << many << " for " << kSamples;
}

}  // namespace
}  // namespace qatgap::end_to_end
