#include "analyzers/frontends/tflite/layer_names.h"

#include <ostream>

#include "analyzers/graph/mac_layers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/frontends/tflite/model_files.h"

namespace qatgap::frontends::tflite {
namespace {

using ::testing::ElementsAre;

struct NameCase {
  std::string test, name;
  std::vector<std::string> parts;
  int certainty;
  friend std::ostream& operator<<(std::ostream& out, const NameCase& c) { return out << c.name; }
};
class Names : public ::testing::TestWithParam<NameCase> {};

TEST_P(Names, GiveAPath) {
  const NamedPath path = PathIn(GetParam().name);
  EXPECT_EQ(path.parts, GetParam().parts);
  EXPECT_EQ(path.certainty, GetParam().certainty);
}

INSTANTIATE_TEST_SUITE_P(
    Names, Names,
    ::testing::Values(
        NameCase{"InstancesOfClasses",
                 "Net/torch.nn.modules.container.Sequential_stem/torch.nn.modules.conv.Conv2d_0",
                 {"Net", "torch.nn.modules.container.Sequential_stem", "torch.nn.modules.conv.Conv2d_0"},
                 1},
        NameCase{"InstancesOfQualifiedClasses",
                 "__main__.Net/torch.nn.modules.container.Sequential_stem/torch.nn.modules.conv.Conv2d_0",
                 {"stem", "0"},
                 3},
        NameCase{"InstanceWithUnderscore", "m.Net/torch.nn.modules.linear.Linear_fc_out", {"fc_out"}, 3},
        NameCase{"Activation", "m.Net/torch.nn.modules.activation.ReLU_relu", {"relu"}, 1},
        NameCase{"ModelAlone", "m.Net", {}, 0}, NameCase{"Number", "12", {}, 0},
        NameCase{"ScopesOfAProduct", "model/block/conv2d/Conv2D", {"model", "block", "conv2d"}, 3},
        NameCase{"ScopesOfABias", "model/dense/BiasAdd", {"model", "dense"}, 2},
        NameCase{"ScopesOfARead", "model/dense/MatMul/ReadVariableOp", {"model", "dense"}, 3},
        NameCase{
            "LayerNamedAsItsOperation", "model/separable_conv2d/separable_conv2d", {"model", "separable_conv2d"}, 3},
        NameCase{"CallInFront", "StatefulPartitionedCall/model/a/Relu", {"model", "a"}, 1},
        NameCase{"CallAlone", "StatefulPartitionedCall:0", {}, 0}, NameCase{"Served", "serving_default_x:0", {}, 0}),
    [](const auto& param) { return param.param.test; });

std::vector<std::string> MacPaths(std::string_view folder) {
  std::vector<std::string> paths;
  const Model model = testing::ImportTflite(folder);
  for (const graph::NodeId id : model.graph.body.nodes) {
    const graph::Node& node = model.graph.nodes[static_cast<std::size_t>(id)];
    if (node.kind == graph::OpKind::kConvolution || node.kind == graph::OpKind::kLinear)
      paths.push_back(node.module_path);
  }
  return paths;
}

TEST(LayerPaths, OfTensorFlowsScopesWithoutTheModel) {
  EXPECT_THAT(MacPaths("convolutions_int8"), ElementsAre("stem", "dw", "grouped", "point", "head"));
}

// The converters' own names; the last layer's output is called after the signature, so its bias is asked.
TEST(LayerPaths, OfPyTorchModulesThroughEveryConverter) {
  for (const std::string_view folder : {"litert_float", "litert_pt2e", "litert_int8", "litert_int16x8"}) {
    EXPECT_THAT(MacPaths(folder), ElementsAre("stem.0", "dw", "pw", "fc")) << folder;
  }
}

}  // namespace
}  // namespace qatgap::frontends::tflite
