"""What an analysis costs next to PyTorch's own forwards and its Numeric Suite, as a Markdown table.

    .venv/bin/python tests/benchmarks/analysis_benchmark.py [--quick] [--only PART,...] [--json FILE]

Makes its networks (MobileNetV2 with 1000 classes, eager and FX QAT for x86, and chains of equal layers) below build/benchmark,
once. Times are processor time of one thread, so that other work on the machine takes turns but no time; every ratio is the median
of ratios measured in turn in one process, except those against the Numeric Suite, which are of two processes run in turn.
Parts: 96, 224, memory, suite, growth, startup. --quick: fewer samples and rounds; the smoke run of the test suite is
`analysis_benchmark --check`.
"""

import argparse
import json
import pathlib
import platform
import resource
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / "build/release/bin/analysis_benchmark"
FOLDER = ROOT / "build/benchmark"
ZOO = ROOT / "tests/models/zoo"
CHAINS = (4, 8, 16, 32)


def tool(*arguments):
    done = subprocess.run([str(TOOL), *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, arguments))}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout)


# --- networks ---


def make_networks():
    if (FOLDER / "done").exists():
        return
    command = [sys.executable, ZOO / "make_zoo.py", "--out", FOLDER, "--models", "mobilenet_v2_224", "--flows", "eager_x86"]
    subprocess.run(command, check=True, capture_output=True)
    subprocess.run([sys.executable, __file__, "--make-chains"], check=True, capture_output=True)
    (FOLDER / "done").touch()


def mobilenet():
    folder = FOLDER / "mobilenet_v2_224/eager_x86"
    return folder / "qat.pt", folder / "converted.pt"


def make_chains():
    import torch
    from torch import nn
    from torch.ao import quantization as tq

    sys.path.append(str(ROOT / "tests/models"))
    import export

    class Chain(nn.Module):
        def __init__(self, layers):
            super().__init__()
            self.quant, self.dequant = tq.QuantStub(), tq.DeQuantStub()
            blocks = [nn.Sequential(nn.Conv2d(3 if i == 0 else 16, 16, 3, padding=1), nn.ReLU()) for i in range(layers)]
            self.blocks = nn.Sequential(*blocks)

        def forward(self, x):
            return self.dequant(self.blocks(self.quant(x)))

    for layers in CHAINS:
        torch.manual_seed(1)
        model = Chain(layers).train()
        for block in model.blocks:
            tq.fuse_modules_qat(block, ["0", "1"], inplace=True)
        model.qconfig = tq.get_default_qat_qconfig("x86")
        tq.prepare_qat(model, inplace=True)
        images = torch.randn(4, 3, 32, 32)
        model(images)
        qat = export.freeze(model)
        folder = FOLDER / f"chain_{layers}"
        folder.mkdir(parents=True, exist_ok=True)
        export.save(torch.jit.trace(qat, images, check_trace=False), folder / "qat.pt")
        export.save(torch.jit.trace(export.convert(qat, False), images, check_trace=False), folder / "converted.pt")


# --- PyTorch's Numeric Suite, in a process of its own ---


def run_suite(count, size, batch):
    import torch

    torch.set_num_threads(1)
    sys.path[:0] = [str(ZOO), str(ZOO.parent)]
    import architectures
    import export
    import torch.ao.ns._numeric_suite_fx as suite
    import torchscript_flows
    from torch.ao.ns.fx.utils import compute_sqnr

    qat = torchscript_flows.qat_fx(architectures.ARCHITECTURES["mobilenet_v2_224"], "x86")
    converted = export.convert(qat, True)
    images = torch.randn(batch, 3, size, size)
    forward = 0.0
    with torch.no_grad():
        for _ in range(2):
            qat(images), converted(images)
        start = time.process_time()
        qat(images), converted(images)
        forward = (time.process_time() - start) / batch
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        start = time.process_time()
        first, second = suite.add_loggers("qat", qat, "converted", converted, suite.OutputLogger)
        for _ in range(count // batch):
            images = torch.randn(batch, 3, size, size)
            first(images), second(images)
        results = suite.extract_logger_info(first, second, suite.OutputLogger, "converted")
        suite.extend_logger_results_with_comparison(results, "qat", "converted", compute_sqnr, "sqnr")
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"samples": count, "seconds": seconds, "forward": forward, "grown": peak - before, "peak_bytes": peak}))


def suite(count, size, batch):
    command = [sys.executable, __file__, "--suite", str(count), str(size), str(batch)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"Numeric Suite: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


# --- figures ---


def fit(points):
    """Least squares of y = a + b x: a, b, R^2."""
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    xx = sum((x - mean_x) ** 2 for x, _ in points)
    xy = sum((x - mean_x) * (y - mean_y) for x, y in points)
    yy = sum((y - mean_y) ** 2 for _, y in points)
    slope = xy / xx
    return mean_y - slope * mean_x, slope, xy * xy / (xx * yy)


def milliseconds(seconds):
    return f"{1e3 * seconds:.1f} ms"


def megabytes(count):
    return f"{count / 1e6:.0f} MB"


class Table:
    def __init__(self):
        self.rows, self.raw = [], {}

    def add(self, what, value, wanted="", reached=None):
        self.rows.append((what, value, wanted, "" if reached is None else "yes" if reached else "no"))
        print(f"  {what}: {value}", file=sys.stderr)

    def markdown(self):
        lines = ["| measured | value | wanted | reached |", "|---|---|---|---|"]
        return "\n".join(lines + [f"| {' | '.join(row)} |" for row in self.rows])


def ratios(table, size, batch, rounds):
    row = table.raw[f"ratios_{size}_{batch}"] = tool("ratios", *mobilenet(), size, batch, rounds)
    head = f"{size} x {size}, batch {batch}"
    unit = row["qat_forward"] + row["int8_forward"]
    table.add(f"{head}: PyTorch's QAT + int8 forward, a sample",
              f"{milliseconds(row['qat_forward'])} + {milliseconds(row['int8_forward'])}")
    table.add(f"{head}: the QAT forward as qatgap runs it", f"{milliseconds(row['own_qat_forward'])}, "
              f"{row['own_qat_forward'] / row['qat_forward']:.2f} x PyTorch's")
    table.add(f"{head}: full ladder, injected view, 8 targets",
              f"{milliseconds(row['injected_8'])}, {row['injected_8_ratio']:.2f} x the two forwards", "<= 1.0 x",
              row["injected_8_ratio"] <= 1)
    further = row["further_target_ratio"]
    table.add(f"{head}: accumulated view, each further target", f"{milliseconds(further * unit)}, {further:.2f} x",
              "<= 0.3 x", further <= 0.3)
    table.add(f"{head}: whole analysis, 1 and 8 targets",
              f"{row['analysis_1_ratio']:.2f} x and {row['analysis_8_ratio']:.2f} x")


def memory(table, size, batch, counts):
    qat, converted = mobilenet()
    plain = tool("peak-forward", qat, size, batch, counts[-1])["peak_bytes"]
    peaks = [tool("peak-analysis", qat, converted, size, batch, count)["peak_bytes"] for count in counts]
    table.raw[f"memory_{size}_{batch}"] = {"forward": plain, "analysis": dict(zip(map(str, counts), peaks))}
    table.add(f"{size} x {size}, batch {batch}: peak memory, {counts[-1]} samples, 8 targets",
              f"{megabytes(peaks[-1])}, {peaks[-1] / plain:.2f} x PyTorch's QAT forward ({megabytes(plain)})", "<= 1.5 x",
              peaks[-1] <= 1.5 * plain)
    shown = ", ".join(f"{megabytes(peak)} at N = {count}" for count, peak in zip(counts, peaks))
    table.add(f"{size} x {size}, batch {batch}: peak memory by samples", shown, "independent of N",
              max(peaks) <= 1.05 * min(peaks))


def numeric_suite(table, counts, size, batch):
    """The Suite one sample at a time and in batches, the analysis in batches: its default."""
    own_peak = tool("peak-analysis", *mobilenet(), size, batch, counts[0])["peak_bytes"]
    for theirs_batch, count in [(1, counts[0])] + [(batch, count) for count in counts]:
        theirs = suite(count, size, theirs_batch)
        own = tool("growth", *mobilenet(), size, batch, batch * 2)
        a_sample = own["rows"][0]["seconds"] / (batch * 2)
        table.raw[f"suite_{count}_{theirs_batch}"] = {"suite": theirs, "own_seconds_a_sample": a_sample, "own_peak": own_peak}
        factor = theirs["seconds"] / count / a_sample
        head = f"{size} x {size}, N = {count}, batches of {theirs_batch}: Numeric Suite FX against an analysis with 2 targets"
        judged = count == 128
        table.add(f"{head}, a sample",
                  f"{milliseconds(theirs['seconds'] / count)} against {milliseconds(a_sample)}: {factor:.1f} x faster",
                  ">= 3 x" if judged else "", factor >= 3 if judged else None)
        less = theirs["peak_bytes"] / own_peak
        judged = count == 512
        table.add(f"{head}, peak memory", f"{megabytes(theirs['peak_bytes'])} against {megabytes(own_peak)} with 8 targets: "
                  f"{less:.1f} x less", ">= 10 x" if judged else "", less >= 10 if judged else None)


def growth(table, size, batch):
    counts = [batch * k for k in (1, 2, 4, 8)]
    rows = tool("growth", *mobilenet(), size, batch, *counts)["rows"]
    start, slope, r2 = fit([(row["samples"], row["seconds"]) for row in rows])
    table.add(f"time by samples, N = {', '.join(map(str, counts))}, 2 targets",
              f"{milliseconds(start)} + {milliseconds(slope)} * N, R2 = {r2:.4f}", "linear", r2 > 0.99)
    points = []
    for layers in CHAINS:
        folder = FOLDER / f"chain_{layers}"
        row = tool("growth", folder / "qat.pt", folder / "converted.pt", 32, 32, 256)
        points.append((row["layers"], row["rows"][0]["seconds"] / 256))
    start, slope, r2 = fit(points)
    table.raw["growth"] = {"samples": rows, "layers": points}
    table.add(f"time by equal layers, {', '.join(map(str, CHAINS))}, a sample, 2 targets",
              f"{milliseconds(start)} + {milliseconds(slope)} * L, R2 = {r2:.4f}", "linear", r2 > 0.99)


def startup(table, rounds):
    import numpy as np

    qat, converted = mobilenet()
    samples = FOLDER / "one.npy"
    np.save(samples, np.random.default_rng(1).standard_normal((1, 3, 96, 96)).astype(np.float32))
    command = [ROOT / "build/release/bin/qatgap", "analyze", "--qat", qat, "--converted", converted, "--samples", samples,
               "--target", "pytorch-x86", "--json", FOLDER / "one.json", "--quiet"]
    ready = min(tool("startup", qat, converted, 96)["first_sample"] for _ in range(rounds))
    table.add(f"start of the analysing process to its first sample, best wall time of {rounds}", f"{ready:.2f} s", "<= 1.0 s",
              ready <= 1)
    walls = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        whole = time.perf_counter() - start
        walls.append((whole, json.loads((FOLDER / "one.json").read_text())["analysis"]["run_seconds"]))
    table.raw["startup"] = walls
    best = min(whole for whole, _ in walls)
    table.add("`qatgap analyze` of one sample, process start to its end, report written, best wall time of "
              f"{rounds}", f"{best:.2f} s")


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="96,224,memory,suite,growth,startup")
    parser.add_argument("--json")
    parser.add_argument("--make-chains", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--suite", nargs=3, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make_chains:
        return make_chains()
    if arguments.suite:
        return run_suite(*arguments.suite)
    if not TOOL.exists():
        sys.exit(f"error: {TOOL} is not there; build it: cmake --build --preset release --target analysis_benchmark qatgap "
                 "qatgapd qatgap-runner")
    make_networks()
    parts, quick, table = arguments.only.split(","), arguments.quick, Table()
    if "96" in parts:
        ratios(table, 96, 32, 3 if quick else 7)
        ratios(table, 96, 1, 5 if quick else 25)
    if "224" in parts:
        ratios(table, 224, 8, 2 if quick else 5)
        ratios(table, 224, 1, 2 if quick else 9)
    if "memory" in parts:
        memory(table, 96, 32, (32, 64) if quick else (32, 128, 512))
        memory(table, 224, 8, (8, 16) if quick else (8, 64))
    if "suite" in parts:
        numeric_suite(table, (16, 32) if quick else (128, 512), 96, 8 if quick else 32)
    if "growth" in parts:
        growth(table, 96, 8)
    if "startup" in parts:
        startup(table, 3 if quick else 7)
    print(f"Host: {cpu_name()}, one thread.\n")
    print(table.markdown())
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(table.raw, indent=1))


if __name__ == "__main__":
    main()
