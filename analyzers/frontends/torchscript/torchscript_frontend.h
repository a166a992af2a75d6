// Reads a TorchScript file (scripted or traced; QAT or converted) into a graph.
//
// The file's methods are evaluated symbolically: everything that depends on attributes alone is computed with LibTorch's
// own operators, calls and constant branches are followed, and only what depends on the input becomes nodes. No method
// of the model is run. Batch norm of fused QAT modules stays as written (graph/mac_layers.h folds it where it is needed).
// Fake-quant modules become kQuantize + kDequantize with the qparams the module would use with its observer off.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "analyzers/frontends/model.h"

namespace qatgap::frontends::torchscript {

// `bytes` is the whole file; `name` stands for it in messages. Verifies the graph before it returns it.
// INVALID_ARGUMENT: not a TorchScript file, or one that LibTorch cannot load.
// FAILED_PRECONDITION: an operator that is not known (named with its module and a remedy); a branch that cannot be
// decided; a fake-quant that has never observed data.
absl::StatusOr<Model> Import(std::string_view bytes, std::string_view name);

}  // namespace qatgap::frontends::torchscript
