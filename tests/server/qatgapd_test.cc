// The binary as its users start it.
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "qatgap/v1/target.grpc.pb.h"
#include "server/artifacts/unique_fd.h"
#include "tests/server/http/raw_http.h"
#include "tests/server/raw_call.h"
#include "tests/server/temporary_directory.h"

namespace qatgap::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Runs a command to its end; its output.
std::string Output(const std::string& command, int* exit_code) {
  std::string text;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  std::array<char, 4096> buffer{};
  std::size_t count = 0;
  while ((count = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0) text.append(buffer.data(), count);
  *exit_code = WEXITSTATUS(::pclose(pipe));
  return text;
}

const std::string kBinary = QATGAP_BIN_DIR "/qatgapd";

class QatgapdTest : public ::testing::Test {
 protected:
  // Starts it and waits until the status file is there, which comes by a rename.
  void StartDaemon(std::vector<std::string> arguments) {
    const UniqueFd watch(::inotify_init1(IN_CLOEXEC));
    ::inotify_add_watch(watch.get(), directory.path().c_str(), IN_MOVED_TO);
    arguments.insert(arguments.begin(), kBinary);
    arguments.push_back("--status-file=" + directory.path() + "/status.json");
    arguments.push_back("--data-dir=" + directory.path() + "/data");
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    ASSERT_EQ(::posix_spawn(&pid, kBinary.c_str(), nullptr, nullptr, pointers.data(), environ), 0);
    pollfd polled{watch.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&polled, 1, /*milliseconds=*/30000), 1) << "no status file";
    std::ifstream(directory.path() + "/status.json") >> status;
  }
  int StopDaemon(int signal) {
    ::kill(pid, signal);
    int wait_status = 0;
    ::waitpid(pid, &wait_status, 0);
    pid = -1;
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -WTERMSIG(wait_status);
  }
  void TearDown() override {
    if (pid > 0) StopDaemon(SIGKILL);
  }

  TemporaryDirectory directory;
  pid_t pid = -1;
  nlohmann::json status;
};

TEST_F(QatgapdTest, ServesAtTheAddressesOfItsStatusFileUntilSigterm) {
  StartDaemon({"--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0", "--http-listen=127.0.0.1:0", "--log-level=off"});
  const auto channel =
      grpc::CreateChannel(status["address"].get<std::string>(), grpc::InsecureChannelCredentials());
  grpc::ClientContext context;
  v1::ListTargetsResponse response;
  EXPECT_TRUE(v1::TargetService::NewStub(channel)->ListTargets(&context, {}, &response).ok());
  EXPECT_GE(response.targets_size(), 5);
  EXPECT_THAT(Scrape(status["metrics"].get<std::string>()), HasSubstr("qatgap_build_info"));
  EXPECT_THAT(Exchange(status["http"].get<std::string>(), Request("GET /")), HasSubstr("<main"));
  EXPECT_EQ(StopDaemon(SIGTERM), 0);
}

TEST_F(QatgapdTest, UnixSocketWithoutMetrics) {
  const std::string address = "unix:" + directory.path() + "/q.sock";
  StartDaemon({"--listen=" + address, "--no-metrics", "--no-http", "--exit-with-parent", "--log-level=off"});
  EXPECT_EQ(status["address"], address);
  EXPECT_EQ(status["metrics"], "");
  EXPECT_EQ(status["http"], "");
  const auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  grpc::ClientContext context;
  v1::ListTargetsResponse response;
  EXPECT_TRUE(v1::TargetService::NewStub(channel)->ListTargets(&context, {}, &response).ok());
  EXPECT_EQ(StopDaemon(SIGINT), 0);
}

TEST_F(QatgapdTest, RefusesToBeReachableWithoutTls) {
  int code = 0;
  EXPECT_THAT(Output(kBinary + " --no-metrics --no-http --listen 0.0.0.0:0 --data-dir " + directory.path() + "/d", &code),
              HasSubstr("TLS"));
  EXPECT_EQ(code, 1);
}

TEST_F(QatgapdTest, LinksNoLibTorch) {
  int code = 0;
  const std::string libraries = Output("ldd " + kBinary, &code);
  ASSERT_EQ(code, 0);
  EXPECT_THAT(libraries, HasSubstr("libgrpc++"));
  EXPECT_THAT(libraries, Not(HasSubstr("torch")));
  EXPECT_THAT(libraries, Not(HasSubstr("libc10")));
}

}  // namespace
}  // namespace qatgap::server
