#!/usr/bin/env bash
# Makes the vectors of one or more runtimes again, with the real runtime in a virtual environment of its own, and compares
# them with the committed ones byte for byte. Downloads packages; minutes, not seconds.
#   tests/golden/generators/check.sh RUNTIME...     pytorch, litert, tflite_micro, onnxruntime, executorch
set -euo pipefail
cd "$(dirname "$0")"
[ "$#" -gt 0 ] || { sed -n '2,4p' "$0" | cut -c3- >&2; exit 2; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0
for runtime in "$@"; do
  requirements=requirements-${runtime//_/-}.txt
  [ -f "make_$runtime.py" ] && [ -f "$requirements" ] || { echo "error: no generator for '$runtime'" >&2; exit 2; }
  python3 -m venv "$work/venv-$runtime"
  # torch: a wheel on disk first; pip's default may be a CUDA build of some GB.
  "$work/venv-$runtime/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
  "$work/venv-$runtime/bin/python" "make_$runtime.py" --out "$work/vectors-$runtime" >"$work/$runtime.log" 2>&1 ||
    { cat "$work/$runtime.log" >&2; echo "error: make_$runtime.py failed" >&2; exit 1; }
  # A generator may make only some of a target's cases; each that it makes must be there, with the same bytes.
  made=0 differ=0
  while IFS= read -r file; do
    made=$((made + 1))
    cmp -s "$work/vectors-$runtime/$file" "../vectors/$file" || { echo "$runtime: $file differs"; differ=$((differ + 1)); }
  done < <(cd "$work/vectors-$runtime" && find . -type f | sort)
  echo "$runtime: $made files made, $differ differ"
  [ "$made" -gt 0 ] && [ "$differ" -eq 0 ] || status=1
done
exit $status
