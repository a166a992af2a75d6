"""Writes golden vectors: one folder a case, case.json and .npy files. The format is described in ../README.md."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

MAC_KEYS = ("runtime", "version", "target", "kernel", "host", "op", "layout", "attributes", "input", "weight", "output",
            "activation")


def write_case(root: Path, target: str, name: str, case: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Replaces the folder root/target/name. `arrays` maps file stems (input, weight, bias, bias_int, output) to values."""
    folder = root / target / name
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    unknown = set(case) - set(MAC_KEYS)
    if unknown:
        raise ValueError(f"{name}: unknown keys {sorted(unknown)}")
    ordered = {key: case[key] for key in MAC_KEYS if key in case}
    (folder / "case.json").write_text(json.dumps({**ordered, "target": target}, indent=2) + "\n")
    for stem, array in arrays.items():
        if array.dtype.byteorder == ">":
            raise ValueError(f"{name}: {stem} is big endian")
        np.save(folder / f"{stem}.npy", np.ascontiguousarray(array))
