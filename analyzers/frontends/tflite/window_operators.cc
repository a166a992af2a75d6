// Pools, paddings and resizing of images.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/tflite/constants.h"
#include "analyzers/frontends/tflite/operators.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::frontends::tflite {
namespace {

using graph::OpKind;
using graph::TensorArgument;
using graph::ValueId;

absl::Status CheckImage(const TensorRecord& record) {
  if (record.shape.size() == 4) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("tensor '", record.name, "' has the shape ", graph::ToString(record.shape), ", not four axes"));
}

// What LibTorch's pools make of `size` with equal padding on both sides.
std::int64_t Pooled(std::int64_t size, std::int64_t kernel, std::int64_t stride, std::int64_t padding, bool ceil) {
  const std::int64_t span = size + 2 * padding - kernel;
  if (span < 0) return 0;
  std::int64_t outputs = (ceil ? (span + stride - 1) / stride : span / stride) + 1;
  // A window that starts behind the image is left out.
  if (ceil && (outputs - 1) * stride >= size + padding) --outputs;
  return outputs;
}

// Zeros in front and behind by axis, from the operator's second input.
absl::StatusOr<std::vector<Padding>> Paddings(Importer& importer, const OperatorRecord& op, std::size_t rank) {
  QATGAP_ASSIGN_OR_RETURN(const auto numbers, Integers(importer.tensor(op.input(1))));
  if (numbers.size() != 2 * rank) {
    return absl::InvalidArgumentError(absl::StrCat("it has ", numbers.size(), " paddings for ", rank, " axes"));
  }
  std::vector<Padding> padding(rank);
  for (std::size_t i = 0; i < rank; ++i) {
    padding[i] = {.before = numbers[2 * i], .after = numbers[2 * i + 1]};
    constexpr std::int64_t kMost = std::int64_t{1} << 31;
    if (padding[i].before < 0 || padding[i].after < 0 || padding[i].before > kMost || padding[i].after > kMost) {
      return absl::InvalidArgumentError(
          absl::StrCat("its padding of axis ", i, " is ", padding[i].before, ", ", padding[i].after));
    }
  }
  return padding;
}

// LibTorch's list: the last axis of the value first.
std::vector<std::int64_t> LastAxisFirst(const std::vector<Padding>& padding, const AxisOrder& order, std::size_t axes) {
  std::vector<std::int64_t> pad;
  for (std::size_t i = order.size(); i-- > order.size() - axes;) {
    pad.push_back(padding[static_cast<std::size_t>(order[i])].before);
    pad.push_back(padding[static_cast<std::size_t>(order[i])].after);
  }
  return pad;
}

struct Resizing {
  bool align_corners = false, half_pixel_centers = false;
  std::array<std::int64_t, 2> from{}, to{};
};

template <typename Options>
absl::StatusOr<Resizing> ResizingOf(Importer& importer, const OperatorRecord& op) {
  QATGAP_RETURN_IF_ERROR(op.Require(2, 1));
  const TensorRecord& image = importer.tensor(op.input(0));
  QATGAP_RETURN_IF_ERROR(CheckImage(image));
  Resizing resizing;
  if (const Options* options = op.record->builtin_options_as<Options>(); options != nullptr) {
    resizing.align_corners = options->align_corners();
    resizing.half_pixel_centers = options->half_pixel_centers();
  }
  QATGAP_ASSIGN_OR_RETURN(const auto sizes, Integers(importer.tensor(op.input(1))));
  for (std::size_t i = 0; i < 2; ++i) {
    if (sizes.size() != 2 || sizes[i] < 1 || image.shape[i + 1] < 1) {
      return absl::InvalidArgumentError("its size is not two numbers above 0");
    }
    if (image.dynamic[i + 1]) return absl::FailedPreconditionError("its image's size is not fixed");
    resizing.from[i] = image.shape[i + 1];
    resizing.to[i] = sizes[i];
  }
  return resizing;
}

}  // namespace

absl::Status ImportPool(Importer& importer, const OperatorRecord& op) {
  QATGAP_RETURN_IF_ERROR(op.Require(1, 1));
  QATGAP_ASSIGN_OR_RETURN(const auto* options, OptionsOf<schema::Pool2DOptions>(op));
  const TensorRecord& image = importer.tensor(op.input(0));
  QATGAP_RETURN_IF_ERROR(CheckImage(image));
  const bool average = op.code == schema::BuiltinOperator::AVERAGE_POOL_2D;
  const Window window{.kernel = {options->filter_height(), options->filter_width()},
                      .stride = {options->stride_h(), options->stride_w()},
                      .dilation = {1, 1}};
  QATGAP_ASSIGN_OR_RETURN(const auto same, WindowPadding(image, window, options->padding()));
  QATGAP_ASSIGN_OR_RETURN(const Entry entry, importer.Read(op.input(0)));
  ValueId x = importer.InOrder(entry, ChannelsFirst());
  bool on_grid = !average;
  graph::PoolAttributes attributes{.kernel = {window.kernel.begin(), window.kernel.end()},
                                   .stride = {window.stride.begin(), window.stride.end()},
                                   .padding = {same[0].before, same[1].before},
                                   .dilation = {1, 1},
                                   .ceil_mode = false,
                                   .count_include_pad = false,
                                   .divisor_override = {}};
  if (same[0] != Padding{same[0].before, same[0].before} || same[1] != Padding{same[1].before, same[1].before}) {
    // One zero more behind than in front: windows start where they should with the padding of the front, and the last
    // one, which reaches over the end, is what ceil_mode adds.
    bool fits = true;
    for (std::size_t i = 0; i < 2; ++i) {
      const std::int64_t size = image.shape[i + 1];
      fits = fits && Pooled(size, window.kernel[i], window.stride[i], same[i].before, /*ceil=*/true) ==
                         (size + window.stride[i] - 1) / window.stride[i];
    }
    if (fits) {
      attributes.ceil_mode = true;
    } else if (!average) {
      // A window that reaches over the edge holds the element at the edge: repeating that changes no maximum.
      const std::vector<std::int64_t> pad = {same[1].before, same[1].after, same[0].before, same[0].after};
      x = importer.Call("aten::replication_pad2d", "", {x}, {TensorArgument{0}, pad})[0];
      attributes.padding = {0, 0};
      on_grid = false;
    } else {
      return absl::FailedPreconditionError(
          "an average over an even window with stride 1 and padding SAME is not imported");
    }
  }
  const ValueId pooled = importer.Emit(average ? OpKind::kAvgPool2d : OpKind::kMaxPool2d, {x}, std::move(attributes));
  if (options->activation() == schema::ActivationFunctionType::NONE) {
    return importer.Write(op.outputs[0], pooled, ChannelsFirst(), on_grid ? &entry : nullptr);
  }
  return importer.WriteActivated(op.outputs[0], pooled, ChannelsFirst(), options->activation());
}

absl::Status ImportPad(Importer& importer, const OperatorRecord& op) {
  QATGAP_RETURN_IF_ERROR(op.Require(2, 1));
  QATGAP_ASSIGN_OR_RETURN(Entry entry, importer.ReadUnpadded(op.input(0)));
  QATGAP_ASSIGN_OR_RETURN(std::vector<Padding> padding, Paddings(importer, op, entry.order.size()));
  if (!padding.empty() && padding[0] != Padding{}) importer.TouchesAxis(entry, 0);
  const TensorRecord& output = importer.tensor(op.outputs[0]);
  float fill = 0;
  if (op.code == schema::BuiltinOperator::PADV2 && op.input(2) >= 0) {
    const TensorRecord& value = importer.tensor(importer.Resolve(op.input(2)));
    if (graph::ElementCount(value.shape) != 1) return absl::InvalidArgumentError("it pads with more than one value");
    const AxisOrder order = FileOrder(value.shape.size());
    if (value.integer_type()) {
      if (!value.qparams) return absl::InvalidArgumentError("the value that it pads with has no scale");
      QATGAP_ASSIGN_OR_RETURN(const graph::Tensor codes, Codes(value, order));
      fill = static_cast<float>(static_cast<double>(codes.data<std::int32_t>()[0] - value.qparams->zero_point()) *
                                value.qparams->scale());
    } else {
      QATGAP_ASSIGN_OR_RETURN(const graph::Tensor reals, Reals(value, order));
      fill = reals.data<float>()[0];
    }
  }
  const bool same_grid = !output.quantized() || (entry.grid != nullptr && *entry.grid == *output.qparams);
  if (fill == 0.0F && same_grid && !output.constant())
    return importer.WritePadded(op.outputs[0], entry, std::move(padding));
  QATGAP_ASSIGN_OR_RETURN(entry, importer.Read(op.input(0)));
  const ValueId padded = importer.Call(
      "aten::constant_pad_nd", "", {entry.real},
      {TensorArgument{0}, LastAxisFirst(padding, entry.order, entry.order.size()), static_cast<double>(fill)})[0];
  return importer.Write(op.outputs[0], padded, entry.order);
}

absl::Status ImportMirrorPad(Importer& importer, const OperatorRecord& op) {
  QATGAP_RETURN_IF_ERROR(op.Require(2, 1));
  QATGAP_ASSIGN_OR_RETURN(const auto* options, OptionsOf<schema::MirrorPadOptions>(op));
  QATGAP_RETURN_IF_ERROR(CheckImage(importer.tensor(op.input(0))));
  QATGAP_ASSIGN_OR_RETURN(const auto padding, Paddings(importer, op, 4));
  if (options->mode() != schema::MirrorPadMode::REFLECT || padding[0] != Padding{} || padding[3] != Padding{}) {
    return absl::FailedPreconditionError("only REFLECT of height and width is imported");
  }
  QATGAP_ASSIGN_OR_RETURN(const ValueId x, importer.ReadIn(op.input(0), ChannelsFirst()));
  const ValueId padded = importer.Call("aten::reflection_pad2d", "", {x},
                                       {TensorArgument{0}, LastAxisFirst(padding, ChannelsFirst(), 2)})[0];
  return importer.Write(op.outputs[0], padded, ChannelsFirst());
}

absl::Status ImportResizeNearest(Importer& importer, const OperatorRecord& op) {
  QATGAP_ASSIGN_OR_RETURN(const Resizing r, ResizingOf<schema::ResizeNearestNeighborOptions>(importer, op));
  for (std::size_t i = 0; i < 2; ++i) {
    // floor((i + 1/2) / k) = floor(i / k) for whole k; other half-pixel centers and aligned corners choose otherwise.
    const bool plain = !r.align_corners && (!r.half_pixel_centers || r.to[i] % r.from[i] == 0);
    if (!plain && r.from[i] != r.to[i]) {
      return absl::FailedPreconditionError(absl::StrCat("aligned corners, and half-pixel centers by no whole factor (",
                                                        r.from[i], " to ", r.to[i], "), are not imported"));
    }
  }
  QATGAP_ASSIGN_OR_RETURN(const Entry entry, importer.Read(op.input(0)));
  const ValueId x = importer.InOrder(entry, ChannelsFirst());
  const std::vector<std::int64_t> size = {r.to[0], r.to[1]};
  const ValueId resized = importer.Call("aten::upsample_nearest2d", "", {x}, {TensorArgument{0}, size})[0];
  return importer.Write(op.outputs[0], resized, ChannelsFirst(), &entry);
}

absl::Status ImportResizeBilinear(Importer& importer, const OperatorRecord& op) {
  QATGAP_ASSIGN_OR_RETURN(const Resizing r, ResizingOf<schema::ResizeBilinearOptions>(importer, op));
  if (!r.align_corners && !r.half_pixel_centers && r.from != r.to) {
    return absl::FailedPreconditionError(
        "neither aligned corners nor half-pixel centers: LibTorch has no such resizing");
  }
  QATGAP_ASSIGN_OR_RETURN(const ValueId x, importer.ReadIn(op.input(0), ChannelsFirst()));
  const std::vector<std::int64_t> size = {r.to[0], r.to[1]};
  const ValueId resized =
      importer.Call("aten::upsample_bilinear2d", "", {x}, {TensorArgument{0}, size, r.align_corners})[0];
  return importer.Write(op.outputs[0], resized, ChannelsFirst());
}

}  // namespace qatgap::frontends::tflite
