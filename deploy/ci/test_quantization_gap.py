"""A pytest of your model's repository: fails where the integer model moves away from the trained one.

Needs the package qatgap (pip install ./client/python of a qatgap checkout) and qatgapd on the PATH or in QATGAP_BIN_DIR.
"""

import qatgap


def test_quantization_gap() -> None:
    report = qatgap.analyze(
        "model_qat.pt",
        None,
        "calib.npz",
        converted="model_int8.pt",
        targets=["pytorch-qnnpack"],
        max_samples=64,
        progress=False,
    )
    report.assert_within(
        [
            {"metric": "bias.saturated_channels", "max": 0},
            {"metric": "injected.bias_rounding.changed_rate", "max": 0.01},
            {"metric": "outputs.top1_changed_rate", "max": 0.05},
        ]
    )
