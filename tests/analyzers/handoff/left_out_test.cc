#include "analyzers/handoff/left_out.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/graph_builder.h"

namespace qatgap::handoff {
namespace {

using ::qatgap::testing::GraphBuilder;
using ::qatgap::testing::PerTensor;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Reasons(GraphBuilder& g) {
  const auto layers = graph::FindMacLayers(g.graph());
  EXPECT_TRUE(layers.ok()) << layers.status();
  std::vector<std::string> reasons;
  for (const LeftOut& entry : OtherOperators(g.graph(), *layers)) reasons.push_back(entry.reason);
  return reasons;
}

TEST(OtherOperatorsTest, WhatIsFoldedIntoALayerIsNotListed) {
  GraphBuilder g;
  const auto x = g.FakeQuant(g.Input(), PerTensor(0.5, 0));
  const auto weight = g.Weight({1, 1, 1, 1}, {1}, PerTensor(0.5, 0, -128, 127));
  const auto sum = g.Op(graph::OpKind::kAdd, {g.Convolution({x, weight}, "conv"), g.Floats({}, {1})});
  g.Output(g.FakeQuant(g.Relu(sum), PerTensor(0.5, 0)));
  EXPECT_THAT(Reasons(g), IsEmpty());
}

TEST(OtherOperatorsTest, SaysHowEachOneRuns) {
  GraphBuilder g;
  const auto x = g.FakeQuant(g.Input(), PerTensor(0.5, 0));
  const auto pooled = g.MaxPool(x);
  const auto added = g.FakeQuant(g.Op(graph::OpKind::kAdd, {pooled, pooled}), PerTensor(0.5, 0));
  const auto flat = g.Op(graph::OpKind::kFlatten, {added}, graph::FlattenAttributes{});
  g.Output(g.Op(graph::OpKind::kSigmoid, {flat}));
  EXPECT_THAT(Reasons(g), ElementsAre(HasSubstr("selects codes"),
                                      HasSubstr("dequantize, binary32 operator, requantize"),
                                      HasSubstr("moves elements"), "runs in float"));
}

TEST(OtherOperatorsTest, BranchesAreListedWithWhatIsInThem) {
  GraphBuilder g;
  const auto x = g.FakeQuant(g.Input(), PerTensor(0.5, 0));
  const auto predicate = g.Op(graph::OpKind::kGreater, {g.Floats({}, {1}), g.Floats({}, {0})});
  g.Output(g.If(predicate, [&] { return g.Relu(x); }, [&] { return g.Op(graph::OpKind::kSigmoid, {x}); }));
  EXPECT_THAT(Reasons(g), ElementsAre(HasSubstr("decides a branch"), HasSubstr("a branch on data"),
                                      HasSubstr("selects codes"), "runs in float"));
}

}  // namespace
}  // namespace qatgap::handoff
