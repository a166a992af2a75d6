// qatgap-conformance FOLDER... [--part FILE] [--pair] [--list]
// Measures models of the zoo (tests/models/zoo) and prints one JSON object a line; see measure.h for its fields.
#include <chrono>
#include <iostream>
#include <string>
#include <vector>

#include "analyzers/execution/host.h"
#include "analyzers/frontends/import.h"
#include "analyzers/graph/passes/lower.h"
#include "tests/conformance/measure.h"

namespace {

using namespace qatgap::conformance;  // NOLINT: the tool's own names

constexpr char kUsage[] =
    "usage: qatgap-conformance FOLDER... [--part FILE] [--pair]\n"
    "       qatgap-conformance --import FILE     imports and lowers one file: for timing a cold process\n";

void Print(const nlohmann::ordered_json& row) {
  // Messages may quote bytes of a file that are no UTF-8.
  std::cout << row.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << std::endl;
}

int Import(const std::string& path) {
  const auto bytes = ReadFile(path);
  if (!bytes.ok()) return std::cerr << bytes.status() << "\n", 1;
  const auto start = std::chrono::steady_clock::now();
  const auto model = qatgap::frontends::ImportModel(*bytes, path);
  if (!model.ok()) return std::cerr << model.status() << "\n", 1;
  const auto imported = std::chrono::steady_clock::now();
  const auto lowered = qatgap::graph::Lower(model->graph);
  if (!lowered.ok()) return std::cerr << lowered.status() << "\n", 1;
  const auto end = std::chrono::steady_clock::now();
  Print({{"format", model->format},
         {"import_seconds", std::chrono::duration<double>(imported - start).count()},
         {"lower_seconds", std::chrono::duration<double>(end - imported).count()},
         {"nodes", lowered->nodes.size()}});
  return 0;
}

const Part* Find(const ZooFolder& folder, const std::string& kind) {
  for (const Part& part : folder.parts) {
    if (part.kind == kind && part.error.empty()) return &part;
  }
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> folders;
  std::string only;
  bool pair = false;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--part" && i + 1 < argc) {
      only = argv[++i];
    } else if (argument == "--pair") {
      pair = true;
    } else if (argument == "--import" && i + 1 < argc) {
      qatgap::execution::UseOneThread();
      return Import(argv[++i]);
    } else if (argument.starts_with("-")) {
      std::cerr << "unknown argument " << argument << "\n" << kUsage;
      return 2;
    } else {
      folders.push_back(argument);
    }
  }
  if (folders.empty()) return std::cerr << kUsage, 2;
  qatgap::execution::UseOneThread();
  for (const std::string& path : folders) {
    const auto folder = ReadZooFolder(path);
    if (!folder.ok()) return std::cerr << path << ": " << folder.status() << "\n", 1;
    for (const Part& part : folder->parts) {
      if (!pair && (only.empty() || only == part.file)) Print(Measure(*folder, part));
    }
    const Part* qat = Find(*folder, "qat");
    const Part* converted = Find(*folder, "converted");
    if (only.empty() && qat != nullptr && converted != nullptr) Print(MeasurePair(*folder, *qat, *converted));
  }
  return 0;
}
