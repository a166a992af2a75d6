#!/usr/bin/env bash
# Time to import and lower MobileNetV2 (224x224) in a cold process, process start and LibTorch's load included.
#   tests/benchmarks/import_benchmark.sh [FILE...]    median of 5 runs each; default: the zoo's MobileNetV2 in each format
set -euo pipefail
cd "$(dirname "$0")/../.."
tool=build/release/bin/qatgap-conformance
[ -x "$tool" ] || { echo "error: $tool is not there; build it: cmake --build --preset release --target qatgap-conformance" >&2; exit 1; }
files=("$@")
if [ "${#files[@]}" = 0 ]; then
  zoo=build/zoo
  .venv/bin/python tests/models/zoo/make_zoo.py --out "$zoo" --models mobilenet_v2_224 >/dev/null 2>&1
  files=("$zoo"/mobilenet_v2_224/{eager_x86/{qat,qat_scripted}.pt,pt2e_x86/qat.pt2,onnx_x86/qat.onnx})
fi
for file in "${files[@]}"; do
  .venv/bin/python - "$tool" "$file" <<'PYTHON'
import json, statistics, subprocess, sys, time

tool, file = sys.argv[1:]
walls, inside = [], []
for _ in range(5):
    start = time.perf_counter()
    done = subprocess.run([tool, "--import", file], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    walls.append(time.perf_counter() - start)
    if done.returncode != 0:
        sys.exit(f"{file}: {done.stderr.strip().splitlines()[-1]}")
    inside.append(json.loads(done.stdout))
median = lambda values: f"{statistics.median(values):.2f} s"  # noqa: E731
print(f"{file}: {median(walls)} in all; import {median([row['import_seconds'] for row in inside])}, "
      f"lower {median([row['lower_seconds'] for row in inside])}; {inside[0]['nodes']} nodes")
PYTHON
done
