"""The presets on the demo models: what docs/gate.md says of their limits."""

import json

import pytest
from conftest import ROOT, qatgap

MODELS = ROOT / "tests/models"


@pytest.fixture(scope="session", params=["residual_eager_fbgemm", "residual_eager_qnnpack"])
def demo(request, tmp_path_factory):
    """The first has the layer whose bias rounding moves most codes of all."""
    report = tmp_path_factory.mktemp("demo") / "report.json"
    folder = MODELS / request.param
    result = qatgap(
        *("analyze", "--qat", folder / "qat.pt", "--converted", folder / "converted.pt"),
        *("--samples", MODELS / "samples/images_512.npz", "--max-samples", "128", "--json", report, "--quiet"),
        *("--target", "pytorch-qnnpack", "--target", "tflite-reference", "--target", "generic-int8"),
    )
    assert result.returncode == 0, result.stderr
    return report


def gate(folder, report, preset, targets):
    """The preset with its rules for some targets only."""
    result = qatgap("gate", "--report", report, "--preset", preset, "--json", folder / "checks.json")
    checks = json.loads((folder / "checks.json").read_text())["checks"]
    return result.returncode, [check for check in checks if check["target"] in targets and check["outcome"] == "fail"]


@pytest.mark.parametrize("preset", ["strict", "default"])
def test_a_healthy_model_passes_and_a_narrow_bias_fails(demo, tmp_path, preset):
    code, failed = gate(tmp_path, demo, preset, ["pytorch-qnnpack", "tflite-reference"])
    assert failed == []
    code, failed = gate(tmp_path, demo, preset, ["generic-int8"])
    assert code == 1
    assert {check["rule"] for check in failed} == {"bias rounding"}


@pytest.mark.parametrize("preset", ["strict", "default"])
def test_a_saturated_bias_fails(reports, tmp_path, preset):
    code, failed = gate(tmp_path, reports("bias_saturation"), preset, ["pytorch-qnnpack"])
    assert code == 1
    assert {"no saturated bias", "no findings of severity error"} <= {check["rule"] for check in failed}
    assert gate(tmp_path, reports("baseline"), preset, [])[0] == 0
