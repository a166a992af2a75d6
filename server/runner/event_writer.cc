#include "server/runner/event_writer.h"

#include <google/protobuf/util/delimited_message_util.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace qatgap::runner {

absl::Status EventWriter::Write(const v1::RunnerEvent& event) {
  std::ostringstream stream;
  if (!google::protobuf::util::SerializeDelimitedToOstream(event, &stream)) {
    return absl::InternalError("an event is too large to send");
  }
  const std::string bytes = stream.str();
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t wrote = write(fd_, bytes.data() + done, bytes.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return absl::UnavailableError(absl::StrCat("writing an event failed: ", std::strerror(errno)));
    done += static_cast<std::size_t>(wrote);
  }
  return absl::OkStatus();
}

}  // namespace qatgap::runner
