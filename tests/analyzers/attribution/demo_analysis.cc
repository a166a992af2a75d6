#include "tests/analyzers/attribution/demo_analysis.h"

#include <algorithm>
#include <stdexcept>

#include "analyzers/execution/host.h"
#include "analyzers/graph/mac_layers.h"
#include "tests/testing/demo_models.h"

namespace qatgap::attribution {
namespace {

// Constants share storage between copies of a graph: an edit needs its own.
graph::Tensor DeepCopy(const graph::Tensor& tensor) {
  return tensor.dtype() == graph::DType::kInt32
             ? graph::Tensor::Of<std::int32_t>(tensor.shape(), tensor.data<std::int32_t>())
             : graph::Tensor::Of<float>(tensor.shape(), tensor.data<float>());
}

graph::MacLayer Layer(const graph::Graph& graph, const std::string& name) {
  const auto layers = graph::FindMacLayers(graph);
  if (!layers.ok()) throw std::runtime_error(layers.status().ToString());
  for (const graph::MacLayer& layer : layers->layers) {
    if (layer.name == name) return layer;
  }
  throw std::runtime_error("no layer " + name);
}

graph::Node& Producer(graph::Graph& graph, graph::ValueId value) {
  const graph::NodeId id = graph.values[static_cast<std::size_t>(value)].producer;
  return graph.nodes[static_cast<std::size_t>(id)];
}

graph::ConstantAttributes& Own(graph::Node& node) {
  auto& constant = std::get<graph::ConstantAttributes>(node.attributes);
  constant.value = DeepCopy(constant.value);
  return constant;
}

}  // namespace

AnalysisModels DemoModels(const std::string& folder) {
  static std::map<std::string, AnalysisModels> cache;
  testing::UseOneThreadOnce();
  auto it = cache.find(folder);
  if (it == cache.end()) {
    auto qat = testing::ImportModel(folder, "qat.pt");
    auto converted = testing::ImportModel(folder, "converted.pt");
    AnalysisModels models;
    models.qat = std::move(qat.graph);
    models.qat_format = qat.format;
    models.converted = std::move(converted.graph);
    it = cache.emplace(folder, std::move(models)).first;
  }
  return it->second;
}

std::vector<numerics::TargetDescription> Targets(const std::vector<std::string>& names) {
  std::vector<numerics::TargetDescription> targets;
  for (const std::string& name : names) {
    auto target = numerics::FindTarget(name);
    if (!target.ok()) throw std::runtime_error(target.status().ToString());
    targets.push_back(*std::move(target));
  }
  return targets;
}

report::AnalysisResult Analyse(AnalysisModels models, std::vector<numerics::TargetDescription> targets,
                               std::int64_t count, std::int64_t batch) {
  auto session = AnalysisSession::Create(std::move(models), std::move(targets), {});
  if (!session.ok()) throw std::runtime_error(session.status().ToString());
  if ((*session)->batch_limit() != 0) batch = (*session)->batch_limit();
  for (std::int64_t first = 0; first < count; first += batch) {
    const graph::Tensor images = testing::Images(first, std::min(batch, count - first));
    const absl::Status status = (*session)->RunBatch({&images, 1}, {});
    if (!status.ok()) throw std::runtime_error(status.ToString());
  }
  return (*session)->result();
}

std::map<std::string, report::CauseStatistics> ByLayer(const report::AnalysisResult& result, std::size_t target) {
  std::map<std::string, report::CauseStatistics> layers;
  for (const report::LayerResult& layer : result.targets[target].layers) {
    const report::CauseStatistics causes = report::MergeChannels(layer);
    auto& sums = layers[result.layers[static_cast<std::size_t>(layer.layer)].name];
    for (std::size_t i = 0; i < causes.size(); ++i) sums[i].Merge(causes[i]);
  }
  return layers;
}

std::vector<std::string> Alarms(const report::AnalysisResult& result) {
  std::vector<std::string> alarms;
  for (const report::Finding& finding : result.findings) {
    if (finding.severity != report::Severity::kInfo) alarms.push_back(finding.id + " " + finding.layer);
  }
  std::sort(alarms.begin(), alarms.end());
  return alarms;
}

graph::ConstantAttributes& WeightOf(graph::Graph& graph, const std::string& layer) {
  const graph::Node& product = graph.nodes[static_cast<std::size_t>(Layer(graph, layer).product_node)];
  const graph::Node& dequantize = Producer(graph, product.inputs[1]);
  return Own(Producer(graph, dequantize.inputs[0]));
}

std::span<float> BiasOf(graph::Graph& graph, const std::string& layer) {
  const graph::Node& product = graph.nodes[static_cast<std::size_t>(Layer(graph, layer).product_node)];
  return Own(Producer(graph, product.inputs.at(2))).value.mutable_data<float>();
}

numerics::QuantParams& OutputOf(graph::Graph& graph, const std::string& layer) {
  graph::Node& node = graph.nodes[static_cast<std::size_t>(Layer(graph, layer).quantize_node)];
  return std::get<graph::QuantizeAttributes>(node.attributes).qparams;
}

}  // namespace qatgap::attribution
