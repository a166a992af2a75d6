#include "client/terminal/progress.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/terminal/text.h"

namespace qatgap::terminal {
namespace {

constexpr std::size_t kBarColumns = 24;

// "3 of 100 samples", "1.5 MiB of 3.0 MiB".
std::string Amounts(std::uint64_t done, std::uint64_t total, Progress::Unit unit) {
  if (unit == Progress::Unit::kSamples) return absl::StrCat(done, " of ", total, " samples");
  const auto text = [](std::uint64_t bytes) {
    if (bytes < 1 << 10) return absl::StrCat(bytes, " B");
    if (bytes < 1 << 20) return absl::StrFormat("%.1f KiB", static_cast<double>(bytes) / (1 << 10));
    return absl::StrFormat("%.1f MiB", static_cast<double>(bytes) / (1 << 20));
  };
  return absl::StrCat(text(done), " of ", text(total));
}

int Percent(std::uint64_t done, std::uint64_t total) {
  if (done >= total) return 100;
  return static_cast<int>(static_cast<double>(done) * 100.0 / static_cast<double>(total));
}

}  // namespace

void Progress::Update(std::string_view label, std::uint64_t done, std::uint64_t total, Unit unit) {
  if (quiet_) return;
  const std::string safe = Sanitize(label);
  if (safe != label_) {
    label_ = safe;
    tenth_ = -1;
    announced_ = false;
  }
  if (output_.is_terminal) {
    DrawBar(done, total, unit);
    return;
  }
  if (total == 0) {
    if (!announced_) *output_.stream << label_ << std::endl;
    announced_ = true;
    return;
  }
  const int percent = Percent(done, total);
  if (percent / 10 <= tenth_) return;
  tenth_ = percent / 10;
  *output_.stream << label_ << ": " << percent << " % (" << Amounts(done, total, unit) << ")"
                  << std::endl;
}

void Progress::DrawBar(std::uint64_t done, std::uint64_t total, Unit unit) {
  std::string text = label_;
  if (total > 0) {
    const int percent = Percent(done, total);
    const auto filled = kBarColumns * static_cast<std::size_t>(percent) / 100;
    const std::string figures = absl::StrFormat(" %3d %%  %s", percent, Amounts(done, total, unit));
    const std::size_t taken = kBarColumns + 3 + figures.size() + 1;
    text = Shorten(label_, output_.columns > taken + 8 ? output_.columns - taken : 8);
    absl::StrAppend(&text, " [", std::string(filled, '#'), std::string(kBarColumns - filled, '-'),
                    "]", figures);
  }
  text = Shorten(text, output_.columns - 1);
  if (text == drawn_) return;
  drawn_ = text;
  *output_.stream << "\r\x1b[K" << text << std::flush;
}

void Progress::Clear() {
  if (!drawn_.empty()) *output_.stream << "\r\x1b[K" << std::flush;
  drawn_.clear();
}

}  // namespace qatgap::terminal
