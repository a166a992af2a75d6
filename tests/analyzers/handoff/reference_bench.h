// Compiles the C headers of a handoff with the reference loop of reference.c and runs it.
#pragma once

#include <string>
#include <vector>

#include "analyzers/handoff/handoff.h"

namespace qatgap::handoff {

// Writes the files below a new temporary directory, which is removed with this object.
class ReferenceBench {
 public:
  explicit ReferenceBench(const Files& files);
  ~ReferenceBench();
  ReferenceBench(const ReferenceBench&) = delete;
  ReferenceBench& operator=(const ReferenceBench&) = delete;

  // What the reference loop printed for the layer in `folder` ("layers/00_conv1"); its last line is
  // "0 of 80 elements differ" where the layer reproduces its golden output. Compiler errors where it does not compile.
  std::string Run(const std::string& folder) const;

 private:
  std::string directory_;
};

// Folders of the layers, in order.
std::vector<std::string> LayerFolders(const Files& files);

}  // namespace qatgap::handoff
