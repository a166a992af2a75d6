#include "analyzers/vectors/case_arrays.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <numeric>
#include <span>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "analyzers/samples/npy_format.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"
#include "analyzers/vectors/layout.h"

namespace qatgap::vectors {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr double kMaxElements = 0x1p28;

template <typename From, typename To>
void Convert(std::string_view bytes, std::span<To> values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    From value;
    std::memcpy(&value, bytes.data() + i * sizeof(From), sizeof(From));
    values[i] = static_cast<To>(value);
  }
}

// "<i2", "|i1" and their like without the byte order: "i2". Empty for another order than this machine's.
std::string Kind(const std::string& descriptor) { return descriptor.front() == '>' ? "" : descriptor.substr(1); }

absl::Status WrongType(const std::string& path, const std::string& descriptor, std::string_view wanted) {
  return absl::InvalidArgumentError(absl::StrCat(path, " has dtype ", descriptor, "; it must be ", Text(wanted)));
}

// An index into `shape` for a person: "[0, 3, 1]".
std::string IndexText(std::size_t element, const graph::Shape& shape) {
  graph::Shape index(shape.size());
  auto rest = static_cast<std::int64_t>(element);
  for (std::size_t axis = shape.size(); axis > 0; --axis) {
    index[axis - 1] = rest % shape[axis - 1];
    rest /= shape[axis - 1];
  }
  return graph::ToString(index);
}

}  // namespace

absl::StatusOr<graph::Tensor> ReadCodes(const Files& files, const std::string& path, const CodeDescription& codes) {
  QATGAP_ASSIGN_OR_RETURN(const samples::NpyView view, samples::ViewNpy(files.at(path), path));
  const std::string kind = Kind(view.header.descriptor);
  const CodeType& type = *codes.type;
  if (kind != type.descriptor.substr(1)) {
    return WrongType(path, view.header.descriptor,
                     absl::StrCat(Text(type.descriptor), " (little endian), because case.json says ", codes.field,
                                  ".dtype is ", Text(type.name)));
  }
  const std::size_t count = view.elements.size() / view.element_size;
  if (count == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " has shape ", graph::ToString(view.header.shape), ", which holds no element"));
  }
  if (static_cast<double>(count) > kMaxElements) {
    return absl::InvalidArgumentError(absl::StrCat(path, " has ", count, " elements; vectors have at most 2^28"));
  }
  graph::Shape shape = view.header.shape;
  if (view.header.fortran_order) std::reverse(shape.begin(), shape.end());
  graph::Tensor tensor(graph::DType::kInt32, shape);
  const std::span<std::int32_t> values = tensor.mutable_data<std::int32_t>();
  if (kind == "u1") Convert<std::uint8_t>(view.elements, values);
  if (kind == "i1") Convert<std::int8_t>(view.elements, values);
  if (kind == "u2") Convert<std::uint16_t>(view.elements, values);
  if (kind == "i2") Convert<std::int16_t>(view.elements, values);
  if (kind == "i4") Convert<std::int32_t>(view.elements, values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] >= codes.params.quant_min && values[i] <= codes.params.quant_max) continue;
    return absl::InvalidArgumentError(absl::StrCat(path, " holds ", values[i], " at ", IndexText(i, shape),
                                                   "; the codes of ", codes.field, " go from ", codes.params.quant_min,
                                                   " to ", codes.params.quant_max));
  }
  if (!view.header.fortran_order) return tensor;
  // numpy.save keeps a transposed matrix as it lies in memory: first axis fastest.
  std::vector<std::size_t> axes(shape.size());
  std::iota(axes.rbegin(), axes.rend(), std::size_t{0});
  return Permuted(tensor, axes);
}

absl::StatusOr<std::vector<double>> ReadRealBias(const Files& files, const std::string& path) {
  QATGAP_ASSIGN_OR_RETURN(const samples::NpyView view, samples::ViewNpy(files.at(path), path));
  const std::string kind = Kind(view.header.descriptor);
  std::vector<double> bias(view.elements.size() / view.element_size);
  if (kind == "f4")
    Convert<float>(view.elements, std::span(bias));
  else if (kind == "f8")
    Convert<double>(view.elements, std::span(bias));
  else
    return WrongType(path, view.header.descriptor, "float32 or float64; integers belong into bias_int.npy");
  for (std::size_t c = 0; c < bias.size(); ++c) {
    // Not `> max`: NaN must fail too.
    if (std::abs(bias[c]) <= static_cast<double>(std::numeric_limits<float>::max())) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(path, " holds ", bias[c], " at channel ", c, "; a bias must be finite in binary32"));
  }
  return bias;
}

absl::StatusOr<IntegerBias> ReadIntegerBias(const Files& files, const std::string& path) {
  QATGAP_ASSIGN_OR_RETURN(const samples::NpyView view, samples::ViewNpy(files.at(path), path));
  const std::string kind = Kind(view.header.descriptor);
  std::vector<std::int64_t> bias(view.elements.size() / view.element_size);
  if (kind == "i1")
    Convert<std::int8_t>(view.elements, std::span(bias));
  else if (kind == "i2")
    Convert<std::int16_t>(view.elements, std::span(bias));
  else if (kind == "i4")
    Convert<std::int32_t>(view.elements, std::span(bias));
  else if (kind == "i8")
    Convert<std::int64_t>(view.elements, std::span(bias));
  else
    return WrongType(path, view.header.descriptor, "int8, int16, int32 or int64; reals belong into bias.npy");
  return IntegerBias{.values = std::move(bias), .bits = static_cast<int>(8 * view.element_size)};
}

}  // namespace qatgap::vectors
