#include "tests/end_to_end/workspace.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bit>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "server/artifacts/unique_fd.h"
#include "tests/server/raw_call.h"

namespace qatgap::end_to_end {
namespace {

// The .npy preamble: magic, version 1.0, a header padded to a multiple of 64 bytes.
std::string NpyHeader(const std::string& dtype, const std::vector<std::int64_t>& shape) {
  std::string header = absl::StrCat("{'descr': '", dtype, "', 'fortran_order': False, 'shape': (",
                                    absl::StrJoin(shape, ", "), shape.size() == 1 ? ",)" : ")", ", }");
  header.resize((header.size() + 10 + 1 + 63) / 64 * 64 - 10 - 1, ' ');
  header += '\n';
  const auto size = static_cast<std::uint16_t>(header.size());
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(size & 0xFF) + static_cast<char>(size >> 8) + header;
}

int ExitCode(int wait_status) { return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -WTERMSIG(wait_status); }

// Starts one of the binaries. `output` and `errors` are files, or empty for ours.
pid_t Spawn(const std::string& binary, std::vector<std::string> arguments, const std::string& directory,
            const std::string& output, const std::string& errors) {
  const std::string path = absl::StrCat(QATGAP_BIN_DIR, "/", binary);
  arguments.insert(arguments.begin(), path);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::vector<std::string> variables = {"PATH=/usr/bin:/bin", "TMPDIR=" + directory};
  std::vector<char*> envp;
  for (std::string& variable : variables) envp.push_back(variable.data());
  envp.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  if (!output.empty()) {
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  }
  if (!errors.empty()) {
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  }
  pid_t pid = -1;
  EXPECT_EQ(::posix_spawn(&pid, path.c_str(), &files, nullptr, argv.data(), envp.data()), 0) << path;
  posix_spawn_file_actions_destroy(&files);
  return pid;
}

}  // namespace

std::string TestFile(const std::string& name) { return absl::StrCat(QATGAP_SOURCE_DIR, "/tests/models/", name); }

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string Workspace::Write(const std::string& name, const std::string& bytes) const {
  std::ofstream(Path(name), std::ios::binary) << bytes;
  return Path(name);
}

std::string Workspace::WriteFloats(const std::string& name, const std::vector<std::int64_t>& shape,
                                   const std::vector<float>& values) const {
  static_assert(std::endian::native == std::endian::little);
  std::ofstream file(Path(name), std::ios::binary);
  file << NpyHeader("<f4", shape);
  std::size_t left = 1;
  for (const std::int64_t extent : shape) left *= static_cast<std::size_t>(extent);
  while (left > 0) {
    const std::size_t count = std::min(left, values.size());
    file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(count * sizeof(float)));
    left -= count;
  }
  return Path(name);
}

std::string Workspace::WriteLabels(const std::string& name, const std::vector<std::int64_t>& labels) const {
  std::string bytes(labels.size() * sizeof(std::int64_t), '\0');
  std::memcpy(bytes.data(), labels.data(), bytes.size());
  return Write(name, NpyHeader("<i8", {static_cast<std::int64_t>(labels.size())}) + bytes);
}

CommandResult Workspace::Qatgap(const std::vector<std::string>& arguments) const {
  const pid_t pid = Spawn("qatgap", arguments, path(), Path("stdout"), Path("stderr"));
  int wait_status = 0;
  EXPECT_EQ(::waitpid(pid, &wait_status, 0), pid);
  return {.exit_code = ExitCode(wait_status), .output = ReadFile(Path("stdout")), .errors = ReadFile(Path("stderr"))};
}

nlohmann::json Workspace::Report(std::vector<std::string> arguments) const {
  const std::string file = Path("report.json");
  std::filesystem::remove(file);
  arguments.insert(arguments.begin(), "analyze");
  arguments.insert(arguments.end(), {"--json", file});
  const CommandResult result = Qatgap(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  if (result.exit_code != 0) return nullptr;
  nlohmann::json report = nlohmann::json::parse(ReadFile(file), nullptr, /*allow_exceptions=*/false);
  EXPECT_FALSE(report.is_discarded());
  return report;
}

std::vector<float> DemoImages() {
  const std::string bytes = ReadFile(TestFile("samples/images_64.npy"));
  const auto header = static_cast<std::size_t>(static_cast<unsigned char>(bytes[8])) +
                      256 * static_cast<std::size_t>(static_cast<unsigned char>(bytes[9])) + 10;
  std::vector<float> images((bytes.size() - header) / sizeof(float));
  EXPECT_EQ(images.size(), 64U * 28 * 28);
  std::memcpy(images.data(), bytes.data() + header, images.size() * sizeof(float));
  return images;
}

Daemon::Daemon(const Workspace& workspace, std::vector<std::string> flags) {
  const server::UniqueFd watch(::inotify_init1(IN_CLOEXEC));
  const std::string status_directory = workspace.Path("status");
  std::filesystem::create_directories(status_directory);
  ::inotify_add_watch(watch.get(), status_directory.c_str(), IN_MOVED_TO);
  flags.insert(flags.end(), {"--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0", "--http-listen=127.0.0.1:0", "--log-level=error",
                             "--data-dir=" + workspace.Path("data"), "--status-file=" + status_directory + "/status"});
  pid_ = Spawn("qatgapd", flags, workspace.path(), "", "");
  // The status file comes by a rename, whole.
  pollfd polled{watch.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&polled, 1, /*milliseconds=*/30000), 1) << "no status file";
  const auto status = nlohmann::json::parse(ReadFile(status_directory + "/status"));
  address_ = status["address"].get<std::string>();
  metrics_ = status["metrics"].get<std::string>();
}

Daemon::~Daemon() {
  if (pid_ > 0) Stop(SIGKILL);
}

int Daemon::Stop(int signal) {
  ::kill(pid_, signal);
  int wait_status = 0;
  EXPECT_EQ(::waitpid(pid_, &wait_status, 0), pid_);
  pid_ = -1;
  return ExitCode(wait_status);
}

double Daemon::Metric(const std::string& series) const {
  for (const absl::string_view line : absl::StrSplit(server::Scrape(metrics_), '\n')) {
    absl::string_view rest = absl::StripSuffix(line, "\r");
    double value = 0;
    if (absl::ConsumePrefix(&rest, series + " ") && absl::SimpleAtod(rest, &value)) return value;
  }
  return -1;
}

std::vector<pid_t> Daemon::Runners() const {
  std::vector<pid_t> runners;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid)) continue;
    // "pid (name) state parent ..."; a process may end while we read.
    std::ifstream file(entry.path() / "stat");
    const std::string stat{std::istreambuf_iterator<char>(file), {}};
    const std::size_t name_end = stat.rfind(')');
    if (name_end == std::string::npos) continue;
    std::istringstream rest(stat.substr(name_end + 1));
    std::string state;
    pid_t parent = 0;
    rest >> state >> parent;
    if (parent == pid_ && state != "Z") runners.push_back(pid);
  }
  return runners;
}

ProcessHandle::ProcessHandle(pid_t pid) : fd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}

ProcessHandle::~ProcessHandle() { ::close(fd_); }

bool ProcessHandle::AwaitEnd() const {
  pollfd polled{fd_, POLLIN, 0};
  return ::poll(&polled, 1, /*milliseconds=*/30000) == 1;
}

}  // namespace qatgap::end_to_end
