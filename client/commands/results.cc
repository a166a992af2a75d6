#include "client/commands/results.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/commands/figures.h"
#include "client/terminal/progress.h"
#include "client/terminal/text.h"

namespace qatgap::cli {
namespace {

constexpr std::size_t kIndent = 2;

void PrintIndented(const terminal::Output& out, std::string_view text, std::string_view bullet) {
  std::string lead(bullet);
  for (const std::string& line :
       terminal::Wrap(terminal::Sanitize(text), out.columns - kIndent - bullet.size())) {
    *out.stream << std::string(kIndent, ' ') << lead << line << '\n';
    lead.assign(bullet.size(), ' ');
  }
}

// Each distinct note on the engine once, with how many rows it concerns.
void PrintEngineNotes(const terminal::Output& out, const std::vector<v1::LayerSummary>& layers) {
  std::vector<std::pair<std::string, std::size_t>> notes;
  for (const auto& layer : layers) {
    if (layer.engine_note().empty()) continue;
    const std::string note = absl::StrCat(
        layer.engine_measured() ? "engine: " : "engine not measured: ", layer.engine_note());
    const auto known = std::find_if(notes.begin(), notes.end(),
                                    [&](const auto& entry) { return entry.first == note; });
    if (known == notes.end()) {
      notes.emplace_back(note, 1);
    } else {
      ++known->second;
    }
  }
  for (const auto& [note, rows] : notes) {
    PrintIndented(out, absl::StrCat(note, " (", rows, rows == 1 ? " row)" : " rows)"), "");
  }
}

}  // namespace

std::string TargetsText(const v1::AnalysisSpec& spec, const char* separator) {
  std::string text = absl::StrJoin(spec.targets(), separator);
  if (spec.target_descriptions_size() > 0) {
    absl::StrAppend(&text, text.empty() ? "" : separator, spec.target_descriptions_size(), " of your own");
  }
  return text;
}

terminal::Table LayerTable(const std::vector<v1::LayerSummary>& layers) {
  using terminal::Align;
  terminal::Table table({{"layer", Align::kLeft, 16},
                         {"kind", Align::kLeft, 0},
                         {"outputs", Align::kRight, 0},
                         {"changed %", Align::kRight, 0},
                         {"max LSB", Align::kRight, 0},
                         {"SQNR dB", Align::kRight, 0},
                         {"causes", Align::kLeft, 14}});
  for (const v1::LayerSummary& layer : layers) {
    std::string name = layer.info().name();
    if (!layer.info().source_line().empty()) absl::StrAppend(&name, " ", layer.info().source_line());
    if (layer.info().inputs_size() > 1)
      absl::StrAppend(&name, " (input ", layer.input_index() + 1, " of ", layer.info().inputs_size(), ")");
    const v1::DifferenceStatistics total =
        layer.causes_size() == 8 ? layer.causes(7) : v1::DifferenceStatistics();
    table.AddRow({name, layer.info().kind(), absl::StrCat(total.count()), ChangedPercentText(total),
                  absl::StrCat(total.max_absolute()), SqnrText(total, layer.info().output()),
                  CausesText(layer)});
  }
  return table;
}

void PrintVerdict(const terminal::Output& out, const v1::Verdict& verdict) {
  for (const std::string& line :
       terminal::Wrap(terminal::Sanitize(verdict.headline()), out.columns)) {
    *out.stream << terminal::Styled(out, terminal::Style::kBold, line) << '\n';
  }
  for (const std::string& sentence : verdict.sentences()) PrintIndented(out, sentence, "- ");
}

absl::Status PrintResults(const terminal::Output& out, client::Client& client,
                          const v1::Analysis& analysis, bool headlines_only) {
  bool first = true;
  for (const v1::Verdict& verdict : analysis.verdicts()) {
    if (headlines_only) {
      *out.stream << terminal::Sanitize(verdict.target()) << ": "
                  << terminal::Sanitize(verdict.headline()) << '\n';
      continue;
    }
    const auto layers = client.ListLayers(analysis.id(), verdict.target());
    if (!layers.ok()) return layers.status();
    if (!first) *out.stream << '\n';
    first = false;
    *out.stream << terminal::Styled(out, terminal::Style::kBold,
                                    absl::StrCat("target ", terminal::Sanitize(verdict.target())))
                << "\n\n";
    const terminal::Table table = LayerTable(*layers);
    if (table.empty()) {
      *out.stream << "  no layer was compared\n";
    } else {
      const auto lines = table.Lines(out.is_terminal ? out.columns : 0);
      *out.stream << terminal::Styled(out, terminal::Style::kDim, lines.front()) << '\n';
      for (std::size_t i = 1; i < lines.size(); ++i) *out.stream << lines[i] << '\n';
    }
    PrintEngineNotes(out, *layers);
    *out.stream << '\n';
    PrintVerdict(out, verdict);
  }
  out.stream->flush();
  return absl::OkStatus();
}

absl::StatusOr<v1::Analysis> Follow(const terminal::Output& err, client::Client& client,
                                    const std::string& id, bool quiet) {
  terminal::Progress progress(err, quiet);
  v1::AnalysisProgress last;
  return client.Watch(id, [&](const v1::WatchAnalysisResponse& event) {
    if (event.has_analysis()) {
      last = event.analysis().progress();
      if (event.analysis().state() == v1::ANALYSIS_STATE_QUEUED) {
        progress.Update("waiting for a runner", 0, 0);
        return;
      }
    } else if (event.has_progress()) {
      last = event.progress();
    } else {
      return;
    }
    progress.Update("running", last.samples_done(), last.samples_total());
  });
}

}  // namespace qatgap::cli
