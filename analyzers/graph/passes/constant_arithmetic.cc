#include "analyzers/graph/passes/constant_arithmetic.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::graph {
namespace {

constexpr std::int64_t kMaxElements = std::int64_t{1} << 31;  // broadcasting can multiply small constants

using Found = absl::StatusOr<std::optional<Tensor>>;

absl::StatusOr<Shape> BroadcastShape(const Shape& a, const Shape& b) {
  Shape shape(std::max(a.size(), b.size()), 1);
  std::int64_t elements = 1;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const std::int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const std::int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) {
      return absl::InvalidArgumentError(absl::StrCat("constants of shapes ", ToString(a), " and ", ToString(b),
                                                     " do not broadcast"));
    }
    const std::int64_t extent = x == 1 ? y : x;
    shape[shape.size() - 1 - i] = extent;
    if (extent != 0 && elements > kMaxElements / extent) {
      return absl::InvalidArgumentError(absl::StrCat("constants of shapes ", ToString(a), " and ", ToString(b),
                                                     " broadcast to more than 2^31 elements"));
    }
    elements *= extent;
  }
  return shape;
}

// Steps of a tensor's elements along the axes of a shape it broadcasts to; 0 along axes it is repeated on.
std::vector<std::int64_t> BroadcastSteps(const Shape& from, const Shape& to) {
  std::vector<std::int64_t> steps(to.size(), 0);
  std::int64_t step = 1;
  for (std::size_t i = 0; i < from.size(); ++i) {
    const std::size_t source = from.size() - 1 - i;
    if (from[source] != 1) steps[to.size() - 1 - i] = step;
    step *= from[source];
  }
  return steps;
}

// Calls visit(element, offset) for every element of `shape` in order; offset follows `steps`.
template <typename Visit>
void ForEach(const Shape& shape, const std::vector<std::int64_t>& steps, const Visit& visit) {
  const std::int64_t count = ElementCount(shape);
  std::vector<std::int64_t> index(shape.size(), 0);
  std::int64_t offset = 0;
  for (std::int64_t element = 0; element < count; ++element) {
    visit(static_cast<std::size_t>(element), static_cast<std::size_t>(offset));
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      offset += steps[axis];
      if (++index[axis] < shape[axis]) break;
      offset -= steps[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

template <typename Operation>
Found Binary(const Tensor& a, const Tensor& b, const Operation& operation) {
  QATGAP_ASSIGN_OR_RETURN(const Shape shape, BroadcastShape(a.shape(), b.shape()));
  Tensor result(DType::kFloat32, shape);
  const auto x = a.data<float>(), y = b.data<float>();
  const auto out = result.mutable_data<float>();
  ForEach(shape, BroadcastSteps(a.shape(), shape), [&](std::size_t i, std::size_t from) { out[i] = x[from]; });
  ForEach(shape, BroadcastSteps(b.shape(), shape), [&](std::size_t i, std::size_t from) { out[i] = operation(out[i], y[from]); });
  return result;
}

template <typename Operation>
Found Unary(const Tensor& a, const Operation& operation) {
  Tensor result(DType::kFloat32, a.shape());
  const auto x = a.data<float>();
  std::transform(x.begin(), x.end(), result.mutable_data<float>().begin(), operation);
  return result;
}

Found Reshaped(const Tensor& tensor, Shape shape) {
  std::int64_t known = 1, inferred = -1;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0 && i < tensor.shape().size()) shape[i] = tensor.dim(i);
    if (shape[i] == -1 && inferred < 0) {
      inferred = static_cast<std::int64_t>(i);
    } else if (shape[i] < 0 || (shape[i] != 0 && known > kMaxElements / shape[i])) {
      return absl::InvalidArgumentError(absl::StrCat("a constant of shape ", ToString(tensor.shape()),
                                                     " is reshaped to ", ToString(shape)));
    } else {
      known *= shape[i];
    }
  }
  if (inferred >= 0 && known > 0) shape[static_cast<std::size_t>(inferred)] = tensor.elements() / known;
  if (ElementCount(shape) != tensor.elements()) {
    return absl::InvalidArgumentError(absl::StrCat("a constant of shape ", ToString(tensor.shape()), " is reshaped to ",
                                                   ToString(shape)));
  }
  return Tensor(tensor.dtype(), std::move(shape), tensor.storage());
}

// `axis` counted from the front; nullopt when out of range.
std::optional<std::size_t> Axis(std::int64_t axis, std::size_t rank) {
  if (axis < 0) axis += static_cast<std::int64_t>(rank);
  if (axis < 0 || axis >= static_cast<std::int64_t>(rank)) return std::nullopt;
  return static_cast<std::size_t>(axis);
}

Found Flattened(const Tensor& tensor, const FlattenAttributes& flatten) {
  const auto start = Axis(flatten.start_axis, tensor.shape().size());
  const auto end = Axis(flatten.end_axis, tensor.shape().size());
  if (!start || !end || *start > *end) return std::nullopt;
  Shape shape(tensor.shape().begin(), tensor.shape().begin() + static_cast<std::ptrdiff_t>(*start));
  std::int64_t joined = 1;
  for (std::size_t i = *start; i <= *end; ++i) joined *= tensor.dim(i);
  shape.push_back(joined);
  shape.insert(shape.end(), tensor.shape().begin() + static_cast<std::ptrdiff_t>(*end) + 1, tensor.shape().end());
  return Tensor(tensor.dtype(), std::move(shape), tensor.storage());
}

std::optional<std::int64_t> IntArgument(const Node& node, std::size_t index) {
  const auto& arguments = std::get<OperatorAttributes>(node.attributes).arguments;
  if (index >= arguments.size()) return std::nullopt;
  const auto* value = std::get_if<std::int64_t>(&arguments[index]);
  return value == nullptr ? std::nullopt : std::optional(*value);
}

Found EvaluateOperator(const Node& node, const Tensor& x) {
  const std::string& name = std::get<OperatorAttributes>(node.attributes).name;
  const std::size_t rank = x.shape().size();
  if (name == "aten::sqrt") return Unary(x, [](float v) { return std::sqrt(v); });
  if (name == "aten::rsqrt") return Unary(x, [](float v) { return 1.0F / std::sqrt(v); });
  if (name == "aten::reciprocal") return Unary(x, [](float v) { return 1.0F / v; });
  if (name == "aten::neg") return Unary(x, [](float v) { return -v; });
  if (name == "aten::zeros_like") return Tensor(DType::kFloat32, x.shape());
  if (name == "aten::ones_like") return Unary(x, [](float) { return 1.0F; });
  if (name == "aten::unsqueeze") {
    const auto argument = IntArgument(node, 1);
    const auto axis = argument ? Axis(*argument, rank + 1) : std::nullopt;
    if (!axis) return std::nullopt;
    Shape shape = x.shape();
    shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(*axis), 1);
    return Tensor(x.dtype(), std::move(shape), x.storage());
  }
  if (name == "aten::squeeze") {
    const auto argument = IntArgument(node, 1);
    const auto axis = argument ? Axis(*argument, rank) : std::nullopt;
    if (!axis) return std::nullopt;
    Shape shape = x.shape();
    if (shape[*axis] == 1) shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(*axis));
    return Tensor(x.dtype(), std::move(shape), x.storage());
  }
  return std::nullopt;
}

Found Concatenated(const Node& node, const std::vector<Tensor>& inputs) {
  const std::size_t rank = inputs[0].shape().size();
  const auto axis = Axis(std::get<AxisAttributes>(node.attributes).axis, rank);
  if (!axis) return std::nullopt;
  Shape shape = inputs[0].shape();
  shape[*axis] = 0;
  for (const Tensor& input : inputs) {
    Shape others = input.shape();
    if (others.size() != rank) return std::nullopt;
    shape[*axis] += others[*axis];
    others[*axis] = inputs[0].dim(*axis);
    if (others != inputs[0].shape()) return std::nullopt;
  }
  Tensor result(DType::kFloat32, shape);
  const auto out = result.mutable_data<float>();
  std::int64_t inner = 1, outer = 1, begin = 0;
  for (std::size_t i = 0; i < rank; ++i) (i < *axis ? outer : inner) *= i == *axis ? 1 : shape[i];
  for (const Tensor& input : inputs) {
    const std::int64_t run = input.dim(*axis) * inner;
    const auto in = input.data<float>();
    for (std::int64_t o = 0; o < outer; ++o) {
      std::copy_n(in.begin() + o * run, run, out.begin() + (o * shape[*axis] + begin) * inner);
    }
    begin += input.dim(*axis);
  }
  return result;
}

}  // namespace

std::optional<std::vector<std::int64_t>> AxisOrder(const Node& node, std::size_t rank) {
  std::vector<std::int64_t> order(rank);
  std::iota(order.begin(), order.end(), 0);
  if (node.kind == OpKind::kPermute) {
    const auto& sizes = std::get<SizesAttributes>(node.attributes).sizes;
    if (sizes.size() != rank) return std::nullopt;
    std::vector<bool> seen(rank, false);
    for (std::size_t i = 0; i < rank; ++i) {
      const auto axis = Axis(sizes[i], rank);
      if (!axis || seen[*axis]) return std::nullopt;
      seen[*axis] = true;
      order[i] = static_cast<std::int64_t>(*axis);
    }
    return order;
  }
  if (node.kind != OpKind::kOperator) return std::nullopt;
  const std::string& name = std::get<OperatorAttributes>(node.attributes).name;
  if (name == "aten::t" && rank <= 2) {
    std::reverse(order.begin(), order.end());
    return order;
  }
  if (name != "aten::transpose" && name != "aten::swapaxes") return std::nullopt;
  const auto first = IntArgument(node, 1), second = IntArgument(node, 2);
  if (!first || !second) return std::nullopt;
  const auto a = Axis(*first, rank), b = Axis(*second, rank);
  if (!a || !b) return std::nullopt;
  std::swap(order[*a], order[*b]);
  return order;
}

Tensor Permuted(const Tensor& tensor, const std::vector<std::int64_t>& order) {
  const std::size_t rank = tensor.shape().size(), width = SizeOf(tensor.dtype());
  std::vector<std::int64_t> source_steps(rank, 1), steps(rank);
  for (std::size_t i = rank; i-- > 1;) source_steps[i - 1] = source_steps[i] * tensor.dim(i);
  Shape shape(rank);
  for (std::size_t i = 0; i < rank; ++i) {
    shape[i] = tensor.dim(static_cast<std::size_t>(order[i]));
    steps[i] = source_steps[static_cast<std::size_t>(order[i])];
  }
  Tensor result(tensor.dtype(), shape);
  const auto* in = static_cast<const char*>(tensor.storage().get());
  auto* out = static_cast<char*>(result.storage().get());
  ForEach(shape, steps, [&](std::size_t i, std::size_t from) { std::memcpy(out + i * width, in + from * width, width); });
  return result;
}

Found Evaluate(const Node& node, const std::vector<Tensor>& inputs) {
  if (inputs.empty() || std::any_of(inputs.begin(), inputs.end(),
                                    [](const Tensor& t) { return t.dtype() != DType::kFloat32; })) {
    return std::nullopt;
  }
  const Tensor& x = inputs[0];
  if (const auto order = AxisOrder(node, x.shape().size())) return Permuted(x, *order);
  switch (node.kind) {
    case OpKind::kAdd:
      return Binary(x, inputs[1], [](float a, float b) { return a + b; });
    case OpKind::kSub:
      return Binary(x, inputs[1], [](float a, float b) { return a - b; });
    case OpKind::kMul:
      return Binary(x, inputs[1], [](float a, float b) { return a * b; });
    case OpKind::kDiv:
      return Binary(x, inputs[1], [](float a, float b) { return a / b; });
    case OpKind::kRelu:
      return Unary(x, [](float v) { return v < 0 ? 0.0F : v; });
    case OpKind::kClamp: {
      const auto& clamp = std::get<ClampAttributes>(node.attributes);
      return Unary(x, [&](float v) {
        return std::min(std::max(v, static_cast<float>(clamp.min)), static_cast<float>(clamp.max));
      });
    }
    case OpKind::kReshape:
      return Reshaped(x, std::get<SizesAttributes>(node.attributes).sizes);
    case OpKind::kFlatten:
      return Flattened(x, std::get<FlattenAttributes>(node.attributes));
    case OpKind::kConcat:
      return Concatenated(node, inputs);
    case OpKind::kOperator:
      return EvaluateOperator(node, x);
    default:
      return std::nullopt;
  }
}

}  // namespace qatgap::graph
