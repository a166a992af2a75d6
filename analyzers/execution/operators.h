// Single nodes run through LibTorch's operators. Internal to execution/: includes LibTorch. Functions throw what LibTorch
// throws; graph_executor.cc catches it.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <span>
#include <vector>

#include "analyzers/graph/graph.h"
#include "analyzers/numerics/quant_params.h"

namespace qatgap::execution {

// A node on reals (or a comparison), as the QAT model's own graph calls it.
at::Tensor RunFloatOperator(const graph::Node& node, std::span<const at::Tensor> inputs);

// A kOperator node: its outputs, in order. Refuses operators that are not on the list of graph/operator_names.h.
std::vector<at::Tensor> RunOperatorNode(const graph::Node& node, std::span<const at::Tensor> inputs);

// True for operators whose output lies on the grid of their first input: they move or select elements, or are ReLU.
bool KeepsGrid(const graph::Node& node);

// A quantize node whose value PyTorch computes with one quantized operator from codes.
struct EngineCall {
  const graph::Node* op = nullptr;        // the float operator between dequantize and quantize
  bool relu = false;                      // a ReLU behind it is fused
  bool keeps_qparams = false;             // the output has the qparams of the first input
  std::vector<graph::ValueId> inputs;     // codes: of the operator's first inputs
  std::vector<graph::ValueId> reals;      // its other inputs: a weight of a norm
};

// The call behind quantize node `node`, if there is one.
std::optional<EngineCall> FindEngineCall(const graph::Graph& graph, const graph::Node& node);

struct QuantizedOperand {
  at::Tensor codes;                       // int32
  const numerics::QuantParams* params;
};

// PyTorch's engines write convolutions channels last, and some operators behind them give other codes then: QNNPACK's
// clamp mixes up the elements, a leaky ReLU or a mean rounds ties another way (PyTorch 2.13).
at::Tensor InEngineLayout(const at::Tensor& output);

// Output codes (int32), in the layout that the operator gives them. The engine must be set.
at::Tensor RunEngineCall(const EngineCall& call, std::span<const QuantizedOperand> inputs, std::span<const at::Tensor> reals,
                         const numerics::QuantParams& output);

}  // namespace qatgap::execution
