# Every dependency of the project, found once; docs/dependencies.md gives the reason for each.
include(GoogleTest)

# LibTorch: the wheel in the checkout's virtual environment, unless CMAKE_PREFIX_PATH names another.
file(GLOB QATGAP_VENV_TORCH "${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch/share/cmake")
list(APPEND CMAKE_PREFIX_PATH ${QATGAP_VENV_TORCH})

find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(spdlog CONFIG REQUIRED)
find_package(yaml-cpp CONFIG REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(LIBZIP REQUIRED IMPORTED_TARGET libzip)
pkg_check_modules(LIBSECCOMP REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(CPP_HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib)
find_program(QATGAP_FLATC flatc REQUIRED)
find_program(QATGAP_NODE NAMES node nodejs REQUIRED)
find_path(QATGAP_FLATBUFFERS_INCLUDE flatbuffers/flatbuffers.h REQUIRED)
find_package(Threads REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(GTest REQUIRED)
find_package(benchmark REQUIRED)

# Torch's own package file adds global compiler flags; import only what is linked.
find_package(Torch REQUIRED)
if(Torch_VERSION VERSION_LESS 2.6)
  message(FATAL_ERROR "LibTorch ${Torch_VERSION} found, 2.6 or newer is needed: "
    "run deploy/setup.sh or pass -DCMAKE_PREFIX_PATH=<torch>/share/cmake")
endif()
add_library(qatgap_torch INTERFACE)
add_library(qatgap::torch ALIAS qatgap_torch)
target_include_directories(qatgap_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
target_link_libraries(qatgap_torch INTERFACE ${TORCH_LIBRARIES})

# The messages of an ONNX file; Debian's own package file names libraries that it does not install.
find_path(QATGAP_ONNX_INCLUDE onnx/onnx_pb.h REQUIRED)
find_library(QATGAP_ONNX_PROTO onnx_proto REQUIRED)
add_library(qatgap_onnx_proto INTERFACE)
add_library(qatgap::onnx_proto ALIAS qatgap_onnx_proto)
target_include_directories(qatgap_onnx_proto SYSTEM INTERFACE "${QATGAP_ONNX_INCLUDE}")
target_compile_definitions(qatgap_onnx_proto INTERFACE ONNX_ML=1 ONNX_NAMESPACE=onnx)
target_link_libraries(qatgap_onnx_proto INTERFACE "${QATGAP_ONNX_PROTO}" protobuf::libprotobuf)
