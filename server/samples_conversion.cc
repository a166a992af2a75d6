#include "server/samples_conversion.h"

namespace qatgap::server {

v1::Normalization ToProto(const samples::Normalization& normalization) {
  v1::Normalization message;
  message.set_input_name(normalization.input_name);
  message.mutable_mean()->Assign(normalization.mean.begin(), normalization.mean.end());
  message.mutable_std()->Assign(normalization.std.begin(), normalization.std.end());
  message.set_scale(normalization.scale);
  message.set_channel_axis(static_cast<std::int32_t>(normalization.channel_axis));
  return message;
}

samples::Normalization FromProto(const v1::Normalization& message) {
  return {.input_name = message.input_name(),
          .mean = {message.mean().begin(), message.mean().end()},
          .std = {message.std().begin(), message.std().end()},
          .scale = message.scale() == 0 ? 1 : message.scale(),
          .channel_axis = message.channel_axis() == 0 ? 1 : message.channel_axis()};
}

}  // namespace qatgap::server
