// The tables of docs/gate.md against the code.
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "analyzers/report/gate/measured_report.h"
#include "analyzers/report/gate/rules.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qatgap::report::gate {
namespace {

std::string Page() {
  std::ifstream file(std::string(QATGAP_SOURCE_DIR) + "/docs/gate.md");
  return {std::istreambuf_iterator<char>(file), {}};
}

// From the heading to the next of its depth.
std::string Section(const std::string& heading) {
  const std::string page = Page();
  const std::size_t begin = page.find("\n## " + heading + "\n");
  EXPECT_NE(begin, std::string::npos) << heading;
  if (begin == std::string::npos) return "";
  return page.substr(begin, page.find("\n## ", begin + 1) - begin);
}

// "`a`, `b`" as {"a", "b"}.
std::vector<std::string> Quoted(const std::string& text) {
  static const std::regex quoted("`([^`]+)`");
  std::vector<std::string> words;
  for (std::sregex_iterator it(text.begin(), text.end(), quoted), end; it != end; ++it) words.push_back((*it)[1].str());
  return words;
}

// The rows of the section's table whose first cell is in quotes; the cells of each.
std::vector<std::vector<std::string>> Rows(const std::string& section) {
  std::vector<std::vector<std::string>> rows;
  for (const absl::string_view line : absl::StrSplit(section, '\n')) {
    if (line.size() < 4 || line.substr(0, 3) != "| `") continue;
    const std::vector<std::string> cells = absl::StrSplit(line.substr(2, line.size() - 4), " | ");
    rows.push_back(cells);
  }
  return rows;
}

// A name with the words CAUSE, PATH, PAIR and STATISTIC, by every value that the page gives them.
void Expand(const std::string& name, const std::vector<std::vector<std::string>>& words, std::set<std::string>& names) {
  for (const std::vector<std::string>& word : words) {
    const std::string key = Quoted(word[0]).front();
    if (name.find(key) == std::string::npos) continue;
    for (const std::string& value : Quoted(word[1])) Expand(absl::StrReplaceAll(name, {{key, value}}), words, names);
    return;
  }
  // The pair whose name may be left out.
  const std::string kLong = "outputs.target.";
  names.insert(name.rfind(kLong, 0) == 0 ? "outputs." + name.substr(kLong.size()) : name);
}

TEST(GatePageTest, TheTableOfMetricsIsWhatThereIs) {
  const std::string section = Section("Metrics");
  std::vector<std::vector<std::string>> words, metrics;
  for (const std::vector<std::string>& row : Rows(section)) {
    const std::string first = Quoted(row[0]).front();
    const bool is_word = first == "CAUSE" || first == "PATH" || first == "PAIR" || first == "STATISTIC";
    (is_word ? words : metrics).push_back(row);
  }
  ASSERT_EQ(words.size(), 4U);
  std::set<std::string> documented, of_layers, there, there_of_layers;
  for (const std::vector<std::string>& row : metrics) {
    std::set<std::string> names;
    for (const std::string& name : Quoted(row[0])) Expand(name, words, names);
    documented.insert(names.begin(), names.end());
    ASSERT_TRUE(row[1] == "layer" || row[1] == "model") << row[0];
    if (row[1] == "layer") of_layers.insert(names.begin(), names.end());
  }
  for (const MetricName& metric : AllMetrics()) {
    there.insert(metric.name);
    if (metric.of_layer) there_of_layers.insert(metric.name);
  }
  there.insert("findings.QG001");
  EXPECT_THAT(documented, ::testing::ContainerEq(there));
  EXPECT_THAT(of_layers, ::testing::ContainerEq(there_of_layers));
}

TEST(GatePageTest, TheTableOfPresetsIsWhatTheySay) {
  const std::vector<std::vector<std::string>> rows = Rows(Section("Presets"));
  std::set<std::string> documented;
  for (const std::vector<std::string>& row : rows) {
    ASSERT_GE(row.size(), 3U);
    const std::vector<std::string> presets{"strict", "default", "ratchet"};
    for (std::size_t i = 0; i < presets.size(); ++i) {
      if (row[i + 1] != "-") documented.insert(absl::StrCat(presets[i], ": ", Quoted(row[0]).front(), " ", row[i + 1]));
    }
  }
  std::set<std::string> there;
  for (const std::string& name : PresetNames()) {
    const auto preset = ParseRules(Preset(name), name);
    ASSERT_TRUE(preset.ok());
    for (const Rule& rule : preset->rules) {
      std::string limit;
      const auto add = [&](const char* key, const std::optional<double>& value) {
        if (value) absl::StrAppend(&limit, limit.empty() ? "" : ", ", key, " ", *value);
      };
      add("max", rule.max);
      add("min", rule.min);
      add("max_increase", rule.max_increase);
      add("max_decrease", rule.max_decrease);
      there.insert(absl::StrCat(name, ": ", rule.metric, " ", limit, rule.level == Level::kWarn ? " (warn)" : ""));
    }
  }
  EXPECT_THAT(documented, ::testing::ContainerEq(there));
}

TEST(GatePageTest, EveryKeyOfARuleIsListed) {
  std::set<std::string> keys;
  for (const std::vector<std::string>& row : Rows(Section("Rules"))) {
    for (const std::string& key : Quoted(row[0])) keys.insert(key);
  }
  EXPECT_THAT(keys, ::testing::UnorderedElementsAre("metric", "name", "layers", "kinds", "targets", "level", "must_match", "max",
                                                    "min", "max_increase", "max_decrease", "max_ratio"));
  for (const std::string& key : keys) {
    // Of another kind than the one it takes, or a limit: an error that names it, so it is a key.
    const auto rules = ParseRules("version: 1\nrules: [{metric: coverage, min: 0, " + key + ": {a: b}}]", "gate.yaml");
    EXPECT_FALSE(rules.ok()) << key;
    EXPECT_THAT(std::string(rules.status().message()), ::testing::Not(::testing::HasSubstr("is not a key"))) << key;
  }
}

}  // namespace
}  // namespace qatgap::report::gate
