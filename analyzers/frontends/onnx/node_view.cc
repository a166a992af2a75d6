#include "analyzers/frontends/onnx/node_view.h"

#include <onnx/onnx_pb.h>

#include <array>
#include <charconv>

#include "absl/strings/str_cat.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::onnx {

const Slot& NodeView::in(std::size_t i) const {
  static const Slot kNone;
  return i < inputs_.size() ? inputs_[i] : kNone;
}

const ::onnx::AttributeProto* NodeView::Find(std::string_view name) const {
  for (const ::onnx::AttributeProto& attribute : proto_.attribute()) {
    if (attribute.name() == name) return &attribute;
  }
  return nullptr;
}

std::int64_t NodeView::Int(std::string_view name, std::int64_t fallback) const {
  const auto* attribute = Find(name);
  return attribute == nullptr ? fallback : attribute->i();
}

float NodeView::Float(std::string_view name, float fallback) const {
  const auto* attribute = Find(name);
  return attribute == nullptr ? fallback : attribute->f();
}

double NodeView::Decimal(std::string_view name, float fallback) const {
  const float value = Float(name, fallback);
  std::array<char, 32> text;
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), value).ptr;  // the shortest that reads back as `value`
  double decimal = 0;
  return std::from_chars(text.data(), end, decimal).ec == std::errc() ? decimal : static_cast<double>(value);
}

std::string NodeView::String(std::string_view name, std::string_view fallback) const {
  const auto* attribute = Find(name);
  return attribute == nullptr ? std::string(fallback) : attribute->s();
}

std::vector<std::int64_t> NodeView::Ints(std::string_view name) const {
  const auto* attribute = Find(name);
  if (attribute == nullptr) return {};
  return {attribute->ints().begin(), attribute->ints().end()};
}

const ::onnx::GraphProto* NodeView::Graph(std::string_view name) const {
  const auto* attribute = Find(name);
  return attribute == nullptr || !attribute->has_g() ? nullptr : &attribute->g();
}

std::string NodeView::Label() const {
  const std::string& shown = !proto_.name().empty() || proto_.output_size() == 0 ? proto_.name() : proto_.output(0);
  return absl::StrCat("operator ", proto_.domain().empty() ? "" : proto_.domain() + ".", proto_.op_type(), " '", shown,
                      "'");
}

absl::Status NodeView::Refuse(std::string_view what, std::string_view remedy) const {
  return absl::FailedPreconditionError(absl::StrCat(Text(what), "; ", Text(remedy)));
}

absl::Status NodeView::Broken(std::string_view what) const {
  return absl::InvalidArgumentError(absl::StrCat(Text(what), "; export the model again"));
}

}  // namespace qatgap::frontends::onnx
