// A file of arrays: which it holds, and a reader of each.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "analyzers/samples/array_reader.h"

namespace qatgap::samples {

class ArrayFile {
 public:
  // Reads headers alone. `name` is the file's name for messages; its ending chooses the format: .npy, .npz,
  // .safetensors, or .zip for a packed folder of .npy files. The descriptor stays the caller's and must stay open as
  // long as the readers. INVALID_ARGUMENT naming file, array, value and remedy: another ending, no such file,
  // truncated.
  static absl::StatusOr<ArrayFile> Open(int fd, std::string name);
  ArrayFile(ArrayFile&&) noexcept;
  ArrayFile& operator=(ArrayFile&&) noexcept;
  ~ArrayFile();

  bool is_folder() const;
  // Whether its arrays have names: a .npy has one array, "".
  bool has_names() const;
  // Names of the arrays: of a .npz in the file's order, of a .safetensors or a folder sorted.
  const std::vector<std::string>& arrays() const;
  // For messages: the name; of a folder, without ".zip".
  const std::string& label() const;

  // INVALID_ARGUMENT: Fortran order, a dtype that no ElementType stands for, what ArrayReader::Make refuses.
  absl::StatusOr<ArrayReader> OpenArray(const std::string& array) const;
  // Of a folder: its files as one sample each, sorted by name. INVALID_ARGUMENT: no file, and as above.
  absl::StatusOr<ArrayReader> OpenStacked() const;

  // The error for a file that must hold one array.
  absl::Status NotOneArray() const;

 private:
  struct Impl;
  explicit ArrayFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace qatgap::samples
