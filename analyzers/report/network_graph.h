// The deployed network as a reader draws it: its operators and which feeds which.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace qatgap::report {

struct NetworkNode {
  std::string name;                    // module path; the operator's kind where it has none
  std::string kind;                    // "conv2d", "add", "input"
  std::int64_t layer = -1;             // index into AnalysisResult::layers; -1: not an analysed layer
  std::string module = {};             // "Net > layer1: Sequential", where the model's file tells
  std::vector<std::int64_t> inputs = {};  // indices of the nodes whose outputs it takes, each once, ascending
  // Of a node that runs in one branch of the network only: "if 1 then"; nested ones "if 1 then, if 2 else".
  std::string branch = {};
  friend bool operator==(const NetworkNode&, const NetworkNode&) = default;
};

// In execution order: a node comes behind its inputs. The inputs of the network come first. Empty in results that were
// measured before there was one.
using NetworkGraph = std::vector<NetworkNode>;

}  // namespace qatgap::report
