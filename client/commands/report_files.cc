#include "client/commands/report_files.h"

#include <array>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "client/lib/error_details.h"
#include "client/output_file.h"
#include "client/terminal/text.h"

namespace qatgap::cli {
namespace {

struct Wanted {
  std::string option;
  std::string path;
  v1::ReportFormat format;
};

std::vector<Wanted> WantedOf(const ReportFiles& files) {
  std::vector<Wanted> wanted;
  if (!files.json.empty()) wanted.push_back({"--json", files.json, v1::REPORT_FORMAT_JSON});
  if (!files.html.empty()) wanted.push_back({"--html", files.html, v1::REPORT_FORMAT_HTML});
  if (!files.markdown.empty()) {
    wanted.push_back({"--markdown", files.markdown, v1::REPORT_FORMAT_MARKDOWN});
  }
  if (!files.csv.empty()) wanted.push_back({"--csv", files.csv, v1::REPORT_FORMAT_CSV});
  if (!files.biases.empty()) wanted.push_back({"--emit-bias", files.biases, v1::REPORT_FORMAT_BIASES});
  return wanted;
}

bool SameFile(const std::string& a, const std::string& b) {
  std::error_code error;
  const auto whole_a = std::filesystem::weakly_canonical(a, error);
  const auto whole_b = std::filesystem::weakly_canonical(b, error);
  return whole_a == whole_b || std::filesystem::equivalent(a, b, error);
}

}  // namespace

void AddReportOptions(CLI::App& command, ReportFiles* files) {
  command.add_option("--json", files->json, "Write the report as JSON to this file")
      ->type_name("FILE");
  command.add_option("--html", files->html, "Write the report as one HTML page to this file")
      ->type_name("FILE");
  command.add_option("--markdown", files->markdown, "Write the report as Markdown to this file")
      ->type_name("FILE");
  command.add_option("--csv", files->csv, "Write a row for each layer, target, input and cause to this file")
      ->type_name("FILE");
  command
      .add_option("--emit-bias", files->biases,
                  "Write the biases as each target stores them to this file (JSON), to train with")
      ->type_name("FILE");
}

absl::Status CheckReportFiles(const ReportFiles& files, const std::vector<std::string>& inputs) {
  const auto wanted = WantedOf(files);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto& [option, path, format] = wanted[i];
    if (absl::Status writable = CheckWritable(option, path); !writable.ok()) return writable;
    for (const std::string& input : inputs) {
      if (!SameFile(path, input)) continue;
      return client::WithRemedy(absl::InvalidArgumentError(absl::StrCat(
                                    option, " would overwrite an input file (", path, ")")),
                                "name another file");
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (!SameFile(path, wanted[j].path)) continue;
      return client::WithRemedy(
          absl::InvalidArgumentError(
              absl::StrCat(wanted[j].option, " and ", option, " name the same file (", path, ")")),
          "name two files");
    }
  }
  return absl::OkStatus();
}

absl::Status WriteReportFiles(const ReportFiles& files, client::Client& client,
                              const std::string& id, const terminal::Output& err, bool quiet) {
  for (const auto& [option, path, format] : WantedOf(files)) {
    auto file = OutputFile::Create(path);
    if (!file.ok()) return file.status();
    if (absl::Status got = client.DownloadReport(
            id, format, [&](std::string_view bytes) { return file->Append(bytes); });
        !got.ok()) {
      return got;
    }
    if (absl::Status committed = file->Commit(); !committed.ok()) return committed;
    if (!quiet) *err.stream << "wrote " << terminal::Sanitize(path) << std::endl;
  }
  return absl::OkStatus();
}

}  // namespace qatgap::cli
