"""A baseline and six changed models: verdicts, exit codes, and what JUnit says of layer and cause."""

import shutil
import xml.etree.ElementTree as tree

import pytest
from conftest import EXAMPLE, TARGETS, qatgap


@pytest.fixture
def repository(tmp_path):
    shutil.copytree(EXAMPLE, tmp_path / "repository")
    return tmp_path / "repository"


def gate(repository, model, samples="calib.npz"):
    """As a CI job does it, in one step; the test cases of its JUnit file too."""
    targets = [word for target in TARGETS for word in ("--target", target)]
    result = qatgap(
        *("analyze", "--qat", f"models/{model}.pt", "--samples", samples, *targets, "--json", "report.json", "--quiet"),
        *("--rules", "gate.yaml", "--baseline", "baseline.json", "--junit", "gate.xml"),
        cwd=repository,
    )
    return result, list(tree.parse(repository / "gate.xml").getroot().iter("testcase"))


def messages(cases, kind):
    return [found.get("message") for case in cases for found in case.findall(kind)]


@pytest.mark.parametrize("model", ["baseline", "harmless"])
def test_passes(repository, model):
    result, cases = gate(repository, model)
    assert result.returncode == 0, result.stdout
    assert "gate passed: 0 failed" in result.stdout
    # 5 rules on 4 layers and 3 on the model, under 2 targets.
    assert len(cases) == (5 * 4 + 3) * 2
    assert messages(cases, "failure") == messages(cases, "error") == []


def test_bias_saturation(repository):
    result, cases = gate(repository, "bias_saturation")
    assert result.returncode == 1
    failures = messages(cases, "failure")
    assert (
        "pytorch-qnnpack, mix.0: bias.saturated_channels is 1, max increase 0; baseline 0 (+1); cause bias_saturation"
        in failures
    )
    # TFLite's converter raises the weight scale instead: nothing saturates there.
    assert not any("tflite-reference" in message and "saturat" in message for message in failures)
    details = [case.findtext("failure") for case in cases if case.get("name") == "no more saturated biases"]
    assert any(text and "advice: QG001 Bias saturates" in text for text in details)
    (of_findings,) = [
        case.findtext("failure")
        for case in cases
        if case.get("name").startswith("no more findings") and case.findall("failure")
    ]
    assert "QG001 Bias saturates (mix.0): " in of_findings


def test_requantization(repository):
    result, cases = gate(repository, "requantization")
    assert result.returncode == 1
    found = [message for message in messages(cases, "failure") if "injected.requantization" in message]
    # QNNPACK rounds ties to even as fake-quantize does; TFLite's kernels do not.
    assert len(found) == 1
    assert found[0].startswith("tflite-reference, mix.0: injected.requantization.changed_rate is 0.07")
    assert found[0].endswith("; cause requantization")


@pytest.mark.parametrize(
    ("model", "samples", "reasons"),
    [
        ("renamed", "calib.npz", ["gone or changed: 'mix.0 conv2d [8,8,1,1]'", "does not know: 'pointwise.0 conv2d"]),
        ("baseline", "other_calib.npz", ["other samples: "]),
        ("removed", "calib.npz", ["1 layer of the baseline gone or changed: 'mix.0 conv2d [8,8,1,1]'"]),
    ],
    ids=["layer renamed", "samples changed", "layer removed"],
)
def test_not_comparable(repository, model, samples, reasons):
    result, cases = gate(repository, model, samples)
    assert result.returncode == 3
    assert result.stdout.splitlines()[-1] == "    qatgap baseline update --report report.json --baseline baseline.json"
    errors = messages(cases, "error")
    assert len(errors) == len(reasons)
    for error, reason in zip(errors, reasons, strict=True):
        assert reason in error


def test_the_command_that_accepts_does(repository):
    result, _ = gate(repository, "requantization")
    assert result.returncode == 1
    lines = result.stdout.splitlines()
    command = lines[lines.index("to accept this report as the new baseline:") + 1].split()
    before = (repository / "baseline.json").read_bytes()
    accepted = qatgap(*command[1:], cwd=repository)
    assert (command[0], accepted.returncode) == ("qatgap", 0), accepted.stderr
    assert (repository / "baseline.json").read_bytes() != before
    again, _ = gate(repository, "requantization")
    assert again.returncode == 0, again.stdout
    assert gate(repository, "bias_saturation")[0].returncode == 1


def test_one_step_is_the_two_steps(repository):
    one, _ = gate(repository, "bias_saturation")
    in_one = (repository / "gate.xml").read_bytes()
    two = qatgap(
        *(
            "gate",
            "--report",
            "report.json",
            "--baseline",
            "baseline.json",
            "--rules",
            "gate.yaml",
            "--junit",
            "gate.xml",
        ),
        cwd=repository,
    )
    assert two.returncode == one.returncode == 1
    assert (repository / "gate.xml").read_bytes() == in_one
    assert one.stdout.endswith(two.stdout)
