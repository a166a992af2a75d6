#include "analyzers/report/html_writer.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzers/report/html_parts.h"
#include "analyzers/report/html_target.h"
#include "analyzers/report/layer_view.h"
#include "analyzers/report/report.h"
#include "analyzers/report/wording.h"
#include "analyzers/status/string_view.h"

namespace qatgap::report {
namespace {

// Of all targets together: a script shows every one, so this is only for readers without.
constexpr std::size_t kDetailedLayers = 60;

std::string Overview(const AnalysisResult& result) {
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < result.targets.size(); ++i) {
    const TargetResult& target = result.targets[i];
    const CauseShares shares = SharesOf(target);
    const double bias = shares.share[static_cast<std::size_t>(Cause::kBiasRounding)] +
                        shares.share[static_cast<std::size_t>(Cause::kBiasSaturation)];
    const PathComparison* end = FindComparison(target, Path::kTarget, Path::kFakeQuant);
    const PathComparison* bias_end = FindComparison(target, Path::kQuantizedBias, Path::kFloatBias);
    const Coverage coverage = CoverageOf(result, target);
    const auto answers = [&](const PathComparison* comparison) {
      return comparison == nullptr
                 ? std::string("-")
                 : absl::StrCat(Grouped(comparison->top1_changed), " of ", Grouped(result.samples));
    };
    rows.push_back(
        {absl::StrCat("<a href=\"#target-", i, "\">", Escape(DisplayName(target.name)), "</a>"),
         target.bias_mode == numerics::BiasMode::kInteger ? "integer" : "float",
         shares.defined ? Percent(bias) : "bit exact", answers(bias_end), answers(end),
         absl::StrCat(coverage.analysed, " of ", coverage.mac_layers)});
  }
  return absl::StrCat("<section aria-labelledby=\"overview\">\n<h2 id=\"overview\">Targets</h2>\n",
                      HtmlTable("What quantizing the bias does under each target",
                                {{"target"},
                                 {"bias kept as"},
                                 {"share of the bias", /*numeric=*/true},
                                 {"answers changed by bias", /*numeric=*/true},
                                 {"answers changed in all", /*numeric=*/true},
                                 {"layers analysed", /*numeric=*/true}},
                                rows),
                      "</section>\n");
}

std::string Findings(const std::vector<Finding>& findings) {
  std::string html =
      "<section id=\"findings\" aria-labelledby=\"findings-title\">\n<h2 "
      "id=\"findings-title\">Findings</h2>\n<p class=\"soft small\">Found in the models "
      "themselves, "
      "without running data.</p>\n";
  if (findings.empty()) absl::StrAppend(&html, "<p>None.</p>\n");
  for (const Finding& finding : findings) {
    absl::StrAppend(&html, "<div class=\"finding\"><h3><span class=\"tag ",
                    Text(ToString(finding.severity)), "\">", Text(ToString(finding.severity)),
                    "</span>", Escape(finding.id), " ", Escape(finding.title), "</h3>");
    std::vector<std::string> where;
    if (!finding.layer.empty()) where.push_back(absl::StrCat("layer ", DisplayName(finding.layer)));
    if (!finding.target.empty()) where.push_back(absl::StrCat("target ", finding.target));
    if (!finding.channels.empty()) where.push_back(ChannelList(finding.channels, 16));
    if (!where.empty()) {
      absl::StrAppend(&html, "<p class=\"small soft\">", Escape(absl::StrJoin(where, "; ")),
                      "</p>");
    }
    if (!finding.detail.empty()) absl::StrAppend(&html, "<p>", Escape(finding.detail), "</p>");
    if (!finding.advice.empty()) {
      absl::StrAppend(&html, "<p><strong>Advice:</strong> ", Escape(finding.advice), "</p>");
    }
    absl::StrAppend(&html, "</div>\n");
  }
  return absl::StrCat(html, "</section>\n");
}

std::string NotMeasured(const std::vector<Unmeasured>& entries) {
  std::string html =
      "<section id=\"unmeasured\" aria-labelledby=\"unmeasured-title\">\n<h2 "
      "id=\"unmeasured-title\">Not measured</h2>\n";
  if (entries.empty()) return absl::StrCat(html, "<p>Nothing was left out.</p>\n</section>\n");
  std::vector<std::vector<std::string>> rows;
  for (const Unmeasured& entry : entries) {
    rows.push_back({Escape(DisplayName(entry.name)), Escape(DisplayName(entry.what)),
                    entry.is_mac_layer ? "yes" : "no", Escape(entry.reason)});
  }
  absl::StrAppend(&html, HtmlTable("What this report says nothing about, and why",
                                   {{"name"}, {"what"}, {"MAC layer"}, {"reason"}}, rows));
  return absl::StrCat(html, "</section>\n");
}

std::string Blob(const BlobInfo& blob) {
  if (blob.sha256.empty()) return "not given";
  return absl::StrCat(Escape(DisplayName(blob.name)), ", ", Counted(blob.bytes, "byte"),
                      "<br><code>sha256 ", Escape(blob.sha256), "</code>");
}

std::string Provenance(const Report& report) {
  const Environment& environment = report.result.environment;
  std::string html =
      "<section id=\"provenance\" aria-labelledby=\"provenance-title\">\n<h2 "
      "id=\"provenance-title\">Environment and provenance</h2>\n<dl>";
  const auto row = [&](std::string_view term, const std::string& value) {
    absl::StrAppend(&html, "<dt>", Text(term), "</dt><dd>", value.empty() ? "-" : value, "</dd>\n");
  };
  row("QAT model", Blob(report.qat_model));
  row("format", Escape(report.result.qat_format));
  row("converted model", Blob(report.converted_model));
  if (!report.result.converted_format.empty()) row("its format", Escape(report.result.converted_format));
  if (report.sample_inputs.empty()) row("samples", Blob(report.samples));
  for (const SampleInputInfo& input : report.sample_inputs) {
    row(input.input_name.empty() ? "samples" : absl::StrCat("samples of ", Escape(DisplayName(input.input_name))),
        Blob(input.file));
  }
  for (const std::string& normalization : report.normalizations) row("normalisation", Escape(normalization));
  row("labels", Blob(report.labels));
  row("qatgap", Escape(environment.tool_version));
  row("LibTorch", Escape(environment.libtorch_version));
  row("engines", Escape(absl::StrJoin(environment.engines, ", ")));
  row("CPU features", Escape(absl::StrJoin(environment.cpu_features, ", ")));
  row("batch size, threads", absl::StrCat(environment.batch_size, ", ", environment.threads));
  row("units of work", absl::StrCat(report.units));
  row("run time", absl::StrCat(Significant(report.run_seconds, 3), " s"));
  row("peak memory of a runner",
      absl::StrCat(Significant(static_cast<double>(report.runner_peak_bytes) / 1048576.0, 4),
                   " MiB"));
  return absl::StrCat(html, "</dl>\n</section>\n");
}

}  // namespace

std::string HtmlContent(const Report& report) {
  AnalysisResult result = report.result;
  Canonicalize(result);
  std::string html = absl::StrCat(
      "<h1>", HtmlTitle(report), "</h1>\n<p class=\"soft\">How far the integer model that runs is from the model that was "
      "trained: ",
      Counted(result.samples, "sample"), ", ", Counted(result.layers.size(), "layer"), ", ",
      Counted(result.targets.size(), "target"), ". ", Escape(report.create_time), "</p>\n");
  if (result.targets.size() > 1) absl::StrAppend(&html, Overview(result));
  const std::size_t details = kDetailedLayers / std::max<std::size_t>(1, result.targets.size());
  for (std::size_t i = 0; i < result.targets.size(); ++i) {
    absl::StrAppend(&html, TargetSection(report, result, result.targets[i], i, details));
  }
  absl::StrAppend(&html, Findings(result.findings), NotMeasured(result.unmeasured),
                  Provenance(report));
  return absl::StrCat(
      html, "<p class=\"small soft\">Analysis ", Escape(report.analysis_id),
      ". LSB: one step of a layer's output code. SQNR: signal power over difference power.</p>\n");
}

std::string HtmlTitle(const Report& report) {
  return Escape(report.title.empty() ? std::string("QAT gap report") : DisplayName(report.title));
}

}  // namespace qatgap::report
