// The web page, built from src/ by esbuild and embedded as bytes.
#pragma once

#include <span>
#include <string_view>

namespace qatgap::report {

struct PageAsset {
  std::string_view path;               // "app.js", relative to the page
  std::string_view content_type;
  std::string_view bytes;
  std::string_view sha256;             // base64, as a Content-Security-Policy names what it allows
};

// index.html, app.css, app.js, noscript.css. index.html refers to the others by the three tags that page_template.h names.
std::span<const PageAsset> PageAssets();
// The asset of that path; one that PageAssets has.
const PageAsset& PageAssetOf(std::string_view path);

}  // namespace qatgap::report
