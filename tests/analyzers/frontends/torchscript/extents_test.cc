// Sizes that depend on the shape of the input, by hand.
#include "analyzers/frontends/torchscript/extents.h"

#include <limits>
#include <stdexcept>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qatgap::frontends::torchscript {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const Extent kBatch = Extent::Of(0, 0), kHeight = Extent::Of(0, 2), kWidth = Extent::Of(0, 3);

Extent Number(std::int64_t value) { return Extent::Number(value); }

TEST(Extents, ProductsAndQuotientsCancel) {
  const auto half = Quotient(kBatch * Number(6), Number(4));
  ASSERT_TRUE(half.has_value());
  EXPECT_EQ(half->numerator, 3);
  EXPECT_EQ(half->denominator, 2);
  EXPECT_EQ(*half * Number(2), kBatch * Number(3));
  EXPECT_EQ(Quotient(kBatch * kHeight, kBatch), kHeight);
  EXPECT_EQ(Quotient(kBatch, kHeight), std::nullopt);
  EXPECT_EQ(Quotient(kBatch, Number(0)), std::nullopt);
  EXPECT_TRUE(Quotient(kBatch * Number(4), kBatch)->is_number());
}

TEST(Extents, AProductBeyondInt64Throws) {
  const Extent large = Number(std::numeric_limits<std::int64_t>::max());
  EXPECT_THROW(large * Number(2), std::overflow_error);
}

// ShuffleNet: [b, 116, h, w] as [b, 2, 58, h, w], and back behind the transpose.
TEST(ReshapeSteps, SplitsAndJoinsChannelsBetweenUnknownSizes) {
  const auto split = ReshapeSteps({kBatch, Number(116), kHeight, kWidth}, {kBatch, Number(2), Number(58), kHeight, kWidth});
  ASSERT_TRUE(split.has_value());
  ASSERT_THAT(*split, SizeIs(1));
  EXPECT_EQ((*split)[0].axis, 1);
  EXPECT_EQ((*split)[0].from, 1);
  EXPECT_THAT((*split)[0].to, ElementsAre(2, 58));
  const auto join = ReshapeSteps({kBatch, Number(58), Number(2), kHeight, kWidth}, {kBatch, Number(116), kHeight, kWidth});
  ASSERT_TRUE(join.has_value());
  ASSERT_THAT(*join, SizeIs(1));
  EXPECT_EQ((*join)[0].axis, 1);
  EXPECT_EQ((*join)[0].from, 2);
  EXPECT_THAT((*join)[0].to, ElementsAre(116));
}

TEST(ReshapeSteps, LastAxesComeFirst) {
  const auto steps = ReshapeSteps({kBatch, Number(6), kHeight, Number(8)}, {kBatch, Number(2), Number(3), kHeight, Number(4), Number(2)});
  ASSERT_TRUE(steps.has_value());
  ASSERT_THAT(*steps, SizeIs(2));
  EXPECT_EQ((*steps)[0].axis, 3);
  EXPECT_EQ((*steps)[1].axis, 1);
}

TEST(ReshapeSteps, OneSizeOfASegmentMayBeUnknown) {
  const auto steps = ReshapeSteps({kBatch * Number(4), kHeight, kWidth}, {kBatch, Number(4), kHeight, kWidth});
  ASSERT_TRUE(steps.has_value());
  ASSERT_THAT(*steps, SizeIs(1));
  EXPECT_THAT((*steps)[0].to, ElementsAre(-1, 4));
  EXPECT_FALSE(ReshapeSteps({kBatch * kHeight, kWidth}, {kBatch, kHeight, kWidth}).has_value());
}

TEST(ReshapeSteps, ExtentsOfOneAtTheEnd) {
  const auto more = ReshapeSteps({kBatch, Number(5)}, {kBatch, Number(5), Number(1), Number(1)});
  ASSERT_TRUE(more.has_value());
  ASSERT_THAT(*more, SizeIs(2));
  EXPECT_EQ((*more)[0].from, 0);
  EXPECT_THAT((*more)[0].to, ElementsAre(1));
  const auto fewer = ReshapeSteps({kBatch, Number(5), Number(1)}, {kBatch, Number(5)});
  ASSERT_TRUE(fewer.has_value());
  ASSERT_THAT(*fewer, SizeIs(1));
  EXPECT_THAT((*fewer)[0].to, IsEmpty());
}

TEST(ReshapeSteps, WhatDoesNotFitIsNone) {
  EXPECT_FALSE(ReshapeSteps({kBatch, Number(5)}, {kBatch, Number(6)}).has_value());
  EXPECT_FALSE(ReshapeSteps({kBatch}, {kHeight}).has_value());
}

TEST(AxisFromStart, CountsFromEitherEnd) {
  EXPECT_EQ(AxisFromStart(-1, 4), 3U);
  EXPECT_EQ(AxisFromStart(0, 4), 0U);
  EXPECT_EQ(AxisFromStart(4, 4), std::nullopt);
  EXPECT_EQ(AxisFromStart(-5, 4), std::nullopt);
  EXPECT_EQ(AxisFromStart(std::nullopt, 4), std::nullopt);
}

}  // namespace
}  // namespace qatgap::frontends::torchscript
