"""Records golden vectors of LiteRT's kernels: python make_litert.py [--out DIR]. Needs requirements-litert.txt.

One model a case, run by every target that the case names. XNNPACK's folder only takes models whose operator the
delegate really took over; a case that the delegate refuses is left out of it.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import ai_edge_litert
import litert_cases
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from litert_cases import Case
from vectors import write_case

RESOLVERS = {
    "tflite-reference": OpResolverType.BUILTIN_REF,
    "tflite-ruy": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "tflite-xnnpack": OpResolverType.BUILTIN,
    "tflite-int16x8": OpResolverType.BUILTIN_REF,
}
KERNEL = {
    "tflite-reference": "BUILTIN_REF",
    "tflite-ruy": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "tflite-xnnpack": "BUILTIN, XNNPACK delegate",
    "tflite-int16x8": "BUILTIN_REF",
}


def run(model: bytes, inputs: list[np.ndarray], resolver: OpResolverType) -> tuple[np.ndarray, bool]:
    """The output, and whether a delegate computed it."""
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=resolver, num_threads=1)
    interpreter.allocate_tensors()
    for details, values in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(details["index"], values)
    interpreter.invoke()
    names = [details["op_name"] for details in interpreter._get_ops_details()]
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), "DELEGATE" in names


def record(root: Path, case: Case) -> dict[str, np.ndarray]:
    """Writes the case once a target; what the targets returned."""
    outputs = {}
    for target in case.targets:
        try:
            output, delegated = run(case.model, case.inputs, RESOLVERS[target])
        except (RuntimeError, ValueError) as error:
            print(f"{case.name}: {target} refuses it: {str(error).splitlines()[0]}")
            continue
        if target == "tflite-xnnpack" and not delegated:
            print(f"{case.name}: not taken by the delegate")
            continue
        header = {"runtime": "litert", "version": ai_edge_litert.__version__, "kernel": KERNEL[target], **case.header}
        write_case(root, target, case.name, header, {**case.arrays, "output": output})
        outputs[target] = output
    return outputs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent / "vectors")
    root = parser.parse_args().out
    cases = litert_cases.all_cases()
    twice = [key for key, count in Counter((case.name, case.targets) for case in cases).items() if count > 1]
    if twice:
        raise ValueError(f"names used twice: {twice}")
    for case in cases:
        outputs = record(root, case)
        first = next(iter(outputs.values()), None)
        differing = {target: int((output != first).sum()) for target, output in outputs.items()}
        print(case.name, 0 if first is None else first.size, differing)


if __name__ == "__main__":
    main()
