"""docs/gate.md followed to the letter: its files written, its commands run, in the order of the page."""

import re
import shutil
import subprocess

import pytest
from conftest import EXAMPLE, ROOT, environment

PAGE = (ROOT / "docs/gate.md").read_text()


def blocks(language, text=PAGE):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def run(command, folder):
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )


def with_models(folder, model="baseline"):
    """The names that the page and the templates use."""
    shutil.copy(EXAMPLE / "models" / f"{model}.pt", folder / "model_qat.pt")
    shutil.copy(EXAMPLE / "models" / f"{model}_int8.pt", folder / "model_int8.pt")
    shutil.copy(EXAMPLE / "calib.npz", folder / "calib.npz")


@pytest.fixture
def followed(tmp_path):
    """The page's part "Five minutes", done; the last command's result."""
    with_models(tmp_path)
    part = PAGE[PAGE.index("\n## Five minutes\n") : PAGE.index("\n## Exit codes\n")]
    steps = re.findall(r"^```(sh|yaml)\n(.*?)^```", part, re.MULTILINE | re.DOTALL)
    assert [language for language, _ in steps] == ["sh", "sh", "yaml", "sh", "sh", "sh"]
    for language, text in steps:
        if language == "yaml":
            (tmp_path / "gate.yaml").write_text(text)
            continue
        result = run(text, tmp_path)
        assert result.returncode == 0, text + result.stdout + result.stderr
    return tmp_path


def test_the_five_minutes(followed):
    made = {path.name for path in followed.iterdir()}
    assert {"report.json", "baseline.json", "gate.yaml", "gate.xml", "gate.md"} <= made
    # The limits of the page bite.
    with_models(followed, "bias_saturation")
    (gate_step,) = [text for text in blocks("sh") if "--rules gate.yaml" in text and text.startswith("qatgap analyze")]
    result = run(gate_step, followed)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "fail  no more saturated biases: pytorch-qnnpack, mix.0" in result.stdout


def test_the_waiver(followed):
    """As the page adds it, to a rule that the page has; with a limit that does not hold."""
    (waiver,) = [text for text in blocks("yaml") if text.startswith("waivers:")]
    rules = (followed / "gate.yaml").read_text()
    assert "max_increase: 0.1\n    level: warn" in rules
    broken = rules.replace("max_increase: 0.1\n    level: warn", "max: -1")
    gate = "qatgap gate --report report.json --baseline baseline.json --rules gate.yaml"
    (followed / "gate.yaml").write_text(broken)
    assert run(gate, followed).returncode == 1
    (followed / "gate.yaml").write_text(broken + waiver)
    result = run(gate, followed)
    # Today's date decides, as it will in a reader's CI.
    if result.returncode == 0:
        assert "waived: retrained in January (until 2027-01-31)" in result.stdout
    else:
        assert result.returncode == 1
        assert "note: the waiver of rule 'first layers' (retrained in January) expired on 2027-01-31" in result.stdout
