// The values of --samples and --normalize.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/temporary_archive.h"
#include "qatgap/v1/samples.pb.h"

namespace qatgap::cli {

struct SamplesArgument {
  std::string input_name;  // of the model; empty: the names of the file's arrays tell
  std::string path;        // of a file or a folder
  bool folder = false;
};

// "FILE", "FOLDER", "INPUT=FILE" or "INPUT=FOLDER"; a value that is a path as it stands names no input.
// Errors: those of client::CheckReadable; INVALID_ARGUMENT for another ending than .npy, .npz, .safetensors.
absl::StatusOr<SamplesArgument> ReadSamplesArgument(const std::string& value);

// The .npy files of a folder, not those of folders in it, uncompressed: as large as the files.
// INVALID_ARGUMENT: none, a link to nothing, a folder that cannot be read.
absl::StatusOr<TemporaryArchive> PackSamples(const std::string& folder);

// "mean=0.485,0.456,0.406,std=0.229,0.224,0.225,scale=1/255,axis=1", in front of it "INPUT:" where the model has
// several. INVALID_ARGUMENT: another key, no number, a key twice.
absl::StatusOr<v1::Normalization> ReadNormalization(const std::string& value);

}  // namespace qatgap::cli
