#!/usr/bin/env bash
# Makes a Debian 12 machine ready to build and run qatgap; --test adds what the tests need.
# Safe to run again: it installs only what is missing. Needs root, or sudo, for Debian packages.
#   QATGAP_TORCH_INDEX=URL   where pip finds PyTorch's CPU wheels, if its default gives a CUDA build
#   QATGAP_TORCH_CMAKE=DIR   use the LibTorch whose share/cmake is DIR instead of installing one
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }

with_tests=0
for argument in "$@"; do
  case "$argument" in
    --test) with_tests=1 ;;
    -h|--help) sed -n '2,5p' "$0" | cut -c3-; exit 0 ;;
    *) fail "unknown argument '$argument'; usage: deploy/setup.sh [--test]" ;;
  esac
done

# One line of reason for each of these is in docs/dependencies.md.
packages=(
  g++ cmake ninja-build ccache pkg-config python3 python3-venv
  libgrpc++-dev protobuf-compiler protobuf-compiler-grpc libprotobuf-dev libabsl-dev
  prometheus-cpp-dev libspdlog-dev nlohmann-json3-dev libcli11-dev libyaml-cpp-dev
  libonnx-dev libzip-dev libssl-dev libsqlite3-dev libseccomp-dev zlib1g-dev
  libflatbuffers-dev flatbuffers-compiler
  libcpp-httplib-dev libgtest-dev libgmock-dev libbenchmark-dev curl
)
# A Node.js of another origin brings its own npm, which Debian's package conflicts with.
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)
test_packages=(sqlite3 chromium fonts-inter)
[ "$with_tests" = 1 ] && packages+=("${test_packages[@]}")

installed() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q '^install ok installed$'; }

install_packages() {
  command -v dpkg-query >/dev/null || fail "this is not a Debian system; install the packages of docs/dependencies.md by hand"
  local missing=()
  for package in "${packages[@]}"; do installed "$package" || missing+=("$package"); done
  if [ "${#missing[@]}" = 0 ]; then
    say "Debian packages are all here"
    return
  fi
  local as_root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail "not root and no sudo; as root run: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq || fail "apt-get update failed; is the network up?"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
    >/dev/null || fail "apt-get install failed for: ${missing[*]}"
}

torch_version=2.13.0

install_torch() {
  if [ -n "${QATGAP_TORCH_CMAKE:-}" ]; then
    [ -f "$QATGAP_TORCH_CMAKE/Torch/TorchConfig.cmake" ] || fail "no Torch/TorchConfig.cmake in $QATGAP_TORCH_CMAKE"
    say "LibTorch is taken from QATGAP_TORCH_CMAKE"
    return
  fi
  local python=.venv/bin/python
  if [ -x "$python" ] && [ "$("$python" -c 'import torch; print(torch.__version__.split("+")[0])' 2>/dev/null)" = "$torch_version" ]; then
    say "LibTorch $torch_version is here"
    return
  fi
  say "installing LibTorch $torch_version (CPU) into .venv"
  [ -x "$python" ] || python3 -m venv .venv || fail "cannot make a virtual environment in .venv"
  local pip=("$python" -m pip install --quiet --disable-pip-version-check)
  local torch=(--no-deps --only-binary=:all: "torch==$torch_version")
  # First a wheel on disk (pip's find-links), then the index of CPU wheels where one is named, then pip's default.
  "${pip[@]}" --no-index "${torch[@]}" >/dev/null 2>&1 ||
    { [ -n "${QATGAP_TORCH_INDEX:-}" ] && "${pip[@]}" --index-url "$QATGAP_TORCH_INDEX" "${torch[@]}"; } ||
    "${pip[@]}" "${torch[@]}" || fail "pip could not install torch==$torch_version"
  # What `import torch` needs, for the version check above and the scripts under tests/models.
  "$python" -m pip install --quiet --disable-pip-version-check numpy typing_extensions filelock sympy networkx jinja2 fsspec 'setuptools>=77.0.3' \
    2> >(grep -v '^WARNING: Location' >&2) || fail "pip could not install what torch needs"
  "$python" -c 'import sys, torch; sys.exit(torch.version.cuda is not None)' 2>/dev/null || {
    rm -rf .venv
    fail "pip's default torch is a CUDA build; set QATGAP_TORCH_INDEX to the index of PyTorch's CPU wheels (named on its \"Get started\" page), or QATGAP_TORCH_CMAKE to the share/cmake of a LibTorch"
  }
  [ -f "$(echo .venv/lib/python3*/site-packages/torch/share/cmake/Torch/TorchConfig.cmake)" ] || fail "the torch wheel has no CMake files"
}

# The Python packages of tests/requirements.txt that are missing; torch and numpy stay as they are.
install_test_requirements() {
  local python=.venv/bin/python
  if [ ! -x "$python" ]; then
    python3 -m venv .venv || fail "cannot make a virtual environment in .venv"
  fi
  local missing alone
  missing=$("$python" - tests/requirements.txt <<'PYTHON'
import importlib.metadata as metadata
import sys

for line in open(sys.argv[1]):
    requirement, _, comment = line.partition("#")
    if requirement := requirement.strip():
        name, version = requirement.split("==")
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = None
        if found != version:
            print("alone" if comment.strip().startswith("no-deps") else "whole", requirement)
PYTHON
  ) || fail "cannot read tests/requirements.txt"
  if [ -z "$missing" ]; then
    say "Python packages for the tests are all here"
    return
  fi
  alone=$(sed -n 's/^alone //p' <<<"$missing")
  missing=$(sed -n 's/^whole //p' <<<"$missing")
  say "installing Python packages for the tests:" $missing $alone
  # What is installed constrains pip, so that no package brings another torch or numpy.
  local constraints pip=("$python" -m pip install --quiet --disable-pip-version-check)
  constraints=$(mktemp)
  "$python" -m pip freeze --disable-pip-version-check 2>/dev/null | grep -E '^(torch|numpy)==' >"$constraints" || true
  # The lists are split into words on purpose.
  { [ -z "$missing" ] || "${pip[@]}" --constraint "$constraints" $missing; } 2> >(grep -v '^WARNING: Location' >&2) &&
    { [ -z "$alone" ] || "${pip[@]}" --no-deps $alone; } 2> >(grep -v '^WARNING: Location' >&2) ||
    fail "pip could not install the packages of tests/requirements.txt"
  rm -f "$constraints"
}

# The npm packages of a folder, at the versions of its lock file; neither build nor tests make a request.
install_npm_packages() {
  local folder=$1 what=$2
  if [ ! "$folder/package-lock.json" -nt "$folder/node_modules/.package-lock.json" ]; then
    say "npm packages of $what are all here"
    return
  fi
  say "installing the npm packages of $what"
  (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error) || fail "npm ci failed in $folder; is the network up?"
}

# Debian's Prometheus, unpacked into .venv: installing the package would start a server that listens on every address.
unpack_prometheus() {
  local folder=.venv/prometheus
  if [ -x "$folder/usr/bin/prometheus" ] && [ -x "$folder/usr/bin/promtool" ]; then
    say "Prometheus is here"
    return
  fi
  say "unpacking Prometheus into $folder"
  local download
  download=$(mktemp -d)
  chmod 755 "$download"  # apt-get may download as a user of its own
  local fetch=(apt-get download -qq prometheus)
  (cd "$download" && "${fetch[@]}" >/dev/null 2>&1) ||
    { # Lists of packages may be missing where all packages were here.
      local as_root=()
      [ "$(id -u)" = 0 ] || as_root=(sudo)
      "${as_root[@]}" apt-get update -qq >/dev/null 2>&1
      (cd "$download" && "${fetch[@]}" >/dev/null 2>&1)
    } ||
    { rm -rf "$download"; fail "apt-get download prometheus failed; is the network up, and apt-get update done?"; }
  mkdir -p "$folder"
  dpkg-deb --extract "$download"/prometheus_*.deb "$folder" || { rm -rf "$download"; fail "cannot unpack Prometheus into $folder"; }
  rm -rf "$download"
}

install_packages
install_npm_packages analyzers/report/page "the web page"
install_torch
if [ "$with_tests" = 1 ]; then
  install_test_requirements
  install_npm_packages tests/page "the browser tests"
  unpack_prometheus
fi
say "done"
