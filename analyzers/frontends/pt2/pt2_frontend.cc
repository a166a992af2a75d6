#include "analyzers/frontends/pt2/pt2_frontend.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/pt2/archive.h"
#include "analyzers/frontends/pt2/importer.h"
#include "analyzers/frontends/pt2/program.h"
#include "analyzers/frontends/pt2/weights.h"
#include "analyzers/graph/passes/fold_constants.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::pt2 {
namespace {

absl::StatusOr<Model> ImportArchive(std::string_view bytes, const graph::SquareRoots& square_roots) {
  QATGAP_ASSIGN_OR_RETURN(Archive archive, Archive::Open(bytes));
  QATGAP_ASSIGN_OR_RETURN(const std::string text, archive.Program());
  QATGAP_ASSIGN_OR_RETURN(const Program program, ParseProgram(text));
  QATGAP_ASSIGN_OR_RETURN(Weights weights, Weights::Open(archive));
  QATGAP_ASSIGN_OR_RETURN(Model model, Importer(program, weights).Run());
  QATGAP_RETURN_IF_ERROR(graph::FoldConstants(model.graph, square_roots));
  return model;
}

}  // namespace

bool IsArchive(std::string_view bytes) { return Archive::Open(bytes).ok(); }

absl::StatusOr<Model> Import(std::string_view bytes, std::string_view name, const graph::SquareRoots& square_roots) {
  absl::StatusOr<Model> model = ImportArchive(bytes, square_roots);
  if (!model.ok()) {
    return absl::Status(model.status().code(),
                        absl::StrCat("'", Text(name), "': ", std::string(model.status().message())));
  }
  QATGAP_RETURN_IF_ERROR(graph::Verify(model->graph));
  return model;
}

}  // namespace qatgap::frontends::pt2
