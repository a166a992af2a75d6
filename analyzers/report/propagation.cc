#include "analyzers/report/propagation.h"

#include "analyzers/report/layer_view.h"

namespace qatgap::report {

std::optional<Propagation> PropagationOf(const TargetResult& target, std::int64_t layer) {
  std::uint64_t count = 0, changed = 0;
  for (const LayerResult& result : target.layers) {
    if (result.layer != layer) continue;
    for (const ChannelResult& channel : result.channels) {
      const auto& total = channel.causes[static_cast<std::size_t>(Cause::kTotal)];
      count += total.count;
      changed += total.changed;
    }
  }
  // The total of a layer ends at the engine where one ran: so does the path it is held against.
  const Path path = FindComparison(target, Path::kEngine, Path::kFakeQuant) != nullptr ? Path::kEngine : Path::kTarget;
  const PathComparison* whole = FindComparison(target, path, Path::kFakeQuant);
  const auto index = static_cast<std::size_t>(layer);
  if (count == 0 || whole == nullptr || index >= whole->layers.size() || whole->layers[index].count == 0) {
    return std::nullopt;
  }
  return Propagation{.injected = static_cast<double>(changed) / static_cast<double>(count),
                     .accumulated = static_cast<double>(whole->layers[index].changed) /
                                    static_cast<double>(whole->layers[index].count)};
}

}  // namespace qatgap::report
