// Builds graphs of the intermediate representation, one operator a call: the values come back, to be fed to the next.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "analyzers/graph/graph.h"

namespace qatgap::testing {

inline numerics::QuantParams PerTensor(double scale, std::int64_t zero_point, std::int64_t quant_min = 0,
                                       std::int64_t quant_max = 255) {
  return {.scales = {scale}, .zero_points = {zero_point}, .quant_min = quant_min, .quant_max = quant_max};
}

inline numerics::QuantParams PerChannel(std::vector<double> scales, int axis = 0) {
  std::vector<std::int64_t> zero_points(scales.size(), 0);
  return {.scales = std::move(scales),
          .zero_points = std::move(zero_points),
          .quant_min = -128,
          .quant_max = 127,
          .axis = axis};
}

class GraphBuilder {
 public:
  using ValueId = graph::ValueId;
  using OpKind = graph::OpKind;

  GraphBuilder() : block_(&graph_.body) {}
  GraphBuilder(const GraphBuilder&) = delete;
  GraphBuilder& operator=(const GraphBuilder&) = delete;

  ValueId Input(std::string name = "x") {
    graph_.inputs.push_back(graph_.AddValue(std::move(name)));
    return graph_.inputs.back();
  }
  ValueId Op(OpKind kind, std::vector<ValueId> inputs, graph::Attributes attributes = {}, std::string path = "") {
    const graph::NodeId id = graph_.AddNode(
        *block_, {.kind = kind, .inputs = std::move(inputs), .outputs = {}, .attributes = std::move(attributes),
                  .module_path = std::move(path), .source_op = "test"});
    return graph_.nodes[static_cast<std::size_t>(id)].outputs[0];
  }
  ValueId Floats(const graph::Shape& shape, const std::vector<float>& values) {
    return Op(OpKind::kConstant, {},
              graph::ConstantAttributes{.value = graph::Tensor::Of<float>(shape, values), .qparams = {}});
  }
  // A dequantized constant: what a MAC layer's weight is.
  ValueId Weight(const graph::Shape& shape, const std::vector<std::int32_t>& codes, numerics::QuantParams qparams) {
    return Dequantize(Op(OpKind::kConstant, {},
                         graph::ConstantAttributes{.value = graph::Tensor::Of<std::int32_t>(shape, codes),
                                                   .qparams = std::move(qparams)}));
  }
  ValueId Quantize(ValueId x, numerics::QuantParams qparams) {
    return Op(OpKind::kQuantize, {x}, graph::QuantizeAttributes{.qparams = std::move(qparams)});
  }
  ValueId Dequantize(ValueId codes) { return Op(OpKind::kDequantize, {codes}); }
  ValueId FakeQuant(ValueId x, numerics::QuantParams qparams) { return Dequantize(Quantize(x, std::move(qparams))); }

  static graph::ConvolutionAttributes Conv2d(std::int64_t groups = 1, bool transposed = false) {
    return {.stride = {1, 1}, .padding = {0, 0}, .dilation = {1, 1}, .groups = groups, .transposed = transposed,
            .output_padding = {0, 0}};
  }
  ValueId Convolution(std::vector<ValueId> inputs, std::string path,
                      graph::ConvolutionAttributes attributes = Conv2d()) {
    return Op(OpKind::kConvolution, std::move(inputs), std::move(attributes), std::move(path));
  }
  ValueId AveragePool(ValueId x) { return Op(OpKind::kAvgPool2d, {x}, Pool()); }
  ValueId MaxPool(ValueId x) { return Op(OpKind::kMaxPool2d, {x}, Pool()); }
  ValueId Relu(ValueId x) { return Op(OpKind::kRelu, {x}); }

  // `then_branch()` and `else_branch()` add nodes and return the branch's one output.
  template <typename Then, typename Else>
  ValueId If(ValueId predicate, Then then_branch, Else else_branch) {
    graph::Block* const outer = block_;
    graph::IfAttributes branches;
    block_ = &branches.then_block;
    branches.then_block.outputs = {then_branch()};
    block_ = &branches.else_block;
    branches.else_block.outputs = {else_branch()};
    block_ = outer;
    return Op(OpKind::kIf, {predicate}, std::move(branches));
  }

  void Output(ValueId value) { graph_.body.outputs.push_back(value); }
  graph::Graph& graph() { return graph_; }

  static graph::PoolAttributes Pool() {
    return {.kernel = {2, 2}, .stride = {2, 2}, .padding = {0, 0}, .dilation = {1, 1}, .ceil_mode = false,
            .count_include_pad = true, .divisor_override = {}};
  }

 private:
  graph::Graph graph_;
  graph::Block* block_;
};

}  // namespace qatgap::testing
