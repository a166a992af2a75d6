// The real program as a child process: signals, terminals, the private server's end.
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/fake_service.h"

namespace qatgap::cli {
namespace {

using ::testing::ElementsAre;
using testing::Ending;
using testing::FakeService;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Runs qatgap with its output and errors on one descriptor.
class Program {
 public:
  Program(const std::vector<std::string>& arguments, const std::vector<std::string>& variables,
          bool on_terminal) {
    int ends[2];
    if (on_terminal) {
      EXPECT_EQ(::openpty(&ends[0], &ends[1], nullptr, nullptr, nullptr), 0);
    } else {
      EXPECT_EQ(::pipe(ends), 0);
    }
    std::vector<std::string> words = {std::string(QATGAP_BIN_DIR) + "/qatgap"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    std::vector<std::string> environment = variables;
    environment.push_back("TERM=xterm");
    std::vector<char*> envp;
    for (std::string& variable : environment) envp.push_back(variable.data());
    envp.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(ends[1], STDOUT_FILENO);
      ::dup2(ends[1], STDERR_FILENO);
      ::close(ends[0]);
      ::close(ends[1]);
      ::execve(argv[0], argv.data(), envp.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    read_end_ = ends[0];
  }
  ~Program() { ::close(read_end_); }

  void Signal(int signal) { ::kill(pid_, signal); }

  // Reads until `text` has appeared.
  void ReadUntil(const std::string& text) {
    while (output_.find(text) == std::string::npos && ReadSome()) {
    }
  }

  // Reads to the end; the exit code, or minus the signal that ended it.
  int Wait() {
    while (ReadSome()) {
    }
    int status = 0;
    EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  const std::string& output() const { return output_; }

 private:
  bool ReadSome() {
    char block[4096];
    const ssize_t size = ::read(read_end_, block, sizeof block);
    if (size < 0 && errno == EINTR) return true;
    if (size <= 0) return false;
    output_.append(block, static_cast<std::size_t>(size));
    return true;
  }

  pid_t pid_ = -1;
  int read_end_ = -1;
  std::string output_;
};

class ProcessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/qatgap-test.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    std::ofstream(directory_ + "/qat.pt") << "qat";
    std::ofstream(directory_ + "/calib.npy") << "samples";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::vector<std::string> Analyze() const {
    return {"analyze",
            "--qat",
            directory_ + "/qat.pt",
            "--samples",
            directory_ + "/calib.npy",
            "--target",
            "alpha",
            "--server",
            fake_.address()};
  }
  std::vector<std::string> PrivateServers() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      if (entry.is_directory()) found.push_back(entry.path().string());
    }
    return found;
  }

  FakeService fake_;
  std::string directory_;
};

TEST_F(ProcessTest, InterruptingAnalyzeCancelsTheAnalysis) {
  for (const int signal : {SIGINT, SIGTERM}) {
    FakeService fake;
    fake.set_ending(Ending::kHangUntilCancelled);
    auto arguments = Analyze();
    arguments.back() = fake.address();
    Program program(arguments, {}, /*on_terminal=*/false);
    fake.AwaitWatcher();
    program.Signal(signal);
    EXPECT_EQ(program.Wait(), 130);
    EXPECT_THAT(fake.cancelled(), ElementsAre("a1"));
    EXPECT_THAT(program.output(), HasSubstr("interrupted: analysis a1 is cancelled\n"));
  }
}

TEST_F(ProcessTest, InterruptingWatchLeavesTheAnalysisAlone) {
  fake_.set_ending(Ending::kHangUntilCancelled);
  Program program({"watch", "a1", "--server", fake_.address()}, {}, /*on_terminal=*/false);
  fake_.AwaitWatcher();
  program.Signal(SIGINT);
  EXPECT_EQ(program.Wait(), 130);
  EXPECT_THAT(fake_.cancelled(), IsEmpty());
  EXPECT_THAT(program.output(), HasSubstr("interrupted: analysis a1 goes on\n"));
}

TEST_F(ProcessTest, InterruptingTheStartOfAPrivateServerLeavesNothing) {
  // Says that it runs, through the descriptor it is given, and never serves.
  const std::string fifo = directory_ + "/started";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const std::string script = directory_ + "/qatgapd";
  std::ofstream(script) << "#!/bin/sh\necho $$ > " << fifo << "\nexec cat " << fifo << "\n";
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  Program program({"target", "list"},
                  {"QATGAP_QATGAPD=" + script, "TMPDIR=" + directory_, "PATH=/usr/bin:/bin"},
                  /*on_terminal=*/false);
  pid_t server = 0;
  std::ifstream(fifo) >> server;
  ASSERT_GT(server, 0);
  EXPECT_FALSE(PrivateServers().empty());
  program.Signal(SIGINT);
  EXPECT_EQ(program.Wait(), 130);
  EXPECT_THAT(PrivateServers(), IsEmpty());
  EXPECT_EQ(::kill(server, 0), -1);
}

TEST_F(ProcessTest, APrivateServerEndsWithItsCall) {
  Program program(
      {"target", "show", "alpha"},
      {"QATGAP_QATGAPD=" + std::string(QATGAP_BIN_DIR) + "/fake_qatgapd", "TMPDIR=" + directory_},
      /*on_terminal=*/false);
  EXPECT_EQ(program.Wait(), 0);
  EXPECT_THAT(program.output(), HasSubstr("Title of alpha"));
  EXPECT_THAT(PrivateServers(), IsEmpty());
}

TEST_F(ProcessTest, ColoursAndABarOnATerminal) {
  Program program(Analyze(), {}, /*on_terminal=*/true);
  EXPECT_EQ(program.Wait(), 0);
  EXPECT_THAT(program.output(), HasSubstr("\x1b[1m"));
  EXPECT_THAT(program.output(), HasSubstr("[############------------]  50 %  50 of 100"));
}

TEST_F(ProcessTest, NoColoursWithNoColorOrADumbTerminal) {
  Program program(Analyze(), {"NO_COLOR=1"}, /*on_terminal=*/true);
  EXPECT_EQ(program.Wait(), 0);
  EXPECT_THAT(program.output(), HasSubstr("target alpha"));
  EXPECT_THAT(program.output(), Not(HasSubstr("\x1b[1m")));
  EXPECT_THAT(program.output(), Not(HasSubstr("\x1b[2m")));
}

TEST_F(ProcessTest, NoEscapesInAPipe) {
  Program program(Analyze(), {}, /*on_terminal=*/false);
  EXPECT_EQ(program.Wait(), 0);
  EXPECT_THAT(program.output(), Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace qatgap::cli
