#include "analyzers/frontends/onnx/onnx_frontend.h"

#include <google/protobuf/io/coded_stream.h>
#include <onnx/onnx_pb.h>

#include <limits>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/onnx/importer.h"
#include "analyzers/graph/passes/fold_constants.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::onnx {
namespace {

constexpr std::int64_t kOldestOpset = 11, kNewestOpset = 25;
constexpr int kMessageDepth = 64;  // a subgraph takes three: node, attribute, graph

bool Parse(std::string_view bytes, ::onnx::ModelProto& model) {
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                                static_cast<int>(bytes.size()));
  stream.SetRecursionLimit(kMessageDepth);
  return model.ParseFromCodedStream(&stream) && stream.ConsumedEntireMessage();
}

absl::StatusOr<int> OpsetOf(const ::onnx::ModelProto& model) {
  for (const auto& opset : model.opset_import()) {
    if (!opset.domain().empty() && opset.domain() != "ai.onnx") continue;
    if (opset.version() < kOldestOpset || opset.version() > kNewestOpset) {
      return absl::FailedPreconditionError(absl::StrCat("the model is of opset ", opset.version(), ", opsets ",
                                                        kOldestOpset, " to ", kNewestOpset,
                                                        " are taken; export it with opset_version=20"));
    }
    return static_cast<int>(opset.version());
  }
  return absl::InvalidArgumentError("the model names no opset of the standard operators; export it again");
}

// QuantizeLinear divides. Where PyTorch wrote the file, it stands for a fake-quant that multiplies by the reciprocal: the
// model that was trained is what the fake-quant path shows.
void DivideByScales(graph::Graph& graph) {
  for (graph::Node& node : graph.nodes) {
    if (auto* quantize = std::get_if<graph::QuantizeAttributes>(&node.attributes)) quantize->rule = numerics::StepRule::kDivide;
  }
}

absl::StatusOr<Model> ImportParsed(const ::onnx::ModelProto& proto) {
  QATGAP_ASSIGN_OR_RETURN(const int opset, OpsetOf(proto));
  Importer importer(proto, opset);
  QATGAP_RETURN_IF_ERROR(importer.Run());
  Model model;
  model.graph = std::move(importer.graph());
  model.graph.convert_style = graph::ConvertStyle::kAsIs;
  if (proto.producer_name() != "pytorch") DivideByScales(model.graph);
  model.kind = importer.saw_integer_weight()                                    ? ModelKind::kConverted
               : importer.saw_quantize() || importer.saw_quantized_operator() ? ModelKind::kQat
                                                                                : ModelKind::kFloat;
  model.format = importer.saw_quantized_operator() ? "ONNX, quantized operators"
                 : importer.saw_quantize()         ? "ONNX, QDQ"
                                                   : "ONNX";
  QATGAP_RETURN_IF_ERROR(graph::Verify(model.graph));
  QATGAP_RETURN_IF_ERROR(graph::FoldConstants(model.graph));
  QATGAP_RETURN_IF_ERROR(graph::Verify(model.graph));
  return model;
}

}  // namespace

absl::StatusOr<Model> Import(std::string_view bytes, std::string_view name) {
  const auto in_model = [&](const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat("'", Text(name), "': ", status.message()));
  };
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    return in_model(absl::ResourceExhaustedError(
        absl::StrCat("an ONNX file of ", bytes.size(), " bytes; 2147483647 is the most that its format holds")));
  }
  ::onnx::ModelProto proto;
  if (!Parse(bytes, proto) || !proto.has_graph() || proto.graph().node_size() == 0) {
    return in_model(absl::InvalidArgumentError(absl::StrCat("is not an ONNX model, or a damaged one (", bytes.size(),
                                                            " bytes); save it with onnx.save or torch.onnx.export")));
  }
  absl::StatusOr<Model> model = ImportParsed(proto);
  if (!model.ok()) return in_model(model.status());
  return model;
}

}  // namespace qatgap::frontends::onnx
