// Reads a model file of any format that qatgap knows: what the bytes are decides, not the file's name.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "analyzers/frontends/model.h"

namespace qatgap::frontends {

enum class Format { kTorchScript, kExportedProgram, kOnnx, kTflite };

// INVALID_ARGUMENT naming what the bytes look like (a state dict of torch.save, a zip archive, ...) and the remedy.
absl::StatusOr<Format> FormatOf(std::string_view bytes, std::string_view name);

// `bytes` is the whole file; `name` stands for it in messages. Errors: those of FormatOf and of the frontend.
absl::StatusOr<Model> ImportModel(std::string_view bytes, std::string_view name);

}  // namespace qatgap::frontends
