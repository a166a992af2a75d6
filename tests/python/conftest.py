"""The real server on small models. CTest sets PYTHONPATH to the installed package and QATGAP_BIN_DIR."""

import os
import pathlib

import nets
import pytest

import qatgap
from qatgap.private_server import PrivateServer

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests/models"
os.environ.setdefault("QATGAP_BIN_DIR", str(ROOT / "build/release/bin"))
os.environ.pop("QATGAP_SERVER", None)


@pytest.fixture(scope="session")
def server():
    """The address of one server for all tests that do not need their own."""
    with PrivateServer() as running:
        yield running.address


@pytest.fixture(scope="session")
def demo_report(server):
    """A demo model on 64 images under two targets, the first with an engine."""
    return qatgap.analyze(
        MODELS / "residual_eager_qnnpack/qat.pt",
        samples=MODELS / "samples/images_512.npz",
        converted=MODELS / "residual_eager_qnnpack/converted.pt",
        labels=MODELS / "samples/labels_512.npy",
        targets=["pytorch-qnnpack", "tflite-reference"],
        max_samples=64,
        server=server,
        progress=False,
        title="demo",
    )


@pytest.fixture(scope="session")
def eager_model():
    """Eager QAT; tests must leave it as it is."""
    return nets.eager()
