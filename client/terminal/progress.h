// How far something is: a bar that redraws itself on a terminal, a few plain lines elsewhere.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "client/terminal/output.h"

namespace qatgap::terminal {

// Not thread-safe.
class Progress {
 public:
  enum class Unit { kSamples, kBytes };

  // `output` must outlive it. Shows nothing when quiet.
  Progress(const Output& output, bool quiet) : output_(output), quiet_(quiet) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { Clear(); }

  // `done` of `total` steps of `label`, which is sanitized; total 0 means not known yet. Elsewhere
  // than on a terminal it prints a line for a new label, then at most one for every 10 %.
  void Update(std::string_view label, std::uint64_t done, std::uint64_t total,
              Unit unit = Unit::kSamples);
  // Removes the bar, so that other lines can be printed.
  void Clear();

 private:
  void DrawBar(std::uint64_t done, std::uint64_t total, Unit unit);

  const Output& output_;
  const bool quiet_;
  std::string label_;
  std::string drawn_;
  // Last tenth printed for this label; -1 when there was none.
  int tenth_ = -1;
  bool announced_ = false;
};

}  // namespace qatgap::terminal
