#include "analyzers/samples/normalization.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace qatgap::samples {
namespace {

constexpr std::size_t kMaxChannels = 65536;
constexpr std::int64_t kMaxAxis = 7;

bool FiniteInFloat(double value) { return std::isfinite(static_cast<float>(value)); }
bool ZeroInFloat(double value) { return static_cast<float>(value) == 0.0F; }

std::size_t ChannelsOf(const Normalization& n) { return std::max(n.mean.size(), n.std.size()); }

std::size_t AxisOf(const Normalization& n, std::size_t axes) {
  return n.channel_axis < 0 ? axes - 1 : static_cast<std::size_t>(n.channel_axis);
}

// One value per channel.
std::vector<float> Spread(const std::vector<double>& values, double missing, std::size_t channels) {
  std::vector<float> spread(channels, static_cast<float>(values.empty() ? missing : values.front()));
  for (std::size_t c = 0; c < channels && values.size() == channels; ++c) spread[c] = static_cast<float>(values[c]);
  return spread;
}

template <typename T>
void Apply(std::span<const T> in, std::span<float> out, const Normalization& n, std::size_t channels,
           std::size_t inner) {
  const auto scale = static_cast<float>(n.scale);
  const std::vector<float> mean = Spread(n.mean, 0, channels), std = Spread(n.std, 1, channels);
  for (std::size_t i = 0; i < in.size();) {
    const std::size_t c = i / inner % channels;
    for (const std::size_t end = i + inner; i < end; ++i) {
      const float scaled = static_cast<float>(in[i]) * scale;
      const float centred = scaled - mean[c];
      out[i] = centred / std[c];
    }
  }
}

}  // namespace

absl::Status Validate(const Normalization& n) {
  const auto bad = [](const std::string& what) { return absl::InvalidArgumentError(what); };
  if (!FiniteInFloat(n.scale) || ZeroInFloat(n.scale)) {
    return bad(absl::StrCat("scale must be a float32 other than 0, is ", n.scale));
  }
  for (const double value : n.mean) {
    if (!FiniteInFloat(value)) return bad(absl::StrCat("mean must be finite in float32, is ", value));
  }
  for (const double value : n.std) {
    if (!FiniteInFloat(value) || ZeroInFloat(value)) {
      return bad(absl::StrCat("std must be a float32 other than 0, is ", value));
    }
  }
  if (n.mean.size() > 1 && n.std.size() > 1 && n.mean.size() != n.std.size()) {
    return bad(
        absl::StrCat("mean has ", n.mean.size(), " values and std ", n.std.size(), "; give one, or one per channel"));
  }
  if (ChannelsOf(n) > kMaxChannels) {
    return bad(absl::StrCat("mean and std have ", ChannelsOf(n), " values, at most ", kMaxChannels, " are possible"));
  }
  if (n.channel_axis != -1 && (n.channel_axis < 1 || n.channel_axis > kMaxAxis)) {
    return bad(absl::StrCat("the channel axis must be 1 to ", kMaxAxis, ", or -1 for the last, is ", n.channel_axis));
  }
  return absl::OkStatus();
}

std::string Describe(const Normalization& n) {
  const auto list = [](const std::vector<double>& values, const char* missing) {
    return values.empty() ? missing : absl::StrCat("[", absl::StrJoin(values, ", "), "]");
  };
  return absl::StrCat(n.input_name, n.input_name.empty() ? "" : ": ", "(x * ", n.scale, " - ", list(n.mean, "0"),
                      ") / ", list(n.std, "1"), ", channel axis ", n.channel_axis);
}

absl::Status CheckChannels(const Normalization& n, const graph::Shape& shape, const std::string& label) {
  const std::size_t channels = ChannelsOf(n);
  if (channels <= 1) return absl::OkStatus();
  const std::size_t axis = AxisOf(n, shape.size());
  if (axis == 0 || axis >= shape.size()) {
    return absl::InvalidArgumentError(absl::StrCat(label, " has shape ", graph::ToString(shape),
                                                   ", without the channel axis ", n.channel_axis,
                                                   " of its normalisation; say which it is with axis="));
  }
  if (shape[axis] == static_cast<std::int64_t>(channels)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      label, " has shape ", graph::ToString(shape), ": ", shape[axis], " channels on axis ", axis,
      ", its normalisation has ", channels, "; give one mean and std per channel, or say which axis it is with axis="));
}

graph::Tensor Normalize(const graph::Tensor& samples, const Normalization& n) {
  graph::Tensor result(graph::DType::kFloat32, samples.shape());
  if (samples.elements() == 0) return result;
  // Without channels: one of all elements.
  const std::size_t channels = std::max<std::size_t>(ChannelsOf(n), 1);
  auto inner = static_cast<std::size_t>(samples.elements());
  if (channels > 1) {
    inner = 1;
    for (std::size_t axis = AxisOf(n, samples.shape().size()) + 1; axis < samples.shape().size(); ++axis) {
      inner *= static_cast<std::size_t>(samples.dim(axis));
    }
  }
  const std::span<float> out = result.mutable_data<float>();
  if (samples.dtype() == graph::DType::kUint8) {
    Apply(samples.data<std::uint8_t>(), out, n, channels, inner);
  } else {
    Apply(samples.data<float>(), out, n, channels, inner);
  }
  return result;
}

}  // namespace qatgap::samples
