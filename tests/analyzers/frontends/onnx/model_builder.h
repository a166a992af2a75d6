// Writes small ONNX models, message by message, for what no exporter writes.
#pragma once

#include <onnx/onnx_pb.h>

#include <string>
#include <vector>

namespace qatgap::frontends::onnx {

class ModelBuilder {
 public:
  explicit ModelBuilder(std::int64_t opset = 20) {
    model_.set_ir_version(9);
    model_.add_opset_import()->set_version(opset);
  }
  ::onnx::GraphProto& graph() { return *model_.mutable_graph(); }
  ::onnx::ModelProto& model() { return model_; }

  void Input(const std::string& name, const std::vector<std::int64_t>& shape = {-1, 3, 4, 4},
             int type = ::onnx::TensorProto::FLOAT) {
    auto* tensor = Describe(*graph().add_input(), name, type);
    for (const std::int64_t extent : shape) {
      auto* dim = tensor->mutable_shape()->add_dim();
      extent < 0 ? dim->set_dim_param("batch") : dim->set_dim_value(extent);
    }
  }
  void Output(const std::string& name) { Describe(*graph().add_output(), name, ::onnx::TensorProto::FLOAT); }
  static ::onnx::TypeProto_Tensor* Describe(::onnx::ValueInfoProto& info, const std::string& name, int type) {
    info.set_name(name);
    auto* tensor = info.mutable_type()->mutable_tensor_type();
    tensor->set_elem_type(type);
    return tensor;
  }

  ::onnx::NodeProto& Node(const std::string& op, const std::vector<std::string>& inputs,
                          const std::vector<std::string>& outputs, ::onnx::GraphProto* graph_of = nullptr) {
    ::onnx::NodeProto& node = *(graph_of == nullptr ? &graph() : graph_of)->add_node();
    node.set_op_type(op);
    node.set_name("/layer1/" + op);
    for (const auto& input : inputs) node.add_input(input);
    for (const auto& output : outputs) node.add_output(output);
    return node;
  }
  ::onnx::TensorProto& Tensor(const std::string& name, int type, const std::vector<std::int64_t>& shape) {
    ::onnx::TensorProto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(type);
    for (const std::int64_t extent : shape) tensor.add_dims(extent);
    return tensor;
  }
  void Floats(const std::string& name, const std::vector<std::int64_t>& shape, const std::vector<float>& values) {
    auto& tensor = Tensor(name, ::onnx::TensorProto::FLOAT, shape);
    for (const float value : values) tensor.add_float_data(value);
  }
  void Integers(const std::string& name, int type, const std::vector<std::int64_t>& shape,
                const std::vector<std::int32_t>& values) {
    auto& tensor = Tensor(name, type, shape);
    for (const std::int32_t value : values) tensor.add_int32_data(value);
  }
  void Longs(const std::string& name, const std::vector<std::int64_t>& values) {
    auto& tensor = Tensor(name, ::onnx::TensorProto::INT64, {static_cast<std::int64_t>(values.size())});
    for (const std::int64_t value : values) tensor.add_int64_data(value);
  }
  static void Set(::onnx::NodeProto& node, const std::string& name, std::int64_t value) {
    auto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(::onnx::AttributeProto::INT);
    attribute.set_i(value);
  }
  std::string Bytes() const { return model_.SerializeAsString(); }

 private:
  ::onnx::ModelProto model_;
};

}  // namespace qatgap::frontends::onnx
