#include "tests/testing/demo_models.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "analyzers/execution/host.h"
#include "analyzers/samples/array_reader.h"
#include "analyzers/status/string_view.h"

namespace qatgap::testing {
namespace {

std::string ModelPath(std::string_view folder, std::string_view file) {
  return absl::StrCat(QATGAP_SOURCE_DIR, "/tests/models/", Text(folder), "/", Text(file));
}

template <typename T>
T Value(absl::StatusOr<T> result) {
  if (!result.ok()) throw std::runtime_error(result.status().ToString());
  return *std::move(result);
}

}  // namespace

std::string ModelBytes(std::string_view folder, std::string_view file) {
  std::ifstream stream(ModelPath(folder, file), std::ios::binary);
  std::ostringstream bytes;
  bytes << stream.rdbuf();
  if (bytes.str().empty()) throw std::runtime_error("cannot read " + ModelPath(folder, file));
  return bytes.str();
}

frontends::Model ImportModel(std::string_view folder, std::string_view file) {
  auto model = frontends::torchscript::Import(ModelBytes(folder, file), file);
  return Value(std::move(model));
}

graph::Tensor Images(std::int64_t first, std::int64_t count) {
  const std::string path = ModelPath("samples", "images_512.npz");
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw std::runtime_error("cannot read " + path);
  samples::ArrayReader reader = Value(samples::ArrayReader::Open(fd, "images_512.npz"));
  const graph::Tensor rows = Value(reader.Read(0, first + count));
  close(fd);
  graph::Shape shape = rows.shape();
  const auto row = static_cast<std::size_t>(rows.elements() / (first + count));
  shape[0] = count;
  return graph::Tensor::Of<float>(shape, rows.data<float>().subspan(static_cast<std::size_t>(first) * row,
                                                                     static_cast<std::size_t>(count) * row));
}

bool IsBranching(std::string_view folder) { return folder.starts_with("branching"); }

void UseOneThreadOnce() {
  static const bool done = [] {
    execution::UseOneThread();
    return true;
  }();
  (void)done;
}

}  // namespace qatgap::testing
