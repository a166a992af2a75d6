#include "server/target_conversion.h"

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "analyzers/numerics/target.h"
#include "analyzers/numerics/target_names.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::server {
namespace {

// The enum's values without "<NAME>_", in lower case, in the order of their numbers from 1 on.
std::vector<std::string> WordsOf(const google::protobuf::EnumDescriptor& descriptor) {
  std::vector<std::string> words;
  const std::string& unspecified = descriptor.FindValueByNumber(0)->name();
  const std::string prefix = unspecified.substr(0, unspecified.size() - std::string("UNSPECIFIED").size());
  for (int i = 1; i < descriptor.value_count(); ++i) {
    const auto* value = descriptor.FindValueByNumber(i);
    if (value == nullptr || value->name().rfind(prefix, 0) != 0) {
      ADD_FAILURE() << descriptor.name() << ": value " << i << " is missing or has another prefix than " << prefix;
      continue;
    }
    words.push_back(absl::AsciiStrToLower(value->name().substr(prefix.size())));
  }
  return words;
}

// The words of the files, in the order of the C++ enum.
template <typename Names>
std::vector<std::string> WordsOf(const Names& names) {
  std::vector<std::string> words(names.size());
  for (const auto& entry : names) words.at(static_cast<std::size_t>(entry.value)) = entry.name;
  return words;
}

struct Vocabulary {
  const char* name;
  std::vector<std::string> files, contract;
};

template <typename Names>
Vocabulary Pair(const char* name, const Names& names, const google::protobuf::EnumDescriptor* descriptor) {
  return {name, WordsOf(names), WordsOf(*descriptor)};
}

class VocabularyTest : public ::testing::TestWithParam<Vocabulary> {};
TEST_P(VocabularyTest, FilesAndContractHaveTheSameWordsInTheSameOrder) {
  EXPECT_EQ(GetParam().files, GetParam().contract);
}

INSTANTIATE_TEST_SUITE_P(
    Target, VocabularyTest,
    ::testing::Values(
        Pair("BiasMode", numerics::kBiasModeNames, v1::BiasMode_descriptor()),
        Pair("Rounding", numerics::kRoundingNames, v1::Rounding_descriptor()),
        Pair("BiasScale", numerics::kBiasScaleNames, v1::BiasScale_descriptor()),
        Pair("BiasDivision", numerics::kBiasDivisionNames, v1::BiasDivision_descriptor()),
        Pair("BiasOverflow", numerics::kBiasOverflowNames, v1::BiasOverflow_descriptor()),
        Pair("WeightAdjustment", numerics::kWeightAdjustmentNames, v1::WeightAdjustment_descriptor()),
        Pair("BiasAlignment", numerics::kBiasAlignmentNames, v1::BiasAlignment_descriptor()),
        Pair("AccumulatorOverflow", numerics::kAccumulatorOverflowNames, v1::AccumulatorOverflow_descriptor()),
        Pair("Int16Pairs", numerics::kInt16PairsNames, v1::Int16Pairs_descriptor()),
        Pair("RequantMode", numerics::kRequantModeNames, v1::RequantMode_descriptor()),
        Pair("MultiplierForm", numerics::kMultiplierFormNames, v1::MultiplierForm_descriptor()),
        Pair("ZeroPointOrder", numerics::kZeroPointOrderNames, v1::ZeroPointOrder_descriptor()),
        Pair("ConversionOverflow", numerics::kConversionOverflowNames, v1::ConversionOverflow_descriptor()),
        Pair("Dequantization", numerics::kDequantizationNames, v1::Dequantization_descriptor()),
        Pair("ActivationLimit", numerics::kActivationLimitNames, v1::ActivationLimit_descriptor()),
        Pair("ScaleRequirement", numerics::kScaleRequirementNames, v1::ScaleRequirement_descriptor()),
        Pair("DelegateLayers", numerics::kDelegateLayersNames, v1::DelegateLayers_descriptor()),
        Pair("DelegateHost", numerics::kDelegateHostNames, v1::DelegateHost_descriptor()),
        Pair("DelegateActivations", numerics::kDelegateActivationsNames, v1::DelegateActivations_descriptor()),
        Pair("DelegateWeights", numerics::kDelegateWeightsNames, v1::DelegateWeights_descriptor()),
        Pair("AddRule", numerics::kAddRuleNames, v1::AddRule_descriptor()),
        Pair("MulRule", numerics::kMulRuleNames, v1::MulRule_descriptor()),
        Pair("ConcatRule", numerics::kConcatRuleNames, v1::ConcatRule_descriptor()),
        Pair("AveragePoolRule", numerics::kAveragePoolRuleNames, v1::AveragePoolRule_descriptor()),
        Pair("MeanRule", numerics::kMeanRuleNames, v1::MeanRule_descriptor()),
        Pair("DelegateOutputPadding", numerics::kDelegateOutputPaddingNames,
             v1::DelegateOutputPadding_descriptor())),
    [](const auto& test) { return std::string(test.param.name); });

// The YAML of the rules, from the message alone: field names and words are the file's.
class Writer {
 public:
  void Write(const google::protobuf::Message& message, int indent) {
    const auto* reflection = message.GetReflection();
    std::vector<const google::protobuf::FieldDescriptor*> fields;
    reflection->ListFields(message, &fields);
    for (const auto* field : fields) {
      absl::StrAppend(&text_, std::string(static_cast<std::size_t>(indent), ' '), field->name(), ":");
      if (field->is_repeated()) {
        for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
          absl::StrAppend(&text_, "\n  -\n");
          Write(reflection->GetRepeatedMessage(message, field, i), indent + 4);
        }
      } else if (field->message_type() != nullptr) {
        absl::StrAppend(&text_, "\n");
        Write(reflection->GetMessage(message, field), indent + 2);
      } else {
        WriteScalar(message, *field);
      }
    }
  }
  const std::string& text() const { return text_; }

 private:
  void WriteScalar(const google::protobuf::Message& message, const google::protobuf::FieldDescriptor& field) {
    const auto* reflection = message.GetReflection();
    switch (field.cpp_type()) {
      case google::protobuf::FieldDescriptor::CPPTYPE_ENUM: {
        const auto* value = reflection->GetEnum(message, &field);
        const std::string& unspecified = value->type()->FindValueByNumber(0)->name();
        const std::size_t prefix = unspecified.size() - std::string("UNSPECIFIED").size();
        absl::StrAppend(&text_, " ", absl::AsciiStrToLower(value->name().substr(prefix)), "\n");
        return;
      }
      case google::protobuf::FieldDescriptor::CPPTYPE_BOOL:
        absl::StrAppend(&text_, " ", reflection->GetBool(message, &field) ? "true" : "false", "\n");
        return;
      case google::protobuf::FieldDescriptor::CPPTYPE_INT32:
        absl::StrAppend(&text_, " ", reflection->GetInt32(message, &field), "\n");
        return;
      case google::protobuf::FieldDescriptor::CPPTYPE_INT64:
        absl::StrAppend(&text_, " ", reflection->GetInt64(message, &field), "\n");
        return;
      case google::protobuf::FieldDescriptor::CPPTYPE_DOUBLE:
        // The shipped limits are powers of two: 6 digits of %g are not enough, 17 are.
        absl::StrAppend(&text_, " ", absl::StrFormat("%.17g", reflection->GetDouble(message, &field)), "\n");
        return;
      case google::protobuf::FieldDescriptor::CPPTYPE_STRING:
        absl::StrAppend(&text_, " ", reflection->GetString(message, &field), "\n");
        return;
      default:
        ADD_FAILURE() << field.full_name() << " has a type that no file has";
    }
  }
  std::string text_;
};

class ShippedTest : public ::testing::TestWithParam<std::string> {};

// Field names, words and which fields are set: the message says all that a file says, in the same words.
TEST_P(ShippedTest, MessageReadAsAFileIsTheTarget) {
  const numerics::TargetDescription target = numerics::FindTarget(GetParam()).value();
  Writer writer;
  writer.Write(RulesToProto(target), 0);
  const std::string file = absl::StrCat("name: copy\ntitle: t\nsummary: s\nsource: s\nengine: ",
                                        std::string(numerics::ToString(target.engine)),
                                        "\nevidence: {kind: unverified, detail: d}\n", writer.text());
  const auto copy = numerics::ParseTarget(file, "copy.yaml");
  QATGAP_ASSERT_OK(copy) << file;
  EXPECT_EQ(numerics::ArithmeticDigest(*copy), numerics::ArithmeticDigest(target)) << file;
}

std::vector<std::string> ShippedNames() {
  std::vector<std::string> names;
  for (const auto& target : numerics::ShippedTargets()) names.push_back(target.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Target, ShippedTest, ::testing::ValuesIn(ShippedNames()), [](const auto& test) {
  std::string name = test.param;
  for (char& c : name) c = c == '-' ? '_' : c;
  return name;
});

}  // namespace
}  // namespace qatgap::server
