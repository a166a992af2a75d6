#include "analyzers/graph/operator_names.h"

#include <algorithm>
#include <array>

namespace qatgap::graph {
namespace {

// Sorted: looked up by binary search.
constexpr std::array kMoving = std::to_array<std::string_view>({
    "aten::adaptive_max_pool1d", "aten::adaptive_max_pool2d", "aten::adaptive_max_pool3d", "aten::alias",
    "aten::amax", "aten::amin", "aten::channel_shuffle", "aten::chunk", "aten::constant_pad_nd", "aten::diagonal",
    "aten::expand", "aten::expand_as", "aten::flip", "aten::gather", "aten::index_select", "aten::max_pool1d",
    "aten::max_pool3d", "aten::movedim", "aten::narrow", "aten::native_channel_shuffle", "aten::permute",
    "aten::pixel_shuffle", "aten::pixel_unshuffle", "aten::reflection_pad1d", "aten::reflection_pad2d", "aten::repeat",
    "aten::repeat_interleave", "aten::replication_pad1d", "aten::replication_pad2d", "aten::roll", "aten::select",
    "aten::slice", "aten::split", "aten::split_with_sizes", "aten::squeeze", "aten::swapaxes", "aten::t",
    "aten::take_along_dim", "aten::tensor_split", "aten::tile", "aten::transpose", "aten::unbind", "aten::unflatten",
    "aten::unsqueeze", "aten::upsample_nearest1d", "aten::upsample_nearest2d", "aten::upsample_nearest3d",
});

constexpr std::array kAveraging = std::to_array<std::string_view>({
    "aten::adaptive_avg_pool1d", "aten::adaptive_avg_pool3d", "aten::avg_pool1d", "aten::avg_pool3d",
});

constexpr std::array kOthers = std::to_array<std::string_view>({
    "aten::abs", "aten::acos", "aten::addcdiv", "aten::addcmul", "aten::addmm", "aten::all", "aten::any", "aten::arange",
    "aten::argmax", "aten::argmin", "aten::asin", "aten::atan", "aten::atan2", "aten::baddbmm", "aten::bitwise_and",
    "aten::bitwise_not", "aten::bitwise_or", "aten::bmm", "aten::ceil", "aten::celu", "aten::clamp", "aten::clamp_max",
    "aten::clamp_min", "aten::clone", "aten::cos", "aten::cosh", "aten::cumsum", "aten::detach", "aten::div", "aten::einsum",
    "aten::elu", "aten::embedding", "aten::eq", "aten::erf", "aten::exp", "aten::exp2", "aten::expm1", "aten::floor",
    "aten::floor_divide", "aten::fmod", "aten::full", "aten::full_like", "aten::gelu", "aten::glu", "aten::grid_sampler",
    "aten::group_norm", "aten::hardtanh", "aten::index", "aten::instance_norm", "aten::isfinite", "aten::isnan",
    "aten::layer_norm", "aten::leaky_relu", "aten::lerp", "aten::linalg_vector_norm", "aten::log", "aten::log10",
    "aten::log1p", "aten::log2", "aten::log_sigmoid", "aten::log_softmax", "aten::logical_and", "aten::logical_not",
    "aten::logical_or", "aten::logsumexp", "aten::masked_fill", "aten::matmul", "aten::max", "aten::maximum", "aten::mean",
    "aten::min", "aten::minimum", "aten::mish", "aten::mm", "aten::native_group_norm", "aten::native_layer_norm", "aten::ne",
    "aten::neg", "aten::new_full", "aten::new_ones", "aten::new_zeros", "aten::norm", "aten::ones", "aten::ones_like",
    "aten::pad", "aten::pow", "aten::prelu", "aten::prod", "aten::reciprocal", "aten::relu6",
    "aten::remainder", "aten::rms_norm", "aten::round", "aten::rsqrt", "aten::rsub", "aten::scalar_tensor",
    "aten::scaled_dot_product_attention", "aten::selu", "aten::sign", "aten::silu", "aten::sin", "aten::sinh",
    "aten::softmax", "aten::softplus", "aten::softsign", "aten::sort", "aten::sqrt", "aten::square", "aten::stack",
    "aten::std", "aten::sum", "aten::tan", "aten::tanh", "aten::threshold", "aten::to", "aten::topk", "aten::tril",
    "aten::triu", "aten::trunc", "aten::upsample_bicubic2d", "aten::upsample_bilinear2d", "aten::upsample_linear1d",
    "aten::upsample_trilinear3d", "aten::var", "aten::where", "aten::zeros", "aten::zeros_like",
});

template <std::size_t kCount>
bool Holds(const std::array<std::string_view, kCount>& sorted, std::string_view name) {
  return std::binary_search(sorted.begin(), sorted.end(), name);
}

static_assert(std::is_sorted(kMoving.begin(), kMoving.end()));
static_assert(std::is_sorted(kAveraging.begin(), kAveraging.end()));
static_assert(std::is_sorted(kOthers.begin(), kOthers.end()));

}  // namespace

bool IsAllowedOperator(std::string_view name) {
  return MovesElements(name) || Averages(name) || Holds(kOthers, name);
}

bool MovesElements(std::string_view name) { return Holds(kMoving, name); }

bool Averages(std::string_view name) { return Holds(kAveraging, name); }

}  // namespace qatgap::graph
