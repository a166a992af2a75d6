// Reads a torch.export archive (.pt2): float, PT2E-prepared, PT2E-converted, or an eager QAT module exported straight.
//
// Plain zip and JSON: no LibTorch, no Python, no pickle, nothing is executed. Fake-quants become kQuantize +
// kDequantize with the qparams the module would use with its observer off; torch.cond becomes kIf; what depends on
// constants alone is folded, so that fake-quantized weights are code constants. docs/formats.md says what is read and
// what is refused.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "analyzers/frontends/model.h"
#include "analyzers/graph/passes/fold_constants.h"

namespace qatgap::frontends::pt2 {

// Whether the bytes are a zip archive with the entries of torch.export.save (a TorchScript file is a zip archive too).
bool IsArchive(std::string_view bytes);

// `bytes` is the whole file; `name` stands for it in messages. Verifies the graph before it returns it.
// INVALID_ARGUMENT: not such an archive, or a damaged one; a tensor that does not fit its payload; pickled weights.
// FAILED_PRECONDITION: an operator that is not known or sizes that depend on the input, named with the module and a
// remedy; a fake-quant that has never observed data; computation in float16.
// RESOURCE_EXHAUSTED: more nodes, nested branches or unpacked bytes than the limits in docs/formats.md.
// `square_roots`: those of the host's LibTorch, for scale factors that are PyTorch's bit for bit (fold_constants.h).
absl::StatusOr<Model> Import(std::string_view bytes, std::string_view name,
                             const graph::SquareRoots& square_roots = nullptr);

}  // namespace qatgap::frontends::pt2
