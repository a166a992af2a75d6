// Pieces of the canonical JSON that the web's views have too. Internal to report/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analyzers/report/network_graph.h"
#include "analyzers/report/report.h"
#include "nlohmann/json.hpp"

namespace qatgap::report::json_parts {

using Json = nlohmann::json;  // keys sorted

Json Number(std::optional<double> value);  // null where it is not defined
// `zero_point` is that of the reference codes; without it there is neither SQNR nor cosine.
Json Statistics(const statistics::DifferenceStatistics& s, std::optional<std::int64_t> zero_point);
Json Grid(const numerics::QuantParams& params);
// Of a grid for all channels; nullopt where there is none.
std::optional<std::int64_t> ZeroPointOf(const numerics::QuantParams& params);
Json Facts(const LayerInfo& layer);
Json Blob(const BlobInfo& blob);
Json SampleInputs(const std::vector<SampleInputInfo>& inputs);
Json Network(const NetworkGraph& network);

// One line. Names come from models: bytes that are not UTF-8 become U+FFFD instead of an exception.
std::string Dump(const Json& json);

}  // namespace qatgap::report::json_parts
