#include "analyzers/vectors/code_types.h"

#include <cstddef>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace qatgap::vectors {
namespace {

constexpr CodeType kTypes[] = {
    {"uint8", "|u1", 0, 255, 1, false},
    {"int8", "|i1", -128, 127, 1, true},
    {"uint16", "<u2", 0, 65535, 2, false},
    {"int16", "<i2", -32768, 32767, 2, true},
    {"int32", "<i4", INT32_MIN, INT32_MAX, 4, true},
    {"uint4", "|u1", 0, 15, 1, false},
    {"int4", "|i1", -8, 7, 1, true},
};

struct NamedOp {
  std::string_view name;
  OpWord word;
};

constexpr OpWord Word(CaseOp op, bool depthwise = false) {
  OpWord word;
  word.op = op;
  word.depthwise = depthwise;
  return word;
}
constexpr OpWord kConv = Word(CaseOp::kConvolution);
constexpr OpWord kDepthwise = Word(CaseOp::kConvolution, /*depthwise=*/true);
constexpr OpWord kTransposed = Word(CaseOp::kTransposedConvolution);

// Plain names, without "quantized", "qlinear", "1d" and the like, which are taken off first.
constexpr NamedOp kOps[] = {
    {"conv", kConv},
    {"convolution", kConv},
    {"convinteger", kConv},
    {"depthwiseconv", kDepthwise},
    {"depthwiseconvolution", kDepthwise},
    {"depthwise", kDepthwise},
    {"dwconv", kDepthwise},
    {"convdepthwise", kDepthwise},
    {"convdw", kDepthwise},
    {"convtranspose", kTransposed},
    {"convtransposed", kTransposed},
    {"transposedconv", kTransposed},
    {"transposeconv", kTransposed},
    {"transposedconvolution", kTransposed},
    {"convolutiontranspose", kTransposed},
    {"deconv", kTransposed},
    {"deconvolution", kTransposed},
    {"linear", Word(CaseOp::kLinear)},
    {"fullyconnected", Word(CaseOp::kLinear)},
    {"fc", Word(CaseOp::kLinear)},
    {"dense", Word(CaseOp::kLinear)},
    {"innerproduct", Word(CaseOp::kLinear)},
    {"matmul", Word(CaseOp::kLinear)},
    {"matmulinteger", Word(CaseOp::kLinear)},
    {"gemm", Word(CaseOp::kLinear)},
    {"add", Word(CaseOp::kAdd)},
    {"sum", Word(CaseOp::kAdd)},
    {"mul", Word(CaseOp::kMul)},
    {"multiply", Word(CaseOp::kMul)},
    {"concat", Word(CaseOp::kConcat)},
    {"cat", Word(CaseOp::kConcat)},
    {"concatenate", Word(CaseOp::kConcat)},
    {"concatenation", Word(CaseOp::kConcat)},
    {"avgpool", Word(CaseOp::kAveragePool)},
    {"averagepool", Word(CaseOp::kAveragePool)},
    {"averagepooling", Word(CaseOp::kAveragePool)},
    {"maxpool", Word(CaseOp::kMaxPool)},
    {"maxpooling", Word(CaseOp::kMaxPool)},
    {"mean", Word(CaseOp::kMean)},
    {"reducemean", Word(CaseOp::kMean)},
};

bool TakePrefix(std::string_view prefix, std::string* name) {
  if (!name->starts_with(prefix) || name->size() == prefix.size()) return false;
  name->erase(0, prefix.size());
  return true;
}

bool TakeSuffix(std::string_view suffix, std::string* name) {
  if (!name->ends_with(suffix) || name->size() == suffix.size()) return false;
  name->erase(name->size() - suffix.size());
  return true;
}

}  // namespace

std::string Plain(std::string_view name) {
  std::string plain;
  for (const char c : name) {
    if (c != '_' && c != '-' && c != ' ' && c != '.')
      plain.push_back(absl::ascii_tolower(static_cast<unsigned char>(c)));
  }
  return plain;
}

const CodeType* FindCodeType(std::string_view name) {
  std::string plain = Plain(name);
  for (const std::string_view prefix : {"torch", "np", "numpy", "tf", "<", "|", "="}) TakePrefix(prefix, &plain);
  for (const CodeType& type : kTypes) {
    const std::string full(type.name);                                         // "uint8"
    const std::string digits = full.substr(full.find_first_of("0123456789"));  // "8"
    const std::string letter = type.is_signed ? "i" : "u";
    if (plain == full || plain == "q" + full || plain == letter + digits || (type.is_signed && plain == "s" + digits)) {
      return &type;
    }
  }
  // NumPy's short names count bytes. "i4" is four bits above: codes of 32 bits are rare, of 4 bits are not.
  if (plain == "u1") return &kTypes[0];
  if (plain == "i1") return &kTypes[1];
  if (plain == "u2") return &kTypes[2];
  return plain == "i2" ? &kTypes[3] : nullptr;
}

const CodeType& NarrowestCodeType(std::int64_t min, std::int64_t max) {
  for (const CodeType& type : kTypes) {
    if (min >= type.min && max <= type.max) return type;
  }
  return kTypes[4];
}

std::optional<OpWord> FindOp(std::string_view name) {
  std::string plain = Plain(name);
  if (const std::size_t colon = plain.rfind(':'); colon != std::string::npos) plain.erase(0, colon + 1);
  bool changed = true;
  while (changed) {
    changed = false;
    for (const std::string_view prefix : {"quantized", "qlinear", "nnq", "aten"}) changed |= TakePrefix(prefix, &plain);
  }
  std::optional<int> spatial_axes;
  const auto take_rank = [&] {
    for (int axes = 1; axes <= 3; ++axes) {
      if (TakeSuffix(absl::StrCat(axes, "d"), &plain)) spatial_axes = axes;
    }
  };
  numerics::Activation activation = numerics::Activation::kNone;
  if (TakeSuffix("relu6", &plain)) activation = numerics::Activation::kRelu6;
  if (TakeSuffix("relu", &plain)) activation = numerics::Activation::kRelu;
  take_rank();
  // conv2d_transpose: the rank is inside.
  if (!spatial_axes) {
    for (int axes = 1; axes <= 3; ++axes) {
      const std::string rank = absl::StrCat(axes, "d");
      if (const std::size_t at = plain.find(rank); at != std::string::npos) {
        plain.erase(at, rank.size());
        spatial_axes = axes;
      }
    }
  }
  for (int attempt = 0; attempt < 2; ++attempt) {
    for (const NamedOp& entry : kOps) {
      if (entry.name != plain) continue;
      OpWord word = entry.word;
      word.spatial_axes = spatial_axes;
      word.activation = activation;
      return word;
    }
    // qgemm, qconv.
    if (!TakePrefix("q", &plain)) break;
  }
  return std::nullopt;
}

std::string OpName(const Case& layer) {
  const std::string rank = absl::StrCat(layer.convolution.stride.size(), "d");
  switch (layer.op) {
    case CaseOp::kConvolution: {
      const std::int64_t groups = layer.convolution.groups;
      const bool depthwise = groups > 1 && layer.weight_codes.defined() && layer.weight_codes.dim(1) == 1;
      return (depthwise ? "depthwise_conv" : "conv") + rank;
    }
    case CaseOp::kTransposedConvolution:
      return "conv_transpose" + rank;
    case CaseOp::kLinear:
      return "linear";
    case CaseOp::kAdd:
      return "add";
    case CaseOp::kMul:
      return "mul";
    case CaseOp::kConcat:
      return "concat";
    case CaseOp::kAveragePool:
      return absl::StrCat("avg_pool", layer.pool.kernel.size(), "d");
    case CaseOp::kMaxPool:
      return absl::StrCat("max_pool", layer.pool.kernel.size(), "d");
    case CaseOp::kMean:
      return "mean";
  }
  return "";
}

std::optional<numerics::Activation> FindActivation(std::string_view name) {
  const std::string plain = Plain(name);
  if (plain.empty() || plain == "none" || plain == "null" || plain == "identity" || plain == "linear") {
    return numerics::Activation::kNone;
  }
  if (plain == "relu") return numerics::Activation::kRelu;
  if (plain == "relu6") return numerics::Activation::kRelu6;
  return std::nullopt;
}

}  // namespace qatgap::vectors
