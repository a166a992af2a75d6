// Which module of the user's network an ONNX node came from. Internal to frontends/onnx.
#pragma once

#include <string>
#include <string_view>

namespace onnx {
class NodeProto;
}

namespace qatgap::frontends::onnx {

struct NodeOrigin {
  std::string module_path;   // "layer1.0.conv"
  bool named = false;        // whether the path comes from the exporter's metadata or from a path in the node's name
  bool of_batch_norm = false;  // the module is a batch norm: exporters fold it into a convolution under its name
  std::string source_line;   // "model.py:42", or empty
  std::string module_stack;  // "Net > layer1: Sequential > layer1.0: Conv2d", or empty
};

// From the metadata that torch.onnx.export(dynamo=True) writes, else from a name like "/layer1/layer1.0/conv/Conv" or
// "/layer1/0/conv/Conv_quant".
NodeOrigin OriginOf(const ::onnx::NodeProto& node);

// "layer1.0.conv" of "layer1.0.conv.weight_quantized"; empty where the name tells nothing ("onnx::Conv_106", "val_3").
std::string ModuleOfWeight(std::string_view initializer);

// "node_MatMul_8" of "node_MatMul_8_quant": without what quantization tools append.
std::string WithoutToolSuffix(std::string_view name);

// The names of "/layer1/0/conv/Conv" as a module path, "layer1.0.conv"; empty without a '/'.
std::string ModuleOfNodeName(std::string_view node_name);

// Innermost line of a stack trace that is the user's own: "model.py:42". Empty where there is none.
std::string SourceLineOf(std::string_view stack_trace);

}  // namespace qatgap::frontends::onnx
