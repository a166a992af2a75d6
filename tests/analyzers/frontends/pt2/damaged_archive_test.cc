// Archives that are not as torch.export.save writes them: a Status that says what, never a crash.
#include <random>
#include <string>
#include <vector>

#include "analyzers/frontends/pt2/pt2_frontend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/analyzers/frontends/pt2/archives.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::frontends::pt2 {
namespace {

using ::qatgap::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kPrecondition = absl::StatusCode::kFailedPrecondition;
constexpr auto kExhausted = absl::StatusCode::kResourceExhausted;

struct Damage {
  const char* name;
  const char* archive;
  const char* entry;
  const char* from;
  const char* to;
  absl::StatusCode code;
  const char* message;
};
void PrintTo(const Damage& damage, std::ostream* out) { *out << damage.name; }

class Damaged : public ::testing::TestWithParam<Damage> {};

TEST_P(Damaged, IsRefusedByName) {
  const Damage& damage = GetParam();
  const std::string bytes = WithEntry(ArchiveBytes(damage.archive), damage.entry,
                                      [&](const std::string& text) { return Replaced(text, damage.from, damage.to); });
  EXPECT_THAT(Import(bytes, "m.pt2"), StatusIs(damage.code, AllOf(HasSubstr("'m.pt2'"), HasSubstr(damage.message))));
}

constexpr const char* kWeights = "model_weights_config.json";
constexpr const char* kProgram = "models/model.json";
INSTANTIATE_TEST_SUITE_P(
    Entries, Damaged,
    ::testing::Values(
        Damage{"pickled", "plain.pt2", kWeights, "\"use_pickle\": false", "\"use_pickle\": true", kInvalid,
               "keeps the tensor 'matrix' as a pickle"},
        Damage{"strides", "plain.pt2", kWeights, "{\"as_int\": 18}", "{\"as_int\": 19}", kInvalid,
               "has 54 elements for the tensor 'conv.weight' of shape [3, 2, 3, 3] that needs 56"},
        Damage{"offset", "plain.pt2", kWeights, "\"storage_offset\": {\"as_int\": 0}",
               "\"storage_offset\": {\"as_int\": 1}", kInvalid,
               "has 60 elements for the tensor 'matrix' of shape [12, 5] that needs 61"},
        Damage{"negative_size", "plain.pt2", kWeights, "[{\"as_int\": 3}", "[{\"as_int\": -3}", kInvalid,
               "'conv.weight'"},
        Damage{"huge_size", "plain.pt2", kWeights, "[{\"as_int\": 3}", "[{\"as_int\": 4611686018427387904}", kInvalid,
               "'conv.weight'"},
        Damage{"too_large_number", "plain.pt2", kWeights, "[{\"as_int\": 3}", "[{\"as_int\": 99999999999999999999}",
               kInvalid, "sizes"},
        Damage{"repeated", "storages.pt2", kWeights, "\"sizes\": [{\"as_int\": 2}, {\"as_int\": 2}]",
               "\"sizes\": [{\"as_int\": 2}, {\"as_int\": 1000000000}]", kExhausted,
               "repeats the tensor 'expanded_values'"},
        Damage{"unknown_type", "plain.pt2", kWeights, "\"dtype\": 7", "\"dtype\": 29", kPrecondition, "as type 29"},
        Damage{"outside", "plain.pt2", kWeights, "\"path_name\": \"weight_0\"",
               "\"path_name\": \"../weights/weight_0\"", kInvalid, "outside of its folder"},
        Damage{"no_payload", "plain.pt2", kWeights, "\"path_name\": \"weight_0\"", "\"path_name\": \"weight_99\"",
               kInvalid, "lacks the entry 'data/weights/weight_99'"},
        Damage{"no_json", "plain.pt2", kProgram, "{", "[[", kInvalid, "is not JSON"},
        Damage{"no_graph", "plain.pt2", kProgram, "\"graph_module\"", "\"graph_modules\"", kInvalid,
               "lacks the field 'graph_module'"},
        Damage{"other_type", "plain.pt2", kProgram, "\"nodes\": [", "\"nodes\": 3, \"nodes_\": [", kInvalid, "'nodes'"},
        Damage{"unknown_operator", "plain.pt2", kProgram, "torch.ops.aten.conv2d.default",
               "torch.ops.aten.from_file.default", kPrecondition,
               "operator aten.from_file.default is not supported in module 'conv' (make_archives.py:"},
        Damage{"foreign_operator", "plain.pt2", kProgram, "torch.ops.aten.conv2d.default",
               "torch.ops.mine.conv.default", kPrecondition,
               "operator mine.conv.default is not supported in module 'conv'"},
        Damage{"unnamed_operator", "plain.pt2", kProgram, "torch.ops.aten.conv2d.default", "", kPrecondition,
               "operator  is not"},
        Damage{"unknown_value", "plain.pt2", kProgram, "\"arg\": {\"as_tensor\": {\"name\": \"x\"}}",
               "\"arg\": {\"as_tensor\": {\"name\": \"y\"}}", kPrecondition, "the value 'y' is read"},
        Damage{"scale", "x86_converted.pt2", kProgram, "{\"as_float\": 0.", "{\"as_float\": -0.", kPrecondition,
               "quantized_decomposed.quantize_per_tensor.default"},
        Damage{"infinite_scale", "x86_converted.pt2", kProgram, "{\"as_float\": 0.",
               "{\"as_float\": \"Infinity\", \"x\": 0.", kInvalid, "as_..."},
        Damage{"code_range", "x86_converted.pt2", kProgram, "\"quant_max\", \"arg\": {\"as_int\": 127}",
               "\"quant_max\", \"arg\": {\"as_int\": 3}", kPrecondition, "is outside of its range"},
        Damage{"code_range_width", "x86_converted.pt2", kProgram, "\"quant_max\", \"arg\": {\"as_int\": 127}",
               "\"quant_max\", \"arg\": {\"as_int\": 4294967296}", kPrecondition, "codes from -128 to 4294967296"},
        Damage{"channel_axis", "x86_converted.pt2", kProgram, "\"axis\", \"arg\": {\"as_int\": 0}",
               "\"axis\", \"arg\": {\"as_int\": 9}", kPrecondition, "along axis 9 of a tensor of 4 axes"},
        Damage{"channels", "x86_converted.pt2", kProgram, "\"axis\", \"arg\": {\"as_int\": 0}",
               "\"axis\", \"arg\": {\"as_int\": 2}", kPrecondition, "4 scales along axis 2"},
        Damage{
            "symbolic_size", "dynamic_prepared.pt2", kProgram, "[{\"as_name\": \"sym_size_int_1\"}, {\"as_int\": -1}]",
            "[{\"as_int\": -1}, {\"as_name\": \"sym_size_int_1\"}]", kPrecondition, "depends on the size of the input"},
        Damage{"half", "float_operators.pt2", kProgram, "\"softmax\": {\"dtype\": 7", "\"softmax\": {\"dtype\": 6",
               kPrecondition, "a tensor of float16"},
        Damage{"training_batch_norm", "x86_prepared.pt2", kProgram, "\"training\", \"arg\": {\"as_bool\": false}",
               "\"training\", \"arg\": {\"as_bool\": true}", kPrecondition,
               "batch norm in training mode in module 'stem.1'"},
        Damage{"writes_a_buffer", "x86_prepared.pt2", kProgram, "\"stem.1.num_batches_tracked\"",
               "\"stem.1.running_var\"", kPrecondition, "writes to 'stem.1.running_var'"},
        Damage{"no_weight", "plain.pt2", kProgram, "\"name\": \"weight\"", "\"name\": \"wait\"", kPrecondition,
               "the argument 'weight' of aten.conv2d.default is no tensor"},
        Damage{"no_fill_value", "eager.pt2", kProgram, "torch.ops.aten.zeros.default", "torch.ops.aten.full.default",
               kPrecondition, "the argument 'fill_value' of aten.full.default is missing"},
        Damage{"branch_operands", "cond.pt2", kProgram, "\"graph\": {\"inputs\": [{\"as_tensor\": {\"name\": \"x\"}}, ",
               "\"graph\": {\"inputs\": [", kInvalid,
               "a branch of the exported program takes 4 operands, 5 are given"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(Limits, BranchesNestAtMost50Deep) {
  const auto nested = [](int levels) {
    return WithEntry(ArchiveBytes("cond.pt2"), kProgram, [&](const std::string& text) {
      nlohmann::json program = nlohmann::json::parse(text);
      nlohmann::json& nodes = program["graph_module"]["graph"]["nodes"];
      nlohmann::json* cond = nullptr;
      for (nlohmann::json& node : nodes) {
        if (node["target"] == "torch.ops.higher_order.cond") cond = &node;
      }
      // A level is the branch's graph around a cond of the same predicate and operands.
      nlohmann::json level = *cond;
      nlohmann::json branch = level["inputs"][1]["arg"]["as_graph"];
      const nlohmann::json predicate = level["inputs"][0];
      for (int i = 1; i < levels; ++i) {
        nlohmann::json inner = level;
        inner["inputs"][0] = predicate;
        inner["inputs"][0]["arg"] = {{"as_bool", true}};
        nlohmann::json around = branch;
        around["graph"]["nodes"] = nlohmann::json::array({inner});
        around["graph"]["outputs"] = inner["outputs"];
        level["inputs"][1]["arg"]["as_graph"] = around;
      }
      *cond = level;
      return program.dump();
    });
  };
  QATGAP_EXPECT_OK(Import(nested(40), "m.pt2"));
  EXPECT_THAT(Import(nested(51), "m.pt2"), StatusIs(kExhausted, HasSubstr("50 deep")));
  EXPECT_THAT(Import(nested(200), "m.pt2"), StatusIs(kExhausted, HasSubstr("50 deep")));
}

TEST(Limits, NestedJsonIsRefusedBeforeItIsRead) {
  const std::string deep =
      WithEntry(ArchiveBytes("plain.pt2"), kProgram, [](const std::string&) { return std::string(2'000'000, '['); });
  EXPECT_THAT(Import(deep, "m.pt2"), StatusIs(kExhausted, HasSubstr("deep")));
}

TEST(Limits, AnEntryThatUnpacksWithoutBoundIsRefused) {
  const std::string bomb = WithEntry(ArchiveBytes("plain.pt2"), kProgram,
                                     [](const std::string&) { return std::string(std::size_t{300} << 20U, ' '); });
  ASSERT_LT(bomb.size(), std::size_t{1} << 20U);
  EXPECT_THAT(Import(bomb, "m.pt2"), StatusIs(kExhausted, HasSubstr("unpacks to more than 256 MiB")));
}

TEST(Archive, OtherFilesAreNamed) {
  for (const std::string& bytes : {std::string(), std::string("PK"), std::string(1000, 'x')}) {
    EXPECT_FALSE(IsArchive(bytes));
    EXPECT_THAT(Import(bytes, "m.pt2"),
                StatusIs(kInvalid, AllOf(HasSubstr("'m.pt2'"), HasSubstr("torch.export.save"))));
  }
  EXPECT_TRUE(IsArchive(ArchiveBytes("plain.pt2")));
  EXPECT_FALSE(IsArchive(ArchiveBytes("plain.pt")));  // TorchScript
  EXPECT_THAT(Import(ArchiveBytes("plain.pt"), "m.pt"), StatusIs(kInvalid, HasSubstr("without an exported program")));
}

TEST(Archive, TruncatedIsAnErrorAtEveryLength) {
  const std::string whole = ArchiveBytes("plain.pt2");
  for (std::size_t size = 0; size < whole.size(); size += 61) {
    EXPECT_THAT(Import(std::string_view(whole).substr(0, size), "m.pt2"), StatusIs(kInvalid, Not(HasSubstr("\n"))))
        << size;
  }
}

// Bytes of the JSON texts are changed behind the checksums: any Status, no crash, and a graph only if it verifies.
TEST(Archive, MutatedEntriesDoNotCrash) {
  constexpr std::uint32_t kSeed = 5;
  std::mt19937 random(kSeed);
  const auto pick = [&](std::size_t size) { return std::uniform_int_distribution<std::size_t>(0, size - 1)(random); };
  const std::vector<std::string> pieces = {"as_int",  "as_ints", "as_none", "null", "-1", "[]", "{}", "0",
                                           "as_bool", "true",    "1e300",   "\"",   "}",  "]",  "7",  "as_tensor"};
  for (const char* archive : {"cond_qat.pt2", "x86_converted.pt2", "eager.pt2", "storages.pt2"}) {
    for (int round = 0; round < 60; ++round) {
      const char* entry = round % 3 == 0 ? kWeights : kProgram;
      const std::string mutated = WithEntry(ArchiveBytes(archive), entry, [&](std::string text) {
        for (int change = 0; change < 3; ++change) {
          const std::size_t at = pick(text.size());
          if (round % 2 == 0) {  // digits: sizes, axes, types
            const std::size_t digit = text.find_first_of("0123456789", at);
            if (digit != std::string::npos) text[digit] = static_cast<char>('0' + pick(10));
          } else {
            const std::string& piece = pieces[pick(pieces.size())];
            text.replace(at, std::min(piece.size(), text.size() - at), piece);
          }
        }
        return text;
      });
      const auto model = Import(mutated, "m.pt2");
      if (model.ok()) {
        QATGAP_EXPECT_OK(graph::Verify(model->graph));
      }
    }
  }
}

TEST(Archive, FlippedBytesDoNotCrash) {
  const std::string whole = ArchiveBytes("bias_converted.pt2");
  std::mt19937 random(17);
  for (int round = 0; round < 300; ++round) {
    std::string flipped = whole;
    flipped[random() % flipped.size()] ^= static_cast<char>(1U << (random() % 8));
    const auto model = Import(flipped, "m.pt2");
    if (model.ok()) {
      QATGAP_EXPECT_OK(graph::Verify(model->graph));
    }
  }
}

}  // namespace
}  // namespace qatgap::frontends::pt2
