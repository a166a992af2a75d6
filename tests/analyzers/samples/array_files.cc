#include "tests/analyzers/samples/array_files.h"

#include <sys/mman.h>
#include <unistd.h>
#include <zip.h>

#include <cstdlib>
#include <cstring>

namespace qatgap::samples {

std::string Npy(const std::string& header, const std::string& data, int major) {
  std::string text = "\x93NUMPY";
  text.push_back(static_cast<char>(major));
  text.push_back('\0');
  for (unsigned i = 0; i < (major == 1 ? 2U : 4U); ++i) {
    text.push_back(static_cast<char>((header.size() >> (8 * i)) & 0xFFU));
  }
  return text + header + data;
}

std::string Header(const std::string& descriptor, const std::string& shape, const std::string& fortran_order) {
  return "{'descr': '" + descriptor + "', 'fortran_order': " + fortran_order + ", 'shape': " + shape + ", }\n";
}

std::string Npz(const std::vector<std::pair<std::string, std::string>>& members, Compression compression) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* out = zip_source_buffer_create(nullptr, 0, 0, &error);
  zip_source_keep(out);
  zip_t* archive = zip_open_from_source(out, ZIP_TRUNCATE, &error);
  if (archive == nullptr) std::abort();
  for (const auto& [name, bytes] : members) {
    zip_source_t* source = zip_source_buffer(archive, bytes.data(), bytes.size(), 0);
    const zip_int64_t index = zip_file_add(archive, name.c_str(), source, 0);
    if (index < 0) std::abort();
    zip_set_file_compression(archive, static_cast<zip_uint64_t>(index),
                             compression == Compression::kStored ? ZIP_CM_STORE : ZIP_CM_DEFLATE, 0);
  }
  if (zip_close(archive) != 0 || zip_source_open(out) != 0) std::abort();
  zip_source_seek(out, 0, SEEK_END);
  std::string text(static_cast<std::size_t>(zip_source_tell(out)), '\0');
  zip_source_seek(out, 0, SEEK_SET);
  if (zip_source_read(out, text.data(), text.size()) != static_cast<zip_int64_t>(text.size())) std::abort();
  zip_source_close(out);
  zip_source_free(out);
  return text;
}

std::string RawSafetensors(const std::string& header, const std::string& data) {
  const std::uint64_t size = header.size();
  std::string bytes(sizeof size, '\0');
  std::memcpy(bytes.data(), &size, sizeof size);
  return bytes + header + data;
}

std::string Safetensors(const std::vector<std::string>& entries, const std::string& data) {
  std::string header(1, '{');
  for (const std::string& entry : entries) header.append(header.size() > 1 ? "," : "").append(entry);
  return RawSafetensors(header.append("}"), data);
}

std::string Entry(const std::string& name, const std::string& dtype, const std::string& shape, std::size_t begin,
                  std::size_t end) {
  std::string text(1, '"');
  return text.append(name).append("\":{\"dtype\":\"").append(dtype).append("\",\"shape\":").append(shape)
      .append(",\"data_offsets\":[").append(std::to_string(begin)).append(",").append(std::to_string(end)).append("]}");
}

MemoryFile::MemoryFile(const std::string& bytes) : fd_(memfd_create("array", MFD_CLOEXEC)) {
  if (fd_ < 0 || write(fd_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) std::abort();
}
MemoryFile::~MemoryFile() { close(fd_); }

}  // namespace qatgap::samples
