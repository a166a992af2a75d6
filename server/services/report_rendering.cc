#include "server/services/report_rendering.h"

#include "absl/strings/str_cat.h"
#include "analyzers/report/bias_writer.h"
#include "analyzers/report/static_report/static_report.h"

namespace qatgap::server {

absl::Status ValidateFormat(v1::ReportFormat format) {
  if (format != v1::REPORT_FORMAT_UNSPECIFIED && v1::ReportFormat_IsValid(format)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("format: must be JSON, HTML, MARKDOWN, CSV or BIASES, is ",
                                                 static_cast<int>(format)));
}

std::string Render(const report::Report& report, v1::ReportFormat format) {
  switch (format) {
    case v1::REPORT_FORMAT_HTML:
      return report::WriteHtml(report);
    case v1::REPORT_FORMAT_MARKDOWN:
      return report::WriteMarkdown(report);
    case v1::REPORT_FORMAT_CSV:
      return report::WriteCsv(report);
    case v1::REPORT_FORMAT_BIASES:
      return report::WriteBiases(report);
    default:
      return report::WriteJson(report);
  }
}

}  // namespace qatgap::server
