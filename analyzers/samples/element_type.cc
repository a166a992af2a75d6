#include "analyzers/samples/element_type.h"

#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace qatgap::samples {
namespace {

struct Row {
  ElementType type;
  std::string_view name, npy, safetensors;
  std::size_t size;
  graph::DType dtype;
};

constexpr std::array<Row, 9> kRows = {{
    {ElementType::kFloat16, "float16", "<f2", "F16", 2, graph::DType::kFloat32},
    {ElementType::kBfloat16, "bfloat16", "", "BF16", 2, graph::DType::kFloat32},
    {ElementType::kFloat32, "float32", "<f4", "F32", 4, graph::DType::kFloat32},
    {ElementType::kFloat64, "float64", "<f8", "F64", 8, graph::DType::kFloat64},
    {ElementType::kInt8, "int8", "|i1", "I8", 1, graph::DType::kInt8},
    {ElementType::kUint8, "uint8", "|u1", "U8", 1, graph::DType::kUint8},
    {ElementType::kInt32, "int32", "<i4", "I32", 4, graph::DType::kInt32},
    {ElementType::kInt64, "int64", "<i8", "I64", 8, graph::DType::kInt64},
    {ElementType::kBool, "bool", "|b1", "BOOL", 1, graph::DType::kBool},
}};

const Row& RowOf(ElementType type) { return kRows[static_cast<std::size_t>(type)]; }

std::optional<ElementType> Find(std::string_view Row::*column, std::string_view text) {
  for (const Row& row : kRows) {
    if (!text.empty() && row.*column == text) return row.type;
  }
  return std::nullopt;
}

}  // namespace

std::string_view ToString(ElementType type) { return RowOf(type).name; }
std::size_t SizeOf(ElementType type) { return RowOf(type).size; }
graph::DType DTypeOf(ElementType type) { return RowOf(type).dtype; }
std::optional<ElementType> FromNpyDescriptor(std::string_view descriptor) { return Find(&Row::npy, descriptor); }
std::optional<ElementType> FromSafetensors(std::string_view dtype) { return Find(&Row::safetensors, dtype); }

float FromFloat16(std::uint16_t bits) {
  const unsigned exponent = (bits >> 10U) & 0x1FU, mantissa = bits & 0x3FFU;
  float magnitude = 0;
  if (exponent == 0x1FU) {
    magnitude = mantissa == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    magnitude = std::ldexp(static_cast<float>(mantissa), -24);
  } else {
    magnitude = std::ldexp(static_cast<float>(mantissa | 0x400U), static_cast<int>(exponent) - 25);
  }
  return (bits & 0x8000U) != 0 ? -magnitude : magnitude;
}

float FromBfloat16(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16U); }

}  // namespace qatgap::samples
