#include "analyzers/frontends/pt2/layer_names.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "absl/strings/str_cat.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::pt2 {
namespace {

std::string_view LastPart(std::string_view dotted) { return dotted.substr(dotted.rfind('.') + 1); }

// Calls use(part) for each part of `text` between separators.
template <typename Use>
void Split(std::string_view text, char separator, const Use& use) {
  while (true) {
    const std::size_t end = text.find(separator);
    use(text.substr(0, end));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

// "getattr(L['self'].layers, '0')" and "L['self']._modules['layers'][0]" are "layers.0".
std::string Dotted(std::string_view fqn) {
  std::string dotted;
  const auto add = [&](std::string_view part) {
    constexpr std::array<std::string_view, 6> kNoNames = {"getattr",      "L",        "self", "_modules",
                                                          "_export_root", "L__self__"};
    if (part.empty() || std::find(kNoNames.begin(), kNoNames.end(), part) != kNoNames.end()) return;
    absl::StrAppend(&dotted, dotted.empty() ? "" : ".", Text(part));
  };
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= fqn.size(); ++i) {
    const bool inside = i < fqn.size() && (std::isalnum(static_cast<unsigned char>(fqn[i])) != 0 || fqn[i] == '_');
    if (inside) continue;
    add(fqn.substr(begin, i - begin));
    begin = i + 1;
  }
  return dotted;
}

bool IsExporters(std::string_view class_name) {
  return class_name.find("<locals>") != std::string_view::npos ||
         class_name.find("WrapperModule") != std::string_view::npos ||
         class_name.starts_with("_empty_nn_module_stack") || class_name.ends_with("._ExportRootModule");
}

bool IsPyTorchs(std::string_view file) {
  return file.find("/torch/") != std::string_view::npos || file.find("/torchao/") != std::string_view::npos ||
         file.starts_with('<');
}

}  // namespace

std::vector<ModuleFrame> ParseModuleStack(std::string_view text) {
  std::vector<ModuleFrame> frames;
  if (text.empty()) return frames;
  Split(text, ';', [&](std::string_view frame) {
    const std::size_t key_end = frame.find(','), class_begin = frame.rfind(',');
    if (key_end == std::string_view::npos || class_begin == key_end) return;
    const std::string_view class_name = frame.substr(class_begin + 1);
    if (IsExporters(class_name)) return;
    frames.push_back({Dotted(frame.substr(key_end + 1, class_begin - key_end - 1)), std::string(class_name)});
  });
  return frames;
}

bool IsPattern(std::string_view text) {
  const std::string_view last = text.substr(text.rfind(';') + 1);
  return last.ends_with(".WrapperModule");
}

std::string Describe(const std::vector<ModuleFrame>& frames) {
  std::string text;
  for (const ModuleFrame& frame : frames) {
    absl::StrAppend(&text, text.empty() ? "" : " > ", frame.fqn, frame.fqn.empty() ? "" : ": ",
                    Text(LastPart(frame.class_name)));
  }
  return text;
}

std::string SourceLine(std::string_view stack_trace) {
  std::string found;
  Split(stack_trace, '\n', [&](std::string_view line) {
    constexpr std::string_view kFile = "File \"", kLine = "\", line ";
    const std::size_t file = line.find(kFile);
    if (file == std::string_view::npos) return;
    const std::string_view rest = line.substr(file + kFile.size());
    const std::size_t end = rest.find(kLine);
    if (end == std::string_view::npos || IsPyTorchs(rest.substr(0, end))) return;
    const std::string_view path = rest.substr(0, end);
    const std::string_view number = rest.substr(end + kLine.size());
    const auto digits = static_cast<std::size_t>(
        std::find_if(number.begin(), number.end(), [](unsigned char c) { return std::isdigit(c) == 0; }) -
        number.begin());
    if (digits == 0) return;
    found = absl::StrCat(Text(path.substr(path.find_last_of("/\\") + 1)), ":", Text(number.substr(0, digits)));
  });
  return found;
}

std::string ModuleOf(std::string_view tensor_fqn) {
  const std::size_t dot = tensor_fqn.rfind('.');
  return dot == std::string_view::npos ? std::string() : std::string(tensor_fqn.substr(0, dot));
}

}  // namespace qatgap::frontends::pt2
