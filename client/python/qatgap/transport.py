"""The service over gRPC: uploads, analyses, reports."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import grpc

from qatgap.errors import InvalidArgumentError, SamplesError, ServiceError, UnavailableError, service_error
from qatgap.v1 import analysis_pb2, analysis_pb2_grpc, artifact_pb2, artifact_pb2_grpc

CHUNK_BYTES = 1 << 20
CALL_SECONDS = 30.0
# Slower uploads than this are taken for a hanging connection.
SLOWEST_UPLOAD_BYTES_PER_SECOND = 64 << 10
WATCH_ATTEMPTS = 10
LARGEST_MESSAGE_BYTES = 256 << 20

_ENDED = (
    analysis_pb2.ANALYSIS_STATE_SUCCEEDED,
    analysis_pb2.ANALYSIS_STATE_FAILED,
    analysis_pb2.ANALYSIS_STATE_CANCELLED,
)
_FORMATS = {
    "json": analysis_pb2.REPORT_FORMAT_JSON,
    "html": analysis_pb2.REPORT_FORMAT_HTML,
    "markdown": analysis_pb2.REPORT_FORMAT_MARKDOWN,
    "csv": analysis_pb2.REPORT_FORMAT_CSV,
}

OnBytes = Callable[[int], None]
OnEvent = Callable[[analysis_pb2.WatchAnalysisResponse], None]
_T = TypeVar("_T")


def digest_of(path: Path) -> tuple[str, int]:
    """SHA-256 in hexadecimal and size of a file, read in pieces."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size


class Client:
    """A connection to one service; a context manager that closes it."""

    def __init__(self, address: str) -> None:
        """Connects lazily: the first call finds out whether the service is there.

        Args:
            address: "host:port" or "unix:/path".
        """
        if not address or address.startswith(("http://", "https://")) or ":" not in address:
            raise InvalidArgumentError(f"not a service address ({address!r}); give 'host:port' or 'unix:/path'")
        self.address = address
        self._channel = grpc.insecure_channel(
            address,
            options=[
                # gRPC servers take pings of an idle connection more often than every 5 minutes for abuse.
                ("grpc.keepalive_time_ms", 6 * 60 * 1000),
                ("grpc.keepalive_timeout_ms", 20 * 1000),
                ("grpc.max_reconnect_backoff_ms", 2000),
                ("grpc.max_receive_message_length", LARGEST_MESSAGE_BYTES),
                # A proxy of the environment is not asked for a local socket.
                ("grpc.enable_http_proxy", 0 if address.startswith("unix:") else 1),
            ],
        )
        self._artifacts: Any = artifact_pb2_grpc.ArtifactServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._analyses: Any = analysis_pb2_grpc.AnalysisServiceStub(self._channel)  # type: ignore[no-untyped-call]

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection and what runs on it."""
        self._channel.close()

    def upload(self, path: Path, on_bytes: OnBytes | None = None) -> artifact_pb2.ArtifactRef:
        """Sends a file unless the service has its bytes already.

        Args:
            path: the file; its name tells the service the format.
            on_bytes: called with the number of bytes of each piece once it is handed on.
        """
        sha256, size = digest_of(path)
        reference = artifact_pb2.ArtifactRef(sha256=sha256, name=path.name)
        try:
            self._call(
                lambda: self._artifacts.GetArtifact(
                    artifact_pb2.GetArtifactRequest(sha256=sha256), timeout=CALL_SECONDS
                )
            )
            if on_bytes is not None:
                on_bytes(size)
            return reference
        except ServiceError as error:
            if error.code != "NOT_FOUND":
                raise
        limit = CALL_SECONDS + size / SLOWEST_UPLOAD_BYTES_PER_SECOND
        pieces = _Pieces(path, sha256, size, on_bytes)
        try:
            self._call(lambda: self._artifacts.UploadArtifact(iter(pieces), timeout=limit))
        except ServiceError:
            if pieces.error is not None:
                raise pieces.error from None
            raise
        return reference

    def create(self, spec: analysis_pb2.AnalysisSpec) -> analysis_pb2.Analysis:
        """Queues an analysis; sent again once, under one id, when the connection breaks."""
        request = analysis_pb2.CreateAnalysisRequest(spec=spec, request_id=secrets.token_hex(16))
        try:
            response = self._call(lambda: self._analyses.CreateAnalysis(request, timeout=CALL_SECONDS))
        except UnavailableError:
            response = self._call(lambda: self._analyses.CreateAnalysis(request, timeout=CALL_SECONDS))
        created: analysis_pb2.Analysis = response.analysis
        return created

    def watch(self, analysis_id: str, on_event: OnEvent | None = None) -> analysis_pb2.Analysis:
        """Follows an analysis to its end, over broken connections once the service was heard."""
        heard = False
        for attempt in range(WATCH_ATTEMPTS):
            last: analysis_pb2.Analysis | None = None
            try:
                for event in self._stream(
                    self._analyses.WatchAnalysis(analysis_pb2.WatchAnalysisRequest(id=analysis_id))
                ):
                    heard = True
                    if event.HasField("analysis"):
                        last = event.analysis
                    if on_event is not None:
                        on_event(event)
            except UnavailableError:
                if not heard or attempt + 1 == WATCH_ATTEMPTS:
                    raise
            if last is not None and last.state in _ENDED:
                return last
        raise UnavailableError(f"the service stopped reporting before analysis {analysis_id} ended ({self.address})")

    def cancel(self, analysis_id: str) -> None:
        """Stops an analysis; harmless when repeated."""
        request = analysis_pb2.CancelAnalysisRequest(id=analysis_id)
        self._call(lambda: self._analyses.CancelAnalysis(request, timeout=CALL_SECONDS))

    def report(self, analysis_id: str, report_format: str) -> bytes:
        """The report of a finished analysis: "json", "html", "markdown" or "csv"."""
        request = analysis_pb2.GetReportRequest(id=analysis_id, format=_FORMATS[report_format])
        return b"".join(message.chunk for message in self._stream(self._analyses.GetReport(request)))

    def _call(self, call: Callable[[], _T]) -> _T:
        try:
            return call()
        except grpc.RpcError as error:
            raise self._explain(error) from None

    def _stream(self, call: Any) -> Iterator[Any]:
        try:
            yield from call
        except grpc.RpcError as error:
            raise self._explain(error) from None
        finally:
            call.cancel()

    def _explain(self, error: Any) -> ServiceError:
        code, text = error.code().name, error.details()
        if code == "UNAVAILABLE":
            text = f"the service cannot be reached ({self.address}: {text}); check that qatgapd runs there"
        elif code == "DEADLINE_EXCEEDED":
            text = f"the service did not answer in time ({self.address}); try again, or look at its load"
        return service_error(code, text)


class _Pieces:
    """The messages of an upload; keeps what went wrong while gRPC's own thread asked for them."""

    def __init__(self, path: Path, sha256: str, size: int, on_bytes: OnBytes | None) -> None:
        self._path = path
        self._header = artifact_pb2.ArtifactHeader(sha256=sha256, size_bytes=size)
        self._on_bytes = on_bytes
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[artifact_pb2.UploadArtifactRequest]:
        yield artifact_pb2.UploadArtifactRequest(header=self._header)
        sent = 0
        try:
            with self._path.open("rb") as file:
                while piece := file.read(CHUNK_BYTES):
                    sent += len(piece)
                    yield artifact_pb2.UploadArtifactRequest(chunk=piece)
                    if self._on_bytes is not None:
                        self._on_bytes(len(piece))
        except OSError as error:
            self.error = SamplesError(f"cannot read {self._path}: {error}")
            raise
        if sent != self._header.size_bytes:
            self.error = SamplesError(
                f"{self._path} changed during the upload; wait until the program that writes it has ended"
            )
