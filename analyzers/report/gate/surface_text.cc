// Surfaces that people read: terminal, Markdown, annotations.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "analyzers/report/gate/check_words.h"
#include "analyzers/report/gate/surfaces.h"
#include "analyzers/status/string_view.h"

namespace qatgap::report::gate {
namespace {

bool IsShown(const Check& check) { return check.outcome != CheckOutcome::kPass; }

// Names come from models: a line break in one would start a line, and in a CI's log a workflow command.
std::string OneLine(std::string_view value) { return absl::StrReplaceAll(Text(value), {{"\n", " "}, {"\r", " "}}); }

void AppendReasons(const GateResult& result, std::string_view bullet, std::string& text) {
  if (result.not_comparable.size() > 1) {
    for (const std::string& reason : result.not_comparable) absl::StrAppend(&text, Text(bullet), OneLine(reason), "\n");
  }
}

// A cell of a Markdown table: names come from models.
std::string Cell(std::string_view value) {
  return absl::StrReplaceAll(Text(value), {{"|", "\\|"}, {"\n", " "}, {"\r", " "}, {"<", "&lt;"}, {">", "&gt;"}, {"`", "'"}});
}

// Text of a workflow command: %, line breaks; of its properties also : and ,.
std::string Escaped(std::string_view value, bool property) {
  std::string text = absl::StrReplaceAll(Text(value), {{"%", "%25"}, {"\r", "%0D"}, {"\n", "%0A"}});
  return property ? absl::StrReplaceAll(text, {{":", "%3A"}, {",", "%2C"}}) : text;
}

// "model.py:42" as file and line; both empty where the model does not tell.
std::pair<std::string, std::string> FileAndLine(const std::string& source_line) {
  const std::size_t colon = source_line.rfind(':');
  if (colon == std::string::npos) return {};
  return {source_line.substr(0, colon), source_line.substr(colon + 1)};
}

std::string Arrow(const Movement& movement) {
  return absl::StrCat(NumberOr(movement.before, "none"), " -> ", NumberOr(movement.after, "none"));
}

}  // namespace

std::string WriteText(const GateResult& result) {
  std::string text = absl::StrCat(OneLine(Headline(result)), "\n");
  AppendReasons(result, "  - ", text);
  for (const Check& check : result.checks) {
    if (!IsShown(check)) continue;
    absl::StrAppend(&text, "\n", Text(ToString(check.outcome)), "  ", OneLine(check.rule), ": ", OneLine(PlaceOf(check)), "\n    ",
                    Sentence(check), "\n");
    if (!check.cause.empty()) absl::StrAppend(&text, "    cause: ", check.cause, "\n");
    if (!check.source_line.empty()) absl::StrAppend(&text, "    in ", OneLine(check.source_line), "\n");
    if (!check.advice.empty()) absl::StrAppend(&text, "    advice: ", OneLine(check.advice), "\n");
    if (!check.waiver_reason.empty()) absl::StrAppend(&text, "    waived: ", OneLine(check.waiver_reason), "\n");
  }
  for (const std::string& note : result.notes) absl::StrAppend(&text, "\nnote: ", OneLine(note), "\n");
  if (result.verdict != Verdict::kPass && !result.accept_command.empty()) {
    absl::StrAppend(&text, "\nto accept this report as the new baseline:\n    ", result.accept_command, "\n");
  }
  return text;
}

std::string WriteMarkdown(const GateResult& result) {
  std::string text = absl::StrCat("### qatgap: ", Cell(Headline(result)), "\n\n");
  AppendReasons(result, "* ", text);
  if (std::any_of(result.checks.begin(), result.checks.end(), IsShown)) {
    absl::StrAppend(&text, "| outcome | rule | target | layer | expected | found | baseline | delta | cause | advice |\n",
                    "|---|---|---|---|---|---:|---:|---:|---|---|\n");
  }
  for (const Check& check : result.checks) {
    if (!IsShown(check)) continue;
    const std::string layer = check.source_line.empty() ? check.layer : absl::StrCat(check.layer, " (", check.source_line, ")");
    absl::StrAppend(&text, "| ", Text(ToString(check.outcome)), " | ", Cell(check.rule), " | ", Cell(check.target), " | ");
    absl::StrAppend(&text, Cell(layer), " | ", Cell(check.limit), " | ", NumberOr(check.found, ""), " | ");
    absl::StrAppend(&text, NumberOr(check.baseline, ""), " | ", NumberOr(check.delta, ""), " | ", check.cause, " | ");
    absl::StrAppend(&text, Cell(check.waiver_reason.empty() ? check.advice : absl::StrCat("waived: ", check.waiver_reason)), " |\n");
  }
  for (const std::string& note : result.notes) absl::StrAppend(&text, "\nNote: ", Cell(note), "\n");
  if (result.verdict != Verdict::kPass && !result.accept_command.empty()) {
    absl::StrAppend(&text, "\nTo accept this report as the new baseline: `", Cell(result.accept_command), "`\n");
  }
  return text;
}

std::string WriteGithubAnnotations(const GateResult& result) {
  std::string text;
  for (const std::string& reason : result.not_comparable) {
    absl::StrAppend(&text, "::error title=qatgap%3A not comparable::", Escaped(reason, false), "\n");
  }
  for (const Check& check : result.checks) {
    if (check.outcome != CheckOutcome::kFail && check.outcome != CheckOutcome::kWarn) continue;
    const auto [file, line] = FileAndLine(check.source_line);
    absl::StrAppend(&text, check.outcome == CheckOutcome::kFail ? "::error " : "::warning ");
    if (!file.empty()) absl::StrAppend(&text, "file=", Escaped(file, true), ",line=", Escaped(line, true), ",");
    absl::StrAppend(&text, "title=", Escaped(absl::StrCat("qatgap: ", check.rule), true), "::",
                    Escaped(absl::StrCat(PlaceOf(check), ": ", Sentence(check)), false), "\n");
  }
  return text;
}

std::string WriteText(const Comparison& comparison) {
  std::string text;
  for (const std::string& difference : comparison.differences) absl::StrAppend(&text, "note: ", OneLine(difference), "\n");
  if (comparison.movements.empty()) absl::StrAppend(&text, "nothing moved\n");
  if (!comparison.layers.empty()) absl::StrAppend(&text, "what layers add, on equal inputs (injected.total.changed_rate):\n");
  for (const LayerMovement& layer : comparison.layers) {
    absl::StrAppend(&text, "  ", OneLine(layer.target), "  ", OneLine(layer.layer), "  ", Number(layer.before), " -> ",
                    Number(layer.after), layer.cause.empty() ? "" : absl::StrCat("  most by ", layer.cause), "\n");
  }
  if (!comparison.movements.empty()) absl::StrAppend(&text, "every figure that moved:\n");
  for (const Movement& movement : comparison.movements) {
    absl::StrAppend(&text, "  ", OneLine(movement.target), "  ", movement.layer.empty() ? "(model)" : OneLine(movement.layer), "  ",
                    movement.metric, "  ", Arrow(movement), "\n");
  }
  return text;
}

std::string WriteMarkdown(const Comparison& comparison) {
  std::string text;
  for (const std::string& difference : comparison.differences) absl::StrAppend(&text, "* ", Cell(difference), "\n");
  if (comparison.movements.empty()) return absl::StrCat(text, "Nothing moved.\n");
  if (!comparison.layers.empty()) {
    absl::StrAppend(&text, "\nWhat layers add, on equal inputs (`injected.total.changed_rate`):\n\n",
                    "| target | layer | before | after | most by |\n|---|---|---:|---:|---|\n");
  }
  for (const LayerMovement& layer : comparison.layers) {
    absl::StrAppend(&text, "| ", Cell(layer.target), " | ", Cell(layer.layer), " | ", Number(layer.before), " | ",
                    Number(layer.after), " | ", layer.cause, " |\n");
  }
  absl::StrAppend(&text, "\n| target | layer | metric | before | after |\n|---|---|---|---:|---:|\n");
  for (const Movement& movement : comparison.movements) {
    absl::StrAppend(&text, "| ", Cell(movement.target), " | ", Cell(movement.layer), " | ", movement.metric, " | ",
                    NumberOr(movement.before, ""), " | ", NumberOr(movement.after, ""), " |\n");
  }
  return text;
}

}  // namespace qatgap::report::gate
