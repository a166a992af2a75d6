"""The package as it is installed: by pip, from a checkout and from its source archive; types and style."""

import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tarfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "client/python"


def run(*command, **options):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, check=False, text=True, capture_output=True, **{"env": environment, "cwd": ROOT} | options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A virtual environment of its own that finds the dependencies of this one."""
    folder = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin/python"
    site = pathlib.Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def pip_install(python, source):
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
        "--disable-pip-version-check", "--force-reinstall", source)  # fmt: skip


CALL = "import qatgap, sys; print(qatgap.__file__); print(qatgap.__version__); print(len(qatgap.metric_names()) > 100)"


def test_pip_installs_a_checkout_and_leaves_nothing_in_it(fresh, tmp_path):
    before = sorted(PACKAGE.rglob("*"))
    pip_install(fresh, PACKAGE)
    assert [path for path in sorted(PACKAGE.rglob("*")) if path not in before] == []
    where, version, works = run(fresh, "-c", CALL, cwd=tmp_path).split()
    assert where.startswith(str(fresh.parent.parent))
    assert (version, works) == ("0.1.0", "True")
    installed = pathlib.Path(where).parent
    assert (installed / "py.typed").exists()
    assert (installed / "v1/analysis_pb2.pyi").exists()
    # Files alone need no torch.
    assert "torch" not in run(
        fresh, "-c", "import qatgap, sys; print([n for n in sys.modules if n == 'torch'])", cwd=tmp_path
    )


def test_the_source_archive_builds_without_the_checkout(fresh, tmp_path):
    run(sys.executable, "setup.py", "--quiet", "sdist", "--dist-dir", tmp_path, cwd=PACKAGE)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as content:
        assert any(name.endswith("proto/qatgap/v1/analysis.proto") for name in content.getnames())
    pip_install(fresh, archive)
    assert run(fresh, "-c", CALL, cwd=tmp_path).split()[1:] == ["0.1.0", "True"]


def test_a_folder_without_the_contract_says_what_is_missing(fresh, tmp_path):
    copied = tmp_path / "a/b/python"
    shutil.copytree(PACKAGE, copied)
    done = subprocess.run(
        [sys.executable, "setup.py", "build"], check=False, text=True, capture_output=True, cwd=copied
    )
    assert done.returncode != 0
    assert "build from a whole checkout" in done.stderr


def test_types(tmp_path):
    built = tmp_path / "built"
    run(sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", built, cwd=PACKAGE)
    run(sys.executable, "-m", "mypy", "--config-file", PACKAGE / "pyproject.toml", "--cache-dir", tmp_path, "-p", "qatgap",
        cwd=built)  # fmt: skip


def test_style():
    ruff = [sys.executable, "-m", "ruff"]
    run(*ruff, "check", "--no-cache", PACKAGE)
    run(*ruff, "format", "--no-cache", "--check", PACKAGE)
