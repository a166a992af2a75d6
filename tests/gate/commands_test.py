"""`gate`, `compare`, `baseline update` and `analyze --rules`: every exit code, and what no mistake may pass."""

import json
import os
import random
import resource
import signal
import socket
import subprocess

import numpy as np
import pytest
import qatgap as package
from conftest import BIN, EXAMPLE, TARGETS, analyze, environment, qatgap
from qatgap.private_server import PrivateServer

RATE = "injected.bias_rounding.changed_rate"
ACCEPT = "qatgap baseline update --report report.json --baseline baseline.json"


@pytest.fixture
def folder(tmp_path, reports):
    """report.json and its baseline.json; rules as `write` leaves them."""
    (tmp_path / "report.json").write_bytes(reports("baseline").read_bytes())
    assert (
        qatgap("baseline", "update", "--report", "report.json", "--baseline", "baseline.json", cwd=tmp_path).returncode
        == 0
    )
    return tmp_path


def rules_file(folder, *rules, preset=None):
    text = ["version: 1"] + ([f"preset: {preset}"] if preset else []) + (["rules:"] if rules else [])
    (folder / "gate.yaml").write_text("\n".join(text + [f"  - {{{rule}}}" for rule in rules]) + "\n")


def gate(folder, *more, baseline=True):
    compared = ["--baseline", "baseline.json"] if baseline else []
    return qatgap("gate", "--report", "report.json", "--rules", "gate.yaml", *compared, *more, cwd=folder)


def edited(folder, change):
    """report.json after `change` of its JSON."""
    report = json.loads((folder / "report.json").read_text())
    change(report)
    (folder / "report.json").write_text(json.dumps(report))


def dead_port():
    """A port of loopback on which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{found.getsockname()[1]}"


def test_0_with_warnings(folder):
    rules_file(folder, f"metric: {RATE}, max: 0, level: warn")
    result = gate(folder, baseline=False)
    assert result.returncode == 0
    assert result.stdout.startswith("gate passed: 0 failed, ")
    assert "\nwarn  injected.bias_rounding.changed_rate: pytorch-qnnpack, " in result.stdout
    assert result.stderr == ""


def test_1(folder):
    rules_file(folder, f"metric: {RATE}, max: 0")
    for flags in ([], ["--quiet"]):  # quiet still says where
        result = gate(folder, *flags)
        assert result.returncode == 1
        assert "\nfail  injected.bias_rounding.changed_rate: pytorch-qnnpack, stem.0\n" in result.stdout
        assert result.stdout.endswith(f"\nto accept this report as the new baseline:\n    {ACCEPT}\n")


def test_quiet_is_one_line_where_every_limit_holds(folder):
    rules_file(folder, "metric: coverage, min: 0")
    result = gate(folder, "--quiet")
    assert (result.returncode, result.stdout) == (0, "gate passed: 0 failed, 0 warnings, 2 passed\n")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("metric: injected.bias_roundin.changed_rate, max: 1", "did you mean 'injected.bias_rounding.changed_rate'"),
        ("metric: coverage, mim: 1", "did you mean 'min'"),
        (f"metric: {RATE}, max: 1, layers: [stm.0]", "matches no layer (stm.0); the nearest is 'stem.0'"),
        (f"metric: {RATE}, max: 1, kinds: [conv3d]", "matches no layer of kind (conv3d); the nearest is 'conv2d'"),
        (f"metric: {RATE}, max: 1, targets: [pytorch-qnpack]", "the nearest is 'pytorch-qnnpack'"),
        ("metric: coverage", "has no limit"),
        ("metric: coverage, min: .nan", "finite"),
    ],
    ids=["metric", "key", "layer", "kind", "target", "no limit", "NaN"],
)
def test_2_a_mistake_in_a_rule(folder, rule, message):
    rules_file(folder, rule)
    result = gate(folder)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--report", "report.json"], "--rules FILE, or --preset"),
        (["--report", "report.json", "--rules", "gate.yaml", "--preset", "strict"], "both --rules and --preset"),
        (["--report", "none.json", "--preset", "strict"], "none.json"),
        (["--report", "gate.yaml", "--preset", "strict"], "gate.yaml"),
        (["--report", "report.json", "--preset", "ratchet"], "--baseline"),
        (["--report", "report.json", "--preset", "lax"], "strict, default, ratchet"),
        (["--report", "report.json", "--preset", "ratchet", "--baseline", "gate.yaml"], "gate.yaml"),
        (["--report", "report.json", "--preset", "strict", "--junit", "none/gate.xml"], "mkdir -p none"),
        (["--reprot", "report.json", "--preset", "strict"], "--report"),
    ],
    ids=["no rules", "two", "no report", "no JSON", "no baseline", "preset", "baseline", "directory", "option"],
)
def test_2_usage(folder, arguments, message):
    rules_file(folder, "metric: coverage, min: 1")
    result = qatgap("gate", *arguments, cwd=folder)
    assert result.returncode == 2
    assert message in result.stderr


def set_rate_null(report):
    for target in report["statistics"]["targets"]:
        for layer in target["layers"]:
            layer["causes"]["bias_rounding"]["changed_rate"] = None


def drop_a_target(report):
    del report["statistics"]["targets"][1]


def change_the_arithmetic(report):
    for target in report["statistics"]["targets"]:
        target["digest"] = "0" * 64


def cover_less(report):
    report["statistics"]["targets"][0]["coverage"]["analysed"] -= 1


def use_other_batches(report):
    report["statistics"]["batch_size"] = report["environment"]["batch_size"] = 16


def improve_too_much(report):
    """No code of any layer differs: as when two models are mixed up."""
    for layer in report["statistics"]["targets"][0]["layers"]:
        for figures in layer["causes"].values():
            if figures:
                figures |= {"changed": 0, "changed_rate": 0.0}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (set_rate_null, f"the report has no value of {RATE} for layer 'stem.0'"),
        (drop_a_target, "target 'tflite-reference' of the baseline was not analysed"),
        (change_the_arithmetic, "the arithmetic of target 'pytorch-qnnpack' changed"),
        (cover_less, "coverage under 'pytorch-qnnpack' dropped from 1 to 0.75"),
        (use_other_batches, "batches of 32 in the baseline, of 16 now"),
        (improve_too_much, "an implausible improvement: no code of any layer differs under 'pytorch-qnnpack'"),
    ],
    ids=["missing figure", "targets", "arithmetic", "coverage", "batches", "improvement"],
)
def test_3(folder, change, reason):
    rules_file(folder, f"metric: {RATE}, max: 1")
    edited(folder, change)
    result = gate(folder)
    assert result.returncode == 3, result.stdout + result.stderr
    assert reason in result.stdout


def test_a_number_that_is_none_does_not_pass(folder):
    """JSON has no NaN: a writer that puts one there has not written a report."""
    rules_file(folder, f"metric: {RATE}, max: 1")
    text = (folder / "report.json").read_text()
    (folder / "report.json").write_text(text.replace('"changed_rate":', '"changed_rate":NaN, "was":', 1))
    result = gate(folder)
    assert result.returncode == 2
    assert "report.json" in result.stderr


def test_3_a_comparison_of_nothing(folder):
    rules_file(folder, f"metric: {RATE}, layers: [nothing], must_match: false, max: 1")
    result = gate(folder)
    assert result.returncode == 3
    assert "nothing was checked" in result.stdout


def test_4_nobody_listens(folder):
    rules_file(folder, "metric: coverage, min: 1")
    address = dead_port()
    assert gate(folder, "--server", address).returncode == 4
    assert qatgap("compare", "baseline.json", "report.json", "--server", address, cwd=folder).returncode == 4
    update = qatgap(
        "baseline", "update", "--report", "report.json", "--baseline", "new.json", "--server", address, cwd=folder
    )
    assert update.returncode == 4
    assert not (folder / "new.json").exists()
    one_step = qatgap(
        *("analyze", "--qat", EXAMPLE / "models/baseline.pt", "--samples", EXAMPLE / "calib.npz"),
        *("--target", TARGETS[0], "--rules", "gate.yaml", "--server", address),
        cwd=folder,
    )
    assert one_step.returncode == 4
    assert "error: " in one_step.stderr


def test_4_the_analysis_fails(folder, tmp_path):
    """A server that gives a unit of work a millisecond: the runner is ended, there is no report, nothing is judged."""
    impatient = tmp_path / "qatgapd"
    impatient.write_text(f'#!/bin/sh\nexec "{BIN}/qatgapd" --unit-timeout 0.001 "$@"\n')
    impatient.chmod(0o755)
    rules_file(folder, "metric: coverage, min: 0")
    with PrivateServer(impatient) as running:
        result = qatgap(
            *("analyze", "--qat", EXAMPLE / "models/baseline.pt", "--samples", EXAMPLE / "calib.npz", "--quiet"),
            *("--target", TARGETS[0], "--rules", "gate.yaml", "--junit", "gate.xml", "--server", running.address),
            cwd=folder,
        )
    assert (result.returncode, result.stdout) == (4, ""), result.stderr
    assert "error: " in result.stderr
    assert not (folder / "gate.xml").exists()


def test_analyze_tells_rules_apart_before_it_starts(folder):
    """A mistake in the rules' place on disk costs no analysis."""
    result = qatgap(
        *("analyze", "--qat", EXAMPLE / "models/baseline.pt", "--samples", EXAMPLE / "calib.npz"),
        *("--target", TARGETS[0], "--rules", "none.yaml"),
        cwd=folder,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert "none.yaml" in result.stderr


@pytest.fixture(scope="session")
def server():
    """The address of a server that is not limited as the client is."""
    with PrivateServer() as running:
        yield running.address


def no_room():
    """As on a full disk: no file takes a byte."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@pytest.mark.parametrize(("limit", "code"), [("max: 1", 0), ("max: 0", 1)], ids=["pass", "fail"])
def test_writing_reports_never_changes_the_exit_code(folder, server, limit, code):
    rules_file(folder, f"metric: {RATE}, {limit}")
    for option in ("--junit", "--sarif", "--gitlab", "--markdown", "--json"):
        written = gate(folder, option, f"out{option}")
        assert (written.returncode, written.stderr) == (code, "")
        full = subprocess.run(
            [
                BIN / "qatgap",
                "gate",
                "--report",
                "report.json",
                "--rules",
                "gate.yaml",
                "--server",
                server,
                option,
                f"full{option}",
            ],
            cwd=folder,
            env=environment(),
            preexec_fn=no_room,
            capture_output=True,
            text=True,
        )
        assert full.returncode == code
        assert full.stdout.startswith("gate ")
        assert f"full{option}" in full.stderr
        assert not (folder / f"full{option}").exists()
    full = qatgap(
        *("gate", "--report", "report.json", "--rules", "gate.yaml", "--github"),
        cwd=folder,
        GITHUB_STEP_SUMMARY="/dev/full",
    )
    assert full.returncode == code
    assert "step summary cannot be written" in full.stderr


def test_github(folder):
    rules_file(folder, f"metric: {RATE}, max: 0, targets: [pytorch-*]")
    (folder / "summary.md").write_text("earlier\n")
    result = qatgap(
        *("gate", "--report", "report.json", "--rules", "gate.yaml", "--github"),
        cwd=folder,
        GITHUB_STEP_SUMMARY=str(folder / "summary.md"),
    )
    assert result.returncode == 1
    annotations = [line for line in result.stdout.splitlines() if line.startswith("::")]
    rows = [line for line in (folder / "summary.md").read_text().splitlines() if line.startswith("| fail |")]
    assert len(annotations) == len(rows) > 0
    assert all(line.startswith("::error ") and "title=qatgap%3A injected.bias_rounding" in line for line in annotations)
    assert (folder / "summary.md").read_text().startswith("earlier\n### qatgap: gate failed")


def test_compare(folder, reports):
    same = qatgap("compare", "baseline.json", "report.json", cwd=folder)
    assert (same.returncode, same.stdout) == (0, "nothing moved\n")
    other = qatgap("compare", "baseline.json", reports("requantization"), "--markdown", "moved.md", cwd=folder)
    assert other.returncode == 0
    lines = other.stdout.splitlines()
    assert lines[0] == "what layers add, on equal inputs (injected.total.changed_rate):"
    (moved,) = [line for line in lines if line.startswith("  tflite-reference  mix.0  0.0")]
    assert moved.endswith("  most by requantization")
    assert any(line.startswith("  tflite-reference  mix.0  injected.requantization.changed_rate  ") for line in lines)
    assert "| tflite-reference | mix.0 | injected.requantization.changed_rate |" in (folder / "moved.md").read_text()
    renamed = qatgap("compare", "baseline.json", reports("renamed"), cwd=folder)
    assert renamed.returncode == 0
    assert renamed.stdout.startswith("note: another model: ")
    assert qatgap("compare", "baseline.json", "none.json", cwd=folder).returncode == 2


def test_a_baseline_is_canonical(folder, tmp_path_factory):
    """Another analysis of the same files, in another order of units and batches of work: not a byte differs."""
    again = analyze("baseline.pt", folder / "again.json", "calib.npz", "--parallel", "2", "--title", "another")
    updated = qatgap("baseline", "update", "--report", again, "--baseline", "again_baseline.json", cwd=folder)
    assert updated.returncode == 0, updated.stderr
    text = (folder / "baseline.json").read_text()
    assert (folder / "again_baseline.json").read_text() == text
    # Of a baseline, the same baseline; one figure a line.
    assert qatgap("baseline", "update", "--report", "baseline.json", "--baseline", "b.json", cwd=folder).returncode == 0
    assert (folder / "b.json").read_text() == text
    assert max(map(len, text.splitlines())) < 120


def permuted_samples(tmp_path):
    with np.load(EXAMPLE / "calib.npz") as arrays:
        images = arrays["arr_0"]
    seed = random.SystemRandom().randrange(2**32)
    print("seed", seed)
    order = np.random.default_rng(seed).permutation(len(images))
    np.savez_compressed(tmp_path / "permuted.npz", images[order])
    return tmp_path / "permuted.npz"


def test_the_order_of_samples_changes_nothing(folder):
    """Other bytes of samples are other samples to the gate; every figure and every check of the limits is the same."""
    report = analyze("baseline.pt", folder / "permuted.json", permuted_samples(folder))

    def checks(name, preset):
        result = qatgap("gate", "--report", name, "--preset", preset, "--json", "checks.json", cwd=folder)
        return result.returncode, json.loads((folder / "checks.json").read_text())["checks"]

    for preset in ("strict", "default"):
        assert checks(report, preset) == checks("report.json", preset)
    moved = qatgap("compare", "report.json", report, cwd=folder).stdout.splitlines()
    assert moved[0].startswith("note: other samples: ")
    assert moved[1:] == ["nothing moved"]


def test_a_name_with_spaces_is_quoted_in_the_command_that_accepts(folder):
    os.rename(folder / "baseline.json", folder / "the team's baseline.json")
    rules_file(folder, f"metric: {RATE}, max: 0")
    result = gate(folder, "--baseline", "the team's baseline.json", baseline=False)
    assert result.returncode == 1
    assert result.stdout.endswith("--baseline 'the team'\\''s baseline.json'\n")


def test_the_python_package_knows_no_other_metrics(folder):
    """One list of names in two languages: the gate reads every name that the package reads."""
    names = package.metric_names()
    assert len(names) > 150
    rules_file(folder, *[f"metric: {name}, max: 1e9, name: rule {i}" for i, name in enumerate(names)])
    assert gate(folder).returncode in (0, 3)  # 3: without labels there is no accuracy
