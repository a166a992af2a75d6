#include "tests/conformance/measure.h"

#include <bit>
#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "analyzers/attribution/analysis_session.h"
#include "analyzers/attribution/models.h"
#include "analyzers/execution/graph_executor.h"
#include "analyzers/frontends/import.h"
#include "analyzers/graph/mac_layers.h"
#include "analyzers/graph/passes/lower.h"
#include "analyzers/status/status_macros.h"
#include "tests/conformance/compare_constants.h"
#include "tests/conformance/interpreter.h"

namespace qatgap::conformance {
namespace {

using Json = nlohmann::ordered_json;
using Tensors = std::vector<graph::Tensor>;

class Stopwatch {
 public:
  double Lap() {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - start_).count();
    start_ = now;
    return seconds;
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::string Text(const absl::Status& status) { return std::string(status.message()); }

Json Heading(const ZooFolder& folder, const std::string& file, const std::string& kind) {
  return {{"model", folder.model}, {"flow", folder.flow}, {"file", file}, {"kind", kind}, {"target", folder.target}};
}

absl::StatusOr<graph::Tensor> Rows(const graph::Tensor& samples, std::int64_t first, std::int64_t count) {
  graph::Shape shape = samples.shape();
  const std::size_t row = static_cast<std::size_t>(samples.elements() / shape[0]);
  shape[0] = count;
  return graph::Tensor::Of<float>(shape, samples.data<float>().subspan(static_cast<std::size_t>(first) * row,
                                                                       static_cast<std::size_t>(count) * row));
}

// Calls `run` on the samples as the folder asks for: one batch, or one sample at a time.
template <typename Run>
absl::Status ForBatches(const ZooFolder& folder, const Run& run) {
  const std::int64_t count = folder.samples.shape()[0], step = folder.one_by_one ? 1 : count;
  for (std::int64_t first = 0; first < count; first += step) {
    QATGAP_ASSIGN_OR_RETURN(const graph::Tensor rows, Rows(folder.samples, first, step));
    QATGAP_RETURN_IF_ERROR(run(rows));
  }
  return absl::OkStatus();
}

// Appends the elements of every output: batches and outputs follow each other in both of two runs.
absl::Status Append(const graph::Tensor& tensor, std::vector<float>& values) {
  switch (tensor.dtype()) {
    case graph::DType::kFloat32:
      values.insert(values.end(), tensor.data<float>().begin(), tensor.data<float>().end());
      return absl::OkStatus();
    case graph::DType::kInt64:
      for (const std::int64_t value : tensor.data<std::int64_t>()) values.push_back(static_cast<float>(value));
      return absl::OkStatus();
    default:
      return absl::UnimplementedError(absl::StrCat("an output of ", std::string(ToString(tensor.dtype()))));
  }
}

using Outputs = std::vector<std::vector<float>>;

absl::StatusOr<Outputs> Flat(const Tensors& tensors) {
  Outputs outputs;
  for (const graph::Tensor& tensor : tensors) QATGAP_RETURN_IF_ERROR(Append(tensor, outputs.emplace_back()));
  return outputs;
}

absl::StatusOr<Outputs> InterpreterOutputs(const ZooFolder& folder, const std::string& bytes) {
  Outputs outputs;
  const auto interpret = [&](const graph::Tensor& rows) -> absl::Status {
    QATGAP_ASSIGN_OR_RETURN(const Tensors values, Interpret(bytes, rows, folder.engine));
    outputs.resize(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) QATGAP_RETURN_IF_ERROR(Append(values[i], outputs[i]));
    return absl::OkStatus();
  };
  QATGAP_RETURN_IF_ERROR(ForBatches(folder, interpret));
  return outputs;
}

struct Difference {
  std::int64_t elements = 0, differing = 0;
  double most = 0, range = 0;  // max |d|, and max of the reference
};

absl::StatusOr<Difference> Compare(const Outputs& values, const Outputs& reference) {
  if (values.size() != reference.size()) {
    return absl::FailedPreconditionError(absl::StrCat(values.size(), " outputs, the reference has ", reference.size()));
  }
  Difference difference;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i].size() != reference[i].size()) {
      return absl::FailedPreconditionError(
          absl::StrCat("output ", i, " has ", values[i].size(), " elements, the reference ", reference[i].size()));
    }
    for (std::size_t j = 0; j < values[i].size(); ++j) {
      const float value = values[i][j], expected = reference[i][j];
      ++difference.elements;
      difference.range = std::max(difference.range, std::abs(static_cast<double>(expected)));
      if (std::bit_cast<std::uint32_t>(value) == std::bit_cast<std::uint32_t>(expected)) continue;
      ++difference.differing;
      difference.most = std::max(difference.most, std::abs(static_cast<double>(value) - static_cast<double>(expected)));
    }
  }
  return difference;
}

absl::Status ComparePath(const ZooFolder& folder, const Part& part, const std::string& bytes,
                         const frontends::Model& model, Json& row) {
  const bool engine = part.kind == "converted" && part.file.ends_with(".pt");
  const bool interpreted = part.file.ends_with(".pt");
  QATGAP_ASSIGN_OR_RETURN(const Outputs reference, interpreted ? InterpreterOutputs(folder, bytes) : Flat(part.recorded));
  QATGAP_ASSIGN_OR_RETURN(const graph::MacLayers layers, graph::FindMacLayers(model.graph));
  QATGAP_ASSIGN_OR_RETURN(auto executor, execution::GraphExecutor::Create(
                                             model.graph, layers.layers,
                                             engine ? execution::ExecutionMode::kEngine : execution::ExecutionMode::kFakeQuant,
                                             engine ? folder.engine : numerics::Engine::kNone));
  Outputs values;
  const auto run = [&](const graph::Tensor& rows) -> absl::Status {
    QATGAP_ASSIGN_OR_RETURN(const auto outputs, executor.Run({&rows, 1}, nullptr));
    values.resize(outputs.size());
    for (std::size_t i = 0; i < outputs.size(); ++i) QATGAP_RETURN_IF_ERROR(Append(outputs[i].real, values[i]));
    return absl::OkStatus();
  };
  QATGAP_RETURN_IF_ERROR(ForBatches(folder, run));
  QATGAP_ASSIGN_OR_RETURN(const Difference difference, Compare(values, reference));
  row["path_reference"] = interpreted ? "interpreter" : "recorded";
  row["path_mode"] = engine ? "engine" : "fake_quant";
  row["path_elements"] = difference.elements;
  row["path_differing"] = difference.differing;
  row["path_max"] = difference.most;
  row["path_range"] = difference.range;
  if (part.by_operators.empty()) return absl::OkStatus();
  QATGAP_ASSIGN_OR_RETURN(const Outputs by_operators, Flat(part.by_operators));
  QATGAP_ASSIGN_OR_RETURN(const Difference same_kernels, Compare(values, by_operators));
  row["path_operators_differing"] = same_kernels.differing;
  row["path_operators_max"] = same_kernels.most;
  return absl::OkStatus();
}

absl::Status Analyse(const ZooFolder& folder, std::optional<attribution::GivenModel> reference,
                     std::optional<attribution::GivenModel> converted, Json& row) {
  QATGAP_ASSIGN_OR_RETURN(auto models, attribution::CombineModels(std::move(reference), std::move(converted)));
  QATGAP_ASSIGN_OR_RETURN(const auto target, numerics::FindTarget(folder.target));
  QATGAP_ASSIGN_OR_RETURN(auto session, attribution::AnalysisSession::Create(std::move(models), {target}, {}));
  QATGAP_RETURN_IF_ERROR(
      ForBatches(folder, [&](const graph::Tensor& rows) { return session->RunBatch({&rows, 1}, {}); }));
  const report::AnalysisResult& result = session->result();
  std::uint64_t codes = 0, differing = 0, elements = 0, total_changed = 0;
  std::size_t measured = 0;
  bool explained = true;  // every layer with a residual is one where the kernel may saturate pairs
  std::set<std::string> notes;
  Json residual_layers = Json::array();
  for (const report::LayerResult& layer : result.targets[0].layers) {
    const report::CauseStatistics causes = report::MergeChannels(layer);
    const auto& residual = causes[static_cast<std::size_t>(report::Cause::kEngineResidual)];
    total_changed += causes[static_cast<std::size_t>(report::Cause::kTotal)].changed;
    if (!layer.engine_note.empty()) notes.insert(layer.engine_note);
    if (!layer.engine_measured) continue;
    ++measured;
    codes += residual.sum_absolute;
    differing += residual.changed;
    elements += residual.count;
    if (residual.changed == 0) continue;
    residual_layers.push_back(result.layers[static_cast<std::size_t>(layer.layer)].name);
    explained = explained && layer.engine_note.starts_with("int16 pair saturation");
  }
  const report::Coverage coverage = report::CoverageOf(result, result.targets[0]);
  row["coverage_analysed"] = coverage.analysed;
  row["coverage_layers"] = coverage.mac_layers;
  row["engine_layers"] = measured;
  row["residual_codes"] = codes;
  row["residual_differing"] = differing;
  row["residual_elements"] = elements;
  row["total_differing"] = total_changed;
  if (!residual_layers.empty()) {
    row["residual_layers"] = residual_layers;
    row["residual_is_pair_saturation"] = explained;
  }
  if (!notes.empty()) row["engine_notes"] = notes;
  Json unmeasured = Json::array();
  for (const report::Unmeasured& entry : result.unmeasured) {
    if (entry.is_mac_layer) unmeasured.push_back(absl::StrCat(entry.name, ": ", entry.reason));
  }
  if (!unmeasured.empty()) row["unmeasured"] = unmeasured;
  std::map<std::string, int> findings;
  for (const report::Finding& finding : result.findings) {
    if (finding.severity != report::Severity::kInfo) ++findings[finding.id];
  }
  if (!findings.empty()) row["findings"] = findings;
  return absl::OkStatus();
}

attribution::GivenModel Given(frontends::Model model, const std::string& file) {
  using attribution::GivenKind;
  const GivenKind kind = model.kind == frontends::ModelKind::kQat         ? GivenKind::kQat
                         : model.kind == frontends::ModelKind::kConverted ? GivenKind::kConverted
                                                                          : GivenKind::kFloat;
  return {.graph = std::move(model.graph), .kind = kind, .format = model.format, .name = file};
}

}  // namespace

Json Measure(const ZooFolder& folder, const Part& part) {
  Json row = Heading(folder, part.file, part.kind);
  if (!part.error.empty()) {
    row["export_error"] = part.error;
    return row;
  }
  Stopwatch watch;
  const auto bytes = ReadFile(absl::StrCat(folder.path, "/", part.file));
  if (!bytes.ok()) {
    row["import_error"] = Text(bytes.status());
    return row;
  }
  auto model = frontends::ImportModel(*bytes, part.file);
  row["import_seconds"] = watch.Lap();
  row["imports"] = model.ok();
  if (!model.ok()) {
    row["import_error"] = Text(model.status());
    return row;
  }
  row["format"] = model->format;
  row["found_kind"] = ToString(model->kind);
  std::map<std::string, int> islands;
  for (const graph::Node& node : model->graph.nodes) {
    if (node.kind == graph::OpKind::kOperator) ++islands[std::get<graph::OperatorAttributes>(node.attributes).name];
  }
  if (!islands.empty()) row["islands"] = islands;
  watch.Lap();
  if (part.kind == "qat") {
    const auto lowered = graph::Lower(model->graph);
    row["lower_seconds"] = watch.Lap();
    if (!lowered.ok()) {
      row["lower_error"] = Text(lowered.status());
    } else if (folder.constants) {
      CompareConstants(*lowered, *folder.constants, row);
    }
  } else if (folder.constants) {
    CompareConstants(model->graph, *folder.constants, row);
  }
  if (const absl::Status compared = ComparePath(folder, part, *bytes, *model, row); !compared.ok()) {
    row["path_error"] = Text(compared);
  }
  auto given = Given(*std::move(model), part.file);
  const bool is_reference = given.kind != attribution::GivenKind::kConverted;
  std::optional<attribution::GivenModel> reference, converted;
  (is_reference ? reference : converted) = std::move(given);
  if (const absl::Status analysed = Analyse(folder, std::move(reference), std::move(converted), row); !analysed.ok()) {
    row["analysis_error"] = Text(analysed);
  }
  return row;
}

Json MeasurePair(const ZooFolder& folder, const Part& qat, const Part& converted) {
  Json row = Heading(folder, absl::StrCat(qat.file, " + ", converted.file), "pair");
  std::optional<attribution::GivenModel> models[2];
  for (int i = 0; i < 2; ++i) {
    const Part& part = i == 0 ? qat : converted;
    const auto bytes = ReadFile(absl::StrCat(folder.path, "/", part.file));
    auto model = bytes.ok() ? frontends::ImportModel(*bytes, part.file) : bytes.status();
    if (!model.ok()) {
      row["import_error"] = absl::StrCat(part.file, ": ", Text(model.status()));
      return row;
    }
    models[i] = Given(*std::move(model), part.file);
  }
  if (const absl::Status analysed = Analyse(folder, std::move(models[0]), std::move(models[1]), row); !analysed.ok()) {
    row["analysis_error"] = Text(analysed);
  }
  return row;
}

}  // namespace qatgap::conformance
