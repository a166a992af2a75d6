#include "client/commands/answer.h"

#include "client/lib/message_json.h"
#include "client/output_file.h"
#include "client/terminal/text.h"

namespace qatgap::cli {

absl::Status ShowAnswer(const terminal::Output& out, const std::string& text, const google::protobuf::Message& answer,
                        const std::string& json_path) {
  *out.stream << terminal::SanitizeLines(text);
  if (text.empty() || text.back() != '\n') *out.stream << '\n';
  out.stream->flush();
  if (json_path.empty()) return absl::OkStatus();
  auto file = OutputFile::Create(json_path);
  if (!file.ok()) return file.status();
  if (absl::Status appended = file->Append(client::ToJson(answer)); !appended.ok()) return appended;
  return file->Commit();
}

}  // namespace qatgap::cli
