// qatgapd: reads the flags, makes the parts that touch the outside world, serves until it is told to stop.
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>

#include "absl/time/time.h"
#include "server/qatgap_server.h"
#include "server/runner_process/posix_runner_launcher.h"
#include "server/version.h"
#include "spdlog/sinks/stdout_color_sinks.h"
#include "spdlog/spdlog.h"

namespace {

using qatgap::server::PosixRunnerOptions;
using qatgap::server::Server;
using qatgap::server::ServerOptions;

struct Flags {
  ServerOptions server;
  PosixRunnerOptions runner;
  double unit_timeout_seconds = 3600;
  std::string status_file;
  std::string log_level = "info";
  bool no_metrics = false;
  bool no_http = false;
  bool exit_with_parent = false;
};

std::string RunnerBesideUs() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::string("qatgap-runner") : (self.parent_path() / "qatgap-runner").string();
}

void AddFlags(CLI::App& app, Flags& flags) {
  app.set_version_flag("--version", std::string(qatgap::server::kVersion));
  app.add_option("--listen", flags.server.listen, "HOST:PORT (port 0: a free one) or unix:PATH")
      ->capture_default_str();
  app.add_flag("--insecure", flags.server.insecure,
               "Allow an address that other hosts can reach, without TLS");
  app.add_option("--data-dir", flags.server.data_dir, "Where artifacts and results are kept")
      ->capture_default_str();
  app.add_option("--metrics-listen", flags.server.metrics_listen,
                 "HOST:PORT of the Prometheus metrics (port 0: a free one)")
      ->capture_default_str();
  app.add_flag("--no-metrics", flags.no_metrics, "Serve no metrics");
  app.add_option("--http-listen", flags.server.http_listen, "HOST:PORT of the web page (port 0: a free one)")
      ->capture_default_str();
  app.add_flag("--no-http", flags.no_http, "Serve no web page");
  app.add_option("--http-host", flags.server.http_hosts,
                 "A name that browsers may use for the web page, besides localhost and IP addresses");
  app.add_option("--result-cache-bytes", flags.server.result_cache_bytes, "Memory for results that are read again")
      ->capture_default_str();
  app.add_option("--runner", flags.runner.path, "The qatgap-runner to start")
      ->default_val(RunnerBesideUs());
  app.add_option("--runners", flags.server.runners, "Runner processes at one time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--unit-timeout", flags.unit_timeout_seconds, "Seconds one unit of work may take")
      ->check(CLI::Range(0.001, 1e7))
      ->capture_default_str();
  flags.runner.memory_limit_bytes = 8ULL << 30;
  app.add_option("--memory-limit", flags.runner.memory_limit_bytes,
                 "Bytes of memory one runner may use; 0: no limit")
      ->capture_default_str();
  app.add_option("--max-artifact-bytes", flags.server.max_artifact_bytes, "Largest accepted upload")
      ->capture_default_str();
  app.add_option("--max-queued", flags.server.max_queued, "Analyses that may wait")
      ->capture_default_str();
  app.add_option("--max-tracked-layers", flags.server.tracks.max_layers,
                 "Layers of a tracked model and target that have metrics, the worst ones")
      ->check(CLI::Range(0, 100'000))
      ->capture_default_str();
  app.add_option("--max-tracks", flags.server.tracks.max_tracks, "Tracked models that have metrics, the newest ones")
      ->check(CLI::Range(0, 10'000))
      ->capture_default_str();
  app.add_option("--status-file", flags.status_file,
                 "Written once serving: {\"address\": ..., \"metrics\": ..., \"http\": ...}");
  app.add_option("--log-level", flags.log_level, "What to log on standard error")
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error", "off"}))
      ->capture_default_str();
  app.add_flag("--exit-with-parent", flags.exit_with_parent,
               "Stop when the thread that started this process ends");
}

// Whole or not at all: whoever waits for the file may read it at once.
bool WriteStatusFile(const std::string& path, const Server& server) {
  const std::string temporary = path + ".tmp";
  {
    std::ofstream file(temporary);
    file << nlohmann::json{{"address", server.address()},
                           {"metrics", server.metrics_address()},
                           {"http", server.http_address()}}
         << '\n';
    if (!file.flush()) return false;
  }
  return std::rename(temporary.c_str(), path.c_str()) == 0;
}

int Serve(const Flags& flags, const sigset_t& stop_signals) {
  auto server = Server::Start(flags.server,
                              qatgap::server::MakePosixRunnerLauncher(flags.runner),
                              std::make_unique<qatgap::server::SystemClock>());
  if (!server.ok()) {
    spdlog::error("{}", server.status().ToString());
    return EXIT_FAILURE;
  }
  const auto shown = [](const std::string& address) { return address.empty() ? std::string("no address") : address; };
  spdlog::info("qatgapd {} serves at {}, metrics at {}, the web page at {}", std::string(qatgap::server::kVersion),
               (*server)->address(), shown((*server)->metrics_address()),
               (*server)->http_address().empty() ? "no address" : "http://" + (*server)->http_address() + "/");
  if (!flags.status_file.empty() && !WriteStatusFile(flags.status_file, **server)) {
    spdlog::error("--status-file: cannot write '{}'", flags.status_file);
    return EXIT_FAILURE;
  }
  int received = 0;
  sigwait(&stop_signals, &received);
  spdlog::info("stopping");
  (*server)->Stop();
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("qatgapd measures how far an integer model is from the QAT model that was trained.",
               "qatgapd");
  Flags flags;
  AddFlags(app, flags);
  CLI11_PARSE(app, argc, argv);
  if (flags.no_metrics) flags.server.metrics_listen.clear();
  if (flags.no_http) flags.server.http_listen.clear();
  flags.runner.timeout = absl::Seconds(flags.unit_timeout_seconds);

  // Before any thread: all of them inherit the mask, and only sigwait sees the signals.
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);
  if (flags.exit_with_parent) {
    const pid_t parent = getppid();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    // It ended before prctl: init, or a subreaper, is the parent now.
    if (getppid() != parent || parent == 1) return EXIT_SUCCESS;
  }
  // Models and results are the user's alone; so is a unix: socket.
  umask(0077);
  spdlog::set_default_logger(spdlog::stderr_color_mt("qatgapd"));
  spdlog::set_level(spdlog::level::from_str(flags.log_level));
  try {
    return Serve(flags, stop_signals);
  } catch (const std::exception& error) {
    spdlog::critical("{}", error.what());
    return EXIT_FAILURE;
  }
}
