#include "client/lib/local_file.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/lib/error_details.h"

namespace qatgap::client {

absl::Status CheckReadable(const std::string& what, const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    return WithRemedy(absl::NotFoundError(absl::StrCat("no such ", what, " file (", path, ")")),
                      "check the path");
  }
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot look at the ", what, " file (", path, ": ", error.message(), ")"));
  }
  if (!std::filesystem::is_regular_file(status)) {
    return WithRemedy(
        absl::InvalidArgumentError(absl::StrCat(what, " is not a regular file (", path, ")")),
        "give the path of one file");
  }
  if (::access(path.c_str(), R_OK) != 0) {
    return WithRemedy(
        absl::InvalidArgumentError(absl::StrCat("cannot read the ", what, " file (", path, ")")),
        "check its permissions");
  }
  if (std::filesystem::file_size(path, error) == 0) {
    return WithRemedy(
        absl::InvalidArgumentError(absl::StrCat("the ", what, " file is empty (", path, ")")),
        "write it again; the program that made it may have been stopped");
  }
  return absl::OkStatus();
}

absl::StatusOr<FileDigest> DigestFile(const std::string& path, const Cancellation* cancellation) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::InvalidArgumentError(absl::StrCat("cannot read the file (", path, ")"));
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> hash(EVP_MD_CTX_new(),
                                                                     &EVP_MD_CTX_free);
  if (hash == nullptr || EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr) != 1) {
    return absl::InternalError("SHA-256 is not available");
  }
  FileDigest digest;
  std::vector<char> block(std::size_t{1} << 20);
  while (file) {
    if (cancellation != nullptr && cancellation->requested()) {
      return absl::CancelledError("interrupted");
    }
    file.read(block.data(), static_cast<std::streamsize>(block.size()));
    const auto read = static_cast<std::size_t>(file.gcount());
    EVP_DigestUpdate(hash.get(), block.data(), read);
    digest.size_bytes += read;
  }
  if (file.bad()) {
    return absl::InvalidArgumentError(absl::StrCat("reading the file failed (", path, ")"));
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned int length = 0;
  EVP_DigestFinal_ex(hash.get(), bytes.data(), &length);
  constexpr char kDigits[] = "0123456789abcdef";
  for (unsigned int i = 0; i < length; ++i) {
    digest.sha256 += kDigits[bytes[i] >> 4];
    digest.sha256 += kDigits[bytes[i] & 15];
  }
  return digest;
}

std::string BaseName(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

}  // namespace qatgap::client
