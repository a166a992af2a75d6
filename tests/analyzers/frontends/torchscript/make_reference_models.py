"""Writes cases/reference/: small QAT models and their conversions, eager and FX, traced and scripted.

    python tests/analyzers/frontends/torchscript/make_reference_models.py      # torch 2.13.0, about a minute

The test runs each file by our executor and by LibTorch's interpreter and compares bit for bit. cases.json says which
inputs a file takes and under which engine it runs.
"""

import copy
import io
import json
import linecache
import pathlib
import sys
import types
import warnings
import zipfile

import torch
from torch.ao import quantization as tq
from torch.ao.quantization.quantize_fx import convert_fx, prepare_qat_fx

import reference_nets as nets

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[2] / "models"))
import export  # noqa: E402

warnings.filterwarnings("ignore")
FOLDER = HERE / "cases" / "reference"


def image(*shape):
    return {"x": list(shape)}


# name: (net, engine, FX?, inputs by name, exports). "t" traced, "s" scripted; "q" the QAT model, "c" the converted one.
CASES = {
    "conv2d": (nets.conv2d, "fbgemm", False, image(2, 3, 12, 12), "qt qs ct cs"),
    "conv2d_fx": (lambda: (nets.conv2d()[0].body, []), "x86", True, image(2, 3, 12, 12), "qt qs ct cs"),
    "conv2d_qnnpack": (nets.conv2d, "qnnpack", False, image(2, 3, 12, 12), "qt ct"),
    "conv1d": (nets.conv1d, "fbgemm", False, image(2, 2, 16), "qt qs ct cs"),
    "conv3d": (nets.conv3d, "fbgemm", False, image(2, 2, 4, 8, 8), "qt ct cs"),
    "linear_bn": (nets.linear_bn, "fbgemm", True, image(3, 6), "qt qs ct cs"),
    "conv_transpose": (nets.conv_transpose, "qnnpack", False, image(2, 3, 5, 5), "qt ct cs"),
    "wide_transpose": (nets.wide_transpose, "qnnpack", False, image(2, 16, 4, 4), "qt ct"),
    "slopes": (nets.slopes, "x86", True, image(2, 2, 6, 6), "qt ct cs"),
    "conv_transpose1d": (nets.conv_transpose1d, "per_tensor", False, image(2, 3, 7), "qt ct"),
    "conv_transpose3d": (nets.conv_transpose3d, "per_tensor", False, image(1, 2, 3, 4, 4), "qt ct"),
    "functional": (nets.functional, "fbgemm", False, {"x": [2, 2, 4, 4], "y": [2, 2, 4, 4]}, "qt qs ct cs"),
    "fixed": (nets.fixed, "x86", True, image(2, 2, 5, 5), "qt qs ct cs"),
    "attention": (nets.attention, "fbgemm", False, image(2, 5, 8), "qt qs ct cs"),
    "interface": (nets.interface, "fbgemm", False,
                  {"pair": [[2, 1, 3, 3], [2, 2, 3, 3]], "named": {"y": [2, 2, 3, 3], "z": [2, 1, 3, 3]}}, "qs cs"),
    "shuffle": (nets.shuffle, "fbgemm", False, image(2, 8, 6, 6), "qt qs ct cs"),
    "in_place": (nets.in_place, "x86", True, image(2, 2, 4, 4), "qt qs ct cs"),
    "norms": (nets.norms, "fbgemm", False, image(2, 2, 5, 5), "qt qs ct"),  # PyTorch cannot run
    "bn_relu": (nets.bn_relu, "fbgemm", False, image(2, 2, 4, 4), "qt ct"),        # its scripted quantized batch norm
    "padding": (nets.padding, "fbgemm", False, image(2, 2, 6, 6), "qt qs"),
    "products": (nets.products, "fbgemm", False, image(3, 4), "qt"),
    "branches": (nets.branches, "fbgemm", False, image(1, 2, 4, 4), "qs cs"),
}


def tensors(shapes):
    if isinstance(shapes, dict):
        return {key: tensors(value) for key, value in shapes.items()}
    if isinstance(shapes[0], list):
        return tuple(tensors(value) for value in shapes)
    return torch.randn(shapes)


def prepared(net, fuse, engine, fx, inputs):
    torch.backends.quantized.engine = "fbgemm" if engine == "per_tensor" else engine
    example = tuple(tensors(inputs).values())
    if fx:
        return prepare_qat_fx(net.train(), tq.get_default_qat_qconfig_mapping(engine), example)
    net.train()
    if fuse:
        tq.fuse_modules_qat(net, fuse, inplace=True)
    if engine == "per_tensor":  # FBGEMM takes no transposed convolution with a scale per channel
        net.qconfig = tq.QConfig(tq.get_default_qat_qconfig("fbgemm").activation, tq.default_fused_wt_fake_quant)
    else:
        net.qconfig = tq.get_default_qat_qconfig(engine)
    return tq.prepare_qat(net, inplace=True)


def trained(model, inputs):
    """A few steps, so that ranges, batch norms and weights are all off their first values."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(6):
        output = model(*tensors(inputs).values())
        parts = output.values() if isinstance(output, dict) else [output] if isinstance(output, torch.Tensor) else output
        loss = sum((part ** 2).mean() for part in parts)
        optimizer.zero_grad()
        if loss.requires_grad:
            loss.backward()
        optimizer.step()
    return export.freeze(model)


def save(script, path):
    """Without debug records (they hold source paths) and compressed: LibTorch reads that too."""
    buffer = io.BytesIO()
    torch.jit.save(script, buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.namelist():
            if not entry.endswith(".debug_pkl"):
                info = zipfile.ZipInfo(entry)
                info.compress_type = zipfile.ZIP_DEFLATED
                target.writestr(info, source.read(entry))


def main(only):
    FOLDER.mkdir(parents=True, exist_ok=True)
    listed = []
    for name, (make, engine, fx, inputs, exports) in CASES.items():
        for which in exports.split():
            file = f"{name}_{'qat' if which[0] == 'q' else 'converted'}_{'scripted' if which[1] == 's' else 'traced'}.pt"
            listed.append({"file": file, "kind": "QAT" if which[0] == "q" else "converted", "scripted": which[1] == "s",
                           "engine": "qnnpack" if engine == "qnnpack" else "fbgemm", "inputs": inputs})
        if only and name not in only:
            continue
        torch.manual_seed(0)
        net, fuse = make()
        qat = trained(prepared(net, fuse, engine, fx, inputs), inputs)
        models = {"q": qat, "c": export.convert(qat, fx) if "c" in exports else None}
        for which in exports.split():
            file = f"{name}_{'qat' if which[0] == 'q' else 'converted'}_{'scripted' if which[1] == 's' else 'traced'}.pt"
            model = copy.deepcopy(qat) if which[0] == "q" else models["c"]
            example = tuple(tensors(inputs).values())
            try:
                script = (torch.jit.script(export.make_scriptable(model)) if which[1] == "s"
                          else torch.jit.trace(model, example, check_trace=False))
                save(script, FOLDER / file)
            except Exception as error:
                print(file, "FAILED:", str(error).strip().splitlines()[0])
    (FOLDER / "cases.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in listed) + "\n]\n")


LINES = """import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 2), nn.ReLU())

    def helper(self, x):
        return torch.fake_quantize_per_tensor_affine(x, 0.125, 3, 0, 255)

    def forward(self, x):
        x = self.helper(x)
        return self.body(x) + 1.0
"""


def source_lines():
    """A file that keeps its debug records, of a program named model.py; the paths of PyTorch's own files are masked."""
    linecache.cache["/a/b/model.py"] = (len(LINES), None, LINES.splitlines(True), "/a/b/model.py")
    scope = {"__name__": "model"}
    exec(compile(LINES, "/a/b/model.py", "exec"), scope)
    sys.modules["model"] = types.SimpleNamespace(**scope)
    sys.modules["model"].__file__ = "/a/b/model.py"
    net = scope["Net"]().eval()
    packages = str(pathlib.Path(torch.__file__).parents[1]).encode()
    masked = b"/" + b"x" * (len(packages) - len(b"//site-packages")) + b"/site-packages"
    here = str(HERE).encode()
    for name, script in (("traced", torch.jit.trace(net, torch.zeros(1, 2))), ("scripted", torch.jit.script(net))):
        buffer = io.BytesIO()
        torch.jit.save(script, buffer)
        path = FOLDER.parent / f"source_lines_{name}.pt"
        with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
            for entry in source.namelist():
                info = zipfile.ZipInfo(entry)
                info.compress_type = zipfile.ZIP_DEFLATED
                data = source.read(entry).replace(packages, masked).replace(here, b"/" + b"y" * (len(here) - 1))
                target.writestr(info, data)


if __name__ == "__main__":
    if "source_lines" in sys.argv[1:] or not sys.argv[1:]:
        source_lines()
    main(sys.argv[1:])
