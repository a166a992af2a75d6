// Zip archives for tests, with whatever paths.
#pragma once

#include <zip.h>

#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace qatgap::testing {

inline std::string ZipOf(const std::vector<std::pair<std::string, std::string>>& files) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* target = zip_source_buffer_create(nullptr, 0, 0, &error);
  zip_source_keep(target);
  zip_t* archive = zip_open_from_source(target, ZIP_CREATE | ZIP_TRUNCATE, &error);
  EXPECT_NE(archive, nullptr);
  for (const auto& [path, bytes] : files) {
    zip_source_t* source = zip_source_buffer(archive, bytes.data(), bytes.size(), 0);
    EXPECT_GE(zip_file_add(archive, path.c_str(), source, ZIP_FL_ENC_UTF_8), 0) << path;
  }
  EXPECT_EQ(zip_close(archive), 0);
  zip_stat_t facts;
  zip_stat_init(&facts);
  zip_source_stat(target, &facts);
  std::string bytes(static_cast<std::size_t>(facts.size), '\0');
  zip_source_open(target);
  zip_source_read(target, bytes.data(), bytes.size());
  zip_source_close(target);
  zip_source_free(target);
  return bytes;
}

}  // namespace qatgap::testing
