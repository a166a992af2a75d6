// The networks and images of tests/models, as the tests read them.
#pragma once

#include <string>
#include <string_view>

#include "analyzers/frontends/torchscript/torchscript_frontend.h"
#include "analyzers/graph/tensor.h"

namespace qatgap::testing {

// Bytes of tests/models/<folder>/<file>; a file that cannot be read throws, which fails the test.
std::string ModelBytes(std::string_view folder, std::string_view file);

// Imports tests/models/<folder>/<file>; throws on failure.
frontends::Model ImportModel(std::string_view folder, std::string_view file);

// Rows [first, first + count) of samples/images_512.npz: float32 [count, 1, 28, 28].
graph::Tensor Images(std::int64_t first, std::int64_t count);

// Whether the model takes one sample a batch.
bool IsBranching(std::string_view folder);

// One thread, once a process.
void UseOneThreadOnce();

}  // namespace qatgap::testing
