#include "analyzers/execution/square_roots.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/sqrt.h>

#include <cmath>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/demo_models.h"

namespace qatgap::execution {
namespace {

// In chunks of every size, since vector code treats the end of an array on its own.
TEST(SquareRootsTest, AreLibTorchsAndWithinOneStepOfTheExactOnes) {
  testing::UseOneThreadOnce();
  std::mt19937 random(5);
  std::uniform_real_distribution<float> reals(1e-6F, 10.0F);
  for (std::size_t size = 0; size < 70; ++size) {
    std::vector<float> values(size);
    for (float& value : values) value = reals(random);
    std::vector<float> roots = values;
    ReplaceBySquareRoots(roots);
    const at::Tensor expected = at::from_blob(values.data(), {static_cast<std::int64_t>(size)}, at::kFloat).sqrt();
    for (std::size_t i = 0; i < size; ++i) {
      EXPECT_EQ(roots[i], expected.const_data_ptr<float>()[i]);
      const float exact = std::sqrt(values[i]);
      EXPECT_LE(std::nextafter(exact, 0.0F), roots[i]);
      EXPECT_GE(std::nextafter(exact, 100.0F), roots[i]);
    }
  }
}

}  // namespace
}  // namespace qatgap::execution
