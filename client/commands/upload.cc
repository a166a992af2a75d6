#include "client/commands/upload.h"

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/lib/local_file.h"
#include "client/terminal/progress.h"

namespace qatgap::cli {

absl::Status Upload(client::Client& client, const terminal::Output& err, bool quiet,
                    const std::string& path, v1::ArtifactRef* artifact) {
  if (path.empty()) return absl::OkStatus();
  terminal::Progress progress(err, quiet);
  const std::string label = absl::StrCat("uploading ", client::BaseName(path));
  auto uploaded = client.Upload(path, [&](std::uint64_t sent, std::uint64_t total) {
    progress.Update(label, sent, total, terminal::Progress::Unit::kBytes);
  });
  if (!uploaded.ok()) return uploaded.status();
  *artifact = std::move(uploaded->artifact);
  return absl::OkStatus();
}

}  // namespace qatgap::cli
