// Figures derived from integer sums, as text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "qatgap/v1/analysis.pb.h"
#include "qatgap/v1/report.pb.h"

namespace qatgap::cli {

// Signal to noise of codes: 10 log10(sum (ref - zero_point)^2 / sum d^2), in dB. Nothing when no
// element differs or the reference is all zero.
std::optional<double> SqnrDb(const v1::DifferenceStatistics& difference, std::int64_t zero_point);

// "exact" when nothing changed, "38.4", "-" where there is no ratio.
std::string SqnrText(const v1::DifferenceStatistics& difference, const v1::QuantParams& output);

// Share of changed elements: "0", "3.21", "<0.01", ">99.99", "100"; "-" when nothing was compared.
std::string ChangedPercentText(const v1::DifferenceStatistics& difference);

// "bias rounding"
std::string_view CauseName(std::size_t index);

// The two causes that explain most of the whole difference, by sum(d * D) / sum(D^2), which adds up
// to 1 over the causes: "conversion 71 %, bias rounding 20 %". "causes cancel out" when parts
// differ and the whole does not; "-" when nothing differs.
std::string CausesText(const v1::LayerSummary& layer);

}  // namespace qatgap::cli
