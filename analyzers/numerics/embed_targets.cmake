# cmake -DDIRECTORY=<targets> -DNAMES=a,b -DOUTPUT=<file.cc> -P embed_targets.cmake
# Writes the target files into one C++ source, as raw strings: a binary needs no data files beside it.
string(REPLACE "," ";" names "${NAMES}")
set(entries "")
foreach(name IN LISTS names)
  file(READ "${DIRECTORY}/${name}.yaml" text)
  string(APPEND entries "    {\"${name}\", R\"yaml(${text})yaml\"},\n")
endforeach()
file(WRITE "${OUTPUT}" "// Generated from analyzers/numerics/targets/*.yaml.
#include \"analyzers/numerics/embedded_targets.h\"

namespace qatgap::numerics {
namespace {

constexpr EmbeddedTarget kTargets[] = {
${entries}};

}  // namespace

std::span<const EmbeddedTarget> EmbeddedTargets() { return kTargets; }

}  // namespace qatgap::numerics
")
