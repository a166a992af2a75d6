// What a process can no longer do once Contain() has returned.
#include "server/runner/containment.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <thread>

#include "gtest/gtest.h"

namespace qatgap::runner {
namespace {

constexpr int kContainFailed = 99;

// Runs `act` contained in a child process; its result, the child's exit code, or minus the signal that ended it.
int Contained(const ContainmentLimits& limits, const std::function<int()>& act) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(Contain(limits).ok() ? act() : kContainFailed);
  int wait_status = 0;
  ::waitpid(pid, &wait_status, 0);
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -WTERMSIG(wait_status);
}

// errno of a call that should fail, 0 when it did not.
int ErrorOf(long result) { return result < 0 ? errno : 0; }

TEST(ContainmentTest, FilesCannotBeOpenedOrChanged) {
  EXPECT_EQ(Contained({}, [] { return ErrorOf(::open("/dev/null", O_RDONLY)); }), EPERM);
  EXPECT_EQ(Contained({}, [] { return ErrorOf(::syscall(SYS_openat2, AT_FDCWD, "/dev/null", nullptr, 0)); }), EPERM);
  EXPECT_EQ(Contained({}, [] { return ErrorOf(::syscall(SYS_open_by_handle_at, 0, nullptr, 0)); }), EPERM);
  EXPECT_EQ(Contained({}, [] { return ErrorOf(::unlink("/nowhere")); }), EPERM);
  EXPECT_EQ(Contained({}, [] { return ErrorOf(::fchmod(STDIN_FILENO, 0777)); }), EPERM);
}

TEST(ContainmentTest, ThereIsNoNetwork) {
  for (const int family : {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK}) {
    EXPECT_EQ(Contained({}, [family] { return ErrorOf(::socket(family, SOCK_DGRAM, 0)); }), EPERM);
  }
}

// A ring opens files and sockets without the calls of that name.
TEST(ContainmentTest, NothingGoesThroughIoUring) {
  EXPECT_EQ(Contained({}, [] {
              io_uring_params parameters{};
              return ErrorOf(::syscall(SYS_io_uring_setup, 1, &parameters));
            }),
            EPERM);
}

TEST(ContainmentTest, NoOtherProgramsNorProcesses) {
  EXPECT_EQ(Contained({}, [] {
              char name[] = "/bin/true";
              char* const argv[] = {name, nullptr};
              return ErrorOf(::execve(name, argv, nullptr));
            }),
            EPERM);
  EXPECT_EQ(Contained({}, [] {
              const pid_t pid = ::fork();
              if (pid == 0) ::_exit(0);
              return ErrorOf(pid);
            }),
            EPERM);
}

TEST(ContainmentTest, OtherProcessesAreOutOfReach) {
  EXPECT_EQ(Contained({}, [] { return ErrorOf(::kill(::getppid(), 0)); }), EPERM);
  EXPECT_EQ(Contained({}, [] { return ErrorOf(::syscall(SYS_tgkill, ::getppid(), ::getppid(), 0)); }), EPERM);
  EXPECT_EQ(Contained({}, [] { return ErrorOf(::syscall(SYS_process_vm_readv, ::getppid(), nullptr, 0, nullptr, 0, 0)); }),
            EPERM);
}

TEST(ContainmentTest, LimitsCannotBeRaisedAgain) {
  EXPECT_EQ(Contained({.memory_bytes = 64U << 20U},
                      [] {
                        const rlimit limit{RLIM_INFINITY, RLIM_INFINITY};
                        return ErrorOf(::setrlimit(RLIMIT_DATA, &limit));
                      }),
            EPERM);
}

TEST(ContainmentTest, ThreadsAndOpenDescriptorsStillWork) {
  EXPECT_EQ(Contained({}, [] {
              int answer = 0;
              std::thread([&answer] { answer = 42; }).join();
              rlimit limit{};
              if (::getrlimit(RLIMIT_STACK, &limit) != 0) return 1;
              if (::write(STDERR_FILENO, "", 0) != 0) return 2;
              return answer;
            }),
            42);
}

TEST(ContainmentTest, AnAbortStillShowsAsOne) {
  EXPECT_EQ(Contained({}, []() -> int { std::abort(); }), -SIGABRT);
}

TEST(ContainmentTest, MemoryBeyondTheLimitIsRefused) {
  constexpr std::size_t kSize = 256U << 20U;
  const auto allocate = [] {
    void* const memory = std::malloc(kSize);
    const int got = memory != nullptr ? 1 : 0;
    std::free(memory);
    return got;
  };
  EXPECT_EQ(Contained({.memory_bytes = 64U << 20U}, allocate), 0);
  EXPECT_EQ(Contained({.memory_bytes = 1U << 30U}, allocate), 1);
}

TEST(ContainmentTest, ALoopEndsWithItsProcessorTime) {
  EXPECT_EQ(Contained({.cpu_seconds = 1},
                      [] {
                        for (volatile bool forever = true; forever;) {
                        }
                        return 0;
                      }),
            -SIGXCPU);
}

}  // namespace
}  // namespace qatgap::runner
