#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "client/cli.h"

namespace {

// Turns SIGINT and SIGTERM into requests. The third one ends the program at once.
void FollowSignals(qatgap::client::Cancellation* cancellation) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  // Before any thread is made, so that all of them inherit it.
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([signals, cancellation] {
    for (int received = 0; sigwait(&signals, &received) == 0;) {
      if (cancellation->requests() >= 2) ::_exit(qatgap::cli::kExitInterrupted);
      cancellation->Request();
    }
  }).detach();
}

}  // namespace

int main(int argc, char** argv) {
  // gRPC's own log lines are not for users; errors come as statuses.
  ::setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  ::signal(SIGPIPE, SIG_IGN);
  // Used by a thread that outlives main.
  static auto* const cancellation = new qatgap::client::Cancellation;
  FollowSignals(cancellation);

  qatgap::cli::Environment environment;
  environment.out = qatgap::terminal::DescribeOutput(std::cout, STDOUT_FILENO);
  environment.err = qatgap::terminal::DescribeOutput(std::cerr, STDERR_FILENO);
  environment.cancellation = cancellation;
  environment.qatgapd = qatgap::cli::FindQatgapd();
  return qatgap::cli::RunCli(std::vector<std::string>(argv + 1, argv + argc), environment);
}
