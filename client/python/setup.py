"""Generates the messages and service stubs of proto/qatgap/v1 into the package."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

from grpc_tools import protoc
from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
# In a source distribution the contract is beside this file, in a checkout at the top.
PROTO_ROOTS = (HERE / "proto", HERE.parent.parent / "proto")
# What the package speaks: not the runner's messages.
SERVICES = ("analysis", "artifact")


def proto_root() -> Path:
    """The folder below which qatgap/v1/*.proto are."""
    for root in PROTO_ROOTS:
        if (root / "qatgap/v1/analysis.proto").is_file():
            return root
    raise SystemExit(
        "qatgap/v1/analysis.proto is neither in client/python/proto nor in ../../proto: build from a whole "
        "checkout, or from the archive that `python -m build --sdist client/python` makes of one"
    )


def needed_protos(root: Path) -> list[str]:
    """The files of SERVICES and all that they import, relative to root."""
    found: list[str] = []
    waiting = [f"qatgap/v1/{name}.proto" for name in SERVICES]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.append(name)
        waiting += re.findall(r'^import "(qatgap/[^"]+)";', (root / name).read_text(), re.MULTILINE)
    return sorted(found)


def run_protoc(arguments: list[str]) -> None:
    """Runs protoc with its own well-known types; ends with its message when it fails."""
    well_known = Path(protoc.__file__).parent / "_proto"
    if protoc.main(["protoc", f"-I{well_known}", *arguments]) != 0:
        raise SystemExit("protoc failed; its message is above")


def generate(package_root: Path) -> None:
    """Writes qatgap/v1/*_pb2.py, *_pb2.pyi and *_pb2_grpc.py below package_root."""
    root = proto_root()
    (package_root / "qatgap/v1").mkdir(parents=True, exist_ok=True)
    (package_root / "qatgap/v1/__init__.py").write_text('"""Generated from proto/qatgap/v1."""\n')
    files = needed_protos(root)
    run_protoc([f"-I{root}", f"--python_out={package_root}", f"--pyi_out={package_root}", *files])
    services = [f"qatgap/v1/{name}.proto" for name in SERVICES]
    run_protoc([f"-I{root}", f"--grpc_python_out={package_root}", *services])


def runtime_versions() -> list[str]:
    """Generated modules refuse a runtime older than their generator: the wheel must ask for at least that."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "probe.proto").write_text('syntax = "proto3"; message Probe {}')
        run_protoc([f"-I{folder}", f"--python_out={folder}", "probe.proto"])
        stamp = re.search(
            r"^# Protobuf Python Version: (\S+)$", (Path(folder) / "probe_pb2.py").read_text(), re.MULTILINE
        )
    protobuf = stamp.group(1) if stamp else version("protobuf")
    return [f"grpcio>={version('grpcio-tools')}", f"protobuf>={protobuf}"]


class BuildWithProtos(build_py):
    """Generates after the sources are in place."""

    def run(self) -> None:
        super().run()
        generate(HERE if self.editable_mode else Path(self.build_lib))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        generated = [str(path) for path in Path(self.build_lib, "qatgap/v1").glob("*")]
        return [*super().get_outputs(include_bytecode), *generated]


class SdistWithProtos(sdist):
    """Carries the contract, so that the archive builds anywhere."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        root = proto_root()
        for name in needed_protos(root):
            target = Path(base_dir) / "proto" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, target)


# A build leaves nothing in the checkout and finds nothing of an earlier one.
work = tempfile.mkdtemp(prefix="qatgap-build.")
atexit.register(shutil.rmtree, work, ignore_errors=True)
setup(
    options={"build": {"build_base": work}, "egg_info": {"egg_base": work}},
    cmdclass={"build_py": BuildWithProtos, "sdist": SdistWithProtos},
    install_requires=[*runtime_versions(), "numpy>=1.24", "pandas>=2.0", "tqdm>=4.60"],
)
