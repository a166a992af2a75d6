// Every planted defect is found under its own cause and findings, in its own layer, and nowhere else; the twin without it is
// silent. docs/defects.md has the table.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "analyzers/report/global_cause.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/attribution/demo_analysis.h"
#include "tests/defects/planted.h"
#include "tests/testing/demo_models.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::defects {
namespace {

using report::Cause;
using statistics::DifferenceStatistics;

// All causes of the ladder but that of engines, which generic-int32 has none of.
constexpr std::size_t kCauses = static_cast<std::size_t>(Cause::kEngineResidual);
constexpr std::int64_t kSamples = 16;
// Other causes round other codes once the constants are other ones: that is this small a part of what the defect does.
constexpr std::uint64_t kSidePart = 50;

absl::StatusOr<attribution::AnalysisModels> ModelsOf(Subject subject, Base base) {
  if (base == Base::kTwin) {
    return attribution::CombineModels(std::nullopt, attribution::GivenModel{.graph = std::move(subject.converted),
                                                                            .kind = attribution::GivenKind::kConverted,
                                                                            .format = "",
                                                                            .name = ""});
  }
  attribution::AnalysisModels models;
  models.qat = std::move(subject.qat);
  models.converted = std::move(subject.converted);
  return models;
}

absl::StatusOr<report::AnalysisResult> Analyse(const Subject& subject, Base base) {
  absl::StatusOr<attribution::AnalysisModels> models = ModelsOf(subject, base);
  if (!models.ok()) return models.status();
  auto session = attribution::AnalysisSession::Create(*std::move(models), {subject.target}, {});
  if (!session.ok()) return session.status();
  const graph::Tensor images = testing::Images(0, kSamples);
  if (const absl::Status ran = (*session)->RunBatch({&images, 1}, {}); !ran.ok()) return ran;
  return (*session)->result();
}

absl::StatusOr<report::AnalysisResult> Inspect(const Subject& subject, Base base) {
  absl::StatusOr<attribution::AnalysisModels> models = ModelsOf(subject, base);
  if (!models.ok()) return models.status();
  return attribution::AnalysisSession::Inspect(*std::move(models), {subject.target}, {});
}

const report::AnalysisResult& CleanTwin(Base base) {
  static std::map<Base, report::AnalysisResult> known;
  auto it = known.find(base);
  if (it == known.end()) it = known.emplace(base, Analyse(SubjectOf(base), base).value()).first;
  return it->second;
}

using Complaints = std::vector<std::string>;

// Findings that the clean twin does not have, as "QG001 layer"; those of kConsequences left out.
std::set<std::string> NewFindings(const report::AnalysisResult& result, Base base) {
  const auto key = [](const report::Finding& finding) { return absl::StrCat(finding.id, " ", finding.layer); };
  std::set<std::string> known, found;
  for (const report::Finding& finding : CleanTwin(base).findings) known.insert(key(finding));
  for (const report::Finding& finding : result.findings) {
    if (std::ranges::find(kConsequences, finding.id) == kConsequences.end() && !known.contains(key(finding))) {
      found.insert(key(finding));
    }
  }
  return found;
}

void CheckFindings(const Defect& defect, const report::AnalysisResult& result, Complaints& complaints) {
  std::set<std::string> ids;
  for (const std::string& finding : NewFindings(result, defect.base)) {
    ids.insert(finding.substr(0, 5));
    if (!defect.layer.empty() && finding.substr(6) != defect.layer) {
      complaints.push_back(absl::StrCat("a finding in another layer: ", finding));
    }
  }
  if (ids != std::set<std::string>(defect.findings.begin(), defect.findings.end())) {
    complaints.push_back(absl::StrCat("findings are ", absl::StrJoin(ids, ", "), ", not ", absl::StrJoin(defect.findings, ", ")));
  }
}

std::uint64_t Growth(const DifferenceStatistics& planted, const DifferenceStatistics& clean) {
  return planted.sum_squares - std::min(planted.sum_squares, clean.sum_squares);
}

void CheckCauses(const Defect& defect, const report::AnalysisResult& result, Complaints& complaints) {
  const auto planted = attribution::ByLayer(result, 0), clean = attribution::ByLayer(CleanTwin(defect.base), 0);
  std::uint64_t own = 0, layers = 0;
  if (defect.cause) {
    for (const auto& [name, causes] : planted) {
      if (!defect.layer.empty() && name != defect.layer) continue;
      const std::uint64_t growth = Growth(causes[static_cast<std::size_t>(*defect.cause)],
                                          clean.at(name)[static_cast<std::size_t>(*defect.cause)]);
      own += growth;
      layers += growth > 0 ? 1U : 0U;
    }
    if (own == 0) complaints.push_back(absl::StrCat(std::string(ToString(*defect.cause)), " does not show it"));
    if (defect.layer.empty() && layers < 4) complaints.push_back("it shows in few layers");
  }
  for (const auto& [name, causes] : planted) {
    for (std::size_t c = 0; c < kCauses; ++c) {
      const bool own_layer = defect.layer.empty() || name == defect.layer;
      if (own_layer && defect.cause && c == static_cast<std::size_t>(*defect.cause)) continue;
      const std::uint64_t growth = Growth(causes[c], clean.at(name)[c]);
      const std::string where = absl::StrCat(std::string(ToString(static_cast<Cause>(c))), " of ", name, " grew by ", growth);
      if (defect.cause) {
        if (growth * kSidePart > own) complaints.push_back(where);
      } else if (clean.at(name)[c].changed == 0 && causes[c].changed != 0) {
        complaints.push_back(where);  // no difference at all is of this defect
      }
      // A constant of one of two models changes nothing that the QAT model feeds to other layers.
      if (defect.base == Base::kPair && !own_layer && causes[c] != clean.at(name)[c]) complaints.push_back(where);
    }
  }
}

// What of the table does not hold; empty: found as it should be.
Complaints Check(const Defect& defect, const Subject& subject) {
  Complaints complaints;
  const auto result = Analyse(subject, defect.base);
  if (!result.ok()) {
    if (!absl::StrContains(result.status().message(), defect.says)) complaints.push_back(result.status().ToString());
    const auto inspected = Inspect(subject, defect.base);
    if (!inspected.ok()) return {inspected.status().ToString()};
    CheckFindings(defect, *inspected, complaints);
    return complaints;
  }
  CheckFindings(defect, *result, complaints);
  CheckCauses(defect, *result, complaints);
  report::Report report;
  report.result = *result;
  const std::string text = absl::StrReplaceAll(report::WriteMarkdown(report), {{"\\", ""}, {"`", ""}});
  if (!absl::StrContains(text, defect.says)) complaints.push_back(absl::StrCat("the report does not say: ", defect.says));
  const bool global = report::GlobalCauseOf(*result, result->targets[0]).has_value();
  if (global != defect.global) complaints.push_back(global ? "it is called global" : "it is not called global");
  return complaints;
}

class DefectsTest : public ::testing::TestWithParam<std::size_t> {
 protected:
  static const Defect& defect() { return AllDefects()[GetParam()]; }
};

TEST_P(DefectsTest, IsFoundUnderItsOwnCauseAlone) {
  Subject subject = SubjectOf(defect().base);
  defect().plant(subject);
  EXPECT_THAT(Check(defect(), subject), ::testing::IsEmpty()) << defect().name;
}

TEST_P(DefectsTest, WithoutThePlantItIsNotFound) {
  EXPECT_THAT(Check(defect(), SubjectOf(defect().base)), ::testing::Not(::testing::IsEmpty())) << defect().name;
}

INSTANTIATE_TEST_SUITE_P(Table, DefectsTest, ::testing::Range<std::size_t>(0, AllDefects().size()));

TEST(CleanTwinTest, IsSilent) {
  for (const Base base : {Base::kPair, Base::kTwin, Base::kQnnpackPair}) {
    const report::AnalysisResult& result = CleanTwin(base);
    EXPECT_THAT(attribution::Alarms(result), ::testing::IsEmpty());
    EXPECT_EQ(report::GlobalCauseOf(result, result.targets[0]), std::nullopt);
    for (const auto& [name, causes] : attribution::ByLayer(result, 0)) {
      for (const Cause cause : {Cause::kBiasSaturation, Cause::kAccumulator}) {
        EXPECT_EQ(causes[static_cast<std::size_t>(cause)].changed, 0U) << name;
      }
      if (base == Base::kTwin) {
        EXPECT_EQ(causes[static_cast<std::size_t>(Cause::kConversion)].changed, 0U) << name;
      }
    }
  }
}

// A row for each defect: what is planted, where it shows, which findings tell it.
TEST(DocumentTest, HasTheTable) {
  std::ifstream file(QATGAP_SOURCE_DIR "/docs/defects.md");
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  for (const Defect& defect : AllDefects()) {
    std::vector<std::string> findings;
    for (const std::string& id : defect.findings) findings.push_back(absl::StrCat("[", id, "](findings/", id, ".md)"));
    const std::string row = absl::StrCat(
        "\n| ", defect.name, " | ", defect.layer.empty() ? "all" : "one", " | ",
        defect.cause ? absl::StrCat("`", std::string(ToString(*defect.cause)), "`") : "none", " | ",
        findings.empty() ? "none" : absl::StrJoin(findings, ", "), " |\n");
    EXPECT_THAT(text, ::testing::HasSubstr(row));
  }
  EXPECT_EQ(std::ranges::count(text, '\n') - std::ranges::count(absl::StrReplaceAll(text, {{"\n| ", ""}}), '\n'),
            static_cast<std::ptrdiff_t>(AllDefects().size() + 1))
      << "rows of the table and its head";
}

}  // namespace
}  // namespace qatgap::defects
