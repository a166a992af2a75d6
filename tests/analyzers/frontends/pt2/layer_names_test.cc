#include "analyzers/frontends/pt2/layer_names.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qatgap::frontends::pt2 {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

struct Spelling {
  const char* name;
  const char* fqn;
  const char* want;
};
class Spellings : public ::testing::TestWithParam<Spelling> {};

TEST_P(Spellings, BecomeTheDottedName) {
  const auto frames = ParseModuleStack(std::string("key,") + GetParam().fqn + ",torch.nn.modules.conv.Conv2d");
  ASSERT_THAT(frames, SizeIs(1));
  EXPECT_EQ(frames[0].fqn, GetParam().want);
  EXPECT_EQ(frames[0].class_name, "torch.nn.modules.conv.Conv2d");
}

INSTANTIATE_TEST_SUITE_P(
    Names, Spellings,
    ::testing::Values(Spelling{"plain", "layer1.0.conv", "layer1.0.conv"}, Spelling{"root", "", ""},
                      Spelling{"branch", "_export_root.conv1", "conv1"}, Spelling{"strict", "L['self'].conv1", "conv1"},
                      Spelling{"strict_root", "L['self']", ""},
                      Spelling{"indexed", "L['self'].layers[0].conv", "layers.0.conv"},
                      Spelling{"getattr", "getattr(L['self'].layers, '0')", "layers.0"},
                      Spelling{"modules", "L['self']._modules['layers']._modules['0']", "layers.0"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(ModuleStack, LeavesOutWhatExportingAdds) {
  const auto frames = ParseModuleStack(
      "L__self__,,torch.export._trace._non_strict_export.<locals>.Wrapper;L__self__L__self__,,net.Net;"
      "L__self__L__self__stem,stem,torch.nn.modules.container.Sequential;"
      "L__self__L__self__stem.0,stem.0,torch.nn.modules.conv.Conv2d");
  EXPECT_EQ(Describe(frames), "Net > stem: Sequential > stem.0: Conv2d");
  EXPECT_THAT(ParseModuleStack(""), IsEmpty());
  EXPECT_THAT(ParseModuleStack("no commas"), IsEmpty());
  EXPECT_TRUE(IsPattern("L__self__L__self__,,torchao.quantization.pt2e.export_utils.WrapperModule"));
  EXPECT_FALSE(
      IsPattern("a,,torchao.quantization.pt2e.export_utils.WrapperModule;b,conv,torch.nn.modules.conv.Conv2d"));
}

TEST(SourceLine, IsTheInnermostOfTheUsers) {
  EXPECT_EQ(SourceLine("  File \"/home/user/net.py\", line 7, in forward\n    x = self.block(x)\n"
                       "  File \"/home/user/block.py\", line 42, in forward\n    return self.conv(x)\n"
                       "  File \"/usr/lib/python3/site-packages/torch/nn/modules/conv.py\", line 565, in forward\n"),
            "block.py:42");
  EXPECT_EQ(SourceLine("File \"C:\\work\\net.py\", line 9"), "net.py:9");
  EXPECT_EQ(
      SourceLine("  File \"/x/site-packages/torch/_dynamo/functional_export.py\", line 232, in forward\n"
                 "  File \"<eval_with_key>.817\", line 11, in forward\n"
                 "  File \"/x/site-packages/torchao/quantization/pt2e/fake_quantize.py\", line 432, in forward\n"),
      "");
  EXPECT_EQ(SourceLine("File \"net.py\", line x"), "");
  EXPECT_EQ(SourceLine("File \"net.py"), "");
  EXPECT_EQ(SourceLine(""), "");
}

TEST(ModuleOf, IsWhatStandsBeforeTheLastDot) {
  EXPECT_EQ(ModuleOf("stem.0.weight"), "stem.0");
  EXPECT_EQ(ModuleOf("weight"), "");
}

}  // namespace
}  // namespace qatgap::frontends::pt2
