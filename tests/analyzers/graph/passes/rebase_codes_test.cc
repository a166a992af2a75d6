#include "analyzers/graph/passes/rebase_codes.h"

#include "analyzers/graph/mac_layers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/graph_builder.h"

namespace qatgap::graph {
namespace {

using ::qatgap::testing::GraphBuilder;
using ::qatgap::testing::PerTensor;
using ::testing::ElementsAre;

numerics::QuantParams Rebased(numerics::QuantParams params, CodeBase base) {
  GraphBuilder g;
  g.Output(g.FakeQuant(g.Input(), std::move(params)));
  RebaseCodes(g.graph(), base);
  return ReachingGrids(g.graph(), g.graph().body.outputs[0]).at(0);
}

TEST(RebaseCodesTest, UnsignedBecomesSigned) {
  EXPECT_EQ(Rebased(PerTensor(0.5, 130), CodeBase::kSigned), PerTensor(0.5, 2, -128, 127));
  EXPECT_EQ(Rebased(PerTensor(0.5, 3, 0, 127), CodeBase::kSigned), PerTensor(0.5, -125, -128, -1));
}

TEST(RebaseCodesTest, SignedBecomesUnsigned) {
  EXPECT_EQ(Rebased(PerTensor(0.5, -128, -128, 127), CodeBase::kUnsigned), PerTensor(0.5, 0, 0, 255));
}

TEST(RebaseCodesTest, CodesOnTheBaseAndWiderOnesStay) {
  EXPECT_EQ(Rebased(PerTensor(0.5, 2, -128, 127), CodeBase::kSigned), PerTensor(0.5, 2, -128, 127));
  EXPECT_EQ(Rebased(PerTensor(0.5, 2), CodeBase::kUnsigned), PerTensor(0.5, 2));
  EXPECT_EQ(Rebased(PerTensor(0.5, 2, 0, 65535), CodeBase::kSigned), PerTensor(0.5, 2, 0, 65535));
  EXPECT_EQ(Rebased(PerTensor(0.5, 2, -32768, 32767), CodeBase::kUnsigned), PerTensor(0.5, 2, -32768, 32767));
}

TEST(RebaseCodesTest, WeightsStay) {
  GraphBuilder g;
  g.Output(g.Weight({1}, {200}, PerTensor(0.5, 128)));
  RebaseCodes(g.graph(), CodeBase::kSigned);
  EXPECT_THAT(ReachingGrids(g.graph(), g.graph().body.outputs[0]), ElementsAre(PerTensor(0.5, 128)));
}

}  // namespace
}  // namespace qatgap::graph
