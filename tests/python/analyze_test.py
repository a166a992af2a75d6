"""The real server on modules of every kind: progress, errors, interruption, what is sent."""

import contextlib
import os
import pathlib
import signal
import stat

import nets
import numpy as np
import pytest
import torch

import qatgap
from qatgap import analysis, samples
from qatgap.private_server import PrivateServer, find_qatgapd
from qatgap.transport import Client
from qatgap.v1 import analysis_pb2

MODELS = pathlib.Path(__file__).resolve().parents[1] / "models"
MAC_LAYERS = ["stem.0", "body.0", "head", "fc"]


def analyze(model, example=nets.EXAMPLE, **options):
    options = {"samples": nets.images(16, 7), "targets": ["pytorch-x86"], "progress": False} | options
    return qatgap.analyze(model, example, **options)


@pytest.fixture(scope="module")
def model_file(eager_model, tmp_path_factory):
    """The eager model, exported once, for tests of what comes after."""
    return qatgap.export_model(eager_model, nets.EXAMPLE, tmp_path_factory.mktemp("model") / "eager")


def assert_measured(report, layers=MAC_LAYERS, samples=16):
    """Every layer, and the causes add up."""
    assert sorted(set(report.layers.layer)) == sorted(layers)
    assert report.targets.coverage.to_list() == [1.0] * len(report.targets)
    assert report.data["statistics"]["samples"] == samples
    assert (report.layers["total.changed"] <= report.layers["outputs"]).all()


def test_eager_with_its_converted_model_and_the_engine(server, eager_model):
    report = analyze(eager_model, converted=nets.eager_converted(eager_model), server=server)
    assert_measured(report)
    assert report.layers.engine_measured.all()
    report.assert_within({"metric": "injected.engine_residual.changed", "max": 0})


def test_eager_alone_is_lowered_as_convert_does(server, eager_model):
    alone = analyze(eager_model, server=server)
    both = analyze(eager_model, converted=nets.eager_converted(eager_model), server=server)
    assert_measured(alone)
    for name in ("total.changed", "conversion.changed", "bias_rounding.changed"):
        assert alone.layers[name].to_list() == both.layers[name].to_list()


def test_fx_with_its_converted_model(server):
    model = nets.fx()
    assert_measured(analyze(model, converted=nets.fx_converted(model), server=server))


def test_control_flow_is_kept(server):
    model = nets.eager(nets.Branching)
    # One by one: a batch takes one branch.
    data = torch.cat([nets.images(4) * 0.2, nets.images(4)])
    report = analyze(
        model,
        converted=nets.eager_converted(model),
        samples=data,
        batch_size=1,
        server=server,
        targets=["generic-int32"],
    )
    assert set(report.layers.layer) == {"conv1.0", "conv2.0", "conv3.0"}
    reached = report.layers[report.layers.layer == "conv3.0"]
    assert reached.samples.to_list() == [4, 4]
    assert reached.input_index.to_list() == [0, 1]


@pytest.mark.parametrize("form", ["dict", "batches"])
def test_several_inputs(server, form):
    model = nets.eager(nets.TwoInputs)
    left, right = nets.images(6, 1), nets.images(6, 2)
    samples = {"left": left, "right": right}
    if form == "batches":
        samples = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(left, right), batch_size=4)
    report = analyze(model, (nets.EXAMPLE, nets.EXAMPLE), samples=samples, server=server, targets=["generic-int32"])
    assert_measured(report, ["left_conv.0", "right_conv.0", "head"], samples=6)
    assert [file["input_name"] for file in report.data["inputs"]["sample_inputs"]] == ["left", "right"]


def test_onnx_of_frozen_fake_quants(server, eager_model, tmp_path):
    path = qatgap.export_model(eager_model, nets.EXAMPLE, tmp_path / "model.onnx")
    report = analyze(path, None, server=server, targets=["generic-int32"])
    # Eager QAT has no fake-quant behind its average pool, and an ONNX file is run as it is: the last layer in float.
    assert sorted(set(report.layers.layer)) == sorted(MAC_LAYERS[:3])
    assert "fc" in set(report.unmeasured.name)


def test_uint8_samples_with_a_normalization(server, model_file):
    pixels = np.random.default_rng(0).integers(0, 256, (8, *nets.SHAPE), np.uint8)
    scaled = analyze(
        model_file, samples=pixels, normalization=qatgap.Normalization(scale=1 / 255, mean=0.25, std=0.5), server=server
    )
    by_hand = (pixels.astype(np.float32) * np.float32(1 / 255) - np.float32(0.25)) / np.float32(0.5)
    plain = analyze(model_file, samples=by_hand, server=server)
    assert scaled.data["statistics"]["targets"] == plain.data["statistics"]["targets"]


def test_labels_in_the_batches_give_accuracies(server, model_file, eager_model):
    dataset = torch.utils.data.TensorDataset(nets.images(10), torch.arange(10) % 3)
    report = analyze(model_file, samples=torch.utils.data.DataLoader(dataset, batch_size=4), server=server)
    assert report.data["statistics"]["labelled"] == 10
    with torch.no_grad():
        correct = int((eager_model(nets.images(10)).argmax(1) == torch.arange(10) % 3).sum())
    assert report.accuracies[report.accuracies.path == "fake_quant"].correct.item() == correct


def test_batches_labels_and_max_samples_reach_the_service(server, model_file):
    report = analyze(model_file, samples=nets.images(20), max_samples=6, batch_size=4, title="name", server=server)
    assert report.title == "name"
    assert report.data["environment"]["batch_size"] == 4
    assert report.data["statistics"]["samples"] == 6


def test_a_description_of_a_target_of_ones_own(server, model_file, tmp_path):
    docs = (pathlib.Path(__file__).resolve().parents[2] / "docs/targets.md").read_text()
    path = tmp_path / "my-npu.yaml"
    path.write_text(docs.split("```yaml\n")[1].split("```")[0])
    report = analyze(model_file, targets=[path, "generic-int32"], server=server)
    assert sorted(report.targets.target) == ["generic-int32", "my-npu"]


def test_what_the_service_has_is_not_sent_again(server, tmp_path):
    path = tmp_path / "samples.npy"
    np.save(path, np.random.default_rng(5).random((600, 1000), np.float32))
    sent = []
    with Client(server) as client:
        original = client._artifacts.UploadArtifact

        def count(messages, **options):
            def counted():
                for message in messages:
                    sent.append(len(message.chunk))
                    yield message

            return original(counted(), **options)

        client._artifacts.UploadArtifact = count
        told = []
        first = client.upload(path, told.append)
        assert sent == [0, 1 << 20, 1 << 20, path.stat().st_size - (2 << 20)]
        assert sum(told) == path.stat().st_size
        sent.clear()
        assert client.upload(path, told.append) == first
    assert sent == []


def test_a_private_server_lasts_as_long_as_the_call(monkeypatch, model_file):
    started = []
    original = PrivateServer.__enter__

    def enter(self):
        started.append((original(self), self._process.pid, self._folder))
        return self

    monkeypatch.setattr(PrivateServer, "__enter__", enter)
    analyze(model_file)
    ((_, pid, folder),) = started
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_environment_names_a_server(server, model_file, monkeypatch):
    monkeypatch.setenv("QATGAP_SERVER", server)
    monkeypatch.setattr(analysis, "PrivateServer", None)
    analyze(model_file)


def test_progress(server, model_file, capsys):
    analyze(model_file, server=server, progress=True, title="my net")
    shown = capsys.readouterr().err
    assert "upload" in shown
    assert "my net" in shown
    analyze(model_file, server=server, progress=False)
    assert capsys.readouterr().err == ""


def test_an_interruption_cancels_the_analysis(server, monkeypatch):
    seen = []

    def interrupt(bar, event):
        if event.HasField("analysis"):
            seen.append(event.analysis.id)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(analysis, "_show", interrupt)
    with pytest.raises(KeyboardInterrupt):
        qatgap.analyze(
            MODELS / "residual_eager_x86/qat.pt", samples=MODELS / "samples/images_512.npz", targets=["pytorch-x86"],
            batch_size=1, server=server, progress=False,
        )  # fmt: skip
    with Client(server) as client:
        state = client._analyses.GetAnalysis(analysis_pb2.GetAnalysisRequest(id=seen[0])).analysis.state
    assert state == analysis_pb2.ANALYSIS_STATE_CANCELLED


@pytest.mark.parametrize(
    ("options", "error", "code", "message"),
    [
        ({"targets": ["pytorch-x87"]}, qatgap.NotFoundError, "NOT_FOUND", "pytorch-x8"),
        ({"targets": ["none.yaml"]}, qatgap.InvalidArgumentError, "INVALID_ARGUMENT", "none.yaml cannot be read"),
        ({"targets": []}, qatgap.InvalidArgumentError, "INVALID_ARGUMENT", "at least one is required"),
        ({"samples": None}, qatgap.InvalidArgumentError, "INVALID_ARGUMENT", "samples is required"),
        ({"track": "my net"}, qatgap.InvalidArgumentError, "INVALID_ARGUMENT", "spec.track"),
        ({"title": "é" * 101}, qatgap.InvalidArgumentError, "INVALID_ARGUMENT", "title has 202 bytes"),
        ({"batch_size": 5000}, qatgap.InvalidArgumentError, "INVALID_ARGUMENT", "batch_size"),
        (
            {"samples": np.full((2, 1, 8, 8), np.nan, np.float32)},
            qatgap.InvalidArgumentError,
            "INVALID_ARGUMENT",
            "samples.npy",
        ),
        ({"labels": [1]}, qatgap.InvalidArgumentError, "INVALID_ARGUMENT", "labels.npy"),
    ],
    ids=["target", "target_file", "no_target", "no_samples", "track", "title", "batch_size", "nan", "labels"],
)
def test_refusals_have_the_services_words(server, model_file, options, error, code, message):
    with pytest.raises(error, match=message) as raised:
        analyze(model_file, server=server, **options)
    assert raised.value.code == code
    assert isinstance(raised.value, qatgap.QatgapError)


def test_bytes_that_are_no_model(server, tmp_path):
    path = tmp_path / "qat.pt"
    path.write_bytes(b"not a model")
    with pytest.raises(qatgap.InvalidArgumentError, match=r"qat\.pt"):
        analyze(path, None, server=server)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("none.pt", "there is no file none.pt"),
        (__file__, "does not end in one of"),
        (None, "give qat_module, converted"),
    ],
    ids=["missing", "ending", "none"],
)
def test_models_that_are_no_files(model, message):
    with pytest.raises(qatgap.InvalidArgumentError, match=message):
        analyze(model, None)


@pytest.mark.parametrize("address", ["", "localhost", "http://localhost:1"])
def test_what_is_no_address(address):
    with pytest.raises(qatgap.InvalidArgumentError, match="not a service address"):
        Client(address)


def test_nobody_listens(model_file, tmp_path):
    with pytest.raises(qatgap.UnavailableError, match="cannot be reached"):
        analyze(model_file, server=f"unix:{tmp_path}/none")


def test_where_the_program_is_looked_for(monkeypatch, tmp_path):
    program = tmp_path / "bin" / "qatgapd"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    for name in ("QATGAP_BIN_DIR", "QATGAP_QATGAPD"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(qatgap.PrivateServerError, match="set QATGAP_BIN_DIR to the folder that holds qatgapd"):
        find_qatgapd()
    monkeypatch.setenv("PATH", str(program.parent))
    assert find_qatgapd() == program
    monkeypatch.setenv("QATGAP_BIN_DIR", str(tmp_path / "other"))
    with pytest.raises(
        qatgap.PrivateServerError, match="QATGAP_BIN_DIR leads to .*other/qatgapd, which is not a program"
    ):
        find_qatgapd()
    monkeypatch.setenv("QATGAP_QATGAPD", str(program))
    assert find_qatgapd() == program
    # One that ends at once: how, and the end of its log.
    with pytest.raises(qatgap.PrivateServerError, match=r"did not start \(exit code 3\nbroken\)"), PrivateServer():
        pass


def test_a_private_server_that_ends_during_the_call_tells_how(monkeypatch, model_file):
    def kill(bar, event):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pids[0], signal.SIGKILL)

    pids = []
    original = PrivateServer.__enter__

    def enter(self):
        original(self)
        pids.append(self._process.pid)
        return self

    monkeypatch.setattr(PrivateServer, "__enter__", enter)
    monkeypatch.setattr(analysis, "_show", kill)
    with pytest.raises(qatgap.UnavailableError, match=r"the private server ended during the call \(signal 9"):
        qatgap.analyze(
            MODELS / "residual_eager_x86/qat.pt", samples=MODELS / "samples/images_512.npz", targets=["pytorch-x86"],
            batch_size=1, progress=False,
        )  # fmt: skip


def test_held_out_samples_and_what_is_kept_of_single_ones(server, eager_model):
    labels = np.zeros(16, np.int64)
    report = analyze(
        eager_model,
        server=server,
        targets=["generic-int8"],
        labels=labels,
        held_out=[nets.images(4, 1), nets.images(4, 2)],
        held_out_labels=labels[:8],
        sensitivity=True,
        worst_samples=2,
    )
    statistics = report.data["statistics"]
    assert statistics["held_out"]["samples"] == 8
    assert statistics["held_out"]["labelled"] == 8
    (target,) = statistics["targets"]
    assert [layer["layer"] for layer in target["sensitivities"]] == [layer["name"] for layer in statistics["layers"]]
    assert all(len(comparison["worst_samples"]) <= 2 for comparison in target["comparisons"])
    with pytest.raises(qatgap.InvalidArgumentError, match="held_out"):
        analyze(eager_model, server=server, held_out_labels=labels)


def test_held_out_samples_of_several_inputs_are_one_file(tmp_path):
    files = samples.write_samples({"a": np.zeros((3, 2), np.float32), "b": np.ones((3, 1), np.int64)}, None, tmp_path)
    with np.load(samples.one_file(files, tmp_path)) as archive:
        assert archive["a"].shape == (3, 2)
        assert archive["b"].tolist() == [[1], [1], [1]]
