#!/usr/bin/env bash
# Sets up what the tests need, builds everything, runs all tests. The last line is "N passed, N failed".
#   --long   also runs the suites labelled slow
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/build.sh

exclude=(-LE slow)
for argument in "$@"; do
  case "$argument" in
    --long) exclude=() ;;
    *) printf 'error: unknown argument %s; usage: deploy/test.sh [--long]\n' "$argument" >&2; exit 2 ;;
  esac
done

./deploy/setup.sh --test
echo "test: building"
build_release

results=build/release/test-results.xml
rm -f "$results"
echo "test: running"
status=0
ctest --preset release --parallel "$(nproc)" "${exclude[@]}" --output-junit "$PWD/$results" --quiet || status=$?

[ -f "$results" ] || { echo "error: no test ran" >&2; exit 1; }
# Counts, and the output of what failed, from the JUnit file: the one source for both.
python3 - "$results" "$status" <<'PYTHON'
import sys
import xml.etree.ElementTree as tree

cases = tree.parse(sys.argv[1]).getroot().findall("testcase")
failed = [case for case in cases if case.get("status") not in ("run", "disabled", "notrun") or case.find("failure") is not None]
skipped = [case for case in cases if case.get("status") in ("disabled", "notrun") and case not in failed]
for case in failed:
    print(f"\nFAILED: {case.get('name')}\n{(case.findtext('system-out') or '')[-6000:]}")
for case in skipped:
    print(f"skipped: {case.get('name')}")
passed = len(cases) - len(failed) - len(skipped)
if int(sys.argv[2]) != 0 and not failed:
    print(f"error: ctest ended with {sys.argv[2]} though no case failed")
    failed.append(None)
if passed == 0:
    print("error: nothing passed")
print(f"{passed} passed, {len(failed)} failed")
sys.exit(1 if failed or passed == 0 else 0)
PYTHON
