#include <cstdio>
#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/layering/include_rules.h"

namespace qatgap::layering {
namespace {

using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(LayeringTest, EveryIncludeOfTheTreeIsAllowed) {
  const std::vector<Include> includes = IncludesOfTree(QATGAP_SOURCE_DIR);
  std::set<std::string> files;
  for (const Include& include : includes) {
    files.insert(include.file);
    if (const auto violation = Violation(include)) ADD_FAILURE() << *violation;
  }
  EXPECT_GT(files.size(), 150U) << "the tree was not found";
}

struct Planted {
  const char* name;
  const char* file;
  const char* header;
};

class Forbidden : public ::testing::TestWithParam<Planted> {};

TEST_P(Forbidden, IsFound) {
  const auto violation = Violation({GetParam().file, GetParam().header});
  ASSERT_TRUE(violation.has_value());
  EXPECT_THAT(*violation, HasSubstr(GetParam().header));
}

constexpr Planted kForbidden[] = {
    {"NumericsToGraph", "analyzers/numerics/bias.cc", "analyzers/graph/graph.h"},
    {"NumericsToExecution", "analyzers/numerics/bias.cc", "analyzers/execution/host.h"},
    {"NumericsToReport", "analyzers/numerics/bias.h", "analyzers/report/report.h"},
    {"StatisticsToNumerics", "analyzers/statistics/difference_statistics.h", "analyzers/numerics/bias.h"},
    {"GraphToFrontend", "analyzers/graph/graph.cc", "analyzers/frontends/torchscript/torchscript_frontend.h"},
    {"ReportToFindings", "analyzers/report/report.h", "analyzers/findings/findings.h"},
    {"FindingsToAttribution", "analyzers/findings/findings.cc", "analyzers/attribution/ladder.h"},
    {"AnalyzersToServer", "analyzers/attribution/ladder.cc", "server/version.h"},
    {"TorchInAttribution", "analyzers/attribution/ladder.cc", "ATen/core/Tensor.h"},
    {"C10InGraph", "analyzers/graph/tensor.cc", "c10/core/QEngine.h"},
    {"TorchInTheServer", "server/main.cc", "torch/version.h"},
    {"TorchInTheRunner", "server/runner/main.cc", "torch/script.h"},
    {"FbgemmInNumerics", "analyzers/numerics/bias.cc", "fbgemm/Utils.h"},
    {"TorchInAPublicHeader", "analyzers/execution/graph_executor.h", "ATen/core/Tensor.h"},
    {"PrivateHeaderInAPublicHeader", "analyzers/execution/host.h", "analyzers/execution/torch_bridge.h"},
    {"PrivateHeaderElsewhere", "analyzers/attribution/ladder.cc", "analyzers/execution/torch_bridge.h"},
    {"PrivateHeaderInTheRunner", "server/runner/unit_of_work.cc", "analyzers/execution/torch_bridge.h"},
    {"ExecutorInTheFrontend", "analyzers/frontends/torchscript/evaluator.cc", "analyzers/execution/graph_executor.h"},
    {"ProtobufInAnalyzers", "analyzers/report/report.h", "google/protobuf/message.h"},
    {"OwnProtoInAnalyzers", "analyzers/report/json_writer.cc", "qatgap/v1/report.pb.h"},
    {"OnnxMessagesInGraph", "analyzers/graph/graph.cc", "onnx/onnx_pb.h"},
    {"OnnxMessagesInAnotherFrontend", "analyzers/frontends/torchscript/evaluator.cc", "onnx/onnx_pb.h"},
    {"OnnxMessagesInTheServer", "server/jobs/job.cc", "onnx/onnx_pb.h"},
    {"OnnxMessagesInAPublicHeader", "analyzers/frontends/onnx/onnx_frontend.h", "onnx/onnx_pb.h"},
    {"OtherProtobufInTheOnnxFrontend", "analyzers/frontends/onnx/importer.cc", "google/protobuf/util/json_util.h"},
    {"OwnProtoInTheOnnxFrontend", "analyzers/frontends/onnx/importer.cc", "qatgap/v1/report.pb.h"},
    {"TorchInTheOnnxFrontend", "analyzers/frontends/onnx/importer.cc", "ATen/core/Tensor.h"},
    {"GrpcInAnalyzers", "analyzers/execution/host.cc", "grpcpp/grpcpp.h"},
    {"DatabaseInAnalyzers", "analyzers/report/report.h", "sqlite3.h"},
    {"MetricsInAnalyzers", "analyzers/statistics/difference_statistics.cc", "prometheus/counter.h"},
    {"GraphInTheServer", "server/services/analysis_service.cc", "analyzers/graph/graph.h"},
    {"AttributionInTheServer", "server/jobs/job.cc", "analyzers/attribution/analysis_session.h"},
    {"RunnerInTheServer", "server/jobs/job.cc", "server/runner/unit_of_work.h"},
    {"GrpcInTheRunner", "server/runner/main.cc", "grpcpp/grpcpp.h"},
    {"ServicesInTheRunner", "server/runner/main.cc", "server/services/analysis_service.h"},
    {"AnalyzersInTheClient", "client/cli.cc", "analyzers/status/status_macros.h"},
    {"ServerInTheClient", "client/private_server.cc", "server/qatgap_server.h"},
    {"ClientInTheServer", "server/main.cc", "client/cli.h"},
    {"TestsInTheTree", "server/main.cc", "tests/testing/status_matchers.h"},
    {"RelativePath", "client/cli.cc", "../server/qatgap_server.h"},
    {"FolderWithoutARule", "analyzers/attic/thing.cc", "string"},
};

INSTANTIATE_TEST_SUITE_P(Arrows, Forbidden, ::testing::ValuesIn(kForbidden),
                         [](const auto& planted) { return std::string(planted.param.name); });

TEST(LayeringTest, TheOnnxFrontendReadsItsMessages) {
  EXPECT_EQ(Violation({"analyzers/frontends/onnx/importer.cc", "onnx/onnx_pb.h"}), std::nullopt);
}

TEST(LayeringTest, ReadsEverySpellingOfAnInclude) {
  EXPECT_THAT(IncludesOf("#include <a>\n  #  include \"b.h\"  // why\n// #include <no>\nint x;\n#define y\n#include\t<c.h>\n"),
              ElementsAre("a", "b.h", "c.h"));
}

// What a binary loads, as ldd lists it.
std::string Libraries(const std::string& binary) {
  const std::string command = "ldd '" QATGAP_BIN_DIR "/" + binary + "' 2>&1";
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "";
  std::string text;
  char buffer[4096];
  for (std::size_t got = 0; (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, got);
  return pclose(pipe) == 0 ? text : "ldd failed: " + text;
}

TEST(LinkingTest, ServerAndClientLoadNoLibTorch) {
  for (const char* binary : {"qatgapd", "qatgap"}) {
    const std::string libraries = Libraries(binary);
    EXPECT_THAT(libraries, HasSubstr("libc.so")) << binary;
    EXPECT_THAT(libraries, Not(ContainsRegex("libtorch|libc10|libfbgemm"))) << binary;
  }
}

TEST(LinkingTest, RunnerLoadsLibTorchAndNoGrpc) {
  const std::string libraries = Libraries("qatgap-runner");
  EXPECT_THAT(libraries, HasSubstr("libtorch_cpu"));
  EXPECT_THAT(libraries, Not(ContainsRegex("libgrpc|libsqlite|libprometheus")));
}

}  // namespace
}  // namespace qatgap::layering
