// Debian's ONNX messages, ours, and LibTorch's own copies of both ONNX and protobuf, in one process as in the runner.
#include <google/protobuf/descriptor.h>

#include "analyzers/frontends/onnx/onnx_frontend.h"
#include "gtest/gtest.h"
#include "qatgap/v1/analysis.pb.h"
#include "tests/analyzers/frontends/onnx/case_files.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::frontends::onnx {
namespace {

TEST(OnnxMessages, StandBesideOursAndLibTorchs) {
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  ASSERT_NE(pool->FindMessageTypeByName("qatgap.v1.Verdict"), nullptr);
  ASSERT_NE(pool->FindMessageTypeByName("onnx.ModelProto"), nullptr);
  const auto model = Import(FileBytes("qat_traced_13.onnx"), "m");
  QATGAP_ASSERT_OK(model);
  const BatchResult run = RunFakeQuant(model->graph, Array("input.npy"));  // through LibTorch
  EXPECT_EQ(run.outputs.size(), 1U);
  v1::Verdict verdict;
  ASSERT_TRUE(verdict.ParseFromString(v1::Verdict().SerializeAsString()));
}

}  // namespace
}  // namespace qatgap::frontends::onnx
