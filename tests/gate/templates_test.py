"""deploy/ci: the script part of each template, run as its system runs it, where the gate holds and where it fails."""

import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import yaml
from conftest import ROOT, environment, qatgap
from page_test import with_models

CI = ROOT / "deploy/ci"
CODES = pytest.mark.parametrize(("model", "code"), [("baseline", 0), ("bias_saturation", 1)], ids=["pass", "fail"])


@pytest.fixture
def repository(tmp_path, reports):
    """With the baseline of the model that holds."""
    with_models(tmp_path)
    (tmp_path / "gate.yaml").write_text("version: 1\npreset: ratchet\n")
    made = qatgap(
        *("analyze", "--qat", "model_qat.pt", "--converted", "model_int8.pt", "--samples", "calib.npz"),
        *("--target", "pytorch-qnnpack", "--json", "report.json", "--quiet"),
        cwd=tmp_path,
    )
    assert made.returncode == 0, made.stderr
    assert (
        qatgap("baseline", "update", "--report", "report.json", "--baseline", "baseline.json", cwd=tmp_path).returncode
        == 0
    )
    (tmp_path / "report.json").unlink()
    return tmp_path


def run(command, folder, **more):
    return subprocess.run(command, cwd=folder, env=environment(**more), capture_output=True, text=True, timeout=300)


def told(result):
    return "fail  no more saturated biases: pytorch-qnnpack, mix.0" in result.stdout


@CODES
def test_github_actions(repository, model, code):
    with_models(repository, model)
    workflow = yaml.safe_load((CI / "github-actions.yml").read_text())
    (job,) = workflow["jobs"].values()
    scripts = [step["run"] for step in job["steps"] if "run" in step]
    assert len(scripts) == 2
    results = []
    for script in scripts:
        (repository / "step.sh").write_text(script)
        results.append(run(["bash", "-e", "step.sh"], repository, GITHUB_STEP_SUMMARY=str(repository / "summary.md")))
        if results[-1].returncode != 0:
            break
    assert [result.returncode for result in results] == [0, code], results[-1].stderr
    assert told(results[-1]) == ("::error " in results[-1].stdout) == (code == 1)
    assert (repository / "summary.md").read_text().startswith(f"### qatgap: gate {'failed' if code else 'passed'}")
    # What the later steps upload is there.
    wanted = [step["with"] for step in job["steps"] if "with" in step]
    files = [with_["sarif_file"] for with_ in wanted if "sarif_file" in with_]
    files += [name for with_ in wanted if "path" in with_ for name in with_["path"].split()]
    assert sorted(files) == ["gate.sarif", "gate.xml", "report.html", "report.json"]
    assert all((repository / name).stat().st_size > 0 for name in files)


@CODES
def test_gitlab(repository, model, code):
    with_models(repository, model)
    (job,) = yaml.safe_load((CI / "gitlab-ci.yml").read_text()).values()
    # A runner's shell: one script, which ends at the first command that fails.
    result = run(["bash", "-eo", "pipefail", "-c", "\n".join(job["script"])], repository)
    assert result.returncode == code, result.stderr
    assert told(result) == (code == 1)
    artifacts = job["artifacts"]
    for name in [*artifacts["paths"], *artifacts["reports"].values()]:
        assert (repository / name).stat().st_size > 0


@CODES
def test_jenkins(repository, model, code):
    with_models(repository, model)
    text = (CI / "Jenkinsfile").read_text()
    (script,) = re.findall(r"sh '''(.*?)'''", text, re.DOTALL)
    # Groovy takes a backslash at a line's end as the shell does.
    result = run(["sh", "-xe", "-c", script.replace("\\\n", "")], repository)
    assert result.returncode == code, result.stderr
    assert told(result) == (code == 1)
    (junit,) = re.findall(r"junit '(.*?)'", text)
    (artifacts,) = re.findall(r"artifacts: '(.*?)'", text)
    for name in [junit, *artifacts.split(",")]:
        assert (repository / name).stat().st_size > 0


@CODES
def test_pre_commit(repository, model, code):
    with_models(repository, model)
    (repo,) = yaml.safe_load((CI / "pre-commit-config.yaml").read_text())["repos"]
    (hook,) = repo["hooks"]
    assert (hook["language"], hook["pass_filenames"]) == ("system", False)
    for name in ("model_qat.pt", "calib.npz", "model.tflite"):
        assert re.search(hook["files"], name)
    assert not re.search(hook["files"], "README.md")
    result = run(shlex.split(hook["entry"]), repository)  # pre-commit uses no shell
    assert result.returncode == code, result.stderr
    assert told(result) == (code == 1)


@CODES
def test_pytest(repository, model, code):
    with_models(repository, model)
    shutil.copy(CI / "test_quantization_gap.py", repository)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_quantization_gap.py"]
    result = run(command, repository, PYTHONPATH=os.environ["PYTHONPATH"])
    assert result.returncode == code, result.stdout + result.stderr
    assert ("1 failed" if code else "1 passed") in result.stdout
    assert ("mix.0 (pytorch-qnnpack): bias.saturated_channels: expected at most 0, found 1" in result.stdout) == (
        code == 1
    )
