"""Records golden vectors of TensorFlow Lite Micro's reference kernels, the only ones that it has for this host.

python make_tflite_micro.py [--out DIR]. Needs requirements-tflite-micro.txt. The models are those of make_litert.py.
"""

from __future__ import annotations

import argparse
from importlib.metadata import version
from pathlib import Path

import litert_cases
from tflite_micro.python.tflite_micro import runtime
from vectors import write_case

TARGET = "tflite-micro"
CASES = {
    "conv2d_per_channel",
    "conv2d_relu6_half_even",
    "conv2d_relu6_half_odd",
    "conv2d_groups",
    "conv2d_ties",
    "conv2d_three_quarters",
    "conv2d_multiplier_above_one",
    "conv2d_accumulator_wraps",
    "conv2d_left_shift_overflows",
    "conv2d_product_per_tensor",
    "depthwise_multiplier_2",
    "depthwise_no_bias_dilation",
    "depthwise_ties",
    "transposed_same",
    "transposed_ties",
    "linear_per_tensor",
    "linear_per_channel",
    "linear_ties",
    "linear_product_per_tensor",
    "linear_product_per_channel",
    "conv2d_int64_bias",
    "conv2d_int32_bias",
    "conv2d_multiplier_near_one_int64_bias",
    "conv2d_multiplier_near_one_int32_bias",
    "linear_int64_bias",
    "linear_int32_bias",
    "add_ties",
    "mul_ties",
    "mul_product",
    "mul",
    "concat",
    "avg_pool2d_same_3x3",
    "max_pool2d_relu6",
    "mean_spatial",
    "mean_spatial_ties",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent / "vectors")
    root = parser.parse_args().out
    for case in litert_cases.all_cases():
        if case.name not in CASES:
            continue
        first = case.header["input"]
        wide = (first[0] if isinstance(first, list) else first)["dtype"] == "int16"
        interpreter = runtime.Interpreter.from_bytes(case.model, arena_size=2_000_000)
        for number, values in enumerate(case.inputs):
            interpreter.set_input(values, number)
        interpreter.invoke()
        header = {"runtime": "tflite-micro", "version": version("tflite-micro"), "kernel": "reference", **case.header}
        output = interpreter.get_output(0)
        name = f"int16_{case.name}" if wide else case.name
        write_case(root, TARGET, name, header, {**case.arrays, "output": output})
        print(name, output.size)


if __name__ == "__main__":
    main()
