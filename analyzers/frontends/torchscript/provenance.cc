// Where in the user's program a node stands: source line and stack of modules.
#include <torch/csrc/jit/frontend/source_range.h>

#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "analyzers/frontends/torchscript/evaluator.h"

namespace qatgap::frontends::torchscript {
namespace {

enum class Author { kUser, kPyTorch, kGenerated };

Author AuthorOf(const std::string& file) {
  for (const char* part : {"-packages/torch/", "-packages/torchao/", "/torch/nn/", "/torch/ao/", "/torch/jit/", "/torch/fx/",
                           "/torch/_", "__torch__"}) {
    if (absl::StrContains(file, part)) return Author::kPyTorch;
  }
  return absl::EndsWith(file, ".py") ? Author::kUser : Author::kGenerated;
}

std::string BaseName(std::string_view file) {
  const std::size_t slash = file.find_last_of("/\\");
  return std::string(slash == std::string_view::npos ? file : file.substr(slash + 1));
}

// Tracing keeps Python's stack as text, "file(line): function" a line, innermost first. Empty where FX generated the
// code: what called that is the program that exported the model.
std::string InnermostOfStack(const std::string& text) {
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::size_t end = line.rfind("): ");
    const std::size_t open = end == absl::string_view::npos ? end : line.rfind('(', end);
    if (open == absl::string_view::npos) continue;
    const std::string file(line.substr(0, open));
    const Author author = AuthorOf(file);
    if (author == Author::kGenerated) return "";
    int number = 0;
    if (author == Author::kUser && absl::SimpleAtoi(line.substr(open + 1, end - open - 1), &number)) {
      return absl::StrCat(BaseName(file), ":", number);
    }
  }
  return "";
}

// nullopt: the caller's line tells.
std::optional<std::string> LineOf(const torch::jit::Node* node) {
  torch::jit::SourceRange range = node->sourceRange();
  if (range.source() == nullptr) return std::nullopt;
  // Of a file that was loaded: where the line that TorchScript wrote came from.
  if (const auto original = range.findSourceRangeThatGenerated()) range = *original;
  if (range.source() == nullptr) return std::nullopt;
  const std::string text = range.text().str();
  if (absl::StrContains(text, "): ")) return InnermostOfStack(text);
  const auto location = range.file_line_col();
  if (!location) return std::nullopt;
  const auto& [file, line, column] = *location;
  if (AuthorOf(file) != Author::kUser) return std::nullopt;
  return absl::StrCat(BaseName(file), ":", line);
}

}  // namespace

std::string Evaluator::SourceLine() const {
  for (auto call = calls_.rbegin(); call != calls_.rend(); ++call) {
    if (call->at == nullptr) continue;
    try {
      if (auto line = LineOf(call->at)) return *std::move(line);
    } catch (const std::exception&) {
      return "";  // damaged debug records: the model itself is readable
    }
  }
  return "";
}

const std::string& Evaluator::ModuleStack() {
  std::string& stack = module_stacks_[path()];
  if (!stack.empty()) return stack;
  const auto type_name = [](const c10::ivalue::Object& object) {
    return object.type()->name() ? object.type()->name()->name() : std::string("Module");
  };
  stack = type_name(*module_._ivalue());
  const std::string& whole = path();
  for (std::size_t dot = whole.empty() ? std::string::npos : 0; dot != std::string::npos;) {
    dot = whole.find('.', dot + 1);
    const std::string prefix = whole.substr(0, dot);
    if (const c10::ivalue::Object* object = ModuleAt(prefix)) {
      absl::StrAppend(&stack, " > ", prefix, ": ", type_name(*object));
    }
  }
  return stack;
}

}  // namespace qatgap::frontends::torchscript
