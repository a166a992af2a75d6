#include "analyzers/report/json_parts.h"

#include <utility>

namespace qatgap::report::json_parts {

Json Network(const NetworkGraph& network) {
  Json nodes = Json::array();
  for (std::size_t id = 0; id < network.size(); ++id) {
    const NetworkNode& node = network[id];
    nodes.push_back({{"id", id},
                     {"name", node.name},
                     {"kind", node.kind},
                     {"layer_index", node.layer < 0 ? Json() : Json(node.layer)},
                     {"module", node.module},
                     {"branch", node.branch},
                     {"inputs", node.inputs}});
  }
  return nodes;
}

std::string Dump(const Json& json) { return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace); }

}  // namespace qatgap::report::json_parts
