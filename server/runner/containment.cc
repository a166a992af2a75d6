#include "server/runner/containment.h"

#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::runner {
namespace {

absl::Status Limit(__rlimit_resource resource, std::uint64_t value, const char* what) {
  // With one second between the two, the kernel sends SIGXCPU, which says why, before SIGKILL, which does not.
  const rlimit limit{value, resource == RLIMIT_CPU ? value + 1 : value};
  if (setrlimit(resource, &limit) == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cannot limit ", what, " to ", value, ": ", std::strerror(errno)));
}

// System calls that a unit of work never needs once the blobs are open descriptors. io_uring would open files and sockets
// without the calls of that name; signals and pidfd_getfd would reach the server, which has the same user.
constexpr auto kForbidden = std::to_array<const char*>(
    {"open",         "openat",      "openat2",          "open_by_handle_at", "open_tree",        "creat",
     "unlink",       "unlinkat",    "rename",           "renameat",          "renameat2",        "link",
     "linkat",       "symlink",     "symlinkat",        "mkdir",             "mkdirat",          "rmdir",
     "chmod",        "fchmod",      "fchmodat",         "fchmodat2",         "chown",            "fchown",
     "lchown",       "fchownat",    "truncate",         "mknod",             "mknodat",          "chroot",
     "mount",        "umount2",     "fsopen",           "move_mount",        "pivot_root",       "setns",
     "unshare",      "bpf",         "perf_event_open",  "userfaultfd",       "io_uring_setup",   "io_uring_enter",
     "socket",       "socketpair",  "connect",          "bind",              "listen",           "accept",
     "accept4",      "execve",      "execveat",         "fork",              "vfork",            "ptrace",
     "kill",         "tkill",       "rt_sigqueueinfo",  "rt_tgsigqueueinfo", "pidfd_send_signal", "pidfd_getfd",
     "pidfd_open",   "setrlimit",   "process_vm_readv", "process_vm_writev", "process_madvise"});

// What is forbidden only with some arguments.
int ForbidByArgument(scmp_filter_ctx context) {
  // Threads are made with CLONE_THREAD, processes without. clone3 hides its flags from a filter: ENOSYS makes the C
  // library fall back to clone.
  if (const int error = seccomp_rule_add(context, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                         SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0))) {
    return error;
  }
  if (const int error = seccomp_rule_add(context, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0)) return error;
  // abort() signals the process itself.
  if (const int error = seccomp_rule_add(context, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1,
                                         SCMP_A0(SCMP_CMP_NE, static_cast<scmp_datum_t>(getpid())))) {
    return error;
  }
  // Reading limits is prlimit64 without a new limit.
  return seccomp_rule_add(context, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 1, SCMP_A2(SCMP_CMP_NE, 0));
}

absl::Status FilterSystemCalls() {
  // What is not named stays allowed: LibTorch's threads, allocations and generated code need a moving set of calls.
  const scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
  if (context == nullptr) return absl::InternalError("cannot make a system call filter");
  absl::Status status;
  for (const char* name : kForbidden) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) continue;  // this architecture has no such call
    const int error = seccomp_rule_add(context, SCMP_ACT_ERRNO(EPERM), number, 0);
    if (error != 0) status = absl::InternalError(absl::StrCat("cannot forbid ", name, ": ", std::strerror(-error)));
  }
  if (const int error = ForbidByArgument(context); error != 0) {
    status = absl::InternalError(absl::StrCat("cannot forbid new processes: ", std::strerror(-error)));
  }
  if (status.ok()) {
    if (const int error = seccomp_load(context); error != 0) {
      status = absl::InternalError(absl::StrCat("cannot load the system call filter: ", std::strerror(-error)));
    }
  }
  seccomp_release(context);
  return status;
}

}  // namespace

absl::Status Contain(const ContainmentLimits& limits) {
  QATGAP_RETURN_IF_ERROR(Limit(RLIMIT_CORE, 0, "core files"));
  if (limits.memory_bytes != 0) QATGAP_RETURN_IF_ERROR(Limit(RLIMIT_DATA, limits.memory_bytes, "memory"));
  if (limits.cpu_seconds != 0) QATGAP_RETURN_IF_ERROR(Limit(RLIMIT_CPU, limits.cpu_seconds, "processor time"));
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return absl::InternalError(absl::StrCat("cannot give up new privileges: ", std::strerror(errno)));
  }
  return FilterSystemCalls();
}

}  // namespace qatgap::runner
