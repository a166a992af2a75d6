#include "client/samples_argument.h"

#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/lib/error_details.h"
#include "client/lib/local_file.h"

namespace qatgap::cli {
namespace {

namespace fs = std::filesystem;

constexpr char kNormalizeExample[] = "write it as mean=0.485,0.456,0.406,std=0.229,0.224,0.225,scale=1/255";
constexpr std::size_t kLongestInputName = 255;

absl::Status BadNormalization(const std::string& what, const std::string& value) {
  return client::WithRemedy(absl::InvalidArgumentError(absl::StrCat("--normalize ", what, " (", value, ")")),
                            kNormalizeExample);
}

// A number, or one divided by another.
std::optional<double> ReadNumber(absl::string_view text) {
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(text, absl::MaxSplits('/', 1));
  double number = 0, divisor = 1;
  if (!absl::SimpleAtod(parts.first, &number)) return std::nullopt;
  if (parts.first.size() != text.size() && (!absl::SimpleAtod(parts.second, &divisor) || divisor == 0))
    return std::nullopt;
  return number / divisor;
}

}  // namespace

absl::StatusOr<SamplesArgument> ReadSamplesArgument(const std::string& value) {
  SamplesArgument argument{.input_name = "", .path = value};
  std::error_code error;
  if (const std::size_t at = value.find('='); !fs::exists(value, error) && at != std::string::npos && at > 0) {
    argument.input_name = value.substr(0, at);
    argument.path = value.substr(at + 1);
    if (argument.input_name.size() > kLongestInputName) {
      return absl::InvalidArgumentError(absl::StrCat("--samples names an input of ", argument.input_name.size(),
                                                     " bytes, at most ", kLongestInputName));
    }
  }
  argument.folder = fs::is_directory(argument.path, error);
  if (argument.folder) return argument;
  if (absl::Status readable = client::CheckReadable("samples", argument.path); !readable.ok()) return readable;
  for (const char* ending : {".npy", ".npz", ".safetensors"}) {
    if (absl::EndsWithIgnoreCase(argument.path, ending)) return argument;
  }
  return client::WithRemedy(
      absl::InvalidArgumentError(absl::StrCat("not a .npy, .npz or .safetensors file: samples (", argument.path, ")")),
      "save it with numpy.save, numpy.savez or safetensors.numpy.save_file");
}

absl::StatusOr<TemporaryArchive> PackSamples(const std::string& folder) {
  std::map<std::string, std::string> files;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (at->path().extension() != ".npy") continue;
    std::error_code ignored;
    if (!at->is_regular_file(ignored)) {
      return client::WithRemedy(
          absl::InvalidArgumentError(absl::StrCat("not a regular file: samples (", at->path().string(), ")")),
          "remove it");
    }
    files.emplace(at->path().filename().string(), at->path().string());
  }
  if (error) {
    return client::WithRemedy(absl::InvalidArgumentError(absl::StrCat("the folder of samples cannot be read (", folder,
                                                                      ": ", error.message(), ")")),
                              "check its permissions");
  }
  if (files.empty()) {
    return client::WithRemedy(
        absl::InvalidArgumentError(absl::StrCat("the folder of samples holds no .npy file (", folder, ")")),
        "save each sample with numpy.save; files in folders below it are not read");
  }
  return TemporaryArchive::Write(files, ArchiveName(folder, "samples"), "samples", ArchiveCompression::kStored);
}

absl::StatusOr<v1::Normalization> ReadNormalization(const std::string& value) {
  v1::Normalization normalization;
  std::string rest = value;
  if (const std::size_t colon = value.find(':'); colon != std::string::npos && colon < value.find('=')) {
    normalization.set_input_name(value.substr(0, colon));
    rest = value.substr(colon + 1);
  }
  // Parts without '=' go on with the list of the key before them.
  std::map<std::string, std::vector<double>> keys;
  std::vector<double>* list = nullptr;
  for (const absl::string_view part : absl::StrSplit(rest, ',')) {
    absl::string_view number = part;
    if (const std::size_t equals = part.find('='); equals != absl::string_view::npos) {
      const std::string key(part.substr(0, equals));
      if (key != "mean" && key != "std" && key != "scale" && key != "axis") {
        return BadNormalization(absl::StrCat("has no '", key, "', only mean, std, scale and axis"), value);
      }
      if (keys.count(key) > 0) return BadNormalization(absl::StrCat("has ", key, " twice"), value);
      list = &keys[key];
      number = part.substr(equals + 1);
    }
    const std::optional<double> parsed = ReadNumber(number);
    if (list == nullptr || !parsed)
      return BadNormalization(absl::StrCat("has '", part, "' where a number belongs"), value);
    list->push_back(*parsed);
  }
  if (keys["scale"].size() > 1 || keys["axis"].size() > 1)
    return BadNormalization("has several values of scale or axis", value);
  normalization.mutable_mean()->Assign(keys["mean"].begin(), keys["mean"].end());
  normalization.mutable_std()->Assign(keys["std"].begin(), keys["std"].end());
  if (!keys["scale"].empty()) {
    if (keys["scale"].front() == 0) return BadNormalization("has scale 0", value);
    normalization.set_scale(keys["scale"].front());
  }
  if (!keys["axis"].empty()) {
    const double axis = keys["axis"].front();
    if (axis != -1 && !(axis >= 1 && axis <= 7 && axis == static_cast<int>(axis))) {
      return BadNormalization("has an axis that is not 1 to 7, or -1 for the last", value);
    }
    normalization.set_channel_axis(static_cast<int>(axis));
  }
  return normalization;
}

}  // namespace qatgap::cli
