#include "tests/analyzers/vectors/golden_files.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::vectors {

namespace fs = std::filesystem;

fs::path GoldenVectors() { return fs::path(QATGAP_SOURCE_DIR) / "tests/golden/vectors"; }

std::vector<std::string> GoldenFolders() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(GoldenVectors())) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<Case> ReadGoldenFolder(const std::string& name) {
  const fs::path folder = GoldenVectors() / name;
  Files files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream stream(entry.path(), std::ios::binary);
    files[fs::relative(entry.path(), folder)] = {std::istreambuf_iterator<char>(stream), {}};
  }
  absl::StatusOr<std::vector<Case>> cases = ReadCases(files);
  QATGAP_EXPECT_OK(cases);
  return cases.ok() ? *std::move(cases) : std::vector<Case>{};
}

std::string TestName(std::string folder) {
  std::replace(folder.begin(), folder.end(), '-', '_');
  return folder;
}

}  // namespace qatgap::vectors
