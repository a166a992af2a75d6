#include "analyzers/frontends/tflite/tflite_frontend.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/tflite/importer.h"
#include "analyzers/frontends/tflite/layer_names.h"
#include "analyzers/frontends/tflite/model_file.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::tflite {
namespace {

using schema::TensorType;

std::string FormatOf(const ModelFile& file, bool has_codes) {
  const auto any = [&](auto predicate) { return std::any_of(file.tensors().begin(), file.tensors().end(), predicate); };
  const auto activations = [&](TensorType type) {
    return any(
        [type](const TensorRecord& record) { return record.type == type && record.quantized() && !record.constant(); });
  };
  if (activations(TensorType::INT16)) return "TFLite, int16x8";
  if (activations(TensorType::INT8)) return "TFLite, int8";
  if (activations(TensorType::UINT8)) return "TFLite, uint8";
  if (has_codes) return "TFLite, integer weights";
  const bool half = any([](const TensorRecord& record) { return record.type == TensorType::FLOAT16; });
  return half ? "TFLite, float16" : "TFLite, float32";
}

}  // namespace

absl::StatusOr<Model> Import(std::string_view bytes, std::string_view name) {
  QATGAP_ASSIGN_OR_RETURN(const ModelFile file, ModelFile::Open(bytes, name));
  const std::vector<std::string> paths = LayerPaths(file);
  for (const bool any_batch : {true, false}) {
    Importer importer(file, paths, any_batch);
    if (absl::Status status = importer.Run(); !status.ok()) {
      return absl::Status(status.code(), absl::StrCat("'", Text(name), "': ", status.message()));
    }
    if (any_batch && importer.mixes_batch()) continue;
    const bool has_codes = importer.has_codes();
    Model model{.graph = importer.TakeGraph(),
                .kind = has_codes ? ModelKind::kConverted : ModelKind::kFloat,
                .scripted = false,
                .format = FormatOf(file, has_codes)};
    QATGAP_RETURN_IF_ERROR(graph::Verify(model.graph));
    return model;
  }
  return absl::InternalError("a graph for the file's own batch mixes samples");  // the second pass always returns
}

}  // namespace qatgap::frontends::tflite
