// What numerics needs to know of a MAC case. Internal.
#pragma once

#include <cstdint>
#include <vector>

#include "analyzers/numerics/layer_arithmetic.h"
#include "analyzers/vectors/case.h"

namespace qatgap::vectors {

std::int64_t ChannelsOf(const Case& layer);
std::int64_t ElementsPerChannel(const Case& layer);  // output elements of one channel

// Whether the layer is depthwise: one input channel a group, more than one group.
bool IsDepthwise(const Case& layer);

numerics::MacTraits TraitsOf(const Case& layer, bool host_has_vnni);
// `bias` and `stored_bias` are the case's two files.
numerics::MacConstants ConstantsOf(const Case& layer, bool host_has_vnni);

// Output codes [channels][elements], in the order of ExactAccumulators.
std::vector<std::int32_t> ChannelMajor(const Case& layer, const graph::Tensor& output);
// Where element `element` of `channel` is in the output.
graph::Shape OutputIndex(const Case& layer, std::int64_t channel, std::int64_t element);

}  // namespace qatgap::vectors
