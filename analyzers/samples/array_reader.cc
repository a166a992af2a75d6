#include "analyzers/samples/array_reader.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzers/samples/array_file.h"
#include "analyzers/samples/byte_source.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::samples {
namespace {

template <typename T>
std::optional<std::size_t> FirstNotFinite(std::span<const T> values) {
  const auto it = std::find_if(values.begin(), values.end(), [](T value) { return !std::isfinite(value); });
  if (it == values.end()) return std::nullopt;
  return static_cast<std::size_t>(it - values.begin());
}

bool IsHalf(ElementType type) { return type == ElementType::kFloat16 || type == ElementType::kBfloat16; }

}  // namespace

ArrayReader::ArrayReader(Source source) : source_(std::move(source)) {}
ArrayReader::ArrayReader(ArrayReader&&) noexcept = default;
ArrayReader& ArrayReader::operator=(ArrayReader&&) noexcept = default;
ArrayReader::~ArrayReader() = default;

absl::StatusOr<ArrayReader> ArrayReader::Open(int fd, std::string name) {
  QATGAP_ASSIGN_OR_RETURN(const ArrayFile file, ArrayFile::Open(fd, std::move(name)));
  if (file.is_folder()) {
    return absl::InvalidArgumentError(absl::StrCat("'", file.label(), "' is a folder of files; give one .npy file"));
  }
  if (file.arrays().size() != 1) return file.NotOneArray();
  return file.OpenArray(file.arrays().front());
}

absl::StatusOr<ArrayReader> ArrayReader::Make(Source source) {
  const auto bad = [&](const std::string& what) {
    return absl::InvalidArgumentError(absl::StrCat(source.label, " ", what));
  };
  const graph::Shape& shape = source.shape;
  if (shape.empty()) return bad("has shape (); the first axis must count samples");
  double bytes = static_cast<double>(std::max(SizeOf(source.type), graph::SizeOf(DTypeOf(source.type))));
  for (std::size_t axis = 1; axis < shape.size(); ++axis) bytes *= static_cast<double>(shape[axis]);
  if (bytes > 0x1p31) return bad(absl::StrCat("has samples of ", bytes, " bytes, more than 2 GiB"));
  ArrayReader reader(std::move(source));
  reader.row_bytes_ = SizeOf(reader.type());
  for (std::size_t axis = 1; axis < reader.shape().size(); ++axis) {
    reader.row_bytes_ *= static_cast<std::size_t>(reader.shape()[axis]);
  }
  reader.rows_in_file_ = reader.row_bytes_ == 0
                             ? reader.count()
                             : static_cast<std::int64_t>(reader.source_.bytes_left / reader.row_bytes_);
  return reader;
}

absl::Status ArrayReader::EndsAt(std::int64_t row) const {
  return absl::InvalidArgumentError(absl::StrCat(label(), " ends at sample ", row, " of ", count(),
                                                 ": the file is truncated; copy or save it again"));
}

absl::StatusOr<graph::Tensor> ArrayReader::Read(std::int64_t first, std::int64_t count) {
  if (first < next_row_ || first + count > shape()[0]) {
    return absl::InternalError(absl::StrCat("rows ", first, " to ", first + count, " asked for after row ", next_row_));
  }
  // Before memory is taken for what a header only claims.
  if (first + count > rows_in_file_) return EndsAt(std::max(rows_in_file_, next_row_));
  if (first > next_row_) {
    const std::uint64_t wanted = static_cast<std::uint64_t>(first - next_row_) * row_bytes_;
    QATGAP_ASSIGN_OR_RETURN(const std::uint64_t passed, source_.bytes->Skip(wanted));
    if (passed < wanted) return EndsAt(next_row_ + static_cast<std::int64_t>(passed / row_bytes_));
    next_row_ = first;
  }
  graph::Shape rows_shape = shape();
  rows_shape[0] = count;
  graph::Tensor rows(dtype(), rows_shape);
  const std::size_t wanted = row_bytes_ * static_cast<std::size_t>(count);
  // Halves are read into the second half of the tensor's bytes and widened from the front.
  char* begin = static_cast<char*>(rows.storage().get()) + (IsHalf(type()) ? wanted : 0);
  QATGAP_ASSIGN_OR_RETURN(const std::size_t got, source_.bytes->Read({begin, wanted}));
  if (got < wanted) return EndsAt(first + static_cast<std::int64_t>(got / std::max<std::size_t>(row_bytes_, 1)));
  if (IsHalf(type())) {
    const std::span<float> values = rows.mutable_data<float>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::uint16_t bits = 0;
      std::memcpy(&bits, begin + i * sizeof bits, sizeof bits);
      values[i] = type() == ElementType::kFloat16 ? FromFloat16(bits) : FromBfloat16(bits);
    }
  }
  next_row_ = first + count;
  if (next_row_ == shape()[0]) {  // an archive checks its sum when its end is read
    char end = 0;
    QATGAP_RETURN_IF_ERROR(source_.bytes->Read({&end, 1}).status());
  }
  QATGAP_RETURN_IF_ERROR(CheckValues(rows, first));
  return rows;
}

absl::Status ArrayReader::CheckValues(const graph::Tensor& rows, std::int64_t first) const {
  std::optional<std::size_t> index;
  const char* what = "holds NaN or Inf";
  if (rows.dtype() == graph::DType::kFloat32) index = FirstNotFinite(rows.data<float>());
  if (rows.dtype() == graph::DType::kFloat64) index = FirstNotFinite(rows.data<double>());
  if (rows.dtype() == graph::DType::kBool) {  // as bytes: another value in a bool is undefined behaviour
    const auto* bytes = static_cast<const unsigned char*>(rows.storage().get());
    const unsigned char* end = bytes + rows.elements();
    const unsigned char* it = std::find_if(bytes, end, [](unsigned char byte) { return byte > 1; });
    if (it != end) index = static_cast<std::size_t>(it - bytes);
    what = "holds a bool that is neither 0 nor 1";
  }
  if (!index) return absl::OkStatus();
  const auto per_row = static_cast<std::size_t>(rows.elements() / std::max<std::int64_t>(rows.dim(0), 1));
  const std::int64_t row = first + static_cast<std::int64_t>(*index / per_row);
  const std::string file = source_.row_names.empty()
                               ? ""
                               : absl::StrCat(" (file ", source_.row_names[static_cast<std::size_t>(row)], ".npy)");
  return absl::InvalidArgumentError(absl::StrCat(label(), " ", what, " at sample ", row, file, ", element ",
                                                 *index % per_row, "; remove or replace it"));
}

}  // namespace qatgap::samples
