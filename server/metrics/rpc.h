// The RPCs of the public contract: the closed set behind the label `method`.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace qatgap::server {

enum class Rpc {
  kUploadArtifact,
  kGetArtifact,
  kCreateAnalysis,
  kGetAnalysis,
  kListAnalyses,
  kWatchAnalysis,
  kCancelAnalysis,
  kDeleteAnalysis,
  kListLayerResults,
  kGetReport,
  kListTargets,
  kGetTarget,
  kDescribeTarget,
  kVerifyTarget,
  kIdentifyTarget,
  kInspectModel,
  kCreateHandoff,
  kEvaluateGate,
  kCompareReports,
  kCreateBaseline,
};

inline constexpr std::array<std::string_view, 20> kRpcNames = {
    "UploadArtifact", "GetArtifact",    "CreateAnalysis",   "GetAnalysis", "ListAnalyses", "WatchAnalysis",
    "CancelAnalysis", "DeleteAnalysis", "ListLayerResults", "GetReport",   "ListTargets",  "GetTarget",
    "DescribeTarget", "VerifyTarget",   "IdentifyTarget",   "InspectModel", "CreateHandoff",
    "EvaluateGate",   "CompareReports", "CreateBaseline"};

constexpr std::string_view ToString(Rpc rpc) { return kRpcNames[static_cast<std::size_t>(rpc)]; }

}  // namespace qatgap::server
