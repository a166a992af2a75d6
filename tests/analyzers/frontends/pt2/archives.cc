#include "tests/analyzers/frontends/pt2/archives.h"

#include <zip.h>

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <vector>

namespace qatgap::frontends::pt2 {

std::string ArchiveBytes(const std::string& file) {
  const std::string path = std::string(QATGAP_SOURCE_DIR) + "/tests/analyzers/frontends/pt2/archives/" + file;
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << stream.rdbuf();
  if (bytes.str().empty()) throw std::runtime_error("cannot read " + path);
  return bytes.str();
}

std::string WithEntry(const std::string& archive, const std::string& ending,
                      const std::function<std::string(const std::string&)>& change) {
  zip_error_t error;
  zip_source_t* from = zip_source_buffer_create(archive.data(), archive.size(), 0, &error);
  zip_t* old = zip_open_from_source(from, ZIP_RDONLY, &error);
  if (old == nullptr) throw std::runtime_error("no zip archive");
  zip_source_t* to = zip_source_buffer_create(nullptr, 0, 0, &error);
  zip_source_keep(to);
  zip_t* made = zip_open_from_source(to, ZIP_CREATE | ZIP_TRUNCATE, &error);
  std::vector<std::string> contents(static_cast<std::size_t>(zip_get_num_entries(old, 0)));  // until zip_close
  bool changed = false;
  for (std::size_t i = 0; i < contents.size(); ++i) {
    zip_stat_t facts;
    zip_stat_index(old, i, 0, &facts);
    contents[i].resize(facts.size);
    zip_file_t* entry = zip_fopen_index(old, i, 0);
    zip_fread(entry, contents[i].data(), facts.size);
    zip_fclose(entry);
    if (!changed && std::string(facts.name).ends_with(ending)) {
      contents[i] = change(contents[i]);
      changed = true;
    }
    zip_file_add(made, facts.name, zip_source_buffer(made, contents[i].data(), contents[i].size(), 0), 0);
  }
  zip_discard(old);
  if (!changed) throw std::runtime_error("no entry " + ending);
  if (zip_close(made) != 0) throw std::runtime_error("cannot write the archive");
  zip_source_open(to);
  zip_source_seek(to, 0, SEEK_END);
  std::string bytes(static_cast<std::size_t>(zip_source_tell(to)), '\0');
  zip_source_seek(to, 0, SEEK_SET);
  zip_source_read(to, bytes.data(), bytes.size());
  zip_source_close(to);
  zip_source_free(to);
  return bytes;
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error("no '" + from + "'");
  return text.replace(at, from.size(), to);
}

}  // namespace qatgap::frontends::pt2
