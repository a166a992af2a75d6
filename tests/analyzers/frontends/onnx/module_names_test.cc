#include "analyzers/frontends/onnx/module_names.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qatgap::frontends::onnx {
namespace {

TEST(ModuleNames, OfNodeNames) {
  EXPECT_EQ(ModuleOfNodeName("/layer1/0/conv/Conv"), "layer1.0.conv");
  EXPECT_EQ(ModuleOfNodeName("/layer1/layer1.0/conv1/Conv"), "layer1.0.conv1");
  EXPECT_EQ(ModuleOfNodeName("/features/features.1/features.1.0/Conv_quant"), "features.1.0");
  EXPECT_EQ(ModuleOfNodeName("/fc/Gemm"), "fc");
  EXPECT_EQ(ModuleOfNodeName("/Add"), "");
  EXPECT_EQ(ModuleOfNodeName("model/conv1/Conv2D"), "model.conv1");
  EXPECT_EQ(ModuleOfNodeName("node_Conv_78"), "");
  EXPECT_EQ(ModuleOfNodeName("///"), "");
  // "layer10" is not a child of "layer1".
  EXPECT_EQ(ModuleOfNodeName("/layer1/layer10/Conv"), "layer1.layer10");
}

TEST(ModuleNames, OfWeights) {
  EXPECT_EQ(ModuleOfWeight("layer1.0.conv.weight"), "layer1.0.conv");
  EXPECT_EQ(ModuleOfWeight("layer1.0.conv.weight_quantized"), "layer1.0.conv");
  EXPECT_EQ(ModuleOfWeight("onnx::Conv_106"), "");
  EXPECT_EQ(ModuleOfWeight("onnx::Conv_106_quantized"), "");
  EXPECT_EQ(ModuleOfWeight("weight"), "");
  EXPECT_EQ(ModuleOfWeight(""), "");
}

TEST(ModuleNames, WithoutWhatToolsAppend) {
  EXPECT_EQ(WithoutToolSuffix("node_MatMul_8_quant"), "node_MatMul_8");
  EXPECT_EQ(WithoutToolSuffix("w_quantized_quant"), "w");
  EXPECT_EQ(WithoutToolSuffix("_quant"), "_quant");
}

TEST(ModuleNames, SourceLinesAreTheUsersInnermostOnes) {
  EXPECT_EQ(SourceLineOf("File \"/home/me/model.py\", line 42, in forward\n  File "
                         "\"/lib/site-packages/torch/nn/linear.py\", line 51, in forward"),
            "model.py:42");
  EXPECT_EQ(SourceLineOf("File \"/a/train.py\", line 3, in f\nFile \"/a/net.py\", line 7, in g"), "net.py:7");
  EXPECT_EQ(SourceLineOf("File \"<eval_with_key>.3\", line 7, in forward"), "");
  EXPECT_EQ(SourceLineOf("File \"/a/net.py\", line "), "");
  EXPECT_EQ(SourceLineOf("File \""), "");
  EXPECT_EQ(SourceLineOf(""), "");
}

}  // namespace
}  // namespace qatgap::frontends::onnx
