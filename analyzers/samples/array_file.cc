#include "analyzers/samples/array_file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzers/samples/byte_source.h"
#include "analyzers/samples/folder_source.h"
#include "analyzers/samples/npy_format.h"
#include "analyzers/samples/safetensors_format.h"
#include "analyzers/samples/zip_archive.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::samples {
namespace {

// Beyond this many a message names no more.
constexpr std::size_t kNamedArrays = 8;

absl::Status Bad(const std::string& label, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(label, " ", what));
}

absl::Status UnknownType(const std::string& label, const std::string& type) {
  return Bad(label, absl::StrCat("has dtype ", type, "; convert it with .astype(numpy.float32) (labels: numpy.int64)"));
}

absl::StatusOr<std::vector<SafetensorsArray>> ReadSafetensors(int fd, const std::string& label) {
  static_assert(std::endian::native == std::endian::little);
  const std::unique_ptr<ByteSource> source = OpenPlain(fd);
  std::uint64_t size = 0;
  std::array<char, sizeof size> start{};
  QATGAP_ASSIGN_OR_RETURN(const std::size_t got, source->Read(start));
  if (got < sizeof size) return Bad(label, "is not a .safetensors file; save it with safetensors.numpy.save_file");
  std::memcpy(&size, start.data(), sizeof size);
  const std::uint64_t rest = source->size_limit() - sizeof size;
  if (size > kMaxSafetensorsHeader) {
    return Bad(label, absl::StrCat("has a header of ", size, " bytes, more than ", kMaxSafetensorsHeader,
                                   "; is it a .safetensors file of samples?"));
  }
  if (size > rest) return Bad(label, "ends inside its header: the file is truncated; copy or save it again");
  std::string header(static_cast<std::size_t>(size), '\0');
  QATGAP_ASSIGN_OR_RETURN(const std::size_t header_got, source->Read(header));
  if (header_got < header.size())
    return Bad(label, "ends inside its header: the file is truncated; copy or save it again");
  return ParseSafetensorsHeader(header, rest - size, label);
}

}  // namespace

struct ArrayFile::Impl {
  int fd = -1;
  std::string label;
  bool folder = false;
  std::vector<std::string> names;
  std::shared_ptr<ZipArchive> archive;        // of .npz and folders
  std::vector<ZipArchive::Member> members;    // by index of names
  std::vector<SafetensorsArray> safetensors;  // by index of names

  std::string Label(const std::string& array) const {
    if (folder) return FileLabel(label, array);
    return array.empty() ? label : absl::StrCat(label, " (array ", array, ")");
  }

  absl::StatusOr<ArrayReader> OpenNpy(std::unique_ptr<ByteSource> bytes, const std::string& of) const {
    QATGAP_ASSIGN_OR_RETURN(const NpyStart start, ReadNpyStart(*bytes, of));
    if (start.header.fortran_order) return Bad(of, "is in Fortran order; save numpy.ascontiguousarray of it");
    const auto type = FromNpyDescriptor(start.header.descriptor);
    if (!type) return UnknownType(of, start.header.descriptor);
    const std::uint64_t limit = bytes->size_limit();
    return ArrayReader::Make({.bytes = std::move(bytes),
                              .label = of,
                              .type = *type,
                              .shape = start.header.shape,
                              .bytes_left = limit - std::min(limit, start.bytes)});
  }

  absl::StatusOr<ArrayReader> OpenSafetensors(const SafetensorsArray& array, const std::string& of) const {
    const auto type = FromSafetensors(array.dtype);
    if (!type) return UnknownType(of, array.dtype);
    return ArrayReader::Make({.bytes = OpenPlain(fd, array.first, array.size),
                              .label = of,
                              .type = *type,
                              .shape = array.shape,
                              .bytes_left = array.size});
  }
};

ArrayFile::ArrayFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ArrayFile::ArrayFile(ArrayFile&&) noexcept = default;
ArrayFile& ArrayFile::operator=(ArrayFile&&) noexcept = default;
ArrayFile::~ArrayFile() = default;

absl::StatusOr<ArrayFile> ArrayFile::Open(int fd, std::string name) {
  auto impl = std::make_unique<Impl>();
  impl->fd = fd;
  impl->folder = absl::EndsWithIgnoreCase(name, ".zip");
  impl->label = impl->folder ? name.substr(0, name.size() - 4) : name;
  if (impl->folder || absl::EndsWithIgnoreCase(name, ".npz")) {
    QATGAP_ASSIGN_OR_RETURN(impl->archive, ZipArchive::Open(fd, impl->label));
    impl->members = impl->archive->members();
    if (impl->folder)
      std::sort(impl->members.begin(), impl->members.end(),
                [](const auto& a, const auto& b) { return a.name < b.name; });
    for (const ZipArchive::Member& member : impl->members) impl->names.push_back(member.name);
  } else if (absl::EndsWithIgnoreCase(name, ".safetensors")) {
    QATGAP_ASSIGN_OR_RETURN(impl->safetensors, ReadSafetensors(fd, impl->label));
    for (const SafetensorsArray& array : impl->safetensors) impl->names.push_back(array.name);
  } else if (absl::EndsWithIgnoreCase(name, ".npy")) {
    impl->names = {""};
  } else {
    return absl::InvalidArgumentError(absl::StrCat("'", name,
                                                   "' is neither .npy, .npz nor .safetensors; save it with "
                                                   "numpy.save or numpy.savez"));
  }
  return ArrayFile(std::move(impl));
}

bool ArrayFile::is_folder() const { return impl_->folder; }
bool ArrayFile::has_names() const { return impl_->archive != nullptr || impl_->names != std::vector<std::string>{""}; }
const std::vector<std::string>& ArrayFile::arrays() const { return impl_->names; }
const std::string& ArrayFile::label() const { return impl_->label; }

absl::StatusOr<ArrayReader> ArrayFile::OpenArray(const std::string& array) const {
  const std::string label = impl_->Label(array);
  const auto it = std::find(impl_->names.begin(), impl_->names.end(), array);
  if (it == impl_->names.end())
    return absl::InternalError(absl::StrCat("'", impl_->label, "' has no array '", array, "'"));
  const auto index = static_cast<std::size_t>(it - impl_->names.begin());
  if (!impl_->safetensors.empty()) return impl_->OpenSafetensors(impl_->safetensors[index], label);
  if (impl_->archive == nullptr) return impl_->OpenNpy(OpenPlain(impl_->fd), label);
  QATGAP_ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> bytes, impl_->archive->OpenMember(impl_->members[index], label));
  return impl_->OpenNpy(std::move(bytes), label);
}

absl::StatusOr<ArrayReader> ArrayFile::OpenStacked() const {
  if (impl_->members.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", impl_->label, "' holds no .npy file; save each sample with numpy.save"));
  }
  const ZipArchive::Member& first = impl_->members.front();
  const std::string label = impl_->Label(first.name);
  QATGAP_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> bytes, impl_->archive->OpenMember(first, label));
  QATGAP_ASSIGN_OR_RETURN(NpyStart start, ReadNpyStart(*bytes, label));
  const auto type = FromNpyDescriptor(start.header.descriptor);
  if (!type) return UnknownType(label, start.header.descriptor);
  double row_bytes = static_cast<double>(SizeOf(*type));
  for (const std::int64_t extent : start.header.shape) row_bytes *= static_cast<double>(extent);
  for (const ZipArchive::Member& member : impl_->members) {
    if (row_bytes <= static_cast<double>(member.size_limit)) continue;
    return absl::InvalidArgumentError(absl::StrCat(impl_->Label(member.name), " has ", member.size_limit,
                                                   " bytes, shape ", graph::ToString(start.header.shape), " of ",
                                                   start.header.descriptor, " (", first.name, ".npy) needs ", row_bytes,
                                                   ": it is truncated, or has another shape; the files of a folder "
                                                   "hold one sample each, all of one shape and dtype"));
  }
  graph::Shape shape = start.header.shape;
  shape.insert(shape.begin(), static_cast<std::int64_t>(impl_->members.size()));
  const auto size = static_cast<std::size_t>(row_bytes);
  return ArrayReader::Make(
      {.bytes = ConcatenateMembers(impl_->archive, impl_->members, std::move(start.header), size, impl_->label),
       .label = impl_->label,
       .type = *type,
       .shape = std::move(shape),
       .bytes_left = static_cast<std::uint64_t>(size) * impl_->members.size(),
       .row_names = impl_->names});
}

absl::Status ArrayFile::NotOneArray() const {
  std::vector<std::string> named = arrays();
  if (named.size() > kNamedArrays) {
    named.resize(kNamedArrays);
    named.push_back("...");
  }
  return absl::InvalidArgumentError(absl::StrCat("'", label(), "' holds ", arrays().size(), " arrays (",
                                                 absl::StrJoin(named, ", "), "), one is needed; save it with one"));
}

}  // namespace qatgap::samples
