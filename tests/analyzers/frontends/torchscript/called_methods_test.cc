#include "analyzers/frontends/torchscript/called_methods.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "gtest/gtest.h"

namespace qatgap::frontends::torchscript {
namespace {

torch::jit::Module Loaded(const std::string& archive) {
  std::istringstream stream(archive);
  return torch::jit::load(stream, c10::Device(c10::kCPU));
}

std::string Saved(const std::string& methods) {
  torch::jit::Module module("Net");
  module.register_attribute("calls", c10::IntType::get(), 1);
  module.define(methods);
  std::ostringstream stream;
  module.save(stream);
  return stream.str();
}

TEST(CalledMethodsTest, KeepsForwardAndWhatItCalls) {
  const std::string archive = Saved(R"(
def first(self, x):
    return self.second(x) + 1

def second(self, x):
    return x * 2

def alone(self, x):
    return self.not_even_this(x)

def not_even_this(self, x):
    return x - 3

def mentioned(self, x):
    return x

def forward(self, x):
    note = "mentioned is not called"
    return self.first(x)
)");
  const torch::jit::Module whole = Loaded(archive);
  EXPECT_TRUE(whole.find_method("alone").has_value());
  torch::jit::Module stripped = Loaded(WithCalledMethodsAlone(archive));
  for (const char* kept : {"forward", "first", "second"}) EXPECT_TRUE(stripped.find_method(kept).has_value()) << kept;
  for (const char* gone : {"alone", "not_even_this", "mentioned"}) EXPECT_FALSE(stripped.find_method(gone).has_value()) << gone;
  const at::NoGradGuard no_grad;
  EXPECT_EQ(stripped.forward({at::ones({1})}).toTensor().item<float>(), 3.0f);
}

// The code of forward and where it stands in the source are those of the whole file.
TEST(CalledMethodsTest, ForwardOfEveryReferenceFileIsTheSame) {
  std::size_t files = 0, smaller = 0;
  const std::string folder = std::string(QATGAP_SOURCE_DIR) + "/tests/analyzers/frontends/torchscript/cases/reference";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".pt") continue;
    SCOPED_TRACE(entry.path().filename().string());
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string archive{std::istreambuf_iterator<char>(file), {}};
    const torch::jit::Module whole = Loaded(archive), stripped = Loaded(WithCalledMethodsAlone(archive));
    EXPECT_EQ(whole.get_method("forward").graph()->toString(/*print_source_locations=*/true),
              stripped.get_method("forward").graph()->toString(/*print_source_locations=*/true));
    std::size_t methods = 0, left = 0;
    for (const torch::jit::Module& module : whole.modules()) methods += module.get_methods().size();
    for (const torch::jit::Module& module : stripped.modules()) left += module.get_methods().size();
    EXPECT_LE(left, methods);
    smaller += left < methods ? 1U : 0U;
    ++files;
  }
  EXPECT_GT(files, 5U);
  EXPECT_GT(smaller, 0U);
}

TEST(CalledMethodsTest, WhatIsNoArchiveThrows) {
  EXPECT_ANY_THROW(WithCalledMethodsAlone("PK\x03\x04 and nothing more"));
  EXPECT_ANY_THROW(WithCalledMethodsAlone(""));
}

}  // namespace
}  // namespace qatgap::frontends::torchscript
