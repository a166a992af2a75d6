// One unit of work. Here its values and the unit of an analysis; the others are in short_units.h.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/report/analysis_result.h"
#include "analyzers/samples/normalization.h"

namespace qatgap::runner {

struct Blob {
  int fd = -1;       // open for reading; -1: not given
  std::string name;  // for messages; its ending tells the format
};

struct SampleBlob {
  std::string input_name;  // of the model; empty: the names of the file's arrays tell
  Blob file;
};

struct UnitOfWork {
  Blob qat_model, converted_model, labels, vectors;
  Blob held_out, held_out_labels;  // samples measured apart
  std::vector<SampleBlob> samples;
  std::vector<samples::Normalization> normalizations;
  std::vector<std::string> targets;              // shipped ones
  std::vector<std::string> target_descriptions;  // the client's own, which come after them
  // Of an analysis:
  std::int64_t batch_size = 32;
  std::uint64_t max_samples = 0;  // 0: all
  // Whole batches are dealt out, those of held-out samples after the others: batch b belongs to the unit with
  // b * unit_count / batches == unit_index.
  std::int64_t unit_index = 0, unit_count = 1;
  bool what_if = false;       // every unit then runs the first batches once more, before its own
  bool sensitivity = false;
  std::int64_t worst_samples = 0;  // that each comparison keeps
};

struct UnitProgress {
  // Called once, when models and headers were read.
  std::function<absl::Status(std::uint64_t samples_of_unit, std::uint64_t samples_total)> started;
  // Called after every batch.
  std::function<absl::Status(std::uint64_t samples_done)> advanced;
};

// Reads the models and the unit's samples, runs the analysis.
// Errors: those of the frontends, readers and AnalysisSession; NOT_FOUND or INVALID_ARGUMENT for a target; INVALID_ARGUMENT for samples or
// labels that do not fit the model or each other; an error of a callback ends the work with it.
absl::StatusOr<report::AnalysisResult> RunUnit(const UnitOfWork& unit, const UnitProgress& progress);

}  // namespace qatgap::runner
