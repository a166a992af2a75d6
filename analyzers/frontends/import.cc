#include "analyzers/frontends/import.h"

#include "analyzers/execution/square_roots.h"
#include "analyzers/frontends/onnx/onnx_frontend.h"
#include "analyzers/frontends/pt2/pt2_frontend.h"
#include "analyzers/frontends/tflite/tflite_frontend.h"
#include "analyzers/frontends/torchscript/torchscript_frontend.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::frontends {

absl::StatusOr<Model> ImportModel(std::string_view bytes, std::string_view name) {
  QATGAP_ASSIGN_OR_RETURN(const Format format, FormatOf(bytes, name));
  switch (format) {
    case Format::kTorchScript:
      return torchscript::Import(bytes, name);
    case Format::kExportedProgram:
      return pt2::Import(bytes, name, execution::ReplaceBySquareRoots);
    case Format::kOnnx:
      return onnx::Import(bytes, name);
    case Format::kTflite:
      return tflite::Import(bytes, name);
  }
  return absl::InternalError("a format without a frontend");
}

}  // namespace qatgap::frontends
