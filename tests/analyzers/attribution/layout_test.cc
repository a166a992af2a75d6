#include "analyzers/attribution/layout.h"

#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qatgap::attribution {
namespace {

using ::testing::ElementsAre;
using graph::Shape;
using graph::Tensor;

Tensor Counting(const Shape& shape) {
  std::vector<float> values(static_cast<std::size_t>(graph::ElementCount(shape)));
  std::iota(values.begin(), values.end(), 0.0F);
  return Tensor::Of<float>(shape, values);
}

graph::Graph Declares(Shape shape) {
  graph::Graph graph;
  graph.input_shapes = {std::move(shape)};
  return graph;
}

Tensor InLayoutOf(const graph::Graph& graph, const Tensor& input) { return InputsInLayoutOf(graph, {&input, 1}).at(0); }

TEST(LayoutTest, ChannelsMoveToTheEndAndBack) {
  const Tensor images = Counting({2, 3, 1, 2});
  const Tensor moved = MoveChannels(images, ChannelMove::kToEnd);
  EXPECT_THAT(moved.shape(), ElementsAre(2, 1, 2, 3));
  EXPECT_THAT(moved.data<float>(), ElementsAre(0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11));
  const Tensor back = MoveChannels(moved, ChannelMove::kToFront);
  EXPECT_EQ(back.shape(), images.shape());
  EXPECT_THAT(back.data<float>(), ::testing::ElementsAreArray(images.data<float>()));
}

TEST(LayoutTest, MatricesHaveNoChannelsToMove) {
  EXPECT_THAT(MovedShape({4, 5}, ChannelMove::kToEnd), ElementsAre(4, 5));
  EXPECT_THAT(MovedShape({4, 5}, ChannelMove::kToFront), ElementsAre(4, 5));
}

TEST(LayoutTest, InputsAreMovedWhereTheFileDeclaresTheOtherLayout) {
  const Tensor images = Counting({2, 3, 4, 5});
  EXPECT_THAT(InLayoutOf(Declares({1, 4, 5, 3}), images).shape(), ElementsAre(2, 4, 5, 3));
  EXPECT_THAT(InLayoutOf(Declares({-1, -1, -1, 3}), images).shape(), ElementsAre(2, 4, 5, 3));
  EXPECT_THAT(InLayoutOf(Declares({1, 5, 3, 4}), images).shape(), ElementsAre(2, 5, 3, 4));
}

TEST(LayoutTest, InputsThatFitOrCannotFitStay) {
  const Tensor images = Counting({2, 3, 4, 5});
  EXPECT_EQ(InLayoutOf(Declares({1, 3, 4, 5}), images).storage(), images.storage());
  EXPECT_EQ(InLayoutOf(Declares({1, -1, 4, -1}), images).storage(), images.storage());
  EXPECT_EQ(InLayoutOf(Declares({1, 8, 8, 3}), images).storage(), images.storage());
  EXPECT_EQ(InLayoutOf(Declares({1, 60}), images).storage(), images.storage());
  EXPECT_EQ(InLayoutOf(graph::Graph{}, images).storage(), images.storage());
}

}  // namespace
}  // namespace qatgap::attribution
