#include "analyzers/frontends/import.h"

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/torchscript/torchscript_frontend.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"
#ifdef QATGAP_HAS_FRONTEND_PT2
#include "analyzers/frontends/pt2/pt2_frontend.h"
#endif
#ifdef QATGAP_HAS_FRONTEND_ONNX
#include "analyzers/frontends/onnx/onnx_frontend.h"
#endif
#ifdef QATGAP_HAS_FRONTEND_TFLITE
#include "analyzers/frontends/tflite/tflite_frontend.h"
#endif

namespace qatgap::frontends {

absl::StatusOr<Model> ImportModel(std::string_view bytes, std::string_view name) {
  QATGAP_ASSIGN_OR_RETURN(const Format format, FormatOf(bytes, name));
  switch (format) {
    case Format::kTorchScript:
      return torchscript::Import(bytes, name);
#ifdef QATGAP_HAS_FRONTEND_PT2
    case Format::kExportedProgram:
      return pt2::Import(bytes, name);
#endif
#ifdef QATGAP_HAS_FRONTEND_ONNX
    case Format::kOnnx:
      return onnx::Import(bytes, name);
#endif
#ifdef QATGAP_HAS_FRONTEND_TFLITE
    case Format::kTflite:
      return tflite::Import(bytes, name);
#endif
    default:
      return absl::UnimplementedError(absl::StrCat("'", Text(name), "' is of a format that this build does not read"));
  }
}

}  // namespace qatgap::frontends
