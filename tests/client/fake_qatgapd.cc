// Stands in for qatgapd: takes the same flags, serves the fake service until SIGTERM.
#include <signal.h>
#include <sys/prctl.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "tests/client/fake_service.h"

int main(int argc, char** argv) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  std::string listen;
  std::string status;
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::string(argv[i]) == "--listen") listen = argv[i + 1];
    if (std::string(argv[i]) == "--status-file") status = argv[i + 1];
  }
  qatgap::testing::FakeService service(listen);
  if (const char* rpc = std::getenv("FAKE_QATGAPD_CRASH_UPON"); rpc != nullptr) {
    service.set_crash_upon(rpc);
  }
  std::ofstream(status + ".new") << R"({"address": ")" << listen << R"(", "metrics": ""})";
  if (std::rename((status + ".new").c_str(), status.c_str()) != 0) return 1;
  int received = 0;
  sigwait(&signals, &received);
  return 0;
}
