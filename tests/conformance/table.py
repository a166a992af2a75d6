"""docs/models.md: measurements as rows of a table, and that table held against what is written down.

A cell is a verdict, which must not depend on the host, and in parentheses numbers, which may.
"""

import fnmatch
import re

MODELS = (
    ("resnet8", "MLPerf Tiny ResNet8"),
    ("ds_cnn", "MLPerf Tiny DS-CNN"),
    ("mobilenet_v1_025", "MLPerf Tiny MobileNetV1-0.25"),
    ("autoencoder", "MLPerf Tiny autoencoder"),
    ("transformer", "transformer encoder, quantized linears"),
    ("two_branches", "two branches, then conv3"),
    ("resnet18", "ResNet-18"),
    ("resnet50", "ResNet-50"),
    ("mobilenet_v2", "MobileNetV2"),
    ("mobilenet_v2_224", "MobileNetV2, 224x224"),
    ("mobilenet_v3_large", "MobileNetV3-Large"),
    ("shufflenet_v2", "ShuffleNetV2"),
    ("googlenet", "GoogLeNet"),
    ("inception_v3", "Inception v3"),
    ("efficientnet_lite0", "EfficientNet-Lite0, ImageNet weights"),
)
FLOWS = (
    ("eager_x86", "eager, x86"), ("eager_fbgemm", "eager, fbgemm"), ("eager_onednn", "eager, onednn"),
    ("eager_qnnpack", "eager, qnnpack"), ("fx_x86", "FX, x86"), ("fx_fbgemm", "FX, fbgemm"),
    ("fx_onednn", "FX, onednn"), ("fx_qnnpack", "FX, qnnpack"), ("pt2e_x86", "PT2E, X86InductorQuantizer"),
    ("pt2e_xnnpack", "PT2E, XNNPACKQuantizer"), ("onnx_x86", "eager, x86, to ONNX"),
    ("onnx_qnnpack", "eager, qnnpack, to ONNX"), ("ort_qdq", "onnxruntime static, QDQ"),
    ("ort_qoperator", "onnxruntime static, QOperator"), ("litert", "LiteRT, int8"),
)
FLOW_TITLES = dict(FLOWS)
FORMATS = {"pt": "TorchScript", "pt2": "torch.export", "onnx": "ONNX", "tflite": "TFLite"}
HEAD = ("Made by", "File", "Imports", "Path equals the framework", "Constants equal convert()", "Engine residual", "Coverage")


def chosen(name, patterns):
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns.split(","))


def file_name(row):
    """"QAT, TorchScript, traced"."""
    if row["kind"] == "pair":
        return "both"
    stem, _, ending = row["file"].rpartition(".")
    words = ["QAT" if row["kind"] == "qat" else "converted", FORMATS.get(ending, ending)]
    if ending == "pt":
        words.append("scripted" if stem.endswith("_scripted") else "traced")
    return ", ".join(words)


def short(text):
    return re.sub(r"\s+", " ", text).replace("|", "/").strip()


def imports(row):
    if "export_error" in row:
        return f"cannot be exported: {short(row['export_error'])[:110]}"
    if "crashed" in row:
        return f"CRASHES ({short(row['crashed'])})"
    if row["kind"] == "pair":
        return "-"
    return "yes" if row.get("imports") else f"refused: {short(row.get('import_error', '?'))}"


def path(row):
    if "path_error" in row:
        return f"error: {short(row['path_error'])}"
    if "path_elements" not in row:
        return "-"
    differing, elements = row["path_differing"], row["path_elements"]
    if differing == 0:
        return "yes"
    if row.get("path_operators_differing") == 0:
        return f"its operators ({differing} of {elements} of the runtime, at most {row['path_max']:.2g} of {row['path_range']:.2g})"
    return f"no ({differing} of {elements}, at most {row['path_max']:.2g} where outputs reach {row['path_range']:.2g})"


KINDS = ("weights", "scales", "zero_points", "biases", "outputs")


def constants(row):
    for name in ("lower_error", "constants_error"):
        if name in row:
            return f"error: {short(row[name])}"
    if "constants_layers" not in row:
        return "-"
    wrong = []
    if row["constants_missing"]:
        wrong.append(f"{row['constants_missing']} of {row['constants_layers']} layers missing")
    for kind in KINDS:
        if row[f"constants_{kind}_differing"]:
            wrong.append(f"{row[f'constants_{kind}_differing']} of {row[f'constants_{kind}']} {kind.replace('_', ' ')}")
    return "yes" if not wrong else f"no ({', '.join(wrong)})"


def residual(row):
    if "analysis_error" in row:
        return f"error: {short(row['analysis_error'])}"
    if "residual_codes" not in row:
        return "-"
    if row["engine_layers"] == 0:
        return "no engine here"
    if row["residual_differing"] == 0:
        return "0"
    verdict_of = "pair saturation" if row.get("residual_is_pair_saturation") else "not 0"
    return f"{verdict_of} ({row['residual_differing']} of {row['residual_elements']} codes, {row['residual_codes']} LSB)"


def coverage(row):
    return f"{row['coverage_analysed']}/{row['coverage_layers']}" if "coverage_layers" in row else "-"


def without_converter(row):
    """A flow whose packages are optional and not here: nothing was measured."""
    return row.get("export_error", "").startswith("ModuleNotFoundError")


def lines(rows):
    """(model, cells) for each row, in the table's order; rows of one flow whose results are equal share a line."""
    order = {name: i for i, (name, _) in enumerate(MODELS)}
    flows = {name: (i, title) for i, (name, title) in enumerate(FLOWS)}
    found = []
    for row in sorted(rows, key=lambda r: (order[r["model"]], flows[r["flow"]][0], {"qat": 0, "converted": 1, "pair": 2}[r["kind"]],
                                           "scripted" in r["file"])):
        cells = [flows[row["flow"]][1], file_name(row), imports(row), path(row), constants(row), residual(row), coverage(row)]
        last = found[-1] if found else None
        if last and last[0] == row["model"] and last[1][0] == cells[0] and last[1][2:] == cells[2:] \
                and cells[1] == last[1][1].replace("traced", "scripted"):
            last[1][1] = last[1][1] + " or scripted"
        else:
            found.append((row["model"], cells))
    return found


# Whether pairs saturate, and in which order a runtime sums floats, is the host's: these verdicts stand for one each.
SAME = {"pair saturation": "0", "its operators": "yes"}


def verdict(cell):
    text = re.sub(r" \([^)]*\)$", "", cell)
    return SAME.get(text, text)


def key_of(model, cells):
    return (model, cells[0], cells[1])


def verdicts(found):
    """Every file on its own again, so that a line that was shared can be compared with two that are not."""
    single = {}
    for model, cells in found:
        names = [cells[1]]
        if cells[1].endswith(" or scripted"):
            traced = cells[1].removesuffix(" or scripted")
            names = [traced, traced.replace("traced", "scripted")]
        for name in names:
            single[(model, cells[0], name)] = tuple(verdict(cell) for cell in cells[2:])
    return single


def parse(text):
    titles = {title: name for name, title in MODELS}
    found, model = [], None
    for line in text.splitlines():
        if line.startswith("## "):
            model = titles.get(line[3:])
        elif model and line.startswith("| ") and not line.startswith("| " + HEAD[0]):
            found.append((model, [cell.strip() for cell in line.strip("|").split(" | ")]))
    return found


def folders(text):
    """(network, flow) of every line of the page."""
    flows = {title: name for name, title in FLOWS}
    return sorted({(model, flows[cells[0]]) for model, cells in parse(text)})


def differences(rows, text, whole):
    written, measured = verdicts(parse(text)), verdicts(lines(row for row in rows if not without_converter(row)))
    absent = {FLOW_TITLES[row["flow"]] for row in rows if without_converter(row)}
    said = []
    for key, cells in measured.items():
        if key not in written:
            said.append(f"{' / '.join(key)}: measured {cells}, not in the page")
        elif written[key] != cells:
            said += [f"{' / '.join(key)}, {name}: the page says '{old}', measured '{new}'"
                     for name, old, new in zip(HEAD[2:], written[key], cells) if old != new]
    if whole:
        said += [f"{' / '.join(key)}: in the page, not measured" for key in written
                 if key not in measured and key[1] not in absent]
    return said


INTRODUCTION = """# Models and formats

Measured by `tests/conformance`, on the networks that [tests/models/zoo](../tests/models/zoo/README.md) makes: own or torchvision's
definitions, random weights from a seed (EfficientNet-Lite0: ImageNet weights), a few QAT steps. The test fails when a verdict of
this page is no longer what it measures; numbers in parentheses are those of the machine that wrote it.

    ./deploy/test.sh --long        # measures all that the page has; the default test run measures eight folders of it
    .venv/bin/python tests/conformance/conformance.py --tool build/release/bin/qatgap-conformance --write

Importing and lowering MobileNetV2 (224x224) in a cold process, process start and LibTorch's load included: 1.27 s traced, 0.78 s
scripted (medians of 5 on the machine that wrote the page):

    tests/benchmarks/import_benchmark.sh

* **Imports**: "cannot be exported" is PyTorch's or the converter's own refusal, with its message; "refused" is qatgap's.
* **Path equals the framework**: the imported graph run by qatgap on four samples, against LibTorch's interpreter in the same process
  (TorchScript: the fake-quant path of a QAT file, the engine path of a converted one), PyTorch's recorded output (PT2E, ONNX from
  PyTorch), onnxruntime's without graph optimizations (its static quantization), LiteRT's. "yes" is bit for bit. "its operators" is bit
  for bit equal to the file's ONNX operators, each run by PyTorch
  ([onnx_by_operators.py](../tests/models/zoo/onnx_by_operators.py)); the runtime itself sums in another order, or averages by another
  operator than the exported module did, and some codes fall the other way.
* **Constants equal convert()**: int weights, scales, zero points, float biases and output qparams that qatgap's lowering of the QAT
  file makes, or that it reads from the converted file, against those of the model that PyTorch converted. "yes" is bit for bit.
* **Engine residual**: what the real engine computed minus the target's description, injected view, one file alone (the other side is
  lowered or rebuilt by qatgap) or both together. "pair saturation": every layer that has one is a layer where FBGEMM's kernel of this
  host adds pairs of products in a saturating int16 ([finding](findings/int16-pair-saturation.md)), and the report says so. "no engine
  here": no LibTorch engine computes this target.
* **Coverage**: MAC layers analysed, of all. X86InductorQuantizer leaves outputs of layers in front of an add, and of the last layer, in
  float: such a layer has no output codes to count differences in.

A "no" of a TFLite or QOperator row is the float simulation that qatgap rebuilds against the integer kernels of the runtime: the gap
itself.
"""


def page(rows):
    found = lines(rows)
    files = [line for model, line in found for _ in range(2 if line[1].endswith(" or scripted") else 1)]
    count = lambda i, start: sum(1 for cells in files if cells[i].startswith(start))  # noqa: E731
    text = [INTRODUCTION]
    text.append(f"{len(files) - count(1, 'both')} files: {count(2, 'yes')} import, {count(2, 'refused')} are refused, "
                f"{count(2, 'cannot')} cannot be exported. The path equals the framework in {count(3, 'yes')} of them, the file's "
                f"operators in {count(3, 'its')}, and neither in {count(3, 'no')}. Constants are equal in {count(4, 'yes')} and "
                f"differ in {count(4, 'no')}. The residual is 0 in {count(5, '0')} files and pairs, FBGEMM's pair saturation in "
                f"{count(5, 'pair')}, and unexplained in {count(5, 'not')}.")
    for name, title in MODELS:
        own = [line for model, line in found if model == name]
        if not own:
            continue
        text += ["", f"## {title}", "| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
        text += ["| " + " | ".join(line) + " |" for line in own]
    return "\n".join(text) + "\n"
