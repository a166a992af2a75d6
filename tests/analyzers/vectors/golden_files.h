// The committed golden vectors, for the tests that go through all of them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "analyzers/vectors/case.h"

namespace qatgap::vectors {

// tests/golden/vectors.
std::filesystem::path GoldenVectors();

// Its folders, one a target, sorted.
std::vector<std::string> GoldenFolders();

// The cases of one of them, named relative to it; a test failure when they cannot be read.
std::vector<Case> ReadGoldenFolder(const std::string& name);

// "pytorch-fbgemm" as part of a test's name.
std::string TestName(std::string folder);

}  // namespace qatgap::vectors
