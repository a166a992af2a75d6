#include "tests/analyzers/handoff/reference_bench.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace qatgap::handoff {
namespace {

// "layers/00_Conv1" -> "layer00_conv1", the identifier of C names.
std::string Identifier(const std::string& folder) {
  return absl::AsciiStrToLower(absl::StrCat("layer", folder.substr(folder.rfind('/') + 1)));
}

std::string OutputOf(const std::string& command) {
  std::FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return "cannot run " + command;
  std::string text;
  char buffer[4096];
  for (std::size_t got = 0; (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, got);
  const int status = pclose(pipe);
  return absl::StrCat(text, "exit ", WIFEXITED(status) ? WEXITSTATUS(status) : -1, "\n");
}

}  // namespace

ReferenceBench::ReferenceBench(const Files& files) {
  std::string pattern = (std::filesystem::temp_directory_path() / "qatgap_handoff_XXXXXX").string();
  directory_ = mkdtemp(pattern.data());
  for (const auto& [path, bytes] : files) {
    const std::filesystem::path target = std::filesystem::path(directory_) / path;
    std::filesystem::create_directories(target.parent_path());
    std::ofstream(target, std::ios::binary) << bytes;
  }
}

ReferenceBench::~ReferenceBench() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

std::string ReferenceBench::Run(const std::string& folder) const {
  const std::string identifier = Identifier(folder);
  const std::string layer = absl::StrCat(directory_, "/", folder);
  const std::string binary = absl::StrCat(layer, "/reference");
  return OutputOf(absl::StrCat(QATGAP_C_COMPILER, " -std=c99 -O1 -Wall -Wextra -Werror -I '", layer, "' -DMACRO=",
                               absl::AsciiStrToUpper(identifier), " -DARRAY=", identifier, " -o '", binary, "' '",
                               QATGAP_REFERENCE, "' -lm && '", binary, "' '", layer, "'"));
}

std::vector<std::string> LayerFolders(const Files& files) {
  std::vector<std::string> folders;
  for (const auto& [path, bytes] : files) {
    if (path.ends_with("/layer.h")) folders.push_back(path.substr(0, path.size() - 8));
  }
  return folders;
}

}  // namespace qatgap::handoff
