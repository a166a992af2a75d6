# Sourced by the scripts beside it: builds the release preset. Not a command of its own.
# usage: build_release TARGET...   (no target: everything)
# One compiler cache serves every checkout of the project on a machine.
export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1
build_release() {
  local log=build/release.log torch=()
  [ -n "${QATGAP_TORCH_CMAKE:-}" ] && torch=("-DCMAKE_PREFIX_PATH=$QATGAP_TORCH_CMAKE")
  mkdir -p build
  if ! cmake --preset release "${torch[@]}" >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    printf 'error: configuring failed; the whole log is %s\n' "$log" >&2
    return 1
  fi
  # Ninja's own progress line on a terminal, silence elsewhere.
  if [ -t 1 ]; then
    cmake --build --preset release --target "${@:-all}" || return 1
  elif ! cmake --build --preset release --target "${@:-all}" >>"$log" 2>&1; then
    grep -E 'error|FAILED' "$log" | head -n 40 >&2
    printf 'error: building failed; the whole log is %s\n' "$log" >&2
    return 1
  fi
}
