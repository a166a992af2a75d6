# Compiler settings of our own code: one interface target, no directory-scope flags.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

option(QATGAP_WARNINGS_AS_ERRORS "Treat warnings in our own code as errors" OFF)
set(QATGAP_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize= takes them")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(QATGAP_CCACHE ccache)
if(QATGAP_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${QATGAP_CCACHE}")
endif()

add_library(qatgap_build_flags INTERFACE)
# Bit exactness: a product and a sum are two roundings unless a target says otherwise.
target_compile_options(qatgap_build_flags INTERFACE -ffp-contract=off)
if(QATGAP_SANITIZE)
  target_compile_options(qatgap_build_flags INTERFACE
    -fsanitize=${QATGAP_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(qatgap_build_flags INTERFACE -fsanitize=${QATGAP_SANITIZE})
endif()

add_library(qatgap_warnings INTERFACE)
target_compile_options(qatgap_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wold-style-cast -Wdouble-promotion
  $<$<BOOL:${QATGAP_WARNINGS_AS_ERRORS}>:-Werror>)

# qatgap_add_library(NAME folder-name SOURCES ... [DEPENDS ...] [PRIVATE_DEPENDS ...])
# makes the static library qatgap_NAME with the alias qatgap::NAME. Includes are relative to the checkout.
function(qatgap_add_library)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;HEADERS;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  add_library(qatgap_${ARG_NAME} STATIC ${ARG_SOURCES})
  add_library(qatgap::${ARG_NAME} ALIAS qatgap_${ARG_NAME})
  target_include_directories(qatgap_${ARG_NAME} PUBLIC "${PROJECT_SOURCE_DIR}")
  if(ARG_HEADERS)
    target_sources(qatgap_${ARG_NAME} PUBLIC
      FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}" FILES ${ARG_HEADERS})
  endif()
  target_link_libraries(qatgap_${ARG_NAME}
    PUBLIC qatgap_build_flags ${ARG_DEPENDS}
    PRIVATE qatgap_warnings ${ARG_PRIVATE_DEPENDS})
endfunction()

# qatgap_add_executable(NAME binary SOURCES ... DEPENDS ...)
function(qatgap_add_executable)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${ARG_NAME} ${ARG_SOURCES})
  target_link_libraries(${ARG_NAME} PRIVATE qatgap_build_flags qatgap_warnings ${ARG_DEPENDS})
endfunction()

# qatgap_add_test(NAME name SOURCES ... DEPENDS ...): one GoogleTest binary, its cases as CTest tests.
function(qatgap_add_test)
  cmake_parse_arguments(ARG "" "NAME;TIMEOUT" "SOURCES;DEPENDS;LABELS" ${ARGN})
  add_executable(${ARG_NAME} ${ARG_SOURCES})
  target_include_directories(${ARG_NAME} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_compile_definitions(${ARG_NAME} PRIVATE
    QATGAP_SOURCE_DIR="${PROJECT_SOURCE_DIR}" QATGAP_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  target_link_libraries(${ARG_NAME} PRIVATE
    qatgap_build_flags qatgap_warnings ${ARG_DEPENDS} GTest::gmock GTest::gtest_main)
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  gtest_discover_tests(${ARG_NAME} DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()
