// Parameters, buffers and constants of an archive, read when they are first asked for.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "analyzers/frontends/pt2/archive.h"
#include "analyzers/frontends/pt2/program.h"
#include "analyzers/graph/tensor.h"

namespace qatgap::frontends::pt2 {

class Weights {
 public:
  // `archive` must outlive it.
  static absl::StatusOr<Weights> Open(Archive& archive);

  bool Has(const std::string& fqn) const { return index_.contains(fqn); }
  // The type that the archive stores.
  absl::StatusOr<ScalarType> Type(const std::string& fqn) const;
  // Contiguous. float16 and bfloat16 become float32 and int16 int32, exactly; the others keep their type. Names that
  // share a payload share storage. INVALID_ARGUMENT: no such tensor; pickled; strides that leave the payload.
  absl::StatusOr<graph::Tensor> Load(const std::string& fqn);

 private:
  struct Entry {
    StoredTensor stored;
    std::string folder;  // "data/weights/"
  };

  explicit Weights(Archive& archive) : archive_(&archive) {}
  absl::Status ReadIndex(const std::string& folder, const std::string& file);

  Archive* archive_;
  std::map<std::string, Entry> index_;
  std::map<std::string, graph::Tensor> loaded_;  // by payload, sizes and strides
};

}  // namespace qatgap::frontends::pt2
