// What a file is, told by its bytes.
#include <zip.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "analyzers/frontends/import.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends {
namespace {

using namespace std::string_view_literals;

constexpr char kWhatIsRead[] =
    "TorchScript (torch.jit.save), a torch.export archive (torch.export.save), ONNX or TFLite";

absl::Status NotAModel(std::string_view name, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("'", Text(name), "' ", what));
}

// --- zip archives ---

struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};

// Names of the members; nullopt for an archive that cannot be read.
std::optional<std::vector<std::string>> MembersOf(std::string_view bytes) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  if (source == nullptr) return std::nullopt;
  const std::unique_ptr<zip_t, Discard> archive(zip_open_from_source(source, ZIP_RDONLY, &error));
  if (archive == nullptr) {
    zip_source_free(source);
    return std::nullopt;
  }
  std::vector<std::string> names;
  for (zip_int64_t i = 0; i < zip_get_num_entries(archive.get(), 0); ++i) {
    const char* name = zip_get_name(archive.get(), static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW);
    if (name != nullptr) names.emplace_back(name);
  }
  return names;
}

// The name below the archive's root folder, which every writer of PyTorch makes.
std::string_view BelowRoot(std::string_view member) { return member.substr(member.find('/') + 1); }

absl::StatusOr<Format> FormatOfZip(std::string_view bytes, std::string_view name) {
  const auto members = MembersOf(bytes);
  if (!members) {
    return NotAModel(
        name,
        "starts like a zip archive (.pt, .pt2) but cannot be read as one: it is truncated or damaged; copy "
        "or save it again");
  }
  const auto any = [&](const auto& matches) { return std::any_of(members->begin(), members->end(), matches); };
  const auto has = [&](std::string_view path) {
    return any([&](const std::string& member) { return member == path || BelowRoot(member) == path; });
  };
  const auto below = [&](std::string_view folder) {
    return any(
        [&](const std::string& member) { return member.starts_with(folder) || BelowRoot(member).starts_with(folder); });
  };
  const auto ends = [&](std::string_view ending) {
    return any([&](const std::string& m) { return m.ends_with(ending); });
  };
  const bool program = any([&](const std::string& member) {
    const std::string_view path = member.starts_with("models/") ? std::string_view(member) : BelowRoot(member);
    return path.starts_with("models/") && path.ends_with(".json");
  });
  if (program) return Format::kExportedProgram;
  if (below("data/aotinductor/") || (has("archive_format") && ends(".so"))) {
    return NotAModel(name,
                     "is compiled by AOTInductor and holds no graph; give the exported program: torch.export.save");
  }
  if (has("archive_format"))
    return NotAModel(name, "is a torch.export archive without a program; save it with torch.export.save");
  if (has("serialized_exported_program.json")) {
    return NotAModel(name, "was saved by the torch.export of an older PyTorch; load and save it with a current one");
  }
  if (has("constants.pkl") || below("code/")) return Format::kTorchScript;
  if (has("data.pkl")) {
    return NotAModel(
        name,
        "is a state dict or pickled module of torch.save, which holds no graph; save the model with "
        "torch.jit.save(torch.jit.script(model), ...) or torch.export.save(torch.export.export(model, ...), ...)");
  }
  if (has("model.weights.h5")) return NotAModel(name, "is a Keras model; convert it to a quantized TFLite model");
  if (ends(".npy")) return NotAModel(name, "is an archive of NumPy arrays; give the model here, and arrays as samples");
  return NotAModel(name, absl::StrCat("is a zip archive that holds no model; give ", kWhatIsRead));
}

// --- protobuf ---

// What stands at the top level of a protobuf message.
struct TopLevel {
  bool onnx = true;         // every field is one of ModelProto's, of its type
  bool whole = true;        // the last field ends where the bytes end
  bool graph = false;       // ModelProto.graph
  bool saved_model = true;  // nothing but a schema version and MetaGraphDefs
  bool graph_def = true;    // nothing but GraphDef's node, library, versions
  int fields = 0;
};

std::optional<std::uint64_t> Varint(std::string_view bytes, std::size_t& at) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && at < bytes.size(); shift += 7) {
    const auto byte = static_cast<std::uint8_t>(bytes[at++]);
    value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
    if ((byte & 0x80U) == 0) return value;
  }
  return std::nullopt;
}

TopLevel Scan(std::string_view bytes) {
  // ModelProto: ir_version, model_version are numbers; the others text or messages.
  constexpr std::array<std::uint64_t, 2> kNumbers = {1, 5};
  constexpr std::array<std::uint64_t, 10> kParts = {2, 3, 4, 6, 7, 8, 14, 20, 25, 26};
  TopLevel top;
  std::size_t at = 0;
  while (at < bytes.size()) {
    const auto key = Varint(bytes, at);
    if (!key) {
      top.whole = false;
      return top;
    }
    const std::uint64_t field = *key >> 3U, type = *key & 7U;
    const bool number = type == 0, part = type == 2;
    const auto among = [&](const auto& fields) {
      return std::find(fields.begin(), fields.end(), field) != fields.end();
    };
    top.onnx &= (number && among(kNumbers)) || (part && among(kParts));
    top.saved_model &= (field == 1 && number) || (field == 2 && part);
    top.graph_def &= ((field == 1 || field == 2 || field == 4) && part) || (field == 3 && number);
    if (!top.onnx && !top.saved_model && !top.graph_def) return top;
    ++top.fields;
    top.graph |= field == 7 && part;
    const auto value = Varint(bytes, at);
    if (!value || (part && *value > bytes.size() - at)) {
      top.whole = false;
      return top;
    }
    if (part) at += static_cast<std::size_t>(*value);
  }
  return top;
}

// --- anything else ---

bool Starts(std::string_view bytes, std::string_view magic, std::size_t at = 0) {
  return bytes.size() >= at + magic.size() && bytes.substr(at, magic.size()) == magic;
}

bool LooksLikeSafetensors(std::string_view bytes) {
  if (bytes.size() < 10 || bytes[8] != '{') return false;
  std::uint64_t size = 0;
  for (std::size_t i = 8; i > 0; --i) size = size << 8U | static_cast<std::uint8_t>(bytes[i - 1]);
  return size > 1 && size < (1ULL << 32U);
}

bool IsText(std::string_view bytes) {
  const std::string_view begin = bytes.substr(0, 256);
  return std::all_of(begin.begin(), begin.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 || c == '\n' || c == '\r' || c == '\t';
  });
}

// Files that are taken for models, by their first bytes; what is said of them.
struct Known {
  std::string_view magic;
  std::size_t at;
  std::string_view what;
};
constexpr std::array kKnown = {
    Known{"ET12"sv, 4,
          "is an ExecuTorch program; give the model before to_edge: torch.export.save of what convert_pt2e returns"},
    Known{"ORTM"sv, 4, "is a model in onnxruntime's own format; give the .onnx file that it was made of"},
    Known{"\x80\x02"sv, 0,
          "is a pickle, as torch.save wrote it, which holds no graph; save the model with torch.jit.save or "
          "torch.export.save"},
    Known{"\x80\x03"sv, 0,
          "is a pickle, which holds no graph; save the model with torch.jit.save or torch.export.save"},
    Known{"\x80\x04"sv, 0,
          "is a pickle, which holds no graph; save the model with torch.jit.save or torch.export.save"},
    Known{"\x80\x05"sv, 0,
          "is a pickle, which holds no graph; save the model with torch.jit.save or torch.export.save"},
    Known{"\x7f"
          "ELF"sv,
          0, "is a compiled library; give the model that it was made of"},
    Known{"\x89HDF\r\n"sv, 0, "is an HDF5 file, as Keras writes it; convert the model to a quantized TFLite model"},
    Known{"\x93NUMPY"sv, 0, "is a NumPy array; give the model here, and arrays as samples"},
    Known{"\x1f\x8b"sv, 0, "is compressed by gzip; unpack it"},
    Known{"ustar"sv, 257, "is a tar archive; unpack it"},
    Known{"version https://git-lfs"sv, 0, "is a Git LFS pointer, not the file itself; fetch it with git lfs pull"},
};

}  // namespace

absl::StatusOr<Format> FormatOf(std::string_view bytes, std::string_view name) {
  if (bytes.empty()) return NotAModel(name, "is empty; write it again");
  if (Starts(bytes, "PK\x03\x04"sv) || Starts(bytes, "PK\x05\x06"sv)) return FormatOfZip(bytes, name);
  if (Starts(bytes, "TFL3"sv, 4)) return Format::kTflite;
  for (const Known& known : kKnown) {
    if (Starts(bytes, known.magic, known.at)) return NotAModel(name, std::string(known.what));
  }
  if (LooksLikeSafetensors(bytes)) {
    return NotAModel(name,
                     "is a .safetensors file: weights without a graph; save the model with torch.jit.save or "
                     "torch.export.save");
  }
  const TopLevel top = Scan(bytes);
  // ir_version comes first in every writer's output; a file that is cut is the frontend's to refuse.
  const bool version_first = Starts(bytes, "\x08"sv) && top.fields > 1;
  if (top.onnx && (top.graph || (!top.whole && version_first))) return Format::kOnnx;
  if (top.whole && top.saved_model && top.fields > 1) {
    return NotAModel(name, "is a TensorFlow SavedModel; convert it to a quantized TFLite model");
  }
  if (top.whole && top.graph_def && top.fields > 1) {
    return NotAModel(name, "is a TensorFlow graph; convert it to a quantized TFLite model");
  }
  if (IsText(bytes)) return NotAModel(name, absl::StrCat("is a text file, not a model; give ", kWhatIsRead));
  return NotAModel(name, absl::StrCat("is no model that qatgap reads; give ", kWhatIsRead));
}

}  // namespace qatgap::frontends
