"""The binaries that were built, run as people run them. CTest sets QATGAP_BIN_DIR."""

import os
import pathlib
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
EXAMPLE = HERE / "example"
BIN = pathlib.Path(os.environ.get("QATGAP_BIN_DIR", ROOT / "build/release/bin"))
TARGETS = ["pytorch-qnnpack", "tflite-reference"]


def environment(**more):
    """No server but a private one, no CI around us."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "QATGAP_SERVER"))}
    return kept | {"PATH": f"{BIN}:{os.environ['PATH']}", "QATGAP_BIN_DIR": str(BIN)} | more


def qatgap(*arguments, cwd=None, **more):
    """Runs `qatgap`; the result has returncode, stdout, stderr."""
    return subprocess.run(
        [BIN / "qatgap", *map(str, arguments)],
        cwd=cwd,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=300,
    )


def analyze(model, report, samples="calib.npz", *more, targets=TARGETS):
    chosen = [word for target in targets for word in ("--target", target)]
    result = qatgap(
        "analyze",
        "--qat",
        EXAMPLE / "models" / model,
        "--samples",
        EXAMPLE / samples,
        *chosen,
        "--json",
        report,
        "--quiet",
        *more,
    )
    assert result.returncode == 0, result.stderr
    return report


@pytest.fixture(scope="session")
def reports(tmp_path_factory):
    """Reports of the example's models, each analysed once: reports("baseline")."""
    folder = tmp_path_factory.mktemp("reports")
    made = {}

    def report(model, samples="calib.npz"):
        key = f"{model} {samples}"
        if key not in made:
            made[key] = analyze(f"{model}.pt", folder / f"{len(made)}.json", samples)
        return made[key]

    return report
