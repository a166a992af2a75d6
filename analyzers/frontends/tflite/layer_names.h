// Readable names of layers, from the tensor names that converters leave.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qatgap::frontends::tflite {

class ModelFile;

// One path an operator, in their order, like a PyTorch module's: "layer1.0.conv". Converters join the names of what
// they fused with ';':
//  * "tiny.Net/torch.nn.modules.container.Sequential_stem/torch.nn.modules.conv.Conv2d_0;1": the instances of classes,
//  "stem.0";
//  * "model/conv2d/Relu;model/conv2d/BiasAdd;model/conv2d/Conv2D": TensorFlow's scopes without the operation, "conv2d";
//    a first scope that all layers share ("model") is dropped.
// Of several the one that names a convolution or a product wins; output, bias and weight are asked in this order.
// Operators without a usable name are "<operator>_<index>"; two layers of one name are told apart by their operator.
std::vector<std::string> LayerPaths(const ModelFile& file);

// The path in one name and how surely it is a layer's: 3 a convolution or product, 2 its bias, 1 something else, 0
// none.
struct NamedPath {
  std::vector<std::string> parts;
  int certainty = 0;
  bool scopes = false;  // TensorFlow's
};
NamedPath PathIn(std::string_view name);

}  // namespace qatgap::frontends::tflite
