// Names of layers and source lines, from the metadata of an exported program's nodes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qatgap::frontends::pt2 {

struct ModuleFrame {
  std::string fqn;         // "layer1.0"; empty: the model itself
  std::string class_name;  // "torch.nn.modules.conv.Conv2d"
};

// "L__self__,,net.Net;L__self__stem.0,stem.0,torch.nn.modules.conv.Conv2d": outermost first. Frames that exporting adds
// around the user's model are left out. The spellings of one name that exporting in its strict mode or inside of a
// branch has ("L['self'].layers[0]", "_export_root.conv") become the dotted one.
std::vector<ModuleFrame> ParseModuleStack(std::string_view text);

// torchao writes fused batch norm patterns as a module of its own, without the layer's name.
bool IsPattern(std::string_view text);

// "Net > stem: Sequential > stem.0: Conv2d"
std::string Describe(const std::vector<ModuleFrame>& frames);

// "model.py:42": the innermost line of a Python stack trace that is not PyTorch's or torchao's own; empty where none
// is.
std::string SourceLine(std::string_view stack_trace);

// "stem.0" of "stem.0.weight"; empty for "weight".
std::string ModuleOf(std::string_view tensor_fqn);

}  // namespace qatgap::frontends::pt2
