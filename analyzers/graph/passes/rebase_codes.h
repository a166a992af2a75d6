// Moves activation codes between the unsigned and the signed eight-bit type, without changing a real.
#pragma once

#include <cstdint>

#include "analyzers/graph/graph.h"

namespace qatgap::graph {

enum class CodeBase { kUnsigned, kSigned };  // 0..255, -128..127

// Shifts zero point and range of every per-tensor quantize node of eight bits of the other base by 128: the codes of two
// models can be subtracted only on one base (a QAT model in quint8, its TFLite twin in int8), and scale * (code - zero
// point) stays what it was. Weights stay.
void RebaseCodes(Graph& graph, CodeBase base);

// The base of a grid inside 0..255 or, with negative codes, inside -128..127.
bool IsOnBase(const numerics::QuantParams& grid, CodeBase base);

}  // namespace qatgap::graph
