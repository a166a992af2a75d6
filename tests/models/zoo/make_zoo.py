"""Writes the model zoo: one folder per network and flow, see README.md.

python tests/models/zoo/make_zoo.py --out DIR [--models a,b] [--flows x,y] [--jobs 2] [--again]
"""

import argparse
import fnmatch
import json
import os
import pathlib
import sys
import time
import warnings

warnings.filterwarnings("ignore")
os.environ.setdefault("PYTHONWARNINGS", "ignore")

import torch  # noqa: E402

import architectures  # noqa: E402
import folder as zoo_folder  # noqa: E402
import onnx_flows  # noqa: E402
import pt2e_flows  # noqa: E402
import tflite_flows  # noqa: E402
import torchscript_flows  # noqa: E402
import training  # noqa: E402

SAMPLES = 4

# flow -> how it is written, the engine of LibTorch that runs it, the target whose arithmetic that engine has
FLOWS = {}
for engine in ("x86", "fbgemm", "qnnpack", "onednn"):
    for fx in (False, True):
        FLOWS[f"{'fx' if fx else 'eager'}_{engine}"] = (
            lambda f, a, s, engine=engine, fx=fx: torchscript_flows.write(f, a, engine, fx, s), engine, f"pytorch-{engine}")
FLOWS["pt2e_x86"] = (lambda f, a, s: pt2e_flows.write(f, a, "x86", s), "x86", "pytorch-x86")
FLOWS["pt2e_xnnpack"] = (lambda f, a, s: pt2e_flows.write(f, a, "xnnpack", s), "none", "executorch-xnnpack")
FLOWS["onnx_x86"] = (lambda f, a, s: onnx_flows.write_qat(f, a, "x86", s), "x86", "pytorch-x86")
FLOWS["onnx_qnnpack"] = (lambda f, a, s: onnx_flows.write_qat(f, a, "qnnpack", s), "qnnpack", "pytorch-qnnpack")
FLOWS["ort_qdq"] = (lambda f, a, s: onnx_flows.write_static(f, a, "qdq", s), "none", "onnxruntime")
FLOWS["ort_qoperator"] = (lambda f, a, s: onnx_flows.write_static(f, a, "qoperator", s), "none", "onnxruntime")
FLOWS["litert"] = (lambda f, a, s: tflite_flows.write(f, a, s), "none", "tflite-reference")

# What is made of every network; small networks get every flow.
EVERYWHERE = ("eager_x86", "eager_qnnpack", "fx_x86", "pt2e_x86", "pt2e_xnnpack", "onnx_x86", "ort_qdq", "ort_qoperator", "litert")
SMALL = ("resnet8", "ds_cnn", "mobilenet_v1_025", "autoencoder", "transformer", "two_branches", "resnet18")
ONCE = {"mobilenet_v2_224": ("eager_x86", "eager_qnnpack", "pt2e_x86", "onnx_x86")}  # of a network that is there at another size


def flows_of(model):
    return ONCE.get(model, tuple(FLOWS) if model in SMALL else EVERYWHERE)


def make(out, model, flow):
    torch.set_num_threads(1)
    architecture = architectures.ARCHITECTURES[model]
    write, engine, target = FLOWS[flow]
    folder = zoo_folder.Folder(
        out / model / flow,
        {"model": model, "flow": flow, "engine": engine, "target": target, "samples": "samples.npy",
         "one_by_one": architecture.branches, "input_shape": list(architecture.input_shape), "torch": torch.__version__},
    )
    samples = training.seeded_samples(architecture.input_shape, SAMPLES)
    folder.array("samples", samples.numpy())
    write(folder, architecture, samples)
    folder.about["done"] = True
    folder.save_about()


def is_done(path):
    about = path / "about.json"
    return about.exists() and json.loads(about.read_text()).get("done", False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--models", default="*", help="names or patterns, separated by commas")
    parser.add_argument("--flows", default="*", help="names or patterns, separated by commas")
    parser.add_argument("--folders", help="exactly these, as network/flow, separated by commas")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--again", action="store_true", help="make what is there already, too")
    arguments = parser.parse_args()

    def chosen(name, patterns):
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns.split(","))

    wanted = [(model, flow) for model in architectures.ARCHITECTURES if chosen(model, arguments.models)
              for flow in flows_of(model) if chosen(flow, arguments.flows)]
    if arguments.folders:
        wanted = [tuple(folder.split("/")) for folder in arguments.folders.split(",")]
    work = [folder for folder in wanted if arguments.again or not is_done(arguments.out / folder[0] / folder[1])]
    unknown = [folder for folder in wanted if folder[0] not in architectures.ARCHITECTURES or folder[-1] not in FLOWS]
    if unknown or not wanted:
        sys.exit(f"not in the zoo: {unknown or arguments.models}; networks: {', '.join(architectures.ARCHITECTURES)}; "
                 f"flows: {', '.join(FLOWS)}")
    running, failed = {}, 0
    # One process a folder: a failed torch.jit.script spoils the next one in its process, and a crash ends only itself.
    while work or running:
        while work and len(running) < arguments.jobs:
            model, flow = work.pop(0)
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    log = arguments.out / model / flow
                    log.mkdir(parents=True, exist_ok=True)
                    descriptor = os.open(log / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
                    os.dup2(descriptor, 1)
                    os.dup2(descriptor, 2)
                    make(arguments.out, model, flow)
                    status = 0
                except BaseException:
                    import traceback

                    traceback.print_exc()
                finally:
                    sys.stdout.flush()
                    sys.stderr.flush()
                    os._exit(status)
            running[child] = (model, flow, time.monotonic())
        child, status = os.waitpid(-1, 0)
        model, flow, start = running.pop(child)
        failed += status != 0
        about = json.loads((arguments.out / model / flow / "about.json").read_text()) if status == 0 else {"parts": {}}
        said = [f"{file}: {'refused' if 'error' in part else 'ok'}" for file, part in about["parts"].items()]
        print(f"{model}/{flow} {time.monotonic() - start:.1f} s", ", ".join(said) or "FAILED, see its log.txt", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
