// Entries of a torch.export archive, unpacked when they are asked for.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace qatgap::frontends::pt2 {

class Archive {
 public:
  // `bytes` must outlive the archive. INVALID_ARGUMENT: no zip archive, or one without exactly one exported program.
  static absl::StatusOr<Archive> Open(std::string_view bytes);
  Archive(Archive&&) noexcept;
  Archive& operator=(Archive&&) noexcept;
  ~Archive();

  // The exported program's JSON text: "<root>/models/model.json".
  absl::StatusOr<std::string> Program();
  bool Has(std::string_view path) const;  // below the root folder: "data/weights/weight_0"
  // INVALID_ARGUMENT: no such entry, or its data is damaged. RESOURCE_EXHAUSTED: all that was read together is more
  // than 4 times the archive and more than 256 MiB (torch stores its entries uncompressed).
  absl::StatusOr<std::string> Read(std::string_view path);

 private:
  struct Impl;
  explicit Archive(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace qatgap::frontends::pt2
