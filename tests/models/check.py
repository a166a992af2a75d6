"""Loads every model file beside this script and compares its outputs with expected.npz, bit for bit.

Float32 sums depend on the CPU's vector width, so on another kind of CPU qat_output may differ in some steps.
"""

import json
import pathlib
import sys
import warnings

import numpy as np
import torch

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).parent


def freeze_observers(module):
    for name, buffer in module.named_buffers():
        if name.endswith("observer_enabled"):
            buffer.zero_()


def run(path, images, one_by_one, frozen=False):
    module = torch.jit.load(path)
    if frozen:
        freeze_observers(module)
    with torch.no_grad():
        parts = images.split(1) if one_by_one else [images]
        return torch.cat([module(part) for part in parts]).numpy()


def main():
    torch.set_num_threads(1)
    images = torch.from_numpy(np.load(HERE / "samples" / "images_64.npy"))
    first = np.load(HERE / "samples" / "images_512.npz")["images"][: len(images)]
    failures = 0 if np.array_equal(first, images.numpy()) else 1
    for about_path in sorted(HERE.glob("*/about.json")):
        folder = about_path.parent
        about = json.loads(about_path.read_text())
        torch.backends.quantized.engine = about["engine"]
        expected = np.load(folder / "expected.npz")
        for key in expected.files:
            path = folder / ("converted.pt" if key.startswith("converted") else "qat.pt")
            output = run(path, images, about["net"] == "branching", frozen=key.endswith("frozen"))
            equal = np.array_equal(output, expected[key])
            failures += not equal
            print("ok  " if equal else "FAIL", folder.name, key, f"max difference {np.abs(output - expected[key]).max():g}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
