// Types of the elements that files of samples hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "analyzers/graph/tensor.h"

namespace qatgap::samples {

enum class ElementType { kFloat16, kBfloat16, kFloat32, kFloat64, kInt8, kUint8, kInt32, kInt64, kBool };

std::string_view ToString(ElementType type);  // "float16"
std::size_t SizeOf(ElementType type);
// "<f2" of a .npy header; "F16" of a .safetensors one.
std::optional<ElementType> FromNpyDescriptor(std::string_view descriptor);
std::optional<ElementType> FromSafetensors(std::string_view dtype);

// What elements are in memory: float16 and bfloat16 become float32, which holds each of them exactly.
graph::DType DTypeOf(ElementType type);

// Exact, subnormals, infinities and NaN included.
float FromFloat16(std::uint16_t bits);
float FromBfloat16(std::uint16_t bits);

}  // namespace qatgap::samples
