#include "analyzers/frontends/pt2/archive.h"

#include <zip.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::pt2 {
namespace {

constexpr std::uint64_t kUnpackedFloor = std::uint64_t{256} << 20U;
constexpr zip_int64_t kMaxEntries = 1'000'000;

struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct Close {
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};

absl::Status Bad(const std::string& what) {
  return absl::InvalidArgumentError(
      absl::StrCat(what, "; save the program with torch.export.save (PyTorch 2.10 or newer)"));
}

}  // namespace

struct Archive::Impl {
  std::unique_ptr<zip_t, Discard> zip;
  std::string root;     // "net/"
  std::string program;  // "models/model.json"
  std::uint64_t limit = 0;
  std::uint64_t unpacked = 0;

  std::optional<zip_uint64_t> Find(std::string_view path) const {
    const zip_int64_t index = zip_name_locate(zip.get(), absl::StrCat(root, Text(path)).c_str(), 0);
    return index < 0 ? std::nullopt : std::optional(static_cast<zip_uint64_t>(index));
  }

  absl::Status FindProgram(zip_int64_t entries) {
    constexpr std::string_view kFolder = "models/", kEnding = ".json";
    bool older = false;
    for (zip_int64_t i = 0; i < entries; ++i) {
      const char* entry = zip_get_name(zip.get(), static_cast<zip_uint64_t>(i), 0);
      if (entry == nullptr) return Bad("is a damaged zip archive");
      const std::string_view path = entry;
      older = older || path.ends_with("serialized_exported_program.json");
      if (!path.ends_with(kEnding)) continue;
      const std::size_t slash = path.rfind('/');
      if (slash == std::string_view::npos) continue;
      const std::string_view folder = path.substr(0, slash + 1);
      if (!folder.ends_with(kFolder)) continue;
      const std::string_view above = folder.substr(0, folder.size() - kFolder.size());
      if (!above.empty() && (!above.ends_with('/') || above.find('/') != above.size() - 1)) continue;
      if (!program.empty()) return Bad("holds several exported programs");
      root = std::string(above);
      program = std::string(path.substr(above.size()));
    }
    if (!program.empty()) return absl::OkStatus();
    return Bad(older ? "is an exported program in PyTorch's format before 2.8"
                     : "is a zip archive without an exported program");
  }
};

Archive::Archive(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Archive::Archive(Archive&&) noexcept = default;
Archive& Archive::operator=(Archive&&) noexcept = default;
Archive::~Archive() = default;

absl::StatusOr<Archive> Archive::Open(std::string_view bytes) {
  if (!bytes.starts_with(std::string_view("PK\x03\x04", 4))) {
    return Bad(absl::StrCat("is not a torch.export archive (", bytes.size(), " bytes, no zip signature)"));
  }
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  auto impl = std::make_unique<Impl>();
  impl->zip.reset(source == nullptr ? nullptr : zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error));
  zip_error_fini(&error);
  if (impl->zip == nullptr) {
    if (source != nullptr) zip_source_free(source);
    return Bad("is a damaged zip archive");
  }
  const zip_int64_t entries = zip_get_num_entries(impl->zip.get(), 0);
  if (entries > kMaxEntries) return Bad(absl::StrCat("holds ", entries, " entries, more than ", kMaxEntries));
  impl->limit = std::max<std::uint64_t>(kUnpackedFloor, std::uint64_t{4} * bytes.size());
  QATGAP_RETURN_IF_ERROR(impl->FindProgram(entries));
  return Archive(std::move(impl));
}

absl::StatusOr<std::string> Archive::Program() { return Read(impl_->program); }

bool Archive::Has(std::string_view path) const { return impl_->Find(path).has_value(); }

absl::StatusOr<std::string> Archive::Read(std::string_view path) {
  const auto index = impl_->Find(path);
  if (!index) return Bad(absl::StrCat("lacks the entry '", Text(path), "'"));
  zip_stat_t facts;
  zip_stat_init(&facts);
  constexpr zip_uint64_t kNeeded = ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
  if (zip_stat_index(impl_->zip.get(), *index, 0, &facts) != 0 || (facts.valid & kNeeded) != kNeeded) {
    return Bad(absl::StrCat("is damaged at the entry '", Text(path), "'"));
  }
  if (facts.encryption_method != ZIP_EM_NONE) return Bad(absl::StrCat("holds '", Text(path), "' encrypted"));
  if (facts.comp_method != ZIP_CM_STORE && facts.comp_method != ZIP_CM_DEFLATE) {
    return Bad(absl::StrCat("holds '", Text(path), "' compressed by another method than deflate"));
  }
  const auto too_large = [&] {
    return absl::ResourceExhaustedError(
        absl::StrCat("unpacks to more than ", impl_->limit >> 20U, " MiB; save the program with torch.export.save"));
  };
  if (facts.size > impl_->limit - impl_->unpacked) return too_large();
  const std::unique_ptr<zip_file_t, Close> member(zip_fopen_index(impl_->zip.get(), *index, 0));
  if (member == nullptr) return Bad(absl::StrCat("is damaged: '", Text(path), "' cannot be opened"));
  // What an entry claims takes no memory: the text grows as bytes arrive.
  std::string content;
  std::array<char, std::size_t{1} << 16U> block;
  while (true) {
    const zip_int64_t got = zip_fread(member.get(), block.data(), block.size());
    if (got < 0) return Bad(absl::StrCat("is damaged: the data or checksum of '", Text(path), "' is wrong"));
    if (got == 0) return content;
    impl_->unpacked += static_cast<std::uint64_t>(got);
    if (impl_->unpacked > impl_->limit) return too_large();
    content.append(block.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace qatgap::frontends::pt2
