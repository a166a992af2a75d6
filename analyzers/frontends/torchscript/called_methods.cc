#include "analyzers/frontends/torchscript/called_methods.h"

#include <caffe2/serialize/inline_container.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace qatgap::frontends::torchscript {
namespace {

class Bytes final : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}
  std::size_t size() const override { return bytes_.size(); }
  std::size_t read(std::uint64_t position, void* to, std::size_t count, const char* /*what*/) const override {
    if (position >= bytes_.size()) return 0;
    count = std::min<std::size_t>(count, bytes_.size() - position);
    std::memcpy(to, bytes_.data() + position, count);
    return count;
  }

 private:
  std::string_view bytes_;
};

bool IsNameCharacter(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

using Names = std::set<std::string, std::less<>>;

// The names that are called in the text, or all.
void AddNames(std::string_view text, bool called_alone, Names& names) {
  for (std::size_t i = 0; i < text.size();) {
    if (!IsNameCharacter(text[i])) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < text.size() && IsNameCharacter(text[end])) ++end;
    const std::string_view name = text.substr(i, end - i);
    const bool called = end < text.size() && text[end] == '(';
    if ((called || !called_alone) && !names.contains(name)) names.emplace(name);
    i = end;
  }
}

// Calls run(line, begin) for every line with its end, which starts at `begin`.
void ForEachLine(std::string_view text, auto&& run) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    run(text.substr(begin, end - begin), begin);
    begin = end;
  }
}

// Of what stands outside of methods: lists such as __forward_hooks__ name methods without calling them.
void AddOuterNames(std::string_view text, Names& names) {
  ForEachLine(text, [&](std::string_view line, std::size_t) { AddNames(line, !line.starts_with("  __"), names); });
}

struct Method {
  std::string name;
  std::size_t begin = 0, end = 0;  // in the text
  bool called = false;
};

// The methods of modules. LibTorch writes a class at the margin, its methods two columns in and what belongs to them further.
std::vector<Method> MethodsOf(std::string_view text) {
  constexpr std::string_view kDef = "  def ";
  std::vector<Method> methods;
  bool in_module = false, in_method = false;
  ForEachLine(text, [&](std::string_view line, std::size_t begin) {
    const std::size_t end = begin + line.size();
    if (line[0] != ' ' && line[0] != '\n') {
      in_module = line.starts_with("class ") && line.find("(Module):") != line.npos;
      in_method = false;
    } else if (in_module && line.starts_with(kDef)) {
      const std::string_view rest = line.substr(kDef.size());
      methods.push_back({std::string(rest.substr(0, rest.find('('))), begin, end, false});
      in_method = true;
    } else if (in_method && line.starts_with("    ")) {
      methods.back().end = end;
    } else if (line[0] == ' ') {
      in_method = false;  // an attribute
    }
  });
  return methods;
}

struct Code {
  std::string text;
  std::vector<Method> methods;
};

// Marks what is called from outside of methods, from forward and what Python calls by itself, and from what those call.
void MarkCalled(std::map<std::string, Code>& files) {
  Names names;
  const auto mark = [&](const Code& code, Method& method) {
    method.called = true;
    const std::size_t body = code.text.find('(', method.begin);  // behind its own name
    if (body < method.end) {
      AddNames(std::string_view(code.text).substr(body, method.end - body), /*called_alone=*/true, names);
    }
  };
  for (auto& [name, code] : files) {
    std::size_t begin = 0;
    for (const Method& method : code.methods) {
      AddOuterNames(std::string_view(code.text).substr(begin, method.begin - begin), names);
      begin = method.end;
    }
    AddOuterNames(std::string_view(code.text).substr(begin), names);
  }
  for (bool found = true; found;) {
    found = false;
    for (auto& [name, code] : files) {
      for (Method& method : code.methods) {
        const bool by_itself = method.name == "forward" || method.name.starts_with("__");
        if (method.called || !(by_itself || names.contains(method.name))) continue;
        mark(code, method);
        found = true;
      }
    }
  }
}

}  // namespace

std::string WithCalledMethodsAlone(std::string_view archive) {
  caffe2::serialize::PyTorchStreamReader reader(std::make_shared<Bytes>(archive));
  const std::vector<std::string> records = reader.getAllRecords();
  std::map<std::string, Code> files;
  for (const std::string& record : records) {
    if (!record.starts_with("code/") || !record.ends_with(".py")) continue;
    const auto [data, size] = reader.getRecord(record);
    Code& code = files[record];
    code.text.assign(static_cast<const char*>(data.get()), size);
    code.methods = MethodsOf(code.text);
  }
  MarkCalled(files);

  std::string stripped;
  stripped.reserve(archive.size());
  caffe2::serialize::PyTorchStreamWriter writer([&](const void* data, std::size_t size) {
    stripped.append(static_cast<const char*>(data), size);
    return size;
  });
  writer.setMinVersion(reader.version());
  for (const std::string& record : records) {
    if (record == "version" || record == ".data/serialization_id") continue;  // the writer's own
    const auto it = files.find(record);
    if (it == files.end()) {
      const auto [data, size] = reader.getRecord(record);
      writer.writeRecord(record, data.get(), size);
      continue;
    }
    for (const Method& method : it->second.methods) {
      if (method.called) continue;
      std::fill(it->second.text.begin() + static_cast<std::ptrdiff_t>(method.begin),
                it->second.text.begin() + static_cast<std::ptrdiff_t>(method.end), '\n');
    }
    writer.writeRecord(record, it->second.text.data(), it->second.text.size());
  }
  writer.writeEndOfFile();
  return stripped;
}

}  // namespace qatgap::frontends::torchscript
