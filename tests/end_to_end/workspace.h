// What the end-to-end tests share: a directory of their own, the real binaries as child processes, arrays as files.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/server/temporary_directory.h"

namespace qatgap::end_to_end {

// Of tests/models: "residual_eager_x86/qat.pt", "samples/images_512.npz".
std::string TestFile(const std::string& name);
std::string ReadFile(const std::string& path);

struct CommandResult {
  int exit_code = -1;  // minus the signal that ended it
  std::string output, errors;
};

class Workspace {
 public:
  const std::string& path() const { return directory_.path(); }
  std::string Path(const std::string& name) const { return path() + "/" + name; }
  // Writes a file; its path.
  std::string Write(const std::string& name, const std::string& bytes) const;
  // A .npy file of float32; `values` are repeated until the shape is full.
  std::string WriteFloats(const std::string& name, const std::vector<std::int64_t>& shape,
                          const std::vector<float>& values) const;
  std::string WriteLabels(const std::string& name, const std::vector<std::int64_t>& labels) const;

  // Runs `qatgap` to its end.
  CommandResult Qatgap(const std::vector<std::string>& arguments) const;
  // Runs `qatgap analyze` with a JSON report, which is returned; a test failure and null when it does not exit with 0.
  nlohmann::json Report(std::vector<std::string> arguments) const;

 private:
  server::TemporaryDirectory directory_;
};

// The first 64 demo images, as one row after another.
std::vector<float> DemoImages();

// A running qatgapd on loopback ports of the system's choice, its data in the workspace. SIGKILLed when it goes.
class Daemon {
 public:
  Daemon(const Workspace& workspace, std::vector<std::string> flags);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Sends the signal and collects the process; its exit code, or minus the signal that ended it.
  int Stop(int signal);

  const std::string& address() const { return address_; }
  // The value of a series of /metrics, written as there: qatgap_analyses{state="running"}; -1 where there is none.
  double Metric(const std::string& series) const;
  // Its child processes: the runners.
  std::vector<pid_t> Runners() const;

 private:
  pid_t pid_ = -1;
  std::string address_, metrics_;
};

// A process, to be waited for though it is not a child of ours.
class ProcessHandle {
 public:
  explicit ProcessHandle(pid_t pid);
  ~ProcessHandle();
  ProcessHandle(const ProcessHandle&) = delete;
  ProcessHandle& operator=(const ProcessHandle&) = delete;
  // False when it has not ended after 30 s.
  bool AwaitEnd() const;

 private:
  int fd_ = -1;
};

}  // namespace qatgap::end_to_end
