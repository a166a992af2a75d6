// The Host header against DNS rebinding: a page of another origin whose name was made to point at this server may not
// read from it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qatgap::server {

// Whether a request with this Host header is for us: an IP address or "localhost", which no stranger can point elsewhere,
// or one of `names`, in any case and with any port. An empty or malformed one is not.
bool IsOurHost(std::string_view host_header, const std::vector<std::string>& names);

}  // namespace qatgap::server
