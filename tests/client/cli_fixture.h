// The command line in this process, against the services in memory.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "client/cli.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/fake_service.h"

namespace qatgap::cli {

class CliTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ::unsetenv("QATGAP_SERVER");
    std::string pattern = ::testing::TempDir() + "/cli_test.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    Write("model_qat.pt", "qat");
    Write("calib.npy", "samples");
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  void Write(const std::string& name, const std::string& bytes) {
    std::ofstream(Path(name)) << bytes;
  }
  std::string Read(const std::string& name) const {
    std::ifstream file(Path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }

  int Run(const std::vector<std::string>& arguments) {
    out_.str("");
    err_.str("");
    Environment environment;
    environment.out = {&out_, false, false, 100};
    environment.err = {&err_, false, false, 100};
    environment.cancellation = &cancellation_;
    environment.qatgapd = qatgapd_;
    return RunCli(arguments, environment);
  }

  std::vector<std::string> Analyze(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"analyze",   "--qat",           Path("model_qat.pt"),
                                          "--samples", Path("calib.npy"), "--target",
                                          "alpha",     "--server",        fake_.address()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  testing::FakeService fake_;
  client::Cancellation cancellation_;
  std::string directory_;
  std::string qatgapd_ = "/nonexistent/qatgapd";
  std::ostringstream out_;
  std::ostringstream err_;
};

}  // namespace qatgap::cli
