// The pair of graphs that an analysis compares, made of whatever models the user has.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "analyzers/graph/graph.h"

namespace qatgap::attribution {

struct AnalysisModels {
  graph::Graph qat;
  std::string qat_format;                  // "TorchScript, traced"
  std::string converted_format = {};       // "ONNX, QDQ"; empty when no converted model was given
  std::optional<graph::Graph> converted;   // without it the QAT graph is lowered (graph/passes/lower.h)
  bool reference_rebuilt = false;          // `qat` was made from `converted`: nothing can be said about its conversion
  bool has_labels = false;                 // batches come with labels

  // Samples that one batch may hold: 1 where a model branches on its data or takes one sample alone, else no limit (0).
  std::int64_t batch_limit() const { return TakesOneSample(qat) || (converted && TakesOneSample(*converted)) ? 1 : 0; }
  static bool TakesOneSample(const graph::Graph& graph) {
    const auto of_one = [](const graph::Shape& shape) { return !shape.empty() && shape[0] == 1; };
    return graph.has_control_flow() || std::any_of(graph.input_shapes.begin(), graph.input_shapes.end(), of_one);
  }
};

// As frontends::ModelKind.
enum class GivenKind {
  kQat,        // has fake-quants on real weights
  kConverted,  // has integer weights
  kFloat,      // neither
};

struct GivenModel {
  graph::Graph graph;
  GivenKind kind = GivenKind::kQat;
  std::string format;  // "TorchScript, traced"
  std::string name;    // the file's, for messages
};

// What is given as the reference and as the converted model; at least one is set.
//   reference  converted   analysed
//   QAT        -           QAT against its lowering
//   QAT        given       QAT against the converted model
//   -          given       the fake-quant twin of the converted model (graph/passes/fake_quant_twin.h) against it
//   float      given       that twin, with the float model's biases (batch norm folded in), against it. Its weights stay
//                          those of the converted model: how they were rounded is no part of the analysis
// A notice in AnalysisModels::qat says where the reference was rebuilt, and what cannot be seen therefore.
// INVALID_ARGUMENT: a model given in a place that its kind does not fit. FAILED_PRECONDITION: nothing given, a float
// model alone, a float model that does not pair with the converted one, models of different inputs or outputs.
absl::StatusOr<AnalysisModels> CombineModels(std::optional<GivenModel> reference, std::optional<GivenModel> converted);

}  // namespace qatgap::attribution
