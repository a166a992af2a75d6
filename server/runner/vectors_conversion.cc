#include "server/runner/vectors_conversion.h"

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "analyzers/report/wording.h"
#include "analyzers/status/status_macros.h"
#include "server/result_conversion.h"
#include "server/runner/zip_writer.h"

namespace qatgap::runner {
namespace {

// Names of cases, and texts that quote them, come from a client: fit to be shown, and UTF-8, as a message's strings must
// be. Line ends stay.
std::string Shown(const std::string& text) {
  std::vector<std::string> lines;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) lines.push_back(report::DisplayText(std::string(line)));
  return absl::StrJoin(lines, "\n");
}

std::uint64_t Count(std::int64_t value) { return static_cast<std::uint64_t>(value); }

void Fill(const vectors::Mismatch& mismatch, qatgap::v1::ElementMismatch& message) {
  for (const std::int64_t index : mismatch.index) message.add_index(index);
  message.set_channel(mismatch.channel);
  message.set_expected(mismatch.expected);
  message.set_computed(mismatch.computed);
  message.set_traced(mismatch.traced);
  if (!mismatch.traced) return;
  message.set_accumulator(mismatch.trace.accumulator);
  message.set_sum(mismatch.trace.sum);
  message.set_biased(mismatch.trace.biased);
  message.set_scaled(mismatch.trace.scaled);
  message.set_rounded(mismatch.trace.rounded);
  message.set_unclamped(mismatch.trace.unclamped);
  message.set_bias_real(mismatch.bias_real);
  message.set_bias_stored(mismatch.bias_stored);
  message.set_multiplier(mismatch.multiplier);
  message.set_zero_point(mismatch.zero_point);
  message.set_min(mismatch.min);
  message.set_max(mismatch.max);
}

void Fill(const vectors::BiasMismatch& mismatch, qatgap::v1::BiasMismatch& message) {
  message.set_channel(mismatch.channel);
  message.set_real(mismatch.real);
  message.set_expected(mismatch.expected);
  message.set_scale(mismatch.computed.scale);
  message.set_rounded(mismatch.computed.rounded);
  message.set_stored(mismatch.computed.stored);
}

void Fill(const vectors::CaseOutcome& outcome, qatgap::v1::CaseOutcome& message) {
  message.set_name(Shown(outcome.name));
  message.set_target(Shown(outcome.target));
  message.set_op(Shown(outcome.op));
  message.set_elements(Count(outcome.elements));
  message.set_mismatches(Count(outcome.mismatches));
  message.set_bias_mismatches(Count(outcome.bias_mismatches));
  for (const vectors::Mismatch& mismatch : outcome.first) Fill(mismatch, *message.add_first());
  for (const vectors::BiasMismatch& mismatch : outcome.first_bias) Fill(mismatch, *message.add_first_bias());
  message.set_refused(Shown(outcome.refused));
}

}  // namespace

qatgap::v1::VerifyTargetResponse ToProto(const vectors::Verification& verification,
                                         const numerics::TargetDescription& target) {
  qatgap::v1::VerifyTargetResponse message;
  *message.mutable_target() = server::ToProto(target);
  message.set_exact(verification.exact());
  message.set_elements(Count(verification.elements));
  message.set_mismatches(Count(verification.mismatches));
  message.set_exact_cases(Count(verification.exact_cases));
  for (const vectors::CaseOutcome& outcome : verification.cases) Fill(outcome, *message.add_cases());
  message.set_host(Shown(verification.host));
  message.set_text(Shown(vectors::ToText(verification, target)));
  return message;
}

absl::StatusOr<qatgap::v1::IdentifyTargetResponse> ToProto(const vectors::Identification& identification) {
  qatgap::v1::IdentifyTargetResponse message;
  message.set_exact(identification.exact());
  message.set_cases(Count(identification.cases));
  message.set_elements(Count(identification.elements));
  message.set_candidates_tried(Count(identification.candidates_tried));
  for (const std::string& name : identification.shipped) message.add_shipped(name);
  for (const vectors::Candidate& candidate : identification.best) {
    qatgap::v1::IdentifiedTarget& part = *message.add_best();
    *part.mutable_target() = server::ToProto(candidate.target);
    part.set_mismatches(Count(candidate.mismatches));
  }
  for (const vectors::OpenKnob& knob : identification.open) {
    qatgap::v1::OpenKnob& part = *message.add_open();
    part.set_field(knob.field);
    for (const std::string& value : knob.values) part.add_values(value);
  }
  vectors::Files files;
  std::set<std::string> folders;
  for (std::size_t i = 0; i < identification.proposals.size(); ++i) {
    const vectors::Proposal& proposal = identification.proposals[i];
    vectors::Case layer = proposal.layer;
    // Each has a folder of its own.
    if (layer.name.empty() || !folders.insert(layer.name).second) layer.name = absl::StrCat("proposal_", i + 1);
    folders.insert(layer.name);
    files.merge(vectors::WriteCase(layer));
    qatgap::v1::ProposedLayer& part = *message.add_proposals();
    part.set_field(proposal.field);
    part.set_reason(Shown(proposal.reason));
    part.set_folder(Shown(layer.name));
  }
  if (!files.empty()) {
    QATGAP_ASSIGN_OR_RETURN(*message.mutable_proposed_vectors(), WriteZip(files));
  }
  message.set_text(Shown(vectors::ToText(identification)));
  return message;
}

}  // namespace qatgap::runner
