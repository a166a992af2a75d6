#include "server/inspection_conversion.h"

#include "analyzers/report/inspection_text.h"
#include "server/result_conversion.h"

namespace qatgap::server {

v1::InspectModelResponse ToInspection(const report::AnalysisResult& result) {
  v1::InspectModelResponse response;
  v1::AnalysisResult& message = *response.mutable_result();
  message = ToProto(result);
  message.clear_samples();
  message.clear_labelled();
  message.mutable_environment()->clear_batch_size();
  for (v1::TargetResult& target : *message.mutable_targets()) {
    target.clear_comparisons();
    target.clear_accuracies();
    for (v1::LayerResult& layer : *target.mutable_layers()) {
      for (v1::ChannelResult& channel : *layer.mutable_channels()) channel.clear_causes();
    }
  }
  response.set_text(report::WriteInspection(result));
  return response;
}

}  // namespace qatgap::server
