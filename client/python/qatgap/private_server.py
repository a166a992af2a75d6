"""A `qatgapd` of one's own on a Unix socket, for as long as a call takes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from qatgap.errors import PrivateServerError

START_SECONDS = 30.0
STOP_SECONDS = 5.0
POLL_SECONDS = 0.01
LOG_LINES = 20
# sockaddr_un holds 107 bytes of path; the folder and "/s" must stay below.
LONGEST_FOLDER = 100


def find_qatgapd() -> Path:
    """The server to start.

    Looked for in this order: $QATGAP_QATGAPD (the file itself), $QATGAP_BIN_DIR, `bin/` beside this package, $PATH,
    ./build/release/bin. `qatgap-runner` must be beside it.

    Raises:
        PrivateServerError: it is in none of them, or what a variable names is not there.
    """
    if named := os.environ.get("QATGAP_QATGAPD"):
        return _executable(Path(named), "QATGAP_QATGAPD")
    if folder := os.environ.get("QATGAP_BIN_DIR"):
        return _executable(Path(folder) / "qatgapd", "QATGAP_BIN_DIR")
    beside = Path(__file__).resolve().parent / "bin" / "qatgapd"
    on_path = shutil.which("qatgapd")
    built = Path.cwd() / "build/release/bin/qatgapd"
    for candidate in (beside, Path(on_path) if on_path else None, built):
        if candidate is not None and os.access(candidate, os.X_OK) and candidate.is_file():
            return candidate
    raise PrivateServerError(
        f"no qatgapd: it is not in {beside.parent}, not on PATH and not in {built.parent}; build it with "
        "deploy/build.sh and set QATGAP_BIN_DIR to the folder that holds qatgapd and qatgap-runner, or pass "
        "server='host:port' of a running one"
    )


def _executable(path: Path, variable: str) -> Path:
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise PrivateServerError(f"no qatgapd: {variable} leads to {path}, which is not a program")
    return path.resolve()


class PrivateServer:
    """Starts on entry, ends with its runners and its data on exit."""

    address: str

    def __init__(self, binary: Path | None = None) -> None:
        self._binary = binary
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None

    def __enter__(self) -> PrivateServer:
        binary = self._binary or find_qatgapd()
        self._folder = _short_folder()
        try:
            self._start(binary, self._folder)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def ended(self, within: float = 0) -> str:
        """Empty while it runs; else how it ended, at the latest in `within` seconds, and the end of its log."""
        if self._process is None:
            return ""
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            return ""
        code = self._process.returncode
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"{how}\n{self._log()}"

    def _start(self, binary: Path, folder: Path) -> None:
        (folder / "data").mkdir()
        arguments = [
            str(binary),
            "--listen",
            f"unix:{folder}/s",
            "--data-dir",
            str(folder / "data"),
            "--status-file",
            str(folder / "status"),
            "--no-metrics",
            "--no-http",
            "--exit-with-parent",
        ]
        with (folder / "log").open("ab") as log:
            # A session of its own: Ctrl-C reaches the caller alone, which cancels before it ends this.
            self._process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        limit = time.monotonic() + START_SECONDS
        while not (address := _address_in(folder / "status")):
            if ended := self.ended():
                raise PrivateServerError(f"{binary} did not start ({ended})")
            if time.monotonic() > limit:
                raise PrivateServerError(f"{binary} did not start in {START_SECONDS:g} s\n{self._log()}")
            time.sleep(POLL_SECONDS)
        self.address = address

    def _log(self) -> str:
        if self._folder is None:
            return ""
        try:
            return "\n".join((self._folder / "log").read_text(errors="replace").splitlines()[-LOG_LINES:])
        except OSError:
            return ""

    def _stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                # Its own group, so its runners end with it.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def _short_folder() -> Path:
    for base in (tempfile.gettempdir(), "/tmp"):
        if len(base) + len("/qatgap.XXXXXXXX") <= LONGEST_FOLDER and os.access(base, os.W_OK):
            return Path(tempfile.mkdtemp(prefix="qatgap.", dir=base))
    raise PrivateServerError("no temporary folder with a short path can be written; set TMPDIR to one")


def _address_in(path: Path) -> str:
    try:
        status = json.loads(path.read_text())
    except (OSError, ValueError):
        return ""
    address = status.get("address") if isinstance(status, dict) else None
    return address if isinstance(address, str) else ""
