"""A qatgapd and a Prometheus as child processes on loopback, and what a test asks them."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("QATGAP_BIN_DIR", ROOT / "build/release/bin"))
PROMETHEUS = ROOT / "deploy/prometheus"
# Debian's package, unpacked by deploy/setup.sh --test.
UNPACKED = ROOT / ".venv/prometheus/usr/bin"
DEADLINE_SECONDS = 60


def tool(name):
    """The path of prometheus or promtool."""
    found = shutil.which(name, path=f"{UNPACKED}{os.pathsep}{os.environ.get('PATH', '')}")
    assert found, f"there is no {name}: run deploy/setup.sh --test"
    return found


def until(what, condition):
    """The first true value of condition()."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"no {what} within {DEADLINE_SECONDS} s")
        time.sleep(0.05)
    return value


@contextlib.contextmanager
def _process(arguments, log):
    with log.open("w") as output:
        process = subprocess.Popen(arguments, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Qatgapd:
    """A running qatgapd."""

    def __init__(self, address, metrics):
        self.address = address
        self.metrics = metrics

    def analyze(self, *arguments, expect=0):
        """Runs `qatgap analyze` to its end."""
        command = [BIN / "qatgap", "analyze", "--quiet", "--server", self.address, *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == expect, done.stderr
        return done


@contextlib.contextmanager
def qatgapd(folder, *flags):
    status = folder / "status.json"
    arguments = [BIN / "qatgapd", "--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0", "--http-listen=127.0.0.1:0",
                 f"--data-dir={folder}/data",
                 f"--status-file={status}", "--exit-with-parent", *flags]
    with _process(arguments, folder / "qatgapd.log"):
        until("status file", status.exists)
        addresses = json.loads(status.read_text())
        yield Qatgapd(addresses["address"], addresses["metrics"])


class Prometheus:
    """A running Prometheus."""

    def __init__(self, address):
        self._address = address

    def get(self, path, **parameters):
        """The data of an answer of the HTTP API; a refused query fails the test."""
        url = f"http://{self._address}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
        try:
            with urllib.request.urlopen(url, timeout=DEADLINE_SECONDS) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            pytest.fail(f"{parameters}: {error.read().decode()}")

    def ready(self):
        try:
            with urllib.request.urlopen(f"http://{self._address}/-/ready", timeout=DEADLINE_SECONDS) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError):
            return False

    def query(self, expression):
        """The samples of an instant query: (labels, value)."""
        found = self.get("query", query=expression)
        if found["resultType"] == "scalar":
            return [({}, float(found["result"][1]))]
        return [(sample["metric"], float(sample["value"][1])) for sample in found["result"]]

    def query_range(self, expression, seconds):
        """Of the last so many seconds: (labels, values)."""
        now = time.time()
        found = self.get("query_range", query=expression, start=now - seconds, end=now, step=1)
        return [(series["metric"], [float(value) for _, value in series["values"]]) for series in found["result"]]

    def values(self, label, match):
        """Values of a label that series have now."""
        return sorted({labels[label] for labels, _ in self.query(match) if label in labels})


@contextlib.contextmanager
def prometheus(folder, target):
    """With the configuration and the rules of deploy/prometheus, but for the target and the intervals."""
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
    config["rule_files"] = [str(PROMETHEUS / name) for name in config["rule_files"]]
    (job,) = config["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["qatgapd:9464"]}]
    job["static_configs"] = [{"targets": [target]}]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    arguments = [tool("prometheus"), f"--config.file={file}", f"--storage.tsdb.path={folder}/tsdb",
                 f"--web.listen-address={address}", "--log.level=warn"]
    with _process(arguments, folder / "prometheus.log") as process:
        running = Prometheus(address)

        def started():
            assert process.poll() is None, (folder / "prometheus.log").read_text()
            return running.ready()

        until("Prometheus", started)
        yield running
