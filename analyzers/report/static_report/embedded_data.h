// The answers that a static report carries: one JSON object, compressed, as text. Internal to static_report/.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace qatgap::report {

class EmbeddedData {
 public:
  EmbeddedData();
  ~EmbeddedData();

  // `json` is the answer to `path`.
  void Add(std::string_view path, std::string_view json);
  // False, and nothing is added, where Finish would then give more than `max_bytes`.
  bool AddWithin(std::size_t max_bytes, std::string_view path, std::string_view json);
  // Base64 of gzip of {"path":answer,...}. Once.
  std::string Finish();

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
};

}  // namespace qatgap::report
