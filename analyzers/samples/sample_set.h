// The samples of an analysis: which array of which file feeds which input of the model. docs/samples.md has the rules.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/graph/tensor.h"
#include "analyzers/samples/array_reader.h"
#include "analyzers/samples/normalization.h"

namespace qatgap::samples {

struct SampleFile {
  int fd = -1;                  // open for reading; the caller's
  std::string name;             // for messages; its ending tells the format, see ArrayFile
  std::string input_name = {};  // the input it feeds; empty: the names of its arrays tell
};

class SampleSet {
 public:
  // Reads headers, so that what does not fit is told before a model runs. `inputs` are the model's inputs, in its
  // order. INVALID_ARGUMENT naming file, array, the model's inputs and the remedy: a name that is none of the model's
  // inputs, an input without samples or with two sources, unequal counts, float64 or int8, uint8 without a
  // normalisation, integers with one, a normalisation that does not fit; no sample at all; the errors of ArrayFile.
  static absl::StatusOr<SampleSet> Open(std::span<const SampleFile> files, std::span<const std::string> inputs,
                                        std::vector<Normalization> normalizations);

  std::int64_t count() const { return inputs_.front().reader.count(); }
  // "ids.npy, masks.npz (array mask)": for messages.
  std::string label() const;

  // Samples [first, first + count) of every input in the model's order, normalised. Must be asked for in rising order.
  // INVALID_ARGUMENT: as ArrayReader::Read; a value that is not finite once it is normalised.
  absl::StatusOr<std::vector<graph::Tensor>> Read(std::int64_t first, std::int64_t count);

 private:
  struct Input {
    ArrayReader reader;
    std::optional<Normalization> normalization;
  };
  explicit SampleSet(std::vector<Input> inputs) : inputs_(std::move(inputs)) {}

  std::vector<Input> inputs_;  // by input of the model
};

}  // namespace qatgap::samples
