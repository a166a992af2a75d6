#include "analyzers/frontends/pt2/operator_schemas.h"

#include <algorithm>

namespace qatgap::frontends::pt2 {
namespace {

using graph::Argument;
using Arguments = std::vector<std::pair<std::string_view, Argument>>;

Argument None() { return std::monostate{}; }
Argument Int(std::int64_t value) { return value; }

// The tail of every operator that makes a tensor.
Arguments Making(Arguments arguments, bool with_memory_format = false) {
  for (const std::string_view name : {"dtype", "layout", "device", "pin_memory"}) arguments.emplace_back(name, None());
  if (with_memory_format) arguments.emplace_back("memory_format", None());
  return arguments;
}

}  // namespace

const std::vector<OperatorSchema>& OperatorSchemas() {
  static const std::vector<OperatorSchema> schemas = {
      {"aten::addcdiv", "", {{"self", {}}, {"tensor1", {}}, {"tensor2", {}}, {"value", Int(1)}}},
      {"aten::addcmul", "", {{"self", {}}, {"tensor1", {}}, {"tensor2", {}}, {"value", Int(1)}}},
      {"aten::addmm", "", {{"self", {}}, {"mat1", {}}, {"mat2", {}}, {"beta", Int(1)}, {"alpha", Int(1)}}},
      {"aten::arange", "", Making({{"end", {}}})},
      {"aten::arange", "start", Making({{"start", {}}, {"end", {}}})},
      {"aten::arange", "start_step", Making({{"start", {}}, {"end", {}}, {"step", Int(1)}})},
      {"aten::baddbmm", "", {{"self", {}}, {"batch1", {}}, {"batch2", {}}, {"beta", Int(1)}, {"alpha", Int(1)}}},
      {"aten::cumsum", "", {{"self", {}}, {"dim", {}}, {"dtype", {}}}},
      {"aten::div", "Scalar_mode", {{"self", {}}, {"other", {}}, {"rounding_mode", {}}}},
      {"aten::div", "Tensor_mode", {{"self", {}}, {"other", {}}, {"rounding_mode", {}}}},
      {"aten::einsum", "", {{"equation", {}}, {"tensors", {}}, {"path", {}}}},
      {"aten::full", "", Making({{"size", {}}, {"fill_value", {}}})},
      {"aten::full_like", "", Making({{"self", {}}, {"fill_value", {}}}, true)},
      {"aten::gelu", "", {{"self", {}}, {"approximate", std::string("none")}}},
      {"aten::linalg_vector_norm", "", {{"self", {}}, {"ord", Int(2)}, {"dim", {}}, {"keepdim", false}, {"dtype", {}}}},
      {"aten::mean", "", {{"self", {}}, {"dtype", {}}}},
      {"aten::mean", "dim", {{"self", {}}, {"dim", {}}, {"keepdim", false}, {"dtype", {}}}},
      {"aten::new_full", "", Making({{"self", {}}, {"size", {}}, {"fill_value", {}}})},
      {"aten::new_ones", "", Making({{"self", {}}, {"size", {}}})},
      {"aten::new_zeros", "", Making({{"self", {}}, {"size", {}}})},
      {"aten::ones", "", Making({{"size", {}}})},
      {"aten::ones_like", "", Making({{"self", {}}}, true)},
      {"aten::prod", "", {{"self", {}}, {"dtype", {}}}},
      {"aten::prod", "dim_int", {{"self", {}}, {"dim", {}}, {"keepdim", false}, {"dtype", {}}}},
      {"aten::repeat_interleave", "self_int", {{"self", {}}, {"repeats", {}}, {"dim", {}}, {"output_size", {}}}},
      {"aten::round", "decimals", {{"self", {}}, {"decimals", {}}}},
      {"aten::scalar_tensor", "", Making({{"s", {}}})},
      {"aten::scaled_dot_product_attention",
       "",
       {{"query", {}},
        {"key", {}},
        {"value", {}},
        {"attn_mask", {}},
        {"dropout_p", 0.0},
        {"is_causal", false},
        {"scale", {}},
        {"enable_gqa", false}}},
      {"aten::sort", "stable", {{"self", {}}, {"stable", {}}, {"dim", Int(-1)}, {"descending", false}}},
      {"aten::std", "correction", {{"self", {}}, {"dim", {}}, {"correction", {}}, {"keepdim", false}}},
      {"aten::sum", "", {{"self", {}}, {"dtype", {}}}},
      {"aten::sum", "dim_IntList", {{"self", {}}, {"dim", {}}, {"keepdim", false}, {"dtype", {}}}},
      {"aten::var", "correction", {{"self", {}}, {"dim", {}}, {"correction", {}}, {"keepdim", false}}},
      {"aten::zeros", "", Making({{"size", {}}})},
      {"aten::zeros_like", "", Making({{"self", {}}}, true)},
  };
  return schemas;
}

const OperatorSchema* FindSchema(std::string_view name, std::string_view overload) {
  const auto& schemas = OperatorSchemas();
  const auto it = std::find_if(schemas.begin(), schemas.end(), [&](const OperatorSchema& schema) {
    return schema.name == name && schema.overload == overload;
  });
  return it == schemas.end() ? nullptr : &*it;
}

}  // namespace qatgap::frontends::pt2
