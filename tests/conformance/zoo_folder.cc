#include "tests/conformance/zoo_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "analyzers/samples/array_file.h"
#include "analyzers/samples/array_reader.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::conformance {
namespace {

class Descriptor {
 public:
  explicit Descriptor(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

absl::StatusOr<graph::Tensor> ReadWhole(samples::ArrayReader reader) { return reader.Read(0, reader.count()); }

absl::StatusOr<graph::Tensor> ReadNpy(const std::string& path) {
  const Descriptor file(path);
  if (file.get() < 0) return absl::NotFoundError(absl::StrCat("cannot open ", path));
  QATGAP_ASSIGN_OR_RETURN(auto reader, samples::ArrayReader::Open(file.get(), path));
  return ReadWhole(std::move(reader));
}

std::vector<float> Floats(const graph::Tensor& tensor) {
  const auto data = tensor.data<float>();
  return {data.begin(), data.end()};
}

absl::Status Put(LayerConstants& layer, const std::string& what, const graph::Tensor& value) {
  if (what == "weight") {
    layer.weight = value;
  } else if (what == "bias") {
    layer.bias = Floats(value);
  } else if (what == "weight_scale") {
    layer.weight_scales.assign(value.data<double>().begin(), value.data<double>().end());
  } else if (what == "weight_zero_point") {
    layer.weight_zero_points.assign(value.data<std::int64_t>().begin(), value.data<std::int64_t>().end());
  } else if (what == "output_scale") {
    layer.output_scale = value.data<double>()[0];
  } else if (what == "output_zero_point") {
    layer.output_zero_point = value.data<std::int64_t>()[0];
  } else {
    return absl::InvalidArgumentError(absl::StrCat("constants.npz has '", what, "'; make the zoo again"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::map<std::string, LayerConstants>> ReadConstants(const std::string& path) {
  std::map<std::string, LayerConstants> layers;
  const Descriptor file(path);
  if (file.get() < 0) return absl::NotFoundError(absl::StrCat("cannot open ", path));
  QATGAP_ASSIGN_OR_RETURN(const auto arrays, samples::ArrayFile::Open(file.get(), path));
  for (const std::string& name : arrays.arrays()) {
    const std::size_t slash = name.rfind('/');
    if (slash == std::string::npos) return absl::InvalidArgumentError(absl::StrCat(path, " has an array '", name, "'"));
    QATGAP_ASSIGN_OR_RETURN(auto reader, arrays.OpenArray(name));
    QATGAP_ASSIGN_OR_RETURN(const graph::Tensor value, ReadWhole(std::move(reader)));
    QATGAP_RETURN_IF_ERROR(Put(layers[name.substr(0, slash)], name.substr(slash + 1), value));
  }
  return layers;
}

absl::StatusOr<std::vector<graph::Tensor>> ReadOutputs(const std::string& prefix, int count) {
  std::vector<graph::Tensor> outputs;
  for (int i = 0; i < count; ++i) {
    QATGAP_ASSIGN_OR_RETURN(outputs.emplace_back(), ReadNpy(absl::StrCat(prefix, i, ".npy")));
  }
  return outputs;
}

numerics::Engine EngineOf(const std::string& name) {
  using numerics::Engine;
  for (const Engine engine : {Engine::kFbgemm, Engine::kQnnpack, Engine::kX86, Engine::kOnednn}) {
    if (numerics::ToString(engine) == name) return engine;
  }
  return Engine::kNone;
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return absl::NotFoundError(absl::StrCat("cannot open ", path));
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

absl::StatusOr<ZooFolder> ReadZooFolder(const std::string& path) {
  QATGAP_ASSIGN_OR_RETURN(const std::string text, ReadFile(absl::StrCat(path, "/about.json")));
  const auto about = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (about.is_discarded()) return absl::InvalidArgumentError(absl::StrCat(path, "/about.json is not JSON"));
  ZooFolder folder;
  folder.path = path;
  folder.model = about.value("model", "");
  folder.flow = about.value("flow", "");
  folder.target = about.value("target", "");
  folder.engine = EngineOf(about.value("engine", ""));
  folder.one_by_one = about.value("one_by_one", false);
  QATGAP_ASSIGN_OR_RETURN(folder.samples, ReadNpy(absl::StrCat(path, "/samples.npy")));
  if (about.contains("constants")) {
    QATGAP_ASSIGN_OR_RETURN(folder.constants, ReadConstants(absl::StrCat(path, "/constants.npz")));
  }
  for (const auto& [file, facts] : about.at("parts").items()) {
    Part part{.file = file, .kind = facts.value("kind", ""), .error = facts.value("error", ""), .recorded = {},
              .by_operators = {}};
    if (part.error.empty()) {
      const std::string prefix = absl::StrCat(path, "/", file, ".");
      QATGAP_ASSIGN_OR_RETURN(part.recorded, ReadOutputs(absl::StrCat(prefix, "output"), facts.value("outputs", 0)));
      QATGAP_ASSIGN_OR_RETURN(part.by_operators,
                              ReadOutputs(absl::StrCat(prefix, "operators"), facts.value("by_operators", 0)));
    }
    folder.parts.push_back(std::move(part));
  }
  return folder;
}

}  // namespace qatgap::conformance
