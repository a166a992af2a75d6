#include "tests/analyzers/vectors/case_files.h"

#include <cstdio>
#include <cstdlib>

#include "analyzers/samples/npy_format.h"

namespace qatgap::vectors {

Files ConvolutionFiles() {
  Files files;
  files["conv/case.json"] = R"({
  "runtime": "pytorch",
  "version": "2.13.0+cpu",
  "target": "pytorch-qnnpack",
  "host": {"vnni": true, "simulated": false},
  "op": "conv2d",
  "layout": "NCHW",
  "attributes": {"stride": [1, 1], "padding": [1, 1], "dilation": [1, 1], "groups": 1},
  "input": {"dtype": "uint8", "scale": 0.05, "zero_point": 3},
  "weight": {"dtype": "int8", "scales": [0.01, 0.02, 0.03, 0.04, 0.05, 0.06], "zero_points": [0, 0, 0, 0, 0, 0],
             "axis": 0},
  "output": {"dtype": "uint8", "scale": 0.1, "zero_point": 7},
  "activation": "relu"
}
)";
  files = WithArray(std::move(files), "input", "|u1", {2, 3, 5, 4}, Ramp<std::uint8_t>(120, 0, 250));
  files = WithArray(std::move(files), "weight", "|i1", {6, 3, 3, 3}, Ramp<std::int8_t>(162, -128, 127));
  files = WithArray(std::move(files), "output", "|u1", {2, 6, 5, 4}, Ramp<std::uint8_t>(240, 7, 255));
  return WithArray(std::move(files), "bias", "<f4", {6}, Elements<float>({1, -2, 3.5F, 0, 0.25F, 9}));
}

Files With(Files files, const std::string& from, const std::string& to) {
  std::string& text = files.at("conv/case.json");
  const std::size_t at = text.find(from);
  if (at == std::string::npos || text.find(from, at + 1) != std::string::npos) {
    std::fprintf(stderr, "'%s' is not in case.json exactly once\n", from.c_str());
    std::abort();
  }
  text.replace(at, from.size(), to);
  return files;
}

Files WithArray(Files files, const std::string& name, const std::string& descriptor, const graph::Shape& shape,
                const std::string& elements) {
  files["conv/" + name + ".npy"] = samples::NpyBytes(descriptor, shape, elements);
  return files;
}

}  // namespace qatgap::vectors
