// A TorchScript archive without the code that nothing calls.
#pragma once

#include <string>
#include <string_view>

namespace qatgap::frontends::torchscript {

// The same archive with every method of a module blanked that neither forward nor what it calls mentions: a QAT model carries
// its observers' methods once for each observer, and LibTorch compiles all it finds (1.2 MB of 1.4 MB of the code of a
// MobileNetV2, and most of the time that loading takes). Methods are known by name, so some that are never called are left.
// Text is replaced by line ends, so that places in it keep their meaning. Throws what LibTorch throws.
std::string WithCalledMethodsAlone(std::string_view archive);

}  // namespace qatgap::frontends::torchscript
