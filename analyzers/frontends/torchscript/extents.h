// Sizes that depend on the shape of the model's input, and the shapes of the graph's values as far as they are known.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "analyzers/graph/graph.h"

namespace qatgap::frontends::torchscript {

// numerator / denominator times the extents of tensors along axes. A floor division is taken as exact: where it is not,
// the view it is made for would fail.
struct Extent {
  std::int64_t numerator = 1, denominator = 1;           // without a common factor; denominator > 0
  std::vector<std::pair<graph::ValueId, int>> axes{};    // sorted

  bool is_number() const { return axes.empty() && denominator == 1; }
  static Extent Number(std::int64_t value) { return {.numerator = value}; }
  static Extent Of(graph::ValueId tensor, int axis) { return {.axes = {{tensor, axis}}}; }
  friend bool operator==(const Extent&, const Extent&) = default;
};

// Throws std::overflow_error beyond int64.
Extent operator*(const Extent& a, const Extent& b);
// nullopt when an axis of `b` is none of `a`, or b is 0.
std::optional<Extent> Quotient(const Extent& a, const Extent& b);

using SymbolicShape = std::vector<Extent>;

// An axis from 0; nullopt when there is none, or it is outside of `rank`.
std::optional<std::size_t> AxisFromStart(std::optional<std::int64_t> axis, std::size_t rank);

// One step of a reshape: axes [axis, axis + from) of the tensor become `to` (-1: what remains). Steps come last axis
// first, so that each names axes that are still where they were.
struct ReshapeStep {
  int axis = 0, from = 1;
  std::vector<std::int64_t> to;
};
// A reshape between shapes that share sizes that are not numbers; nullopt when it cannot be written so.
std::optional<std::vector<ReshapeStep>> ReshapeSteps(const SymbolicShape& from, const SymbolicShape& to);

// Shapes of values, found as nodes are added.
class ShapeTable {
 public:
  explicit ShapeTable(const graph::Graph& graph) : graph_(graph) {}

  // nullptr when not even the number of axes is known.
  const SymbolicShape* Find(graph::ValueId value) const;
  // The first value behind `value` that surely has its shape.
  graph::ValueId Root(graph::ValueId value) const;
  Extent AxisOf(graph::ValueId value, int axis) const;
  // The file says that `value` has this many axes.
  void SetRank(graph::ValueId value, std::size_t rank);
  // The last extent, which operators may tell where they do not tell the number of axes.
  std::optional<Extent> LastAxis(graph::ValueId value) const;
  // Inputs of the graph whose number of axes is not known, with the axes that the model asks for.
  const std::map<std::string, std::size_t>& asked() const { return asked_; }
  // Infers the shapes of the node's outputs.
  void Add(const graph::Node& node);

 private:
  std::optional<SymbolicShape> Infer(const graph::Node& node) const;
  std::optional<SymbolicShape> InferOperator(const graph::Node& node) const;
  const SymbolicShape* InputShape(const graph::Node& node, std::size_t i) const;
  // A shape of `rank` axes of which nothing else is known.
  static SymbolicShape Fresh(graph::ValueId value, std::size_t rank);
  SymbolicShape Broadcast(const SymbolicShape& a, const SymbolicShape& b, graph::ValueId result) const;

  const graph::Graph& graph_;
  std::unordered_map<graph::ValueId, SymbolicShape> shapes_;
  mutable std::map<std::string, std::size_t> asked_;
};

}  // namespace qatgap::frontends::torchscript
