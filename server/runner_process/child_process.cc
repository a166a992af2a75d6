#include "server/runner_process/child_process.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::server {
namespace {

constexpr int kFirstInherited = 3;
constexpr int kExecErrorFd = kFirstInherited + static_cast<int>(InheritedFds{}.size());
// Copies made above this number cannot be in the way of the final ones.
constexpr int kScratchFd = 64;

absl::Status FromErrno(const char* what, int error) {
  return absl::InternalError(absl::StrCat("cannot start the runner: ", what, ": ",
                                          std::generic_category().message(error)));
}

struct Pipe {
  UniqueFd read, write;
};

absl::StatusOr<Pipe> MakePipe() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) return FromErrno("pipe", errno);
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

// A file in memory rather than a pipe: there is nobody to wait for when the child does not read.
absl::StatusOr<UniqueFd> MakeInput(const std::string& bytes) {
  UniqueFd fd(::memfd_create("work-unit", MFD_CLOEXEC));
  if (!fd.valid()) return FromErrno("memory file", errno);
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const ssize_t count = ::write(fd.get(), rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FromErrno("memory file", errno);
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) return FromErrno("memory file", errno);
  return fd;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

struct ChildPlan {
  const char* path;
  char* const* arguments;
  char* const* environment;
  std::array<int, kExecErrorFd + 1> fds;  // final number -> ours, -1 for closed
  pid_t parent;
};

// Runs between fork and exec of a process with threads: async-signal-safe calls only, no allocation.
[[noreturn]] void RunChild(ChildPlan plan) {
  const auto fail = [&](int error) {
    // The pipe may not have its final number yet; either number reaches the parent.
    const int fd = plan.fds[kExecErrorFd];
    [[maybe_unused]] const ssize_t count = ::write(fd, &error, sizeof error);
    ::_exit(127);
  };
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have died before prctl was called.
  if (::getppid() != plan.parent) ::_exit(127);
  for (const int number : {SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGCHLD}) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int& fd : plan.fds) {
    if (fd < 0) continue;
    const int copy = ::fcntl(fd, F_DUPFD, kScratchFd);
    if (copy < 0) fail(errno);
    fd = copy;
  }
  for (int number = 0; number <= kExecErrorFd; ++number) {
    int& fd = plan.fds[static_cast<std::size_t>(number)];
    if (fd < 0) {
      ::close(number);
    } else if (::dup2(fd, number) < 0) {
      fail(errno);
    } else {
      fd = number;
    }
  }
  ::fcntl(kExecErrorFd, F_SETFD, FD_CLOEXEC);
  if (::syscall(SYS_close_range, kExecErrorFd + 1, ~0U, 0U) != 0) {
    // Kernels before 5.9: our own descriptors are all close-on-exec, those of libraries may not be.
    for (int fd = kExecErrorFd + 1; fd < 65536; ++fd) ::close(fd);
  }
  ::execve(plan.path, plan.arguments, plan.environment);
  fail(errno);
  ::_exit(127);
}

bool PassesThrough(std::string_view variable) {
  for (const std::string_view prefix :
       {"PATH=", "LD_LIBRARY_PATH=", "FBGEMM_", "ONEDNN_", "ATEN_"}) {
    if (variable.substr(0, prefix.size()) == prefix) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<ChildProcess> StartChild(const std::string& path, const std::string& input,
                                        const InheritedFds& inherited,
                                        const std::vector<std::string>& environment) {
  QATGAP_ASSIGN_OR_RETURN(const UniqueFd work, MakeInput(input));
  QATGAP_ASSIGN_OR_RETURN(Pipe output, MakePipe());
  QATGAP_ASSIGN_OR_RETURN(Pipe error, MakePipe());
  QATGAP_ASSIGN_OR_RETURN(Pipe exec_error, MakePipe());

  std::vector<std::string> arguments = {path};
  std::vector<std::string> variables = environment;
  const std::vector<char*> argument_pointers = Pointers(arguments);
  const std::vector<char*> variable_pointers = Pointers(variables);
  ChildPlan plan{.path = path.c_str(),
                 .arguments = argument_pointers.data(),
                 .environment = variable_pointers.data(),
                 .fds = {work.get(), output.write.get(), error.write.get()},
                 .parent = ::getpid()};
  for (std::size_t i = 0; i < inherited.size(); ++i) plan.fds[kFirstInherited + i] = inherited[i];
  plan.fds[kExecErrorFd] = exec_error.write.get();

  const pid_t pid = ::fork();
  if (pid < 0) return FromErrno("fork", errno);
  if (pid == 0) RunChild(plan);

  exec_error.write.Close();
  int failure = 0;
  ssize_t count = 0;
  do {
    count = ::read(exec_error.read.get(), &failure, sizeof failure);
  } while (count < 0 && errno == EINTR);
  if (count != 0) {
    ::waitpid(pid, nullptr, 0);
    return FromErrno("exec", failure);
  }
  UniqueFd ended(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!ended.valid()) {
    const int reason = errno;
    ::kill(-pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return FromErrno("pidfd", reason);
  }
  ::fcntl(output.read.get(), F_SETFL, O_NONBLOCK);
  ::fcntl(error.read.get(), F_SETFL, O_NONBLOCK);
  return ChildProcess{.pid = pid,
                      .output = std::move(output.read),
                      .error = std::move(error.read),
                      .ended = std::move(ended)};
}

std::vector<std::string> RunnerEnvironment() {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (PassesThrough(*variable)) variables.emplace_back(*variable);
  }
  return variables;
}

}  // namespace qatgap::server
