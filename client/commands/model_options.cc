#include "client/commands/model_options.h"

#include "client/lib/error_details.h"
#include "client/lib/local_file.h"

namespace qatgap::cli {

absl::Status CheckModels(const std::string& qat, const std::string& converted) {
  if (qat.empty() && converted.empty()) {
    return client::WithRemedy(absl::InvalidArgumentError("no model is given"),
                              "pass --qat FILE, --converted FILE or both");
  }
  if (!qat.empty()) {
    if (absl::Status s = client::CheckReadable("QAT model", qat); !s.ok()) return s;
  }
  return converted.empty() ? absl::OkStatus() : client::CheckReadable("converted model", converted);
}

}  // namespace qatgap::cli
