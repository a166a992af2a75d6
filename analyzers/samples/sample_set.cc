#include "analyzers/samples/sample_set.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzers/samples/array_file.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::samples {
namespace {

std::string Quoted(std::span<const std::string> names) {
  return absl::StrJoin(names, ", ",
                       [](std::string* out, const std::string& name) { absl::StrAppend(out, "'", name, "'"); });
}

// Deals arrays out to the model's inputs.
class Assignment {
 public:
  explicit Assignment(std::span<const std::string> inputs) : inputs_(inputs), readers_(inputs.size()) {}

  absl::Status Add(const SampleFile& file) {
    QATGAP_ASSIGN_OR_RETURN(const ArrayFile arrays, ArrayFile::Open(file.fd, file.name));
    if (!file.input_name.empty()) return AddNamed(arrays, file.input_name);
    if (arrays.is_folder() && (arrays.arrays().empty() || !AllAreInputs(arrays.arrays()))) {
      if (inputs_.size() > 1 && !arrays.arrays().empty()) {
        return Bad(absl::StrCat("the files of '", arrays.label(), "' (", arrays.arrays().front(),
                                ".npy ...) are not named like ", TheInputs(),
                                "; name them so, or give a folder of samples for each as INPUT=FOLDER"));
      }
      return Claim(0, arrays.OpenStacked());
    }
    if (inputs_.size() == 1) {
      if (arrays.arrays().size() != 1) return arrays.NotOneArray();
      return Claim(0, arrays.OpenArray(arrays.arrays().front()));
    }
    if (!arrays.has_names()) {
      return Bad(absl::StrCat("'", arrays.label(), "' does not say which of ", TheInputs(),
                              " it holds; give it as INPUT=", arrays.label()));
    }
    for (const std::string& array : arrays.arrays()) {
      const std::optional<std::size_t> input = Find(array);
      if (!input) {
        return Bad(absl::StrCat("array '", array, "' of '", arrays.label(), "' is none of ", TheInputs(),
                                "; rename or remove it"));
      }
      QATGAP_RETURN_IF_ERROR(Claim(*input, arrays.OpenArray(array)));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<ArrayReader>> Finish() {
    std::vector<ArrayReader> all;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (!readers_[i]) {
        return Bad(absl::StrCat("there are no samples for '", inputs_[i], "' of ", TheInputs(), "; give them as ",
                                inputs_[i], "=FILE, or as an array of that name"));
      }
      all.push_back(*std::move(readers_[i]));
    }
    for (const ArrayReader& reader : all) {
      if (reader.count() == all.front().count()) continue;
      return Bad(absl::StrCat(all.front().label(), " has ", all.front().count(), " samples, ", reader.label(), " has ",
                              reader.count(), "; give as many for each input"));
    }
    if (all.front().count() == 0)
      return Bad(absl::StrCat(all.front().label(), " holds no samples; nothing can be measured"));
    return all;
  }

  // "the model's inputs 'ids', 'mask'"
  std::string TheInputs() const {
    return absl::StrCat("the model's input", inputs_.size() == 1 ? " " : "s ", Quoted(inputs_));
  }

  std::optional<std::size_t> Find(const std::string& name) const {
    const auto it = std::find(inputs_.begin(), inputs_.end(), name);
    if (it == inputs_.end()) return std::nullopt;
    return static_cast<std::size_t>(it - inputs_.begin());
  }

 private:
  static absl::Status Bad(const std::string& what) { return absl::InvalidArgumentError(what); }

  bool AllAreInputs(const std::vector<std::string>& names) const {
    return std::all_of(names.begin(), names.end(), [&](const std::string& name) { return Find(name).has_value(); });
  }

  absl::Status AddNamed(const ArrayFile& file, const std::string& name) {
    const std::optional<std::size_t> input = Find(name);
    if (!input) {
      return Bad(absl::StrCat("'", file.label(), "' is given for '", name, "', which is none of ", TheInputs(),
                              "; give it for one of them"));
    }
    if (file.is_folder()) return Claim(*input, file.OpenStacked());
    const std::vector<std::string>& arrays = file.arrays();
    if (std::find(arrays.begin(), arrays.end(), name) != arrays.end()) return Claim(*input, file.OpenArray(name));
    if (arrays.size() != 1) return file.NotOneArray();
    return Claim(*input, file.OpenArray(arrays.front()));
  }

  absl::Status Claim(std::size_t input, absl::StatusOr<ArrayReader> reader) {
    QATGAP_RETURN_IF_ERROR(reader.status());
    if (readers_[input]) {
      return Bad(absl::StrCat("input '", inputs_[input], "' is given twice: ", readers_[input]->label(), " and ",
                              reader->label(), "; give one"));
    }
    readers_[input] = *std::move(reader);
    return absl::OkStatus();
  }

  std::span<const std::string> inputs_;
  std::vector<std::optional<ArrayReader>> readers_;
};

absl::Status CheckType(const ArrayReader& reader, bool normalized) {
  const auto bad = [&](const std::string& remedy) {
    return absl::InvalidArgumentError(
        absl::StrCat(reader.label(), " has dtype ", std::string(ToString(reader.type())), "; ", remedy));
  };
  switch (reader.type()) {
    case ElementType::kFloat16:
    case ElementType::kBfloat16:
    case ElementType::kFloat32:
      return absl::OkStatus();
    case ElementType::kFloat64:
      return bad("the model's input is float32: .astype(numpy.float32)");
    case ElementType::kInt8:
      return bad("save it as float32 (or, for integer inputs, int64): .astype(numpy.float32)");
    case ElementType::kUint8:
      if (normalized) return absl::OkStatus();
      return bad(
          "say how it becomes the model's float32 input, as --normalize scale=1/255,mean=...,std=..., or save it "
          "normalised with .astype(numpy.float32)");
    case ElementType::kInt32:
    case ElementType::kInt64:
    case ElementType::kBool:
      if (!normalized) return absl::OkStatus();
      return bad("a normalisation is of uint8 and float samples; drop it, or save the samples as float32");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SampleSet> SampleSet::Open(std::span<const SampleFile> files, std::span<const std::string> inputs,
                                          std::vector<Normalization> normalizations) {
  if (inputs.empty()) return absl::FailedPreconditionError("the model has no input, so samples cannot be given to it");
  Assignment assignment(inputs);
  for (const SampleFile& file : files) QATGAP_RETURN_IF_ERROR(assignment.Add(file));
  QATGAP_ASSIGN_OR_RETURN(std::vector<ArrayReader> readers, assignment.Finish());
  std::vector<Input> set;
  for (ArrayReader& reader : readers) set.push_back({.reader = std::move(reader), .normalization = {}});
  for (Normalization& normalization : normalizations) {
    QATGAP_RETURN_IF_ERROR(Validate(normalization));
    std::optional<std::size_t> input = assignment.Find(normalization.input_name);
    if (normalization.input_name.empty() && inputs.size() == 1) input = 0;
    if (!input) {
      const std::string what =
          normalization.input_name.empty()
              ? absl::StrCat("a normalisation does not say which of ", assignment.TheInputs(), " it is for")
              : absl::StrCat("a normalisation is for '", normalization.input_name, "', which is none of ",
                             assignment.TheInputs());
      return absl::InvalidArgumentError(absl::StrCat(what, "; name one of them, as --normalize INPUT:scale=1/255"));
    }
    if (set[*input].normalization) {
      return absl::InvalidArgumentError(absl::StrCat("input '", inputs[*input], "' has two normalisations; give one"));
    }
    QATGAP_RETURN_IF_ERROR(CheckChannels(normalization, set[*input].reader.shape(), set[*input].reader.label()));
    set[*input].normalization = std::move(normalization);
  }
  for (const Input& input : set) QATGAP_RETURN_IF_ERROR(CheckType(input.reader, input.normalization.has_value()));
  return SampleSet(std::move(set));
}

std::string SampleSet::label() const {
  return absl::StrJoin(inputs_, ", ",
                       [](std::string* out, const Input& input) { absl::StrAppend(out, input.reader.label()); });
}

absl::StatusOr<std::vector<graph::Tensor>> SampleSet::Read(std::int64_t first, std::int64_t count) {
  std::vector<graph::Tensor> tensors;
  for (Input& input : inputs_) {
    QATGAP_ASSIGN_OR_RETURN(graph::Tensor rows, input.reader.Read(first, count));
    if (input.normalization) {
      rows = Normalize(rows, *input.normalization);
      const std::span<const float> values = rows.data<float>();
      const auto it = std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
      if (it != values.end()) {
        const auto index = static_cast<std::int64_t>(it - values.begin()), per_row = rows.elements() / count;
        return absl::InvalidArgumentError(
            absl::StrCat(input.reader.label(), " is no finite number once normalised, at sample ",
                         first + index / per_row, ", element ", index % per_row, "; check scale and std"));
      }
    }
    tensors.push_back(std::move(rows));
  }
  return tensors;
}

}  // namespace qatgap::samples
