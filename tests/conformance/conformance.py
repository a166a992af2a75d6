"""Makes the model zoo, measures every file of it with qatgap-conformance, and holds docs/models.md against the result.

python tests/conformance/conformance.py --tool build/release/bin/qatgap-conformance [--subset] [--zoo DIR] [--write] [--rows FILE]
  --subset    small networks, a few formats each: what the default test run does
  --zoo DIR   uses (and completes) a zoo that is there instead of a temporary one
  --write     measures every flow of every network, and writes docs/models.md instead of comparing with it
  --models, --flows  patterns separated by commas, as for make_zoo.py: a part of the page
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import table

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "models.md"

# A network with each kind of layer through each kind of file, small enough for every test run.
SUBSET = (
    ("resnet8", "eager_x86"),
    ("ds_cnn", "fx_qnnpack"),
    ("autoencoder", "eager_qnnpack"),
    ("mobilenet_v1_025", "onnx_x86"),
    ("two_branches", "eager_qnnpack"),
    ("two_branches", "pt2e_x86"),
    ("transformer", "pt2e_xnnpack"),
    ("transformer", "ort_qdq"),
)


def make_zoo(out, *arguments):
    command = [sys.executable, str(ROOT / "tests/models/zoo/make_zoo.py"), "--out", str(out), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"make_zoo.py failed:\n{done.stdout[-4000:]}")


def measure(tool, folder):
    """Rows of one folder. A part that crashes the tool is a row that says so."""
    done = subprocess.run([str(tool), str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode == 0:
        return [json.loads(line) for line in done.stdout.splitlines()]
    about = json.loads((folder / "about.json").read_text())
    rows = []
    for file, facts in about["parts"].items():
        done = subprocess.run([str(tool), str(folder), "--part", file], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, check=False)
        if done.returncode == 0:
            rows += [json.loads(line) for line in done.stdout.splitlines()]
        else:
            rows.append({"model": about["model"], "flow": about["flow"], "file": file, "kind": facts["kind"],
                         "crashed": f"signal {-done.returncode}" if done.returncode < 0 else done.stderr[-300:]})
    return rows


def whole_page(arguments):
    """Everything that the page has, and nothing else."""
    return not arguments.subset and not arguments.write and arguments.models == arguments.flows == "*"


def chosen_folders(zoo, arguments):
    if arguments.subset:
        make_zoo(zoo, "--folders", ",".join(f"{model}/{flow}" for model, flow in SUBSET))
        return [zoo / model / flow for model, flow in SUBSET]
    if whole_page(arguments):
        folders = table.folders(PAGE.read_text())
        make_zoo(zoo, "--folders", ",".join(f"{model}/{flow}" for model, flow in folders))
        return [zoo / model / flow for model, flow in folders]
    make_zoo(zoo, "--models", arguments.models, "--flows", arguments.flows)
    found = [path.parent for path in zoo.glob("*/*/about.json")]
    return sorted(path for path in found if table.chosen(path.parent.name, arguments.models)
                  and table.chosen(path.name, arguments.flows))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", type=pathlib.Path, required=True)
    parser.add_argument("--zoo", type=pathlib.Path)
    parser.add_argument("--subset", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--rows", type=pathlib.Path, help="also writes every measurement, one JSON object a line")
    parser.add_argument("--models", default="*")
    parser.add_argument("--flows", default="*")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qatgap-zoo-") as temporary:
        rows = []
        for folder in chosen_folders(arguments.zoo or pathlib.Path(temporary), arguments):
            rows += measure(arguments.tool.resolve(), folder)
            print(folder.parent.name, folder.name, flush=True)
    if not rows:
        sys.exit("nothing was measured")
    if arguments.rows:
        arguments.rows.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if arguments.write:
        PAGE.write_text(table.page(rows))
        return
    differences = table.differences(rows, PAGE.read_text(), whole=whole_page(arguments))
    for difference in differences:
        print(difference)
    sys.exit(f"{len(differences)} rows differ from docs/models.md; look at them, then run this with --write" if differences else 0)


if __name__ == "__main__":
    main()
