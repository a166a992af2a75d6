#!/usr/bin/env bash
# Sets up, builds, starts qatgapd, analyses the demo model with 512 real images, shows the result, stops what it started.
# Leaves out/demo/report.json, report.html and report.md.
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/build.sh

step() { printf '\n== %s\n' "$*"; }

step "Setting up"
./deploy/setup.sh

step "Building (the first time takes some minutes)"
build_release qatgapd qatgap-runner qatgap

out=out/demo
mkdir -p "$out"
work=$(mktemp -d)
server_pid=
stop() {
  if [ -n "$server_pid" ] && kill -0 "$server_pid" 2>/dev/null; then
    kill "$server_pid" && wait "$server_pid" || true
  fi
  rm -rf "$work"
}
trap stop EXIT

step "Starting qatgapd"
bin=build/release/bin
"$bin/qatgapd" --listen 127.0.0.1:0 --metrics-listen 127.0.0.1:0 --http-listen 127.0.0.1:0 --data-dir "$work/data" \
  --status-file "$work/status.json" >"$work/qatgapd.log" 2>&1 &
server_pid=$!
for _ in $(seq 100); do
  [ -f "$work/status.json" ] && break
  kill -0 "$server_pid" 2>/dev/null || { cat "$work/qatgapd.log" >&2; exit 1; }
  sleep 0.1
done
[ -f "$work/status.json" ] || { echo "error: qatgapd did not start within 10 s" >&2; cat "$work/qatgapd.log" >&2; exit 1; }
read_status() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$work/status.json" "$1"; }
address=$(read_status address)
metrics=$(read_status metrics)
echo "qatgapd serves gRPC on $address and metrics on $metrics"

step "Analysing the demo model: a residual net trained with QAT on Fashion-MNIST, 512 test images"
models=tests/models
"$bin/qatgap" analyze --server "$address" --title "demo: residual net, x86 qconfig" \
  --qat "$models/residual_eager_x86/qat.pt" --converted "$models/residual_eager_x86/converted.pt" \
  --samples "$models/samples/images_512.npz" --labels "$models/samples/labels_512.npy" \
  --target pytorch-fbgemm --target pytorch-qnnpack \
  --json "$out/report.json" --html "$out/report.html" --markdown "$out/report.md"

step "Metrics, scraped once from http://$metrics/metrics"
curl -sS "http://$metrics/metrics" | grep '^qatgap_' | grep -vE '_bucket|_sum| 0$'

step "Done"
echo "Open $out/report.html in a browser; $out/report.json is for machines."
