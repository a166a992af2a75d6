# Writes a C++ file that holds target files as text. Run as
#   cmake -DDIRECTORY=<folder of .yaml> -DTARGETS=a,b,c -DOUTPUT=<file.cc> -P EmbedTargets.cmake
# The text has the targets' names, never a path.
string(REPLACE "," ";" targets "${TARGETS}")
set(body "")
foreach(name IN LISTS targets)
  file(READ "${DIRECTORY}/${name}.yaml" text)
  string(APPEND body "    {\"${name}\", R\"qatgap(${text})qatgap\"},\n")
endforeach()
file(WRITE "${OUTPUT}" "// Generated from the target files; do not edit.
#include \"analyzers/numerics/embedded_targets.h\"

namespace qatgap::numerics {
namespace {

constexpr EmbeddedTarget kTargets[] = {
${body}};

}  // namespace

std::span<const EmbeddedTarget> EmbeddedTargets() { return kTargets; }

}  // namespace qatgap::numerics
")
