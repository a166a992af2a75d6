// What a gate's result looks like to the tools of a CI: each is one file.
#pragma once

#include <string>

#include "analyzers/report/gate/verdict.h"

namespace qatgap::report::gate {

// "gate failed: 3 failed, 1 warning, 40 passed": the first line of every surface.
std::string Headline(const GateResult& result);

std::string WriteText(const GateResult& result);             // terminal
std::string WriteJUnit(const GateResult& result);            // a test case per target, layer and rule
std::string WriteSarif(const GateResult& result);            // SARIF 2.1.0, stable fingerprints
std::string WriteGithubAnnotations(const GateResult& result);  // ::error file=...::
std::string WriteGitlabCodeQuality(const GateResult& result);  // Code Climate's JSON
std::string WriteMarkdown(const GateResult& result);         // failing rows only; the step summary too
std::string WriteJson(const GateResult& result);

std::string WriteText(const Comparison& comparison);
std::string WriteMarkdown(const Comparison& comparison);

// A report's JSON as a baseline file: only what the gate reads, keys sorted, one figure a line, so that a diff shows what
// moved. Two analyses of the same inputs give the same bytes: it holds no id. ReadReport reads it back with equal metrics
// and identity.
std::string WriteBaseline(const MeasuredReport& report);

}  // namespace qatgap::report::gate
