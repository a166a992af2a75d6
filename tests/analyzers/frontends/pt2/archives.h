// The archives that make_archives.py writes, and ways to change one.
#pragma once

#include <functional>
#include <string>

namespace qatgap::frontends::pt2 {

// Bytes of archives/<file>; a file that cannot be read throws, which fails the test.
std::string ArchiveBytes(const std::string& file);

// The archive with the text of one entry changed: the first whose path ends with `ending`.
std::string WithEntry(const std::string& archive, const std::string& ending,
                      const std::function<std::string(const std::string&)>& change);

// `text` with the first `from` replaced; throws where there is none.
std::string Replaced(std::string text, const std::string& from, const std::string& to);

}  // namespace qatgap::frontends::pt2
