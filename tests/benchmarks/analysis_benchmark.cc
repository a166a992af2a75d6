// What an analysis costs, in units of what PyTorch's own forwards cost: all are run in turn on one batch within every
// round, so that each ratio is of one moment on one machine. analysis_benchmark.py makes the models, calls this and prints
// the table.
//   analysis_benchmark ratios QAT CONVERTED SIZE BATCH ROUNDS   medians of the rounds as JSON, SIZE x SIZE images
//   analysis_benchmark growth QAT CONVERTED SIZE BATCH COUNT... seconds for COUNT samples, for each COUNT
//   analysis_benchmark peak-forward QAT SIZE BATCH COUNT        peak memory of PyTorch's fake-quant forward of COUNT samples
//   analysis_benchmark peak-analysis QAT CONVERTED SIZE BATCH COUNT
//   analysis_benchmark startup QAT CONVERTED SIZE               seconds from the start of this process to the first sample
//   analysis_benchmark injected|paths QAT CONVERTED SIZE BATCH ROUNDS  a part alone, for a profiler: the injected view, all
//                                                                      of an analysis
//   analysis_benchmark --check QAT CONVERTED                    results only, on one-channel images of 28 x 28
#include <ATen/core/grad_mode.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "analyzers/attribution/analysis_session.h"
#include "analyzers/attribution/layer_analysis.h"
#include "analyzers/attribution/pairing.h"
#include "analyzers/execution/graph_executor.h"
#include "analyzers/execution/host.h"
#include "analyzers/execution/torch_bridge.h"
#include "analyzers/frontends/import.h"
#include "nlohmann/json.hpp"

namespace qatgap {
namespace {

using Json = nlohmann::ordered_json;

const std::vector<std::string> kTargets = {"pytorch-x86", "pytorch-qnnpack", "onnxruntime", "executorch-xnnpack",
                                           "tflite-ruy",  "tflite-micro",    "cmsis-nn",    "tosa"};

template <typename T>
T Must(absl::StatusOr<T> value) {
  if (!value.ok()) throw std::runtime_error(value.status().ToString());
  return *std::move(value);
}

void Must(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<numerics::TargetDescription> FirstTargets(std::size_t count) {
  std::vector<numerics::TargetDescription> targets;
  for (std::size_t i = 0; i < count; ++i) targets.push_back(Must(numerics::FindTarget(kTargets[i])));
  return targets;
}

graph::Tensor Noise(const graph::Shape& shape, unsigned seed) {
  graph::Tensor tensor(graph::DType::kFloat32, shape);
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  for (float& value : tensor.mutable_data<float>()) value = normal(generator);
  return tensor;
}

// A TorchScript file in LibTorch's own interpreter.
class Forward {
 public:
  explicit Forward(const std::string& path) {
    std::istringstream stream(ReadFile(path));
    module_ = torch::jit::load(stream, c10::Device(c10::kCPU));
    module_.eval();
  }
  void operator()(const graph::Tensor& input) {
    const at::NoGradGuard no_grad;
    module_.forward({execution::ToTorch(input)});
  }

 private:
  torch::jit::Module module_;
};

struct Files {
  std::string qat, converted;
};

attribution::AnalysisModels Import(const Files& files) {
  attribution::AnalysisModels models;
  models.qat = Must(frontends::ImportModel(ReadFile(files.qat), files.qat)).graph;
  models.converted = Must(frontends::ImportModel(ReadFile(files.converted), files.converted)).graph;
  return models;
}

std::unique_ptr<attribution::AnalysisSession> Session(const Files& files, std::size_t targets) {
  return Must(attribution::AnalysisSession::Create(Import(files), FirstTargets(targets), {}));
}

// The injected view alone: what a session does without its paths.
class InjectedView {
 public:
  InjectedView(const Files& files, std::size_t targets)
      : models_(Import(files)),
        qat_(Must(graph::FindMacLayers(models_.qat))),
        deployed_(Must(graph::FindMacLayers(*models_.converted))),
        pairing_(Must(attribution::PairLayers(qat_, deployed_))),
        targets_(FirstTargets(targets)),
        results_(targets),
        executor_(Must(execution::GraphExecutor::Create(models_.qat, qat_.layers, execution::ExecutionMode::kFakeQuant))) {
    for (std::size_t i = 0; i < pairing_.pairs.size(); ++i) {
      layers_.push_back(Must(attribution::LayerAnalysis::Create(
          static_cast<std::int64_t>(i), qat_.layers[pairing_.pairs[i].qat], deployed_.layers[pairing_.pairs[i].deployed],
          targets_, results_)));
    }
  }
  void operator()(const graph::Tensor& input) {
    Must(executor_.Run({&input, 1}, [&](const execution::LayerOutput& output) {
      for (std::size_t i = 0; i < pairing_.pairs.size(); ++i) {
        if (pairing_.pairs[i].qat == output.layer) return layers_[i].Add(output, results_);
      }
      return absl::OkStatus();
    }).status());
  }
  // The QAT forward, as qatgap runs it, alone.
  void RunQat(const graph::Tensor& input) { Must(executor_.Run({&input, 1}, nullptr).status()); }
  const std::vector<report::TargetResult>& results() {
    for (attribution::LayerAnalysis& layer : layers_) layer.Flush(results_);
    return results_;
  }

 private:
  attribution::AnalysisModels models_;
  graph::MacLayers qat_, deployed_;
  attribution::Pairing pairing_;
  std::vector<numerics::TargetDescription> targets_;
  std::vector<report::TargetResult> results_;
  execution::GraphExecutor executor_;
  std::vector<attribution::LayerAnalysis> layers_;
};

// Of the processor, all in one thread: what else runs on the machine takes turns, not time.
double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double SecondsOf(auto&& work) {
  const double start = CpuSeconds();
  work();
  return CpuSeconds() - start;
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

Json Ratios(const Files& files, std::int64_t size, std::int64_t batch, int rounds) {
  const graph::Tensor images = Noise({batch, 3, size, size}, 1);
  Forward qat(files.qat), int8(files.converted);
  InjectedView injected(files, kTargets.size()), injected_one(files, 1);
  const auto one = Session(files, 1), all = Session(files, kTargets.size());
  const auto analyse = [&](attribution::AnalysisSession& session) { Must(session.RunBatch({&images, 1}, {})); };
  std::vector<std::vector<double>> seconds(7);
  std::vector<double> ladder_ratio, further_ratio, first_ratio, all_ratio;
  for (int round = -2; round < rounds; ++round) {  // two to warm up
    const double times[] = {SecondsOf([&] { qat(images); }),             SecondsOf([&] { int8(images); }),
                            SecondsOf([&] { injected.RunQat(images); }), SecondsOf([&] { injected(images); }),
                            SecondsOf([&] { injected_one(images); }),    SecondsOf([&] { analyse(*one); }),
                            SecondsOf([&] { analyse(*all); })};
    if (round < 0) continue;
    for (std::size_t i = 0; i < seconds.size(); ++i) seconds[i].push_back(times[i] / static_cast<double>(batch));
    const double unit = times[0] + times[1];
    ladder_ratio.push_back(times[3] / unit);
    // What the paths of all targets take, less those of one: what is shared by all is in both.
    const double all_paths = times[6] - times[3], one_path = times[5] - times[4];
    further_ratio.push_back((all_paths - one_path) / static_cast<double>(kTargets.size() - 1) / unit);
    first_ratio.push_back(times[5] / unit);
    all_ratio.push_back(times[6] / unit);
  }
  return {{"targets", kTargets},
          {"qat_forward", Median(seconds[0])},
          {"int8_forward", Median(seconds[1])},
          {"own_qat_forward", Median(seconds[2])},
          {"injected_8", Median(seconds[3])},
          {"injected_1", Median(seconds[4])},
          {"analysis_1", Median(seconds[5])},
          {"analysis_8", Median(seconds[6])},
          {"injected_8_ratio", Median(ladder_ratio)},
          {"further_target_ratio", Median(further_ratio)},
          {"analysis_1_ratio", Median(first_ratio)},
          {"analysis_8_ratio", Median(all_ratio)}};
}

Json Growth(const Files& files, std::int64_t size, std::int64_t batch, const std::vector<std::int64_t>& counts) {
  const auto session = Session(files, 2);
  const graph::Tensor images = Noise({batch, 3, size, size}, 1);
  const auto run = [&](std::int64_t count) {
    for (std::int64_t done = 0; done < count; done += batch) Must(session->RunBatch({&images, 1}, {}));
  };
  run(batch);
  std::vector<std::vector<double>> seconds(counts.size());
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < counts.size(); ++i) seconds[i].push_back(SecondsOf([&] { run(counts[i]); }));
  }
  Json rows = Json::array();
  for (std::size_t i = 0; i < counts.size(); ++i) {
    rows.push_back({{"samples", counts[i]}, {"seconds", *std::min_element(seconds[i].begin(), seconds[i].end())}});
  }
  return {{"layers", session->result().layers.size()}, {"rows", rows}};
}

// Wall time since the process was started, to 10 ms.
double SecondsSinceStart() {
  std::ifstream file("/proc/self/stat");
  std::string stat((std::istreambuf_iterator<char>(file)), {});
  std::istringstream fields(stat.substr(stat.rfind(')') + 2));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;  // 22: ticks from boot to start
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec) -
         std::stod(field) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

Json Startup(const Files& files, std::int64_t size) {
  const double loaded = SecondsSinceStart();
  attribution::AnalysisModels models = Import(files);
  const double imported = SecondsSinceStart();
  const auto session = Must(attribution::AnalysisSession::Create(std::move(models), FirstTargets(1), {}));
  const double ready = SecondsSinceStart();
  const graph::Tensor image = Noise({1, 3, size, size}, 1);
  Must(session->RunBatch({&image, 1}, {}));
  return {{"loaded", loaded}, {"imported", imported}, {"first_sample", ready}, {"first_result", SecondsSinceStart()}};
}

Json Peak(std::int64_t count) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {{"samples", count}, {"peak_bytes", usage.ru_maxrss * 1024}};
}

// The batches differ, as samples do.
void RunBatches(std::int64_t size, std::int64_t batch, std::int64_t count, auto&& run) {
  for (std::int64_t done = 0; done < count; done += batch) run(Noise({batch, 3, size, size}, static_cast<unsigned>(done)));
}

// The injected view on its own and a session must say the same, and the causes of every channel must add up to the total.
int Check(const Files& files) {
  const graph::Tensor images = Noise({4, 1, 28, 28}, 1);
  InjectedView injected(files, kTargets.size());
  const auto session = Session(files, kTargets.size());
  injected(images);
  Must(session->RunBatch({&images, 1}, {}));
  std::uint64_t elements = 0, changed = 0;
  const std::vector<report::TargetResult>& alone = injected.results();
  for (std::size_t t = 0; t < kTargets.size(); ++t) {
    const report::TargetResult& whole = session->result().targets[t];
    if (alone[t].layers != whole.layers || whole.comparisons.empty()) {
      return std::cerr << kTargets[t] << ": the injected view alone differs from the analysis\n", 1;
    }
    for (const report::LayerResult& layer : whole.layers) {
      for (const report::ChannelResult& channel : layer.channels) {
        const auto& total = channel.causes[static_cast<std::size_t>(report::Cause::kTotal)];
        std::int64_t sum = 0, squares = 0;
        for (std::size_t cause = 0; cause < static_cast<std::size_t>(report::Cause::kTotal); ++cause) {
          sum += channel.causes[cause].sum;
          squares += channel.causes[cause].cross_total;
        }
        if (total.count == 0 || sum != total.sum || squares != static_cast<std::int64_t>(total.sum_squares)) {
          return std::cerr << kTargets[t] << ", layer " << layer.layer << ": the causes do not add up to the total\n", 1;
        }
        elements += total.count;
        changed += total.changed;
      }
    }
  }
  if (changed == 0) return std::cerr << "no code differs: there was nothing to add up\n", 1;
  std::cout << elements << " codes of " << kTargets.size() << " targets, " << changed << " differ; the causes add up\n";
  return 0;
}

int Main(const std::vector<std::string>& arguments) {
  execution::UseOneThread();
  const auto number = [&](std::size_t i) { return static_cast<std::int64_t>(std::stoll(arguments.at(i))); };
  const std::string& mode = arguments.at(0);
  const Files files{arguments.at(1), arguments.at(2)};
  if (mode == "--check") return Check(files);
  if (mode == "ratios") {
    std::cout << Ratios(files, number(3), number(4), static_cast<int>(number(5))) << "\n";
  } else if (mode == "startup") {
    std::cout << Startup(files, number(3)) << "\n";
  } else if (mode == "injected" || mode == "paths") {
    const graph::Tensor images = Noise({number(4), 3, number(3), number(3)}, 1);
    InjectedView injected(files, kTargets.size());
    const auto session = Session(files, kTargets.size());
    for (std::int64_t round = 0; round < number(5); ++round) {
      if (mode == "injected") injected(images);
      else Must(session->RunBatch({&images, 1}, {}));
    }
  } else if (mode == "growth") {
    std::vector<std::int64_t> counts;
    for (std::size_t i = 5; i < arguments.size(); ++i) counts.push_back(number(i));
    std::cout << Growth(files, number(3), number(4), counts) << "\n";
  } else if (mode == "peak-forward") {
    Forward forward(files.qat);
    RunBatches(number(2), number(3), number(4), forward);
    std::cout << Peak(number(4)) << "\n";
  } else if (mode == "peak-analysis") {
    const auto session = Session(files, kTargets.size());
    RunBatches(number(3), number(4), number(5), [&](const graph::Tensor& images) { Must(session->RunBatch({&images, 1}, {})); });
    if (session->result().targets.size() != kTargets.size()) throw std::runtime_error("a target has no result");
    std::cout << Peak(number(5)) << "\n";
  } else {
    throw std::out_of_range(mode);
  }
  return 0;
}

}  // namespace
}  // namespace qatgap

int main(int argc, char** argv) {
  try {
    return qatgap::Main({argv + 1, argv + argc});
  } catch (const std::out_of_range&) {
    std::cerr << "error: see the head of tests/benchmarks/analysis_benchmark.cc for the arguments\n";
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
