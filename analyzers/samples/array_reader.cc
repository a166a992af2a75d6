#include "analyzers/samples/array_reader.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "analyzers/samples/byte_source.h"
#include "analyzers/samples/npy_format.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::samples {
namespace {

constexpr std::size_t kMaxHeader = 1U << 16;

std::optional<graph::DType> DTypeOf(std::string_view descriptor) {
  static constexpr std::array<std::pair<std::string_view, graph::DType>, 6> kTypes = {{
      {"<f4", graph::DType::kFloat32},
      {"<f8", graph::DType::kFloat64},
      {"|i1", graph::DType::kInt8},
      {"|u1", graph::DType::kUint8},
      {"<i4", graph::DType::kInt32},
      {"<i8", graph::DType::kInt64},
  }};
  for (const auto& [name, dtype] : kTypes) {
    if (name == descriptor) return dtype;
  }
  return std::nullopt;
}

template <typename T>
std::optional<std::size_t> FirstNotFinite(std::span<const T> values) {
  const auto it = std::find_if(values.begin(), values.end(), [](T value) { return !std::isfinite(value); });
  if (it == values.end()) return std::nullopt;
  return static_cast<std::size_t>(it - values.begin());
}

}  // namespace

ArrayReader::ArrayReader(ArrayReader&&) noexcept = default;
ArrayReader& ArrayReader::operator=(ArrayReader&&) noexcept = default;
ArrayReader::~ArrayReader() = default;

absl::StatusOr<ArrayReader> ArrayReader::Open(int fd, std::string name) {
  ArrayReader reader;
  if (absl::EndsWith(name, ".npz")) {
    QATGAP_ASSIGN_OR_RETURN(reader.source_, OpenZipMember(fd, name));
  } else if (absl::EndsWith(name, ".npy")) {
    QATGAP_ASSIGN_OR_RETURN(reader.source_, OpenPlain(fd));
  } else {
    return absl::InvalidArgumentError(absl::StrCat("'", name, "' is neither .npy nor .npz; save it with numpy.save or numpy.savez"));
  }
  const std::string array = reader.source_->array_name();
  reader.label_ = array.empty() ? name : absl::StrCat(name, " (array ", array, ")");
  const auto bad = [&](std::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat(reader.label_, " ", Text(what)));
  };

  std::array<char, 12> start{};
  QATGAP_ASSIGN_OR_RETURN(const std::size_t got, reader.source_->Read(std::span<char>(start).first(10)));
  if (got < 10 || std::memcmp(start.data(), "\x93NUMPY", 6) != 0) return bad("is not a NumPy array; save it with numpy.save");
  std::size_t header_size = static_cast<std::uint8_t>(start[8]) | static_cast<std::size_t>(static_cast<std::uint8_t>(start[9])) << 8U;
  if (start[6] >= 2) {
    QATGAP_ASSIGN_OR_RETURN(const std::size_t more, reader.source_->Read(std::span<char>(start).subspan(10, 2)));
    if (more < 2) return bad("ends inside its header");
    header_size |= static_cast<std::size_t>(static_cast<std::uint8_t>(start[10])) << 16U |
                   static_cast<std::size_t>(static_cast<std::uint8_t>(start[11])) << 24U;
  }
  if (header_size > kMaxHeader) return bad(absl::StrCat("has a header of ", header_size, " bytes"));
  std::string header(header_size, '\0');
  QATGAP_ASSIGN_OR_RETURN(const std::size_t header_got, reader.source_->Read(header));
  if (header_got < header_size) return bad("ends inside its header");

  QATGAP_ASSIGN_OR_RETURN(const NpyHeader array_header, ParseNpyHeader(header, reader.label_));
  if (array_header.fortran_order) return bad("is in Fortran order; save numpy.ascontiguousarray of it");
  const auto dtype = DTypeOf(array_header.descriptor);
  if (!dtype) {
    return bad(absl::StrCat("has dtype ", array_header.descriptor,
                            "; convert it with .astype(numpy.float32) (labels: numpy.int64)"));
  }
  const graph::Shape& shape = array_header.shape;
  if (shape.empty()) return bad("has shape (); the first axis must count samples");
  reader.dtype_ = *dtype;
  reader.shape_ = shape;
  double bytes = static_cast<double>(graph::SizeOf(*dtype));
  for (std::size_t axis = 1; axis < shape.size(); ++axis) bytes *= static_cast<double>(shape[axis]);
  if (bytes > 0x1p31) return bad(absl::StrCat("has samples of ", bytes, " bytes, more than 2 GiB"));
  reader.row_bytes_ = static_cast<std::size_t>(bytes);
  const std::uint64_t before_data = (start[6] >= 2 ? 12U : 10U) + header_size;
  const std::uint64_t data = reader.source_->size_limit() - std::min(reader.source_->size_limit(), before_data);
  reader.rows_in_file_ = reader.row_bytes_ == 0 ? reader.count() : static_cast<std::int64_t>(data / reader.row_bytes_);
  return reader;
}

absl::StatusOr<graph::Tensor> ArrayReader::Read(std::int64_t first, std::int64_t count) {
  const auto bad = [&](std::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat(label_, " ", Text(what)));
  };
  if (first < next_row_ || first + count > shape_[0]) {
    return absl::InternalError(absl::StrCat("rows ", first, " to ", first + count, " asked for after row ", next_row_));
  }
  const auto ends_at = [&](std::int64_t row) {
    return bad(absl::StrCat("ends at sample ", row, " of ", shape_[0], ": the file is truncated"));
  };
  // Before memory is taken for what a header only claims.
  if (first + count > rows_in_file_) return ends_at(std::max(rows_in_file_, next_row_));
  graph::Shape shape = shape_;
  shape[0] = 1;
  graph::Tensor skipped(dtype_, first > next_row_ ? shape : graph::Shape{0});
  for (; next_row_ < first; ++next_row_) {
    QATGAP_ASSIGN_OR_RETURN(const std::size_t got, source_->Read({static_cast<char*>(skipped.storage().get()), row_bytes_}));
    if (got < row_bytes_) return ends_at(next_row_);
  }
  shape[0] = count;
  graph::Tensor rows(dtype_, shape);
  const std::size_t wanted = row_bytes_ * static_cast<std::size_t>(count);
  QATGAP_ASSIGN_OR_RETURN(const std::size_t got, source_->Read({static_cast<char*>(rows.storage().get()), wanted}));
  if (got < wanted) {
    return ends_at(first + static_cast<std::int64_t>(got / std::max<std::size_t>(row_bytes_, 1)));
  }
  next_row_ = first + count;
  if (next_row_ == shape_[0]) {  // an archive checks its sum when its end is read
    char end = 0;
    QATGAP_RETURN_IF_ERROR(source_->Read({&end, 1}).status());
  }
  std::optional<std::size_t> index;
  if (dtype_ == graph::DType::kFloat32) index = FirstNotFinite(rows.data<float>());
  if (dtype_ == graph::DType::kFloat64) index = FirstNotFinite(rows.data<double>());
  if (index) {
    const std::size_t per_row = static_cast<std::size_t>(rows.elements() / std::max<std::int64_t>(count, 1));
    return bad(absl::StrCat("holds NaN or Inf at sample ", first + static_cast<std::int64_t>(*index / per_row), ", element ",
                            *index % per_row, "; remove or replace it"));
  }
  return rows;
}

}  // namespace qatgap::samples
