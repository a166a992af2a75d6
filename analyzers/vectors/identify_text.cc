#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "analyzers/numerics/target_fields.h"
#include "analyzers/status/string_view.h"
#include "analyzers/vectors/identify.h"
#include "analyzers/vectors/knobs.h"

namespace qatgap::vectors {
namespace {

std::string Plural(std::int64_t count, std::string_view noun) {
  return absl::StrCat(count, " ", Text(noun), count == 1 ? "" : "s");
}

// Fields that a target file has whatever their effect; the others are written where they have one.
std::string Field(std::string_view name, const std::string& value) {
  return absl::StrCat("  ", Text(name), ": ", value, "\n");
}

// The description as a target file.
std::string Yaml(const numerics::TargetDescription& target) {
  std::string text = absl::StrCat("name: ", target.name, "\ntitle: ", target.title, "\nsummary: ", target.summary,
                                  "\nsource: ", target.source,
                                  "\nevidence:\n  kind: unverified\n  detail: ", target.evidence.detail, "\n");
  if (target.requantization.mode == numerics::RequantMode::kPowerOfTwoShift) text += "scales: power_of_two\n";
  std::string section;
  for (const Knob& knob : Knobs()) {
    const std::size_t dot = knob.field.find('.');
    const std::optional<std::string> value = knob.value(target);
    // Of the other section, and a field that is left out where it says nothing.
    if (!value || knob.field == "requantization.fused_multiply_add" || *value == "0") continue;
    if (const std::string name(knob.field.substr(0, dot)); name != section) {
      section = name;
      text += section + ":\n";
    }
    text += Field(knob.field.substr(dot + 1), *value);
  }
  if (ReadsFusedMultiplyAdd(target.bias)) {
    text += Field("fused_multiply_add", target.requantization.fused_multiply_add ? "true" : "false");
  }
  if (target.requantization.vector_channels != 0) {
    text += Field("tail_mode", std::string(ToString(target.requantization.tail_mode)));
  }
  return text;
}

std::string OneLine(const numerics::TargetDescription& target) {
  std::vector<std::string> parts;
  for (const Knob& knob : Knobs()) {
    const std::optional<std::string> value = knob.value(target);
    if (value && *value != "false") parts.push_back(absl::StrCat(Text(knob.field), " ", *value));
  }
  return absl::StrJoin(parts, ", ");
}

// Lines of at most 100 columns, words kept whole, each indented.
std::string Wrapped(const std::string& text, std::size_t indent) {
  constexpr std::size_t kColumns = 100;
  std::string result(indent, ' ');
  std::size_t column = indent;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = text.find(' ', at);
    end = end == std::string::npos ? text.size() : end;
    const std::size_t width = end - at;
    if (column > indent && column + 1 + width > kColumns) {
      result.push_back('\n');
      result.append(indent, ' ');
      column = indent;
    } else if (column > indent) {
      result += " ";
      ++column;
    }
    result.append(text, at, width);
    column += width;
    at = end + 1;
  }
  return result + "\n";
}

// The knobs in which `target` is not `other`.
std::string Differences(const numerics::TargetDescription& target, const numerics::TargetDescription& other) {
  std::vector<std::string> parts;
  for (const Knob& knob : Knobs()) {
    const std::optional<std::string> value = knob.value(target);
    if (value && value != knob.value(other)) parts.push_back(absl::StrCat(Text(knob.field), " ", *value));
  }
  return absl::StrCat("as ", other.name, " but for ", absl::StrJoin(parts, ", "));
}

std::string Closest(const Identification& identification) {
  std::string text = "No description reproduces every element. The closest:\n";
  const Candidate& first = identification.best.front();
  for (const Candidate& candidate : identification.best) {
    text += absl::StrFormat("\n  %s: %d of %d differ\n", candidate.target.name, candidate.mismatches,
                            identification.elements);
    const bool delegates = !candidate.target.delegates.empty() || !first.target.delegates.empty();
    const bool is_first = &candidate == &first;
    text += Wrapped(!candidate.target.delegates.empty() ? candidate.target.title
                    : is_first || delegates             ? OneLine(candidate.target)
                                                        : Differences(candidate.target, first.target),
                    4);
    if (!is_first) continue;
    constexpr std::size_t kShownCases = 4;
    for (std::size_t i = 0; i < std::min(candidate.missed.size(), kShownCases); ++i) {
      const CaseOutcome& outcome = candidate.missed[i];
      std::string line =
          absl::StrFormat("misses %d of %d elements of %s", outcome.mismatches, outcome.elements, outcome.name);
      if (outcome.bias_mismatches > 0) line += absl::StrFormat(" and %d integer biases", outcome.bias_mismatches);
      if (!outcome.first.empty()) {
        const Mismatch& m = outcome.first.front();
        line +=
            absl::StrFormat(": at [%s] accumulator %d becomes %.9g and code %d, the vectors say %d",
                            absl::StrJoin(m.index, ", "), m.trace.accumulator, m.trace.scaled, m.computed, m.expected);
      }
      text += Wrapped(line, 6);
    }
    if (candidate.missed.size() > kShownCases) {
      text += absl::StrFormat("      and elements of %d more cases\n", candidate.missed.size() - kShownCases);
    }
  }
  return text;
}

std::string Exact(const Identification& identification) {
  std::string text;
  if (!identification.shipped.empty()) {
    text += absl::StrCat("Reproduced bit for bit by the shipped ",
                         identification.shipped.size() == 1 ? "target " : "targets ",
                         absl::StrJoin(identification.shipped, ", "), ".\n\n");
  }
  if (!identification.best.front().target.delegates.empty()) {
    return text + "Its rules depend on the layer or the host; no single rule reproduces every element.\n";
  }
  text += "A description that reproduces every element, as a target file:\n\n";
  text += Yaml(identification.best.front().target);
  for (std::size_t i = 1; i < identification.best.size(); ++i) {
    const Candidate& candidate = identification.best[i];
    text += absl::StrCat("\nSo does ", candidate.target.name, ", of another kind:\n",
                         Wrapped(OneLine(candidate.target), 2));
  }
  if (identification.open.empty()) return text + "\nNo knob is left open.\n";
  text += "\nThese vectors leave open:\n\n";
  for (const OpenKnob& open : identification.open)
    text += Wrapped(absl::StrCat(open.field, ": ", absl::StrJoin(open.values, ", ")), 2);
  if (identification.proposals.empty()) return text;
  text += "\nTo decide, capture linear layers like these:\n";
  for (const Proposal& proposal : identification.proposals) {
    text += absl::StrCat("\n  ", proposal.field, "\n", Wrapped(proposal.reason, 4));
  }
  return text;
}

std::string Summary(const Identification& identification) {
  if (!identification.exact()) {
    const std::string nearest =
        identification.best.empty()
            ? "none"
            : absl::StrCat(identification.best.front().target.name, " with ", identification.best.front().mismatches,
                           " of ", identification.elements, " different");
    return absl::StrCat("not identified: none of ", Plural(identification.candidates_tried, "description"),
                        " fits; the closest is ", nearest, "\n");
  }
  const std::string names = identification.shipped.empty() ? identification.best.front().target.name
                                                           : absl::StrJoin(identification.shipped, ", ");
  const bool several = identification.shipped.size() > 1;
  std::string text = absl::StrCat("identified: ", names, several ? " each reproduce all " : " reproduces all ",
                                  Plural(identification.elements, "element"));
  if (identification.best.front().target.delegates.empty()) {
    absl::StrAppend(
        &text, "; ",
        identification.open.empty() ? "no knob" : Plural(static_cast<std::int64_t>(identification.open.size()), "knob"),
        " left open");
  }
  return text + "\n";
}

}  // namespace

std::string ToText(const Identification& identification) {
  std::string text =
      absl::StrCat(Plural(identification.cases, "case"), " with ", Plural(identification.elements, "element"), ", ",
                   Plural(identification.candidates_tried, "description"), " tried\n");
  if (identification.contradictions > 0) {
    text += Wrapped(
        absl::StrCat(
            Plural(identification.contradictions, "element"),
            " have the accumulator of another element of their "
            "channel and yet another code: products saturated in pairs, or rounding that depends on the position."),
        0);
  }
  text += "\n";
  if (identification.exact())
    text += Exact(identification);
  else
    text += Closest(identification);
  return text + "\n" + Summary(identification);
}

}  // namespace qatgap::vectors
