// Arguments of LibTorch operators that take some by keyword only: the file leaves defaults out, a kOperator may not.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "analyzers/graph/graph.h"

namespace qatgap::frontends::pt2 {

struct OperatorSchema {
  std::string_view name;      // "aten::std"
  std::string_view overload;  // "correction"
  // In the order of the schema, each with its default; None for those that have none.
  std::vector<std::pair<std::string_view, graph::Argument>> arguments;
};

// Compared with LibTorch's own schemas in the tests.
const std::vector<OperatorSchema>& OperatorSchemas();
const OperatorSchema* FindSchema(std::string_view name, std::string_view overload);  // nullptr: all are positional

}  // namespace qatgap::frontends::pt2
