#include "analyzers/report/static_report/embedded_data.h"

#include <zlib.h>

#include <array>
#include <new>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "analyzers/report/views/views.h"
#include "analyzers/status/string_view.h"

namespace qatgap::report {
namespace {

constexpr int kGzip = 15 + 16;           // largest window, gzip header
constexpr std::size_t kEndBytes = 32;    // closing brace, last block, gzip trailer

std::size_t Base64Bytes(std::size_t bytes) { return (bytes + 2) / 3 * 4; }

}  // namespace

struct EmbeddedData::Stream {
  z_stream zlib{};
  std::string bytes;
  bool empty = true;

  Stream() {
    if (deflateInit2(&zlib, Z_BEST_COMPRESSION, Z_DEFLATED, kGzip, /*memLevel=*/9, Z_DEFAULT_STRATEGY) != Z_OK) throw std::bad_alloc();
  }
  ~Stream() { deflateEnd(&zlib); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void Deflate(std::string_view text, int flush) {
    std::array<unsigned char, 65536> out{};
    // zlib reads what its interface does not call const.
    zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    zlib.avail_in = static_cast<uInt>(text.size());
    do {
      zlib.next_out = out.data();
      zlib.avail_out = out.size();
      deflate(&zlib, flush);
      bytes.append(reinterpret_cast<const char*>(out.data()), out.size() - zlib.avail_out);
    } while (zlib.avail_out == 0);
  }

  void Add(std::string_view path, std::string_view json, int flush) {
    Deflate(absl::StrCat(empty ? "{" : ",", views::Dump(std::string(path)), ":"), Z_NO_FLUSH);
    Deflate(json, flush);
    empty = false;
  }
};

EmbeddedData::EmbeddedData() : stream_(std::make_unique<Stream>()) {}
EmbeddedData::~EmbeddedData() = default;

void EmbeddedData::Add(std::string_view path, std::string_view json) { stream_->Add(path, json, Z_NO_FLUSH); }

bool EmbeddedData::AddWithin(std::size_t max_bytes, std::string_view path, std::string_view json) {
  // What is still inside zlib counts: first out with it.
  stream_->Deflate("", Z_SYNC_FLUSH);
  z_stream before{};
  if (deflateCopy(&before, &stream_->zlib) != Z_OK) throw std::bad_alloc();
  const std::size_t bytes_before = stream_->bytes.size();
  const bool empty_before = stream_->empty;
  stream_->Add(path, json, Z_SYNC_FLUSH);
  if (Base64Bytes(stream_->bytes.size() + kEndBytes) <= max_bytes) {
    deflateEnd(&before);
    return true;
  }
  deflateEnd(&stream_->zlib);
  deflateCopy(&stream_->zlib, &before);
  deflateEnd(&before);
  stream_->bytes.resize(bytes_before);
  stream_->empty = empty_before;
  return false;
}

std::string EmbeddedData::Finish() {
  stream_->Deflate(stream_->empty ? "{}" : "}", Z_FINISH);
  std::string text;
  absl::Base64Escape(stream_->bytes, &text);
  return text;
}

}  // namespace qatgap::report
