// Surfaces that tools read: JUnit, SARIF, GitLab's code quality, JSON.
#include <cstdint>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "analyzers/report/gate/check_words.h"
#include "analyzers/report/gate/surfaces.h"
#include "analyzers/status/string_view.h"
#include "nlohmann/json.hpp"

namespace qatgap::report::gate {
namespace {

using Json = nlohmann::json;

// Text and attribute values of XML 1.0: what it cannot hold becomes '?'.
std::string Xml(std::string_view value) {
  std::string text;
  for (const char c : value) {
    switch (c) {
      case '&':
        text += "&amp;";
        break;
      case '<':
        text += "&lt;";
        break;
      case '>':
        text += "&gt;";
        break;
      case '"':
        text += "&quot;";
        break;
      case '\n':
        text += "&#10;";
        break;
      default:
        text += static_cast<unsigned char>(c) < 0x20 && c != '\t' ? '?' : c;
    }
  }
  return text;
}

// Names may hold bytes that are not UTF-8: replaced, so that the XML is well-formed.
std::string Utf8(const std::string& value) {
  return Json::parse(Json(value).dump(-1, ' ', false, Json::error_handler_t::replace)).get<std::string>();
}

std::string Dump(const Json& json) { return json.dump(2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n"; }

// FNV-1a, 64 bits: the same check has the same fingerprint in every run, whatever it found.
std::string Fingerprint(const Check& check) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : absl::StrCat(check.rule, "\n", check.metric, "\n", check.target, "\n", check.layer)) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  }
  return absl::StrFormat("%016x", hash);
}

std::string Details(const Check& check) {
  std::string text = Sentence(check);
  if (!check.cause.empty()) absl::StrAppend(&text, "\ncause: ", check.cause);
  if (!check.advice.empty()) absl::StrAppend(&text, "\nadvice: ", check.advice);
  return text;
}

// Where people are sent: the line of the model's source; where it does not tell, the rules, else the report. GitHub refuses a
// SARIF result without a file.
std::pair<std::string, std::int64_t> FileAndLine(const GateResult& result, const Check* check) {
  const std::string source_line = check == nullptr ? "" : check->source_line;
  const std::size_t colon = source_line.rfind(':');
  std::int64_t line = 1;
  if (colon != std::string::npos) line = std::max<std::int64_t>(1, std::atoll(source_line.c_str() + colon + 1));
  std::string file = source_line.substr(0, colon);
  if (file.empty()) file = result.rules_name.empty() || result.rules_name.starts_with("preset ") ? result.report_name : result.rules_name;
  return {file.empty() ? "report.json" : file, line};
}

// A relative reference of RFC 3986: every byte that is not plain is percent-encoded.
std::string Uri(const std::string& path) {
  std::string uri;
  for (const char c : path) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (letter || c == '/' || c == '.' || c == '-' || c == '_' || c == '~') {
      uri += c;
    } else {
      absl::StrAppendFormat(&uri, "%%%02X", static_cast<unsigned char>(c));
    }
  }
  return uri;
}

// Reasons hold figures; their rank does not.
Check KeyOfReason(std::size_t rank) { return {.rule = "comparable", .metric = absl::StrCat("reason ", rank)}; }

Json NumberJson(std::optional<double> value) { return value ? Json(*value) : Json(); }

Json ToJson(const Check& check) {
  return {{"rule", check.rule},         {"metric", check.metric},
          {"level", ToString(check.level)}, {"target", check.target},
          {"layer", check.layer},       {"source_line", check.source_line},
          {"outcome", ToString(check.outcome)}, {"limit", check.limit},
          {"found", NumberJson(check.found)},   {"baseline", NumberJson(check.baseline)},
          {"delta", NumberJson(check.delta)},   {"cause", check.cause},
          {"advice", check.advice},     {"waiver_reason", check.waiver_reason}};
}

}  // namespace

std::string WriteJUnit(const GateResult& result) {
  std::map<std::string, std::vector<const Check*>> suites;
  for (const Check& check : result.checks) suites[check.target].push_back(&check);
  std::string text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"qatgap\">\n";
  if (!result.not_comparable.empty()) {
    absl::StrAppend(&text, "  <testsuite name=\"comparable\" tests=\"", result.not_comparable.size(), "\" failures=\"0\" errors=\"",
                    result.not_comparable.size(), "\" skipped=\"0\">\n");
    for (std::size_t i = 0; i < result.not_comparable.size(); ++i) {
      absl::StrAppend(&text, "    <testcase classname=\"qatgap\" name=\"comparable ", i + 1, "\"><error message=\"",
                      Xml(Utf8(result.not_comparable[i])), "\"/></testcase>\n");
    }
    absl::StrAppend(&text, "  </testsuite>\n");
  }
  for (const auto& [target, checks] : suites) {
    std::size_t failures = 0, skipped = 0;
    std::string cases;
    for (const Check* check : checks) {
      absl::StrAppend(&cases, "    <testcase classname=\"", Xml(Utf8(PlaceOf(*check))), "\" name=\"", Xml(Utf8(check->rule)), "\"");
      if (check->outcome == CheckOutcome::kFail) {
        ++failures;
        absl::StrAppend(&cases, "><failure type=\"", Xml(check->metric), "\" message=\"",
                        Xml(Utf8(absl::StrCat(PlaceOf(*check), ": ", Sentence(*check),
                                              check->cause.empty() ? "" : absl::StrCat("; cause ", check->cause)))),
                        "\">", Xml(Utf8(Details(*check))), "</failure></testcase>\n");
      } else if (check->outcome == CheckOutcome::kWaived) {
        ++skipped;
        // As text: the oldest of the Jenkins schemas in use allows no attribute here.
        absl::StrAppend(&cases, "><skipped>", Xml(Utf8(absl::StrCat("waived: ", check->waiver_reason))), "</skipped></testcase>\n");
      } else if (check->outcome == CheckOutcome::kWarn) {
        absl::StrAppend(&cases, "><system-out>", Xml(Utf8(absl::StrCat("warning: ", Details(*check)))), "</system-out></testcase>\n");
      } else {
        absl::StrAppend(&cases, "/>\n");
      }
    }
    absl::StrAppend(&text, "  <testsuite name=\"", Xml(Utf8(target)), "\" tests=\"", checks.size(), "\" failures=\"", failures,
                    "\" errors=\"0\" skipped=\"", skipped, "\">\n", cases, "  </testsuite>\n");
  }
  return absl::StrCat(text, "</testsuites>\n");
}

std::string WriteSarif(const GateResult& result) {
  Json rules = Json::array(), results = Json::array();
  std::map<std::string, std::size_t> index;
  const auto add = [&](const std::string& rule, const std::string& level, const std::string& message,
                       const std::string& fingerprint, const Check* check) {
    const auto [it, inserted] = index.try_emplace(rule, index.size());
    if (inserted) rules.push_back({{"id", rule}, {"shortDescription", {{"text", rule}}}});
    Json entry{{"ruleId", rule},
               {"ruleIndex", it->second},
               {"level", level},
               {"message", {{"text", message}}},
               {"partialFingerprints", {{"qatgapCheck/v1", fingerprint}}}};
    Json location{{"logicalLocations",
                   Json::array({{{"fullyQualifiedName", check == nullptr ? "model" : PlaceOf(*check)}, {"kind", "module"}}})}};
    const auto [file, line] = FileAndLine(result, check);
    location["physicalLocation"] = {{"artifactLocation", {{"uri", Uri(file)}}}, {"region", {{"startLine", line}}}};
    entry["locations"] = Json::array({std::move(location)});
    if (check != nullptr && check->outcome == CheckOutcome::kWaived) {
      entry["suppressions"] = Json::array({{{"kind", "external"}, {"justification", check->waiver_reason}}});
    }
    results.push_back(std::move(entry));
  };
  for (std::size_t i = 0; i < result.not_comparable.size(); ++i) {
    add("comparable", "error", result.not_comparable[i], Fingerprint(KeyOfReason(i)), nullptr);
  }
  for (const Check& check : result.checks) {
    if (check.outcome == CheckOutcome::kPass) continue;
    const std::string level = check.outcome == CheckOutcome::kFail ? "error" : check.outcome == CheckOutcome::kWarn ? "warning" : "note";
    add(check.rule, level, absl::StrCat(PlaceOf(check), ": ", Details(check)), Fingerprint(check), &check);
  }
  return Dump({{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
               {"version", "2.1.0"},
               {"runs", Json::array({{{"tool", {{"driver", {{"name", "qatgap"}, {"rules", std::move(rules)}}}}},
                                      {"results", std::move(results)}}})}});
}

std::string WriteGitlabCodeQuality(const GateResult& result) {
  Json entries = Json::array();
  const std::string fallback = FileAndLine(result, nullptr).first;
  for (std::size_t i = 0; i < result.not_comparable.size(); ++i) {
    entries.push_back({{"description", result.not_comparable[i]}, {"check_name", "comparable"},
                       {"fingerprint", Fingerprint(KeyOfReason(i))}, {"severity", "blocker"},
                       {"location", {{"path", fallback}, {"lines", {{"begin", 1}}}}}});
  }
  for (const Check& check : result.checks) {
    if (check.outcome != CheckOutcome::kFail && check.outcome != CheckOutcome::kWarn) continue;
    const auto [file, line] = FileAndLine(result, &check);
    entries.push_back({{"description", absl::StrCat(PlaceOf(check), ": ", Sentence(check))},
                       {"check_name", check.rule},
                       {"fingerprint", Fingerprint(check)},
                       {"severity", check.outcome == CheckOutcome::kFail ? "major" : "minor"},
                       {"location", {{"path", file}, {"lines", {{"begin", line}}}}}});
  }
  return Dump(entries);
}

std::string WriteJson(const GateResult& result) {
  Json checks = Json::array();
  for (const Check& check : result.checks) checks.push_back(ToJson(check));
  return Dump({{"verdict", ToString(result.verdict)},
               {"summary", Headline(result)},
               {"not_comparable", result.not_comparable},
               {"notes", result.notes},
               {"report", result.report_name},
               {"baseline", result.baseline_name},
               {"rules", result.rules_name},
               {"accept_command", result.accept_command},
               {"checks", std::move(checks)}});
}

}  // namespace qatgap::report::gate
