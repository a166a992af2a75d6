"""The report's tables, files, figure and notebook form, against its JSON."""

import copy
import html.parser
import json
import math

import pandas as pd
import pytest

import qatgap
from qatgap.tables import CAUSES


def test_layers_are_the_reports_numbers(demo_report):
    layers = demo_report.layers
    statistics = demo_report.data["statistics"]
    assert len(layers) == 2 * 11
    assert list(layers.columns[:9]) == [
        "target", "layer", "kind", "source", "input_index", "samples", "channels", "outputs", "engine_measured",
    ]  # fmt: skip
    assert list(layers.layer[:11]) == [layer["name"] for layer in statistics["layers"]]
    row = layers[(layers.target == "tflite-reference") & (layers.layer == "dw1.0")].iloc[0]
    found = next(layer for layer in statistics["targets"][1]["layers"] if layer["layer"] == "dw1.0")
    assert (row["kind"], row["channels"], row["samples"]) == ("depthwise conv2d", 16, 64)
    assert row["outputs"] == found["causes"]["total"]["count"] == 64 * 16 * 14 * 14
    for cause in ("total", "conversion", "bias_rounding", "requantization"):
        for name in ("changed", "changed_rate", "mean_absolute_lsb"):
            assert row[f"{cause}.{name}"] == found["causes"][cause][name]
        assert row[f"{cause}.max_lsb"] == found["causes"][cause]["max_absolute"]
    assert row["bias_rounding.share"] == found["shares"]["bias_rounding"]
    # Bit exact: no SQNR. No engine: nothing.
    assert math.isnan(row["bias_saturation.sqnr_db"])
    assert row["bias_saturation.changed"] == 0
    assert math.isnan(row["engine_residual.changed"])
    assert not row["engine_measured"]


def test_causes_share_the_difference(demo_report):
    shares = demo_report.layers[[f"{cause}.share" for cause in CAUSES]].sum(axis=1)
    assert shares.to_list() == pytest.approx([1.0] * 22)


def test_outputs_accumulated_and_accuracies(demo_report):
    outputs = demo_report.outputs
    pairs = outputs[outputs.target == "pytorch-qnnpack"][["path", "reference"]].to_numpy().tolist()
    assert pairs == [
        ["float_bias", "fake_quant"],
        ["quantized_bias", "fake_quant"],
        ["quantized_bias", "float_bias"],
        ["target", "fake_quant"],
        ["engine", "fake_quant"],
        ["engine", "target"],
    ]
    bias = outputs[(outputs.path == "quantized_bias") & (outputs.reference == "float_bias")].iloc[0]
    assert bias["count"] == 640
    assert bias["changed_rate"] == bias["changed"] / 640
    assert bias["top1_changed_rate"] == bias["top1_changed"] / 64
    assert len(demo_report.accumulated) == (6 + 4) * 11
    assert set(demo_report.accuracies.path) == {"fake_quant", "float_bias", "quantized_bias", "target", "engine"}
    assert (demo_report.accuracies.rate == demo_report.accuracies.correct / 64).all()


def test_targets_findings_verdicts(demo_report):
    assert demo_report.targets.target.to_list() == ["pytorch-qnnpack", "tflite-reference"]
    assert demo_report.targets.coverage.to_list() == [1.0, 1.0]
    assert "QG007" in demo_report.findings.id.to_list()
    assert demo_report.findings.columns[0] == "id"
    assert list(demo_report.unmeasured.columns) == ["name", "what", "reason", "is_mac_layer"]
    verdict = demo_report.verdicts["tflite-reference"]
    assert "layer outputs" in verdict.headline
    assert str(verdict).count("\n") == len(verdict.sentences)
    assert repr(demo_report) == (
        "<qatgap.Report 'demo': 64 samples, 11 layers, targets pytorch-qnnpack, tflite-reference>"
    )


def test_tables_of_nothing_have_their_columns(demo_report):
    data = copy.deepcopy(demo_report.data)
    data["statistics"] |= {"targets": [], "findings": [], "unmeasured": []}
    empty = qatgap.Report(data)
    for name in ("layers", "accumulated", "outputs", "accuracies", "targets", "findings", "unmeasured"):
        table = getattr(empty, name)
        assert isinstance(table, pd.DataFrame)
        assert len(table) == 0
        assert table.columns.equals(getattr(demo_report, name).columns), name


def test_saving_and_loading(demo_report, tmp_path):
    for name in ("r.json", "r.html", "r.md"):
        demo_report.save(tmp_path / name)
    assert (tmp_path / "r.json").read_text() == demo_report.to_json()
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "r.md").read_text().startswith("# ")
    loaded = qatgap.Report.load(tmp_path / "r.json")
    assert loaded.data == demo_report.data
    pd.testing.assert_frame_equal(loaded.layers, demo_report.layers)
    assert loaded.save(tmp_path / "again.json").read_bytes() == (tmp_path / "r.json").read_bytes()
    with pytest.raises(qatgap.ReportError, match="loaded from JSON has no html"):
        loaded.save(tmp_path / "again.html")
    with pytest.raises(qatgap.ReportError, match="does not end in"):
        demo_report.save(tmp_path / "r.pdf")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no JSON"),
        ("[]", "no report"),
        ('{"schema_version": 1}', "no report"),
        ('{"schema_version": 2, "statistics": {}}', "schema 2"),
    ],
    ids=["empty", "list", "other", "newer"],
)
def test_what_is_no_report(tmp_path, text, message):
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(qatgap.ReportError, match=message):
        qatgap.Report.load(path)


def test_the_figure_has_a_bar_for_each_layer_and_its_length_is_the_rms(demo_report):
    figure = demo_report.plot("pytorch-qnnpack")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == demo_report.layers.layer[:11].to_list()
    for row, layer in enumerate(demo_report.data["statistics"]["targets"][0]["layers"]):
        bars = [patch for patch in axes.patches if patch.get_y() < row < patch.get_y() + patch.get_height()]
        assert sum(bar.get_width() for bar in bars) == pytest.approx(layer["causes"]["total"]["rms_lsb"])
    assert "conversion" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_figures_of_several_targets_share_a_scale(demo_report, tmp_path):
    figure = demo_report.plot()
    assert len(figure.axes) == 2
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    figure.savefig(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(qatgap.ReportError, match="no target 'x'; it has pytorch-qnnpack"):
        demo_report.plot("x")


def test_a_figure_of_a_report_in_which_nothing_differs(demo_report):
    data = copy.deepcopy(demo_report.data)
    for target in data["statistics"]["targets"]:
        for layer in target["layers"]:
            layer["shares"] = None
            layer["causes"]["total"] |= {"rms_lsb": 0.0, "bit_exact": True, "changed_rate": 0.0}
    figure = qatgap.Report(data).plot()
    assert "bit exact" in [text.get_text() for text in figure.axes[0].texts]
    assert not figure.legends


class Reader(html.parser.HTMLParser):
    """Tags that are open, tags that occurred, text."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text, self.addresses = [], set(), "", []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_notebook_form_is_well_formed_and_asks_for_nothing(demo_report):
    reader = Reader()
    reader.feed(demo_report._repr_html_())
    assert reader.open == []
    assert reader.addresses == []
    assert not reader.tags & {"script", "style", "img", "link", "iframe"}
    assert "dw1.0" in reader.text
    assert demo_report.verdicts["pytorch-qnnpack"].headline in reader.text


def test_names_are_escaped_in_the_notebook(demo_report):
    hostile = "<script>alert('x')</script>&\""
    text = json.dumps(demo_report.data)
    for name in ("dw1.0", "demo", "pytorch-qnnpack", "Weight codes differ between the two models"):
        text = text.replace(json.dumps(name), json.dumps(hostile))
    report = qatgap.Report(json.loads(text))
    report.data["statistics"]["findings"][0] |= {"severity": "error", "id": hostile, "layer": hostile}
    reader = Reader()
    reader.feed(report._repr_html_())
    assert "script" not in reader.tags
    assert reader.open == []
    assert reader.text.count(hostile) >= 5
