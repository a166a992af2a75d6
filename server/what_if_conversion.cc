#include "server/what_if_conversion.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"
#include "server/statistics_conversion.h"

namespace qatgap::server {
namespace {

static_assert(static_cast<std::size_t>(v1::WHAT_IF_EXPLICIT_ADD) == report::kWhatIfCount);

absl::Status Malformed(const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("malformed analysis result: ", what));
}

absl::Status Read(const v1::WhatIfRow& message, report::WhatIfRow& row) {
  const int index = static_cast<int>(message.what_if()) - 1;
  if (index < 0 || index >= static_cast<int>(report::kWhatIfCount)) {
    return Malformed(absl::StrCat("WhatIfRow.what_if is ", static_cast<int>(message.what_if())));
  }
  row.what_if = static_cast<report::WhatIf>(index);
  row.note = message.note();
  row.measured = message.measured();
  row.is_remedy = message.is_remedy();
  row.stored = {message.stored().begin(), message.stored().end()};
  QATGAP_RETURN_IF_ERROR(server::Read(message.against_float_bias(), row.against_float_bias));
  return server::Read(message.against_fake_quant(), row.against_fake_quant);
}

}  // namespace

void FillWhatIfs(const std::vector<report::LayerWhatIfs>& what_ifs,
                 google::protobuf::RepeatedPtrField<v1::LayerWhatIfs>& field) {
  for (const report::LayerWhatIfs& layer : what_ifs) {
    v1::LayerWhatIfs& message = *field.Add();
    message.set_layer(layer.layer);
    message.set_input_index(layer.input_index);
    message.set_calibration_samples(layer.calibration_samples);
    for (const report::WhatIfRow& row : layer.rows) {
      v1::WhatIfRow& part = *message.add_rows();
      part.set_what_if(static_cast<v1::WhatIf>(static_cast<int>(row.what_if) + 1));
      part.set_note(row.note);
      part.set_measured(row.measured);
      part.set_is_remedy(row.is_remedy);
      part.mutable_stored()->Add(row.stored.begin(), row.stored.end());
      Fill(row.against_float_bias, *part.mutable_against_float_bias());
      Fill(row.against_fake_quant, *part.mutable_against_fake_quant());
    }
  }
}

absl::Status ReadWhatIfs(const google::protobuf::RepeatedPtrField<v1::LayerWhatIfs>& field,
                         std::span<const report::LayerInfo> layers, std::vector<report::LayerWhatIfs>& what_ifs) {
  for (const v1::LayerWhatIfs& message : field) {
    if (message.layer() < 0 || static_cast<std::size_t>(message.layer()) >= layers.size()) {
      return Malformed(absl::StrCat("LayerWhatIfs.layer is ", message.layer(), " of ", layers.size()));
    }
    const std::size_t inputs =
        std::max<std::size_t>(1, layers[static_cast<std::size_t>(message.layer())].inputs.size());
    if (message.input_index() < 0 || static_cast<std::size_t>(message.input_index()) >= inputs) {
      return Malformed(absl::StrCat("LayerWhatIfs.input_index is ", message.input_index(), " of ", inputs));
    }
    report::LayerWhatIfs layer{.layer = message.layer(),
                               .input_index = message.input_index(),
                               .calibration_samples = message.calibration_samples(),
                               .rows = {}};
    for (const v1::WhatIfRow& part : message.rows()) QATGAP_RETURN_IF_ERROR(Read(part, layer.rows.emplace_back()));
    what_ifs.push_back(std::move(layer));
  }
  return absl::OkStatus();
}

}  // namespace qatgap::server
