// The tables of docs/metrics.md are the ones of the code: print_metrics_tables writes them.
#include "server/metrics/metric_descriptions.h"

#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qatgap::server {
namespace {

using ::testing::HasSubstr;

std::string Page() {
  std::ifstream file(QATGAP_SOURCE_DIR "/docs/metrics.md");
  EXPECT_TRUE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(MetricDescriptionsTest, ThePageHasTheTables) {
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr(absl::StrCat("\n", MetricsTable(MetricGroup::kService), "\n")));
  EXPECT_THAT(page, HasSubstr(absl::StrCat("\n", MetricsTable(MetricGroup::kTrackedModels), "\n")));
}

TEST(MetricDescriptionsTest, NamesFollowTheConventions) {
  std::set<std::string> names;
  for (const MetricDescription& description : MetricDescriptions()) {
    const std::string name = description.name;
    EXPECT_TRUE(names.insert(name).second) << name << " twice";
    EXPECT_TRUE(std::regex_match(name, std::regex("qatgap(_[a-z0-9]+)+"))) << name;
    EXPECT_EQ(name.ends_with("_total"), description.type == MetricType::kCounter) << name;
    // Base units alone.
    EXPECT_FALSE(std::regex_search(name, std::regex("milli|percent|_ms|minutes|kilo|mega|mib"))) << name;
    EXPECT_THAT(description.help, ::testing::Not(::testing::ContainsRegex("[|\n]"))) << name;
  }
}

}  // namespace
}  // namespace qatgap::server
