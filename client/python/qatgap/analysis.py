"""`analyze`: from a module and samples to a report."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from qatgap.errors import InvalidArgumentError, QatgapError, UnavailableError, service_error
from qatgap.export import MODEL_SUFFIXES, export_model
from qatgap.modules import input_names
from qatgap.private_server import PrivateServer
from qatgap.report import Report
from qatgap.samples import Normalization, SampleFiles, one_file, write_samples
from qatgap.transport import Client
from qatgap.v1 import analysis_pb2, samples_pb2

DEFAULT_TARGETS = ("generic-int32",)
LONGEST_TITLE_BYTES = 200


def analyze(
    qat_module: object,
    example_inputs: object = None,
    samples: object = None,
    *,
    converted: object = None,
    targets: Sequence[str | os.PathLike[str]] | str = DEFAULT_TARGETS,
    labels: object = None,
    server: str | None = None,
    batch_size: int = 32,
    max_samples: int | None = None,
    parallel_units: int = 1,
    normalization: Normalization | Mapping[str, Normalization] | None = None,
    progress: bool = True,
    title: str = "",
    what_if: bool = False,
    sensitivity: bool = False,
    worst_samples: int = 10,
    held_out: object = None,
    held_out_labels: object = None,
    track: str = "",
) -> Report:
    """Measures how far the integer model that runs is from a QAT model, layer by layer, and why.

    Args:
        qat_module: the QAT model: prepared by prepare_qat, prepare_qat_fx or prepare_qat_pt2e, a ScriptModule, an
            ExportedProgram, or the path of a `.pt`, `.pt2`, `.onnx` or `.tflite` file. It is not touched: a copy is
            exported, see `export_model`. None: only `converted` is given, and its fake-quant twin is rebuilt.
        example_inputs: a tensor, a tuple of tensors, or a dict of them by argument name; needed for modules.
        samples: calibration samples: an array or tensor, a dict of them by input name, a path (`.npy`, `.npz`,
            `.safetensors`, a folder of `.npy` files), or an iterable of batches: a DataLoader, a generator. A batch is
            an array, a dict by input name, or a tuple: the model's inputs in order, and perhaps the labels after them.
            Batches are written to a temporary file one by one.
        converted: the converted model, in any of the forms of qat_module; without it the QAT model is lowered by
            qatgap exactly as convert() would.
        targets: names of shipped targets (`qatgap target list`) or paths of files that describe your own.
        labels: integers, one a sample: adds accuracies. Not needed where the batches of samples have them.
        server: "host:port" or "unix:/path" of a running qatgapd. None: $QATGAP_SERVER, and without it a private server
            for this call, see docs/python.md for where its program is looked for.
        batch_size: samples a batch, 1 to 4096; float stages depend on it.
        max_samples: use no more than the first so many samples.
        parallel_units: split the samples over so many runners, 1 to 64; the result is the same.
        normalization: what is done to the samples first; by input name where there are several.
        progress: show bars.
        title: a name for the analysis, at most 200 bytes.
        what_if: also measure other ways of keeping the bias, and recommend the one that helps.
        sensitivity: also rank the layers by what their bias alone does to the model's outputs.
        worst_samples: keep so many samples whose outputs differ most, 0 to 1000.
        held_out: samples to measure and report apart, in any of the forms of samples; nothing is chosen from them.
        held_out_labels: their labels, as labels.
        track: the model's name in the metrics of a running qatgapd, which exports its newest analysis layer by layer:
            1 to 64 of `A-Z a-z 0-9 _ . -`. Needs a server that lasts.

    Returns:
        The report. A large discrepancy is a result, not an error.

    Raises:
        ExportError: a module cannot be exported.
        SamplesError: samples or labels that make no array.
        ServiceError: the service refused; InvalidArgumentError, NotFoundError and so on tell why.
        PrivateServerError: no server to start.
    """
    if samples is None:
        raise InvalidArgumentError("samples is required: an array, a dict, a path, or an iterable of batches")
    if qat_module is None and converted is None:
        raise InvalidArgumentError("give qat_module, converted, or both")
    if len(title.encode()) > LONGEST_TITLE_BYTES:
        raise InvalidArgumentError(f"title has {len(title.encode())} bytes, at most {LONGEST_TITLE_BYTES} are allowed")
    if track and not (server if server is not None else os.environ.get("QATGAP_SERVER", "")):
        raise InvalidArgumentError("track needs a server that lasts: give server, or set QATGAP_SERVER")
    spec = analysis_pb2.AnalysisSpec(
        batch_size=batch_size,
        max_samples=max_samples or 0,
        parallel_units=parallel_units,
        title=title,
        what_if=what_if,
        sensitivity=sensitivity,
        worst_samples=worst_samples,
        track=track,
    )
    _add_targets(spec, [targets] if isinstance(targets, (str, os.PathLike)) else targets)
    _add_normalizations(spec, normalization)
    with tempfile.TemporaryDirectory(prefix="qatgap.") as name:
        folder = Path(name)
        qat_path = _model_file(qat_module, example_inputs, folder / "qat", "qat_module")
        converted_path = _model_file(converted, example_inputs, folder / "converted", "converted")
        files = write_samples(
            samples,
            labels,
            folder,
            input_names=_names(qat_module, converted),
            batch_size=batch_size,
            max_samples=max_samples,
        )
        apart = _held_out(held_out, held_out_labels, folder, _names(qat_module, converted), batch_size)
        # Data loaders may have forked workers; gRPC starts threads only after that.
        with _service(server) as service:
            _upload_all(service.client, spec, qat_path, converted_path, files, apart, progress)
            return service.run(spec, progress)


def _held_out(samples: object, labels: object, folder: Path, names: Sequence[str], batch_size: int) -> SampleFiles:
    """As one file; none where none are given."""
    if samples is None:
        if labels is not None:
            raise InvalidArgumentError("held_out_labels: give held_out too, the samples they are of")
        return SampleFiles({})
    own = folder / "held_out"
    own.mkdir()
    files = write_samples(samples, labels, own, input_names=names, batch_size=batch_size)
    return SampleFiles({"": one_file(files, own)}, files.labels)


def _names(*modules: object) -> list[str]:
    for module in modules:
        if module is not None and not isinstance(module, (str, os.PathLike)):
            return input_names(module)
    return []


def _model_file(model: object, example_inputs: object, path: Path, argument: str) -> Path | None:
    if model is None:
        return None
    if not isinstance(model, (str, os.PathLike)):
        return export_model(model, example_inputs, path)
    given = Path(model)
    if not given.is_file():
        raise InvalidArgumentError(f"{argument}: there is no file {given}")
    if given.suffix.lower() not in (*MODEL_SUFFIXES, ".pth", ".ptl"):
        raise InvalidArgumentError(f"{argument}: {given.name} does not end in one of {', '.join(MODEL_SUFFIXES)}")
    return given


def _add_targets(spec: analysis_pb2.AnalysisSpec, targets: Sequence[str | os.PathLike[str]]) -> None:
    """A target is a file where the command line takes it for one: it exists, has a `/`, or ends in .yaml."""
    if not targets:
        raise InvalidArgumentError("targets: at least one is required; `qatgap target list` shows them")
    for target in targets:
        text = os.fspath(target)
        if Path(text).is_file() or "/" in text or text.endswith((".yaml", ".yml")):
            try:
                spec.target_descriptions.append(Path(text).read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError) as error:
                raise InvalidArgumentError(f"targets: {text} cannot be read: {error}") from None
        else:
            spec.targets.append(text)


def _add_normalizations(
    spec: analysis_pb2.AnalysisSpec, normalization: Normalization | Mapping[str, Normalization] | None
) -> None:
    if normalization is None:
        return
    by_name = {"": normalization} if isinstance(normalization, Normalization) else normalization
    for name, value in by_name.items():
        mean = [value.mean] if isinstance(value.mean, (int, float)) else list(value.mean)
        std = [value.std] if isinstance(value.std, (int, float)) else list(value.std)
        spec.normalizations.append(
            samples_pb2.Normalization(
                input_name=name, mean=mean, std=std, scale=value.scale, channel_axis=value.channel_axis
            )
        )


def _upload_all(
    client: Client,
    spec: analysis_pb2.AnalysisSpec,
    qat: Path | None,
    converted: Path | None,
    files: SampleFiles,
    apart: SampleFiles,
    progress: bool,
) -> None:
    paths = (qat, converted, files.labels, apart.labels, *files.inputs.values(), *apart.inputs.values())
    total = sum(path.stat().st_size for path in paths if path)
    with tqdm(total=total, unit="B", unit_scale=True, desc="upload", disable=not progress, leave=False) as bar:

        def send(path: Path) -> Any:
            return client.upload(path, lambda count: bar.update(count) and None)

        if qat is not None:
            spec.qat_model.CopyFrom(send(qat))
        if converted is not None:
            spec.converted_model.CopyFrom(send(converted))
        for name, path in files.inputs.items():
            if name:
                spec.sample_inputs.add(input_name=name, file=send(path))
            else:
                spec.samples.CopyFrom(send(path))
        if files.labels is not None:
            spec.labels.CopyFrom(send(files.labels))
        for path in apart.inputs.values():
            spec.held_out.CopyFrom(send(path))
        if apart.labels is not None:
            spec.held_out_labels.CopyFrom(send(apart.labels))


class _Service:
    """A client, and the private server behind it where there is one."""

    def __init__(self, client: Client, private: PrivateServer | None) -> None:
        self.client = client
        self._private = private

    def run(self, spec: analysis_pb2.AnalysisSpec, progress: bool) -> Report:
        """Queues, follows and fetches; cancels when it is interrupted."""
        analysis_id = self.client.create(spec).id
        try:
            with tqdm(desc=spec.title or "analyze", unit=" samples", disable=not progress, leave=False) as bar:
                ended = self.client.watch(analysis_id, lambda event: _show(bar, event))
        except BaseException:
            with contextlib.suppress(QatgapError):
                self.client.cancel(analysis_id)
            raise
        if ended.state == analysis_pb2.ANALYSIS_STATE_FAILED:
            raise service_error(ended.error.code, ended.error.message)
        if ended.state == analysis_pb2.ANALYSIS_STATE_CANCELLED:
            raise service_error("CANCELLED", f"analysis {analysis_id} was cancelled")
        # The other forms must outlive a private server.
        forms = {form: self.client.report(analysis_id, form) for form in ("json", "html", "markdown")}
        return Report.from_bytes(forms["json"], html=forms["html"].decode(), markdown=forms["markdown"].decode())

    def explain(self, error: UnavailableError) -> QatgapError:
        """A private server that ended, or is about to, tells more than a broken connection."""
        how = self._private.ended(within=2) if self._private is not None else ""
        return UnavailableError(f"the private server ended during the call ({how})") if how else error


@contextlib.contextmanager
def _service(server: str | None) -> Iterator[_Service]:
    address = server if server is not None else os.environ.get("QATGAP_SERVER", "")
    with contextlib.ExitStack() as stack:
        private = None if address else stack.enter_context(PrivateServer())
        client = stack.enter_context(Client(private.address if private is not None else address))
        service = _Service(client, private)
        try:
            yield service
        except UnavailableError as error:
            raise service.explain(error) from error


def _show(bar: Any, event: analysis_pb2.WatchAnalysisResponse) -> None:
    kind = event.WhichOneof("event")
    if kind == "finished_layer":
        bar.set_postfix_str(event.finished_layer.info.name, refresh=False)
        return
    progress = event.progress if kind == "progress" else event.analysis.progress
    if progress.samples_total:
        bar.total = progress.samples_total
        bar.update(max(0, progress.samples_done - bar.n))
