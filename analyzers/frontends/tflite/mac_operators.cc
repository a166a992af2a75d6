// Convolutions and products with weights. The graph's layouts: weights [out, in / groups, height, width], transposed
// [in, out, height, width], linear [out, in].
#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/tflite/operators.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::tflite {
namespace {

using graph::OpKind;
using graph::ValueId;
using schema::TensorType;

// TFLite's int8 weights use -127..127 unless a file says otherwise by holding a -128.
numerics::QuantParams WeightParams(const TensorRecord& weight) {
  numerics::QuantParams params = *weight.qparams;
  const bool symmetric =
      std::all_of(params.zero_points.begin(), params.zero_points.end(), [](auto z) { return z == 0; });
  if (weight.type != TensorType::INT8 || !symmetric) return params;
  constexpr std::uint8_t kLowest = 0x80;
  if (std::find(weight.data.begin(), weight.data.end(), kLowest) == weight.data.end()) params.quant_min = -127;
  return params;
}

absl::StatusOr<ValueId> ReadWeight(Importer& importer, int x, int weight, const AxisOrder& order, int channel_axis,
                                   const graph::Shape& front = {}) {
  const TensorRecord& declared = importer.tensor(weight);
  const TensorRecord& record = importer.tensor(importer.Resolve(weight));
  const TensorRecord& input = importer.tensor(x);
  if (record.shape.size() != order.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("its weights '", record.name, "' have ", record.shape.size(), " axes, not ", order.size()));
  }
  if (record.integer_type() && !record.qparams) {
    return absl::InvalidArgumentError(
        absl::StrCat("its weights '", record.name, "' are ", Text(ToString(record.type)), " without scales"));
  }
  if (record.quantized() && record.qparams->per_channel() && record.qparams->axis != channel_axis) {
    return absl::FailedPreconditionError(absl::StrCat("its weights have scales along axis ", record.qparams->axis,
                                                      "; axis ", channel_axis, " is that of output channels"));
  }
  if (declared.integer_type() && !input.quantized()) {
    return absl::FailedPreconditionError(
        absl::StrCat("its weights are ", Text(ToString(declared.type)), " and its input '", input.name, "' is ",
                     Text(ToString(input.type)),
                     ": a dynamic-range model, whose runtime quantizes activations anew for "
                     "every sample; convert with full-integer quantization (a representative data set)"));
  }
  if (!record.integer_type() && input.quantized()) {
    return absl::FailedPreconditionError(absl::StrCat("its input '", input.name, "' is ", Text(ToString(input.type)),
                                                      " but its weights are ", Text(ToString(record.type))));
  }
  if (record.constant() && record.quantized()) return importer.CodeConstant(weight, order, WeightParams(record), front);
  QATGAP_ASSIGN_OR_RETURN(ValueId value, importer.ReadIn(weight, order));
  if (std::any_of(front.begin(), front.end(), [](std::int64_t zeros) { return zeros != 0; })) {
    std::vector<std::int64_t> pad;
    for (std::size_t i = front.size(); i-- > 0;) {
      pad.push_back(front[i]);
      pad.push_back(0);
    }
    value = importer.Call("aten::constant_pad_nd", "", {value}, {graph::TensorArgument{0}, pad, std::int64_t{0}})[0];
  }
  return value;
}

// The qparams of an integer bias: as stored, or s_x * s_w in binary32 where the file leaves them out.
absl::StatusOr<numerics::QuantParams> BiasParams(const TensorRecord& bias, const TensorRecord& x,
                                                 const TensorRecord& weight) {
  if (bias.qparams) {
    const auto& zero_points = bias.qparams->zero_points;
    if (std::any_of(zero_points.begin(), zero_points.end(), [](std::int64_t z) { return z != 0; })) {
      return absl::InvalidArgumentError(absl::StrCat("its bias '", bias.name, "' has a zero point that is not 0"));
    }
    return *bias.qparams;
  }
  if (!x.quantized() || !weight.quantized()) {
    return absl::InvalidArgumentError(
        absl::StrCat("its bias '", bias.name, "' is ", Text(ToString(bias.type)), " without scales"));
  }
  numerics::QuantParams params{.scales = {},
                               .zero_points = std::vector<std::int64_t>(weight.qparams->scales.size(), 0),
                               .quant_min = std::numeric_limits<std::int32_t>::min(),
                               .quant_max = std::numeric_limits<std::int32_t>::max(),
                               .axis = weight.qparams->per_channel() ? 0 : numerics::QuantParams::kPerTensor};
  for (const double scale : weight.qparams->scales) {
    params.scales.push_back(static_cast<double>(static_cast<float>(x.qparams->scale()) * static_cast<float>(scale)));
  }
  QATGAP_RETURN_IF_ERROR(numerics::Validate(params, "its bias"));
  return params;
}

// The operands of a product: the weight, and the bias if there is one.
absl::StatusOr<std::vector<ValueId>> WithBias(Importer& importer, ValueId x, ValueId weight, int bias, int x_tensor,
                                              int weight_tensor, std::int64_t channels) {
  if (bias < 0) return std::vector<ValueId>{x, weight};
  const TensorRecord& record = importer.tensor(importer.Resolve(bias));
  if (record.shape != graph::Shape{channels}) {
    return absl::InvalidArgumentError(absl::StrCat("its bias '", record.name, "' has the shape ",
                                                   graph::ToString(record.shape), ", not [", channels, "]"));
  }
  const AxisOrder order = FileOrder(1);
  if (record.type == TensorType::INT32 || record.type == TensorType::INT64) {
    QATGAP_ASSIGN_OR_RETURN(
        const numerics::QuantParams params,
        BiasParams(record, importer.tensor(x_tensor), importer.tensor(importer.Resolve(weight_tensor))));
    QATGAP_ASSIGN_OR_RETURN(const ValueId value, importer.CodeConstant(importer.Resolve(bias), order, params));
    return std::vector<ValueId>{x, weight, value};
  }
  QATGAP_ASSIGN_OR_RETURN(const ValueId value, importer.ReadIn(bias, order));
  return std::vector<ValueId>{x, weight, value};
}

absl::Status CheckImage(const TensorRecord& image, const TensorRecord& weight, const TensorRecord& output) {
  for (const TensorRecord* record : {&image, &weight, &output}) {
    if (record->shape.size() != 4) {
      return absl::InvalidArgumentError(absl::StrCat("tensor '", record->name, "' has the shape ",
                                                     graph::ToString(record->shape), ", not four axes"));
    }
  }
  return absl::OkStatus();
}

// The image in the order that is convolved, with the zeros of PAD operators and of SAME around it: in `padding` of the
// convolution where both sides have equally many, in front of it otherwise.
absl::StatusOr<ValueId> PaddedImage(Importer& importer, int tensor, const std::array<Padding, 2>& same,
                                    std::vector<std::int64_t>& padding) {
  QATGAP_ASSIGN_OR_RETURN(Entry entry, importer.ReadUnpadded(tensor));
  std::array<Padding, 2> zeros = same;
  if (!entry.padding.empty()) {
    if (entry.padding[0] == Padding{} && entry.padding[3] == Padding{}) {
      for (std::size_t i = 0; i < 2; ++i) {
        zeros[i].before += entry.padding[i + 1].before;
        zeros[i].after += entry.padding[i + 1].after;
      }
      entry.padding.clear();
    } else {
      QATGAP_ASSIGN_OR_RETURN(entry, importer.Read(tensor));
    }
  }
  const ValueId image = importer.InOrder(entry, ChannelsFirst());
  if (zeros[0].before == zeros[0].after && zeros[1].before == zeros[1].after) {
    padding = {zeros[0].before, zeros[1].before};
    return image;
  }
  padding = {0, 0};
  const std::vector<std::int64_t> pad = {zeros[1].before, zeros[1].after, zeros[0].before, zeros[0].after};
  return importer.Call("aten::constant_pad_nd", "", {image}, {graph::TensorArgument{0}, pad, std::int64_t{0}})[0];
}

struct Geometry {
  Window window;
  schema::Padding padding;
  schema::ActivationFunctionType activation;
  AxisOrder weight_order;
  std::int64_t channels = 0, groups = 1;
};

absl::Status Convolve(Importer& importer, const OperatorRecord& op, const Geometry& geometry) {
  const int x = op.input(0), weight = op.input(1);
  QATGAP_ASSIGN_OR_RETURN(const auto same, WindowPadding(importer.tensor(x), geometry.window, geometry.padding));
  graph::ConvolutionAttributes attributes{.stride = {geometry.window.stride[0], geometry.window.stride[1]},
                                          .padding = {},
                                          .dilation = {geometry.window.dilation[0], geometry.window.dilation[1]},
                                          .groups = geometry.groups,
                                          .transposed = false,
                                          .output_padding = {0, 0}};
  QATGAP_ASSIGN_OR_RETURN(const ValueId image, PaddedImage(importer, x, same, attributes.padding));
  QATGAP_ASSIGN_OR_RETURN(const ValueId codes,
                          ReadWeight(importer, x, weight, geometry.weight_order, geometry.weight_order[0]));
  QATGAP_ASSIGN_OR_RETURN(std::vector<ValueId> operands,
                          WithBias(importer, image, codes, op.input(2), x, weight, geometry.channels));
  const ValueId product = importer.Emit(OpKind::kConvolution, std::move(operands), std::move(attributes));
  return importer.WriteActivated(op.outputs[0], product, ChannelsFirst(), geometry.activation);
}

}  // namespace

absl::Status ImportConvolution(Importer& importer, const OperatorRecord& op) {
  QATGAP_RETURN_IF_ERROR(op.Require(2, 1));
  QATGAP_ASSIGN_OR_RETURN(const auto* options, OptionsOf<schema::Conv2DOptions>(op));
  const TensorRecord& image = importer.tensor(op.input(0));
  const TensorRecord& weight = importer.tensor(importer.Resolve(op.input(1)));  // out, height, width, in / groups
  QATGAP_RETURN_IF_ERROR(CheckImage(image, weight, importer.tensor(op.outputs[0])));
  if (weight.shape[3] < 1 || image.shape[3] % weight.shape[3] != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("its weights take ", weight.shape[3], " channels, its input has ", image.shape[3]));
  }
  return Convolve(importer, op,
                  {.window = {.kernel = {weight.shape[1], weight.shape[2]},
                              .stride = {options->stride_h(), options->stride_w()},
                              .dilation = {options->dilation_h(), options->dilation_w()}},
                   .padding = options->padding(),
                   .activation = options->activation(),
                   .weight_order = {0, 3, 1, 2},
                   .channels = weight.shape[0],
                   .groups = image.shape[3] / weight.shape[3]});
}

absl::Status ImportDepthwiseConvolution(Importer& importer, const OperatorRecord& op) {
  QATGAP_RETURN_IF_ERROR(op.Require(2, 1));
  QATGAP_ASSIGN_OR_RETURN(const auto* options, OptionsOf<schema::DepthwiseConv2DOptions>(op));
  const TensorRecord& image = importer.tensor(op.input(0));
  const TensorRecord& weight = importer.tensor(importer.Resolve(op.input(1)));  // 1, height, width, in * multiplier
  QATGAP_RETURN_IF_ERROR(CheckImage(image, weight, importer.tensor(op.outputs[0])));
  if (weight.shape[0] != 1 || image.shape[3] < 1 || weight.shape[3] % image.shape[3] != 0) {
    return absl::InvalidArgumentError(absl::StrCat("its weights have the shape ", graph::ToString(weight.shape),
                                                   " for an input of ", image.shape[3], " channels"));
  }
  // Output channel c is made of input channel c / multiplier, as in a convolution of as many groups as channels.
  return Convolve(importer, op,
                  {.window = {.kernel = {weight.shape[1], weight.shape[2]},
                              .stride = {options->stride_h(), options->stride_w()},
                              .dilation = {options->dilation_h(), options->dilation_w()}},
                   .padding = options->padding(),
                   .activation = options->activation(),
                   .weight_order = {3, 0, 1, 2},
                   .channels = weight.shape[3],
                   .groups = image.shape[3]});
}

absl::Status ImportTransposedConvolution(Importer& importer, const OperatorRecord& op) {
  if (op.inputs.size() < 3) return op.Require(3, 1);
  QATGAP_RETURN_IF_ERROR(op.Require(1, 1));
  QATGAP_ASSIGN_OR_RETURN(const auto* options, OptionsOf<schema::TransposeConvOptions>(op));
  const int x = op.input(2), w = op.input(1);
  if (x < 0 || w < 0) return absl::InvalidArgumentError("its input or its weights are left out");
  const TensorRecord& image = importer.tensor(x);
  const TensorRecord& weight = importer.tensor(importer.Resolve(w));  // out, height, width, in
  const TensorRecord& output = importer.tensor(op.outputs[0]);
  QATGAP_RETURN_IF_ERROR(CheckImage(image, weight, output));
  graph::ConvolutionAttributes attributes{.stride = {options->stride_h(), options->stride_w()},
                                          .padding = {0, 0},
                                          .dilation = {1, 1},
                                          .groups = 1,
                                          .transposed = true,
                                          .output_padding = {0, 0}};
  graph::Shape front = {0, 0, 0, 0};
  for (std::size_t i = 0; i < 2; ++i) {
    if (image.dynamic[i + 1] || output.dynamic[i + 1]) {
      return absl::FailedPreconditionError("its image's size is not fixed; convert the model with fixed sizes");
    }
    if (attributes.stride[i] < 1 || image.shape[i + 1] < 1 || weight.shape[i + 1] < 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("its stride is ", attributes.stride[i], ", its image ", graph::ToString(image.shape)));
    }
    const std::int64_t full = (image.shape[i + 1] - 1) * attributes.stride[i] + weight.shape[i + 1];
    const std::int64_t cut = full - output.shape[i + 1];
    if (cut <= 0 && -cut < attributes.stride[i]) {
      attributes.output_padding[i] = -cut;
    } else if (cut > 0 && options->padding() == schema::Padding::SAME) {
      // The full result loses cut / 2 in front and the rest behind. One more behind than in front: a row of zero
      // weights in front makes the full result longer by one there, and both ends lose the same.
      front[i + 2] = cut % 2;
      attributes.padding[i] = (cut + 1) / 2;
    } else {
      return absl::FailedPreconditionError(
          absl::StrCat("its output has the extent ", output.shape[i + 1], ", the kernel makes ", full));
    }
  }
  const bool padded = front != graph::Shape{0, 0, 0, 0};
  QATGAP_ASSIGN_OR_RETURN(const ValueId value, importer.ReadIn(x, ChannelsFirst()));
  QATGAP_ASSIGN_OR_RETURN(const ValueId codes,
                          ReadWeight(importer, x, w, {3, 0, 1, 2}, 0, padded ? front : graph::Shape{}));
  QATGAP_ASSIGN_OR_RETURN(std::vector<ValueId> operands,
                          WithBias(importer, value, codes, op.input(3), x, w, weight.shape[0]));
  const ValueId product = importer.Emit(OpKind::kConvolution, std::move(operands), std::move(attributes));
  return importer.WriteActivated(op.outputs[0], product, ChannelsFirst(), options->activation());
}

absl::Status ImportFullyConnected(Importer& importer, const OperatorRecord& op) {
  QATGAP_RETURN_IF_ERROR(op.Require(2, 1));
  QATGAP_ASSIGN_OR_RETURN(const auto* options, OptionsOf<schema::FullyConnectedOptions>(op));
  if (options->weights_format() != schema::WeightsFormat::DEFAULT) {
    return absl::FailedPreconditionError("its weights are shuffled for one kernel; convert the model anew");
  }
  const int x = op.input(0), w = op.input(1);
  const TensorRecord& input = importer.tensor(x);
  const TensorRecord& weight = importer.tensor(importer.Resolve(w));  // out, in
  if (weight.shape.size() != 2 || weight.shape[1] < 1 || input.shape.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("its weights have the shape ", graph::ToString(weight.shape),
                                                   ", its input ", graph::ToString(input.shape)));
  }
  QATGAP_ASSIGN_OR_RETURN(const Entry entry, importer.Read(x));
  ValueId value = importer.InOrder(entry, FileOrder(entry.order.size()));
  const std::int64_t depth = weight.shape[1];
  std::size_t rank = input.shape.size();
  if (input.shape.back() != depth || (rank != 2 && !options->keep_num_dims())) {
    const std::int64_t elements = graph::ElementCount(input.shape);
    if (elements % depth != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("its input ", graph::ToString(input.shape), " is no rows of ", depth));
    }
    value = importer.Emit(OpKind::kReshape, {value},
                          graph::SizesAttributes{.sizes = {entry.batched ? -1 : elements / depth, depth}});
    rank = 2;
  }
  QATGAP_ASSIGN_OR_RETURN(const ValueId codes, ReadWeight(importer, x, w, FileOrder(2), 0));
  if (!weight.constant()) {
    QATGAP_ASSIGN_OR_RETURN(const Entry other, importer.Read(w));
    importer.TouchesAxis(other, 0);
  }
  QATGAP_ASSIGN_OR_RETURN(std::vector<ValueId> operands,
                          WithBias(importer, value, codes, op.input(2), x, w, weight.shape[0]));
  const ValueId product = importer.Emit(OpKind::kLinear, std::move(operands));
  return importer.WriteActivated(op.outputs[0], product, FileOrder(rank), options->activation());
}

absl::Status ImportBatchMatMul(Importer& importer, const OperatorRecord& op) {
  QATGAP_RETURN_IF_ERROR(op.Require(2, 1));
  QATGAP_ASSIGN_OR_RETURN(const auto* options, OptionsOf<schema::BatchMatMulOptions>(op));
  const TensorRecord& second = importer.tensor(importer.Resolve(op.input(1)));
  QATGAP_ASSIGN_OR_RETURN(const Entry a, importer.Read(op.input(0)));
  const std::size_t rank = a.order.size();
  if (rank < 2 || second.shape.size() < 2) return absl::InvalidArgumentError("its operands have fewer than two axes");
  if (second.constant() && second.shape.size() == 2 && !options->adj_x()) {
    const ValueId x = importer.InOrder(a, FileOrder(rank));
    const AxisOrder order = options->adj_y() ? AxisOrder{0, 1} : AxisOrder{1, 0};
    QATGAP_ASSIGN_OR_RETURN(const ValueId weight, ReadWeight(importer, op.input(0), op.input(1), order, order[0]));
    return importer.Write(op.outputs[0], importer.Emit(OpKind::kLinear, {x, weight}), FileOrder(rank));
  }
  QATGAP_ASSIGN_OR_RETURN(const Entry b, importer.Read(op.input(1)));
  const auto operand = [&](const Entry& entry, bool adjoint) {
    AxisOrder order = FileOrder(entry.order.size());
    if (adjoint) std::swap(order[order.size() - 1], order[order.size() - 2]);
    return importer.InOrder(entry, order);
  };
  const ValueId x = operand(a, options->adj_x()), y = operand(b, options->adj_y());
  // Axis 0 is one of the product's own two axes, or the other operand has another matrix for each sample of one batch.
  if ((a.batched && rank < 3) || (b.batched && b.order.size() < 3) ||
      (a.batched && b.batched && rank != b.order.size()) ||
      (a.batched != b.batched && (a.batched ? b.order.size() == rank && second.shape[0] > 1
                                            : rank == b.order.size() && importer.tensor(op.input(0)).shape[0] > 1))) {
    importer.MixesBatch();
  }
  const ValueId product =
      importer.Call("aten::matmul", "", {x, y}, {graph::TensorArgument{0}, graph::TensorArgument{1}})[0];
  return importer.Write(op.outputs[0], product, FileOrder(std::max(rank, b.order.size())));
}

}  // namespace qatgap::frontends::tflite
