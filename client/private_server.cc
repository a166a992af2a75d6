#include "client/private_server.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/lib/error_details.h"

namespace qatgap::cli {
namespace {

// sockaddr_un holds 107 bytes of path; the directory and "/s" must stay below.
constexpr std::size_t kLongestDirectory = 100;
constexpr std::size_t kLogLines = 20;
constexpr auto kEndLimit = std::chrono::milliseconds(500);
constexpr auto kPollInterval = std::chrono::milliseconds(10);

void Pause() { ::poll(nullptr, 0, static_cast<int>(kPollInterval.count())); }

std::string LastLines(const std::string& path) {
  std::ifstream log(path);
  std::deque<std::string> lines;
  for (std::string line; std::getline(log, line);) {
    lines.push_back(line);
    if (lines.size() > kLogLines) lines.pop_front();
  }
  return absl::StrJoin(lines, "\n");
}

// The address in a complete status file; empty while there is none.
std::string AddressIn(const std::string& path) {
  std::ifstream file(path);
  if (!file) return "";
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto status = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!status.is_object() || !status.contains("address") || !status["address"].is_string()) {
    return "";
  }
  return status["address"].get<std::string>();
}

}  // namespace

std::string FindQatgapd() {
  if (const char* named = ::getenv("QATGAP_QATGAPD"); named != nullptr && *named != '\0') {
    return named;
  }
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "qatgapd" : (self.parent_path() / "qatgapd").string();
}

absl::StatusOr<std::unique_ptr<PrivateServer>> PrivateServer::Start(PrivateServerOptions options) {
  if (::access(options.binary.c_str(), X_OK) != 0) {
    return client::WithRemedy(
        absl::UnavailableError(
            absl::StrCat("cannot start a private server: no qatgapd (", options.binary, ")")),
        "put qatgapd beside qatgap, name it in QATGAP_QATGAPD, or pass --server ADDR");
  }
  std::unique_ptr<PrivateServer> server(new PrivateServer(std::move(options)));
  if (absl::Status made = server->MakeDirectory(); !made.ok()) return made;
  if (absl::Status spawned = server->Spawn(); !spawned.ok()) return spawned;
  if (absl::Status serving = server->WaitUntilServing(); !serving.ok()) return serving;
  return server;
}

PrivateServer::~PrivateServer() {
  Stop();
  if (directory_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

absl::Status PrivateServer::MakeDirectory() {
  std::vector<std::string> bases;
  if (const char* base = ::getenv("TMPDIR"); base != nullptr && *base == '/') bases.push_back(base);
  bases.push_back("/tmp");
  for (const std::string& base : bases) {
    std::string pattern = base + "/qatgap.XXXXXX";
    if (pattern.size() > kLongestDirectory) continue;
    if (::mkdtemp(pattern.data()) == nullptr) continue;
    directory_ = pattern;
    return absl::OkStatus();
  }
  return client::WithRemedy(absl::FailedPreconditionError(absl::StrCat(
                                "cannot make a temporary directory (", std::strerror(errno), ")")),
                            "set TMPDIR to a short path of a directory that can be written");
}

absl::Status PrivateServer::Spawn() {
  std::vector<std::string> arguments = {
      options_.binary,        "--listen",           absl::StrCat("unix:", directory_, "/s"),
      "--data-dir",           directory_ + "/data", "--status-file",
      directory_ + "/status", "--no-metrics",       "--no-http",  "--exit-with-parent"};
  if (options_.runners > 0) {
    arguments.push_back("--runners");
    arguments.push_back(absl::StrCat(options_.runners));
  }
  std::error_code ignored;
  std::filesystem::create_directory(directory_ + "/data", ignored);

  // A process group of its own: Ctrl-C reaches the client alone, which cancels before it ends this.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t defaults;
  sigemptyset(&none);
  sigemptyset(&defaults);
  for (const int signal : {SIGINT, SIGTERM, SIGPIPE}) sigaddset(&defaults, signal);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  const std::string log = directory_ + "/log";
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log.c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);

  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const int error =
      ::posix_spawn(&pid_, options_.binary.c_str(), &files, &attributes, argv.data(), ::environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (error == 0) return absl::OkStatus();
  pid_ = -1;
  return absl::UnavailableError(absl::StrCat("cannot start a private server (", options_.binary,
                                             ": ", std::strerror(error), ")"));
}

absl::Status PrivateServer::WaitUntilServing() {
  const auto limit = std::chrono::steady_clock::now() + options_.start_limit;
  while (true) {
    address_ = AddressIn(directory_ + "/status");
    if (!address_.empty()) return absl::OkStatus();
    if (HasEnded()) return Ended("the private server did not start");
    if (options_.cancellation != nullptr && options_.cancellation->requested()) {
      return absl::CancelledError("interrupted");
    }
    if (std::chrono::steady_clock::now() > limit) {
      return client::WithDetail(
          absl::UnavailableError(absl::StrCat("the private server did not start in time (",
                                              options_.start_limit.count() / 1000, " s)")),
          LastLines(directory_ + "/log"));
    }
    Pause();
  }
}

bool PrivateServer::HasEnded() {
  if (pid_ < 0) return true;
  const pid_t ended = ::waitpid(pid_, &wait_status_, WNOHANG);
  if (ended == 0 || (ended < 0 && errno == EINTR)) return false;
  pid_ = -1;
  return true;
}

absl::Status PrivateServer::Ended(const std::string& what) const {
  const std::string how = WIFSIGNALED(wait_status_)
                              ? absl::StrCat("signal ", WTERMSIG(wait_status_))
                              : absl::StrCat("exit code ", WEXITSTATUS(wait_status_));
  return client::WithDetail(absl::UnavailableError(absl::StrCat(what, " (", how, ")")),
                            LastLines(directory_ + "/log"));
}

absl::Status PrivateServer::Explain(const absl::Status& status) {
  if (!absl::IsUnavailable(status)) return status;
  // Its socket closes a moment before the process can be collected.
  const auto limit = std::chrono::steady_clock::now() + kEndLimit;
  while (!HasEnded()) {
    if (std::chrono::steady_clock::now() > limit) return status;
    Pause();
  }
  return Ended("the private server ended during the call");
}

void PrivateServer::Stop() {
  if (pid_ < 0) return;
  // Its own group (see Spawn), so its runners end with it.
  const pid_t group = pid_;
  ::kill(pid_, SIGTERM);
  const auto limit = std::chrono::steady_clock::now() + options_.stop_limit;
  bool ended = HasEnded();
  while (!ended && std::chrono::steady_clock::now() < limit &&
         (options_.cancellation == nullptr || options_.cancellation->requests() < 2)) {
    Pause();
    ended = HasEnded();
  }
  if (ended) return;
  ::kill(-group, SIGKILL);
  while (::waitpid(pid_, &wait_status_, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

}  // namespace qatgap::cli
