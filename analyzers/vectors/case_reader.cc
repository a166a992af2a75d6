#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"
#include "analyzers/vectors/case.h"
#include "analyzers/vectors/case_arrays.h"
#include "analyzers/vectors/case_description.h"
#include "analyzers/vectors/layout.h"

namespace qatgap::vectors {
namespace {

constexpr std::string_view kDescriptionFile = "case.json";

// The folder's path with its '/', and the case's name for messages.
struct Folder {
  std::string path, name;
  std::string File(std::string_view file) const { return path + std::string(file); }
};

absl::Status MissingFile(const Folder& folder, const std::string& file, const std::string& remedy) {
  return absl::InvalidArgumentError(absl::StrCat(folder.File(file), " is missing; ", remedy));
}

// Several inputs are numbered in more than one way; the first whose files are all there is taken.
std::vector<std::string> InputFiles(const Files& files, const Folder& folder, std::size_t count) {
  const auto numbered = [&](std::string_view stem, std::size_t first) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < count; ++i) names.push_back(absl::StrCat(Text(stem), first + i, ".npy"));
    return names;
  };
  const auto bare_first = [](std::vector<std::string> names) {
    names.front() = "input.npy";
    return names;
  };
  std::vector<std::vector<std::string>> spellings = {numbered("input_", 0),
                                                     numbered("input", 0),
                                                     bare_first(numbered("input_", 0)),
                                                     bare_first(numbered("input", 0)),
                                                     bare_first(numbered("input_", 1)),
                                                     bare_first(numbered("input", 1)),
                                                     numbered("input_", 1),
                                                     numbered("input", 1)};
  if (count == 1) std::swap(spellings[0], spellings[2]);
  for (const std::vector<std::string>& names : spellings) {
    const auto there = [&](const std::string& name) { return files.contains(folder.File(name)); };
    if (std::all_of(names.begin(), names.end(), there)) return names;
  }
  return spellings.front();
}

absl::Status ReadInputs(const Files& files, const Folder& folder, const CaseDescription& description, Case* layer) {
  const std::vector<std::string> names = InputFiles(files, folder, description.inputs.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string path = folder.File(names[i]);
    if (!files.contains(path)) return MissingFile(folder, names[i], "save the input codes there");
    QATGAP_ASSIGN_OR_RETURN(graph::Tensor codes, ReadCodes(files, path, description.inputs[i]));
    layer->input_codes.push_back(std::move(codes));
    layer->inputs.push_back(description.inputs[i].params);
  }
  return absl::OkStatus();
}

absl::Status CheckInputCount(const Folder& folder, const CaseDescription& description) {
  const std::size_t count = description.inputs.size();
  const CaseOp op = description.op.op;
  const bool several = op == CaseOp::kAdd || op == CaseOp::kMul;
  if (several ? count == 2 : (op == CaseOp::kConcat || count == 1)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(folder.File(kDescriptionFile), ": input describes ", count,
                                                 " tensors, ", description.op_name, " takes ",
                                                 several ? "2: give an array of two" : "1"));
}

// Scales stand for output channels; the axis only has to be one that has as many slices.
absl::Status SetWeightParams(const Folder& folder, const CodeDescription& weight, const graph::Shape& file_shape,
                             std::int64_t channels, std::int64_t groups, Case* layer) {
  layer->weight = weight.params;
  const std::size_t count = weight.params.scales.size();
  if (count == 1) return absl::OkStatus();
  const auto bad = [&](const std::string& what) {
    return absl::InvalidArgumentError(absl::StrCat(folder.File(kDescriptionFile), ": weight.", what));
  };
  if (count != static_cast<std::size_t>(channels)) {
    return bad(absl::StrCat("scales has ", count, " entries; give one, or one for each of the ", channels,
                            " output channels"));
  }
  if (weight.params.per_channel()) {
    const auto rank = static_cast<int>(file_shape.size());
    const int axis = weight.params.axis < 0 ? weight.params.axis + rank : weight.params.axis;
    const bool inside = axis >= 0 && axis < rank;
    const std::int64_t slices = inside ? file_shape[static_cast<std::size_t>(axis)] : 0;
    if (slices != channels && slices * groups != channels) {
      return bad(absl::StrCat("axis is ", weight.params.axis, ", which has ", slices, " slices in weight ",
                              graph::ToString(file_shape), " for ", count, " scales"));
    }
  }
  layer->weight.axis = layer->op == CaseOp::kTransposedConvolution ? 1 : 0;
  return absl::OkStatus();
}

absl::Status ReadBiases(const Files& files, const Folder& folder, std::int64_t channels, Case* layer) {
  const auto check = [&](const std::string& file, std::size_t count) -> absl::Status {
    if (count == static_cast<std::size_t>(channels)) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(file, " has ", count, " values for ", channels, " output channels"));
  };
  if (const std::string file = folder.File("bias.npy"); files.contains(file)) {
    QATGAP_ASSIGN_OR_RETURN(layer->bias, ReadRealBias(files, file));
    QATGAP_RETURN_IF_ERROR(check(file, layer->bias.size()));
  }
  if (const std::string file = folder.File("bias_int.npy"); files.contains(file)) {
    QATGAP_ASSIGN_OR_RETURN(IntegerBias bias, ReadIntegerBias(files, file));
    layer->bias_integer = std::move(bias.values);
    layer->bias_integer_bits = bias.bits;
    QATGAP_RETURN_IF_ERROR(check(file, layer->bias_integer.size()));
  }
  return absl::OkStatus();
}

absl::StatusOr<Case> ReadCase(const Files& files, const Folder& folder) {
  const std::string where = folder.File(kDescriptionFile);
  QATGAP_ASSIGN_OR_RETURN(const CaseDescription description, ParseDescription(files.at(where), where));
  Case layer;
  layer.name = folder.name;
  layer.runtime = description.runtime;
  layer.kernel = description.runtime_kernel;
  layer.version = description.version;
  layer.target = description.target;
  layer.host = description.host;
  layer.op = description.op.op;
  layer.activation = description.activation;
  layer.output = description.output.params;
  QATGAP_RETURN_IF_ERROR(CheckInputCount(folder, description));
  QATGAP_RETURN_IF_ERROR(ReadInputs(files, folder, description, &layer));
  if (layer.is_mac()) {
    const std::string path = folder.File("weight.npy");
    if (!files.contains(path)) return MissingFile(folder, "weight.npy", "save the weight codes there");
    QATGAP_ASSIGN_OR_RETURN(layer.weight_codes, ReadCodes(files, path, *description.weight));
  }
  const std::string output = folder.File("output.npy");
  if (!files.contains(output))
    return MissingFile(folder, "output.npy", "save the codes there that the runtime returned");
  QATGAP_ASSIGN_OR_RETURN(layer.output_codes, ReadCodes(files, output, description.output));
  const graph::Shape weight_shape = layer.is_mac() ? layer.weight_codes.shape() : graph::Shape();
  QATGAP_RETURN_IF_ERROR(Arrange(description, where, &layer));
  if (!layer.is_mac()) return layer;
  const std::int64_t channels =
      layer.op == CaseOp::kLinear ? layer.output_codes.shape().back() : layer.output_codes.dim(1);
  QATGAP_RETURN_IF_ERROR(
      SetWeightParams(folder, *description.weight, weight_shape, channels, layer.convolution.groups, &layer));
  QATGAP_RETURN_IF_ERROR(ReadBiases(files, folder, channels, &layer));
  return layer;
}

}  // namespace

absl::StatusOr<std::vector<Case>> ReadCases(const Files& files) {
  std::vector<Case> cases;
  for (const auto& [path, bytes] : files) {
    const std::size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "" : path.substr(0, slash + 1);
    if (path.substr(folder.size()) != kDescriptionFile) continue;
    const Folder place{.path = folder, .name = folder.empty() ? "" : folder.substr(0, folder.size() - 1)};
    QATGAP_ASSIGN_OR_RETURN(Case layer, ReadCase(files, place));
    cases.push_back(std::move(layer));
  }
  if (cases.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "no vectors among ", files.size(), " files: no folder holds a case.json; give the directory above the cases"));
  }
  return cases;
}

}  // namespace qatgap::vectors
