"""A real Prometheus scrapes a real qatgapd after real analyses; every query of the dashboards and rules has data."""

import json
import math
import re
import subprocess
import time

import onnx
import pytest
import yaml
from running import PROMETHEUS, ROOT, prometheus, qatgapd, tool, until

MODELS = ROOT / "tests/models"
ONNX_MODEL = ROOT / "tests/analyzers/frontends/onnx/cases/ort_qdq_s8s8_per_tensor.onnx"
DASHBOARDS = sorted((ROOT / "deploy/grafana").glob("*.json"))
# What is in the model's file -> what label and reports show.
HOSTILE = {
    'a"} 1\nqatgap_tracks 9\n': 'a"} 1 qatgap_tracks 9 ',
    'back\\slash {x="y"}': 'back\\slash {x="y"}',
    "<img src=x onerror=alert(1)>": "<img src=x onerror=alert(1)>",
    "${datasource} $track \u202e\u00e9": "${datasource} $track \ufffd\ufffd\ufffd\u00e9",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("prometheus")


@pytest.fixture(scope="module")
def hostile_model(folder):
    """The ONNX model with other names of layers."""
    model = onnx.load(ONNX_MODEL)
    names = dict(zip(["stem.0", "block.conv", "head", "fc"], HOSTILE, strict=True))

    def renamed(name):
        return next((new + name[len(old) :] for old, new in names.items() if name.startswith(f"{old}.")), name)

    for node in model.graph.node:
        del node.metadata_props[:]
        node.input[:] = [renamed(name) for name in node.input]
        node.output[:] = [renamed(name) for name in node.output]
        if node.op_type in ("Conv", "Gemm"):
            node.name = ""
    for initializer in model.graph.initializer:
        initializer.name = renamed(initializer.name)
    path = folder / "hostile.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def scraped(folder, hostile_model):
    """The Prometheus, after the analyses."""
    np = pytest.importorskip("numpy")
    samples = folder / "samples.npy"
    np.save(samples, np.random.default_rng(1).standard_normal((8, 3, 12, 12), dtype=np.float32))
    no_model = folder / "no_model.pt"
    no_model.write_text("not a model")
    with qatgapd(folder) as server, prometheus(folder, server.metrics) as running:
        # Before the analyses: rates need a scrape on each side.
        until("first scrape", lambda: running.query('up{job="qatgapd"} == 1'))

        def small(model):
            server.analyze("--converted", model, "--samples", samples, "--target=tosa", "--track=small")
            layers = 'qatgap_layer_changed_ratio{track="small"}'
            until("layers", lambda: len(running.values("layer", layers)) == len(HOSTILE))
            return running.values("layer", layers)

        assert small(ONNX_MODEL) == ["block.conv", "fc", "head", "stem.0"]
        server.analyze(
            *("--qat", MODELS / "residual_eager_qnnpack/qat.pt"),
            *("--converted", MODELS / "residual_eager_qnnpack/converted.pt"),
            *("--samples", MODELS / "samples/images_512.npz", "--labels", MODELS / "samples/labels_512.npy"),
            *("--target=pytorch-qnnpack", "--target=tflite-reference", "--max-samples=64", "--track=residual"),
        )
        server.analyze("--qat", no_model, "--samples", samples, "--target=tosa", "--track=small", expect=2)
        server.analyze("--converted", hostile_model, "--samples", samples, "--target=tosa", "--track=small")
        hostile = sorted(HOSTILE.values())
        until("hostile names",
              lambda: running.values("layer", 'qatgap_layer_changed_ratio{track="small"}') == hostile)
        yield running


def test_hostile_names_are_labels_of_their_own(scraped):
    """And series of layers that are gone have ended, while Prometheus still has them."""
    layers = 'qatgap_layer_changed_ratio{track="small", cause="total"}'
    assert scraped.values("layer", layers) == sorted(HOSTILE.values())
    past = {labels["layer"] for labels, _ in scraped.query_range(layers, 300)}
    assert past == {"block.conv", "fc", "head", "stem.0", *HOSTILE.values()}
    assert [value for _, value in scraped.query("qatgap_tracks")] == [2]
    (target,) = scraped.get("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")


def test_counts_are_those_of_the_analyses(scraped):
    def value(series):
        ((_, found),) = scraped.query(series)
        return found

    until("end of the failure", lambda: value('qatgap_analyses_finished_total{state="failed"}') == 1)
    assert value('qatgap_analyses_finished_total{state="succeeded"}') == 3
    assert value('qatgap_track_samples{track="residual"}') == 64
    assert value('qatgap_track_samples{track="small"}') == 8
    assert abs(value('qatgap_track_last_success_timestamp_seconds{track="small"}') - time.time()) < 600
    assert value("qatgap_samples_total") == 8 + 64 + 8


def _chosen(dashboard, scraped):
    """What Grafana would fill in for each variable: the first choice, everything where all may be chosen."""
    chosen = {"__rate_interval": "1m", "__range": "5m", "__interval": "1s"}
    for variable in dashboard["templating"]["list"]:
        name = variable["name"]
        if variable["type"] == "custom":
            chosen[name] = variable["current"]["value"]
        if variable["type"] != "query":
            continue
        query = _filled(variable["query"]["query"], chosen)
        series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", query).groups()
        values = scraped.values(label, series)
        assert values, f"variable {name} has no values: {query}"
        chosen[name] = variable.get("allValue") or values[0]
    return chosen


def _filled(expression, chosen):
    filled = re.sub(r"\$(\w+)", lambda match: chosen[match[1]], expression)
    assert "$" not in filled, filled
    return filled


def _check_selectors(scraped, expression):
    selectors = re.findall(r"\b(?:[a-z_]+:qatgap_|qatgap_|up\b|scrape_)[a-z0-9_:]*(?:\{[^}]*\})?", expression)
    assert selectors, expression
    for selector in selectors:
        assert scraped.query(selector), f"{selector} in {expression}"


def _queries():
    for path in DASHBOARDS:
        dashboard = json.loads(path.read_text())
        for panel in dashboard["panels"]:
            for query in panel.get("targets", []):
                yield pytest.param(dashboard, query, id=f"{path.stem}-{panel['id']}{query['refId']}-{panel['title']}")


@pytest.mark.parametrize(("dashboard", "query"), list(_queries()))
def test_every_query_of_a_dashboard_has_data(scraped, dashboard, query):
    """And so has every selector in it: what an `or` or a comparison leaves out is not missed."""
    expression = _filled(query["expr"], _chosen(dashboard, scraped))

    def numbers():
        if query["instant"]:
            return [value for _, value in scraped.query(expression) if math.isfinite(value)]
        return [v for _, values in scraped.query_range(expression, 300) for v in values if math.isfinite(v)]

    until(f"data of {expression}", numbers)
    _check_selectors(scraped, expression)


def _rules():
    for group in yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield pytest.param(rule, id=rule.get("record") or rule["alert"])


@pytest.mark.parametrize("rule", list(_rules()))
def test_every_rule_has_data(scraped, rule):
    """A recording rule as Prometheus recorded it; of an alert what it compares with its threshold."""
    if "record" in rule:
        until(rule["record"], lambda: [v for _, v in scraped.query(rule["record"]) if math.isfinite(v)])
        _check_selectors(scraped, rule["expr"])
        return
    compared = re.fullmatch(r"(?s)(.*) [<>] [0-9.]+", rule["expr"])
    assert compared, rule["expr"]
    until(rule["alert"], lambda: [v for _, v in scraped.query(compared[1]) if math.isfinite(v)])
    _check_selectors(scraped, rule["expr"])


def test_prometheus_evaluates_the_rules(scraped):
    def evaluated():
        rules = [rule for group in scraped.get("rules")["groups"] for rule in group["rules"]]
        return rules if all(rule["health"] != "unknown" for rule in rules) else None

    rules = until("evaluated rules", evaluated)
    assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
    assert len(rules) == len(list(_rules()))


def test_the_rules_have_tests():
    tested = (PROMETHEUS / "rules_test.yml").read_text()
    untested = [rule.id for rule in _rules() if not re.search(rf"(?<![\w:]){rule.id}(?![\w:])", tested)]
    assert untested == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "rules.yml"),
        ("test", "rules", "rules_test.yml"),
    ],
    ids=lambda arguments: "_".join(arguments[:2]),
)
def test_promtool(arguments):
    done = subprocess.run([tool("promtool"), *arguments], cwd=PROMETHEUS, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout + done.stderr
