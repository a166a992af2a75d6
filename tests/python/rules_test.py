"""Rules: what passes, what fails with which words, and that no mistake in a rule passes."""

import copy
import json
import math

import pytest

import qatgap

LIMIT = {"metric": "injected.bias_rounding.changed_rate", "max": 0.01}


def at(report, target, layer):
    for value in report.data["statistics"]["targets"]:
        if value["name"] == target:
            return next(found for found in value["layers"] if found["layer"] == layer)
    raise KeyError(target)


@pytest.fixture
def planted(demo_report):
    """A copy in which head.0 of the second target has bias saturation in 5 % of its codes."""
    report = qatgap.Report(copy.deepcopy(demo_report.data))
    layer = at(report, "tflite-reference", "head.0")
    saturation = layer["causes"]["bias_saturation"]
    saturation |= {"changed": saturation["count"] // 20, "changed_rate": 0.05, "max_absolute": 7, "bit_exact": False}
    layer["shares"] |= {"bias_saturation": 0.9, "conversion": 0.1}
    return report


@pytest.mark.parametrize(
    "rules",
    [
        LIMIT,
        [LIMIT, {"metric": "coverage", "min": 1}],
        {
            "version": 1,
            "rules": [LIMIT | {"layers": ["dw*", "fc"], "targets": ["tflite-*"], "name": "the weak points"}],
        },
        {"metric": "injected.bias_saturation.changed", "max": 0},
        {"metric": "injected.bias_saturation.sqnr_db", "min": 100},
        {"metric": "injected.total.sqnr_db", "min": 20, "kinds": "depthwise conv2d"},
        {"metric": "injected.engine_residual.changed", "max": 0, "targets": "pytorch-qnnpack"},
        {"metric": "accumulated.quantized_bias_vs_float_bias.max_lsb", "max": 10},
        {"metric": "outputs.target.top1_changed_rate", "max": 0.1},
        {"metric": "outputs.sqnr_db", "min": 20},
        {"metric": "accuracy.target", "min": 0.5},
        {"metric": "accuracy_drop.target", "max": 0.1},
        {"metric": "bias.saturated_channels", "max": 0},
        {"metric": "bias.max_residual_lsb", "max": 0.5},
        LIMIT | {"layers": "nothing", "must_match": False},
        {"metric": "outputs.engine_vs_target.cosine", "min": 2, "targets": "pytorch-*"},
        {"metric": "findings.error", "max": 0},
        {"metric": "findings.QG001", "max": 0},
    ],
    ids=str,
)
def test_within(demo_report, rules):
    demo_report.assert_within(rules)
    assert demo_report.violations(rules) == []


def test_the_words_of_a_failure(planted):
    with pytest.raises(AssertionError) as raised:
        planted.assert_within(
            [{"layers": "head.*", "metric": "injected.bias_saturation.changed_rate", "max": 0.01}, LIMIT]
        )
    assert str(raised.value) == (
        "1 figures are outside the rules:\n"
        "  head.0 (tflite-reference): injected.bias_saturation.changed_rate: expected at most 0.01, found 0.05; "
        "largest cause: bias_saturation (90 %)"
    )


def test_a_violation_has_its_parts(planted):
    (violation,) = planted.violations({"metric": "injected.bias_saturation.max_lsb", "max": 3, "min": 0})
    assert violation == qatgap.Violation(
        metric="injected.bias_saturation.max_lsb",
        target="tflite-reference",
        layer="head.0",
        found=7,
        expected="at least 0 and at most 3",
        cause="largest cause: bias_saturation (90 %)",
        level="error",
        rule="injected.bias_saturation.max_lsb",
    )


def test_a_warning_does_not_fail(planted):
    with pytest.warns(qatgap.RuleWarning, match=r"head\.0 \(tflite-reference\)"):
        planted.assert_within({"metric": "injected.bias_saturation.changed", "max": 0, "level": "warn"})


def test_what_was_not_measured_fails_and_says_why(demo_report):
    rule = {"metric": "injected.engine_residual.changed", "max": 0, "targets": "tflite-reference", "layers": "fc"}
    (violation,) = demo_report.violations(rule)
    assert math.isnan(violation.found)
    assert str(violation) == (
        "fc (tflite-reference): injected.engine_residual.changed: expected at most 0, found not measured; "
        "no engine of this target is linked in"
    )


def test_a_figure_that_the_report_does_not_have_fails(demo_report):
    report = qatgap.Report(copy.deepcopy(demo_report.data))
    for target in report.data["statistics"]["targets"]:
        target["accuracies"] = []
    (violation,) = report.violations({"metric": "accuracy.target", "min": 0.1})
    assert "the report has no such figure" in str(violation)


def test_findings_are_counted_for_each_target(demo_report):
    report = qatgap.Report(copy.deepcopy(demo_report.data))
    finding = {"id": "QG001", "severity": "error", "title": "T", "layer": "fc", "target": "tflite-reference"}
    report.data["statistics"]["findings"] = [finding, finding | {"layer": "mix"}, finding | {"target": "", "layer": ""}]
    found = {violation.target: violation for violation in report.violations({"metric": "findings.error", "max": 0})}
    assert {target: violation.found for target, violation in found.items()} == {
        "pytorch-qnnpack": 1,
        "tflite-reference": 3,
    }
    assert found["tflite-reference"].cause == "first: QG001 T, fc"
    assert found["pytorch-qnnpack"].cause == "first: QG001 T, the model"
    assert [violation.found for violation in report.violations({"metric": "findings.QG001", "max": 0})] == [1, 3]


def test_biases(demo_report):
    report = qatgap.Report(copy.deepcopy(demo_report.data))
    channels = at(report, "tflite-reference", "fc")["channels"]
    channels["bias_saturated"][2:4] = [True, True]
    channels["bias_residual_lsb"][2] = -3.5
    (count,) = report.violations({"metric": "bias.saturated_channels", "max": 0, "name": "fits"})
    assert (count.layer, count.target, count.found) == ("fc", "tflite-reference", 2)
    assert str(count).startswith("fc (tflite-reference): bias.saturated_channels [fits]: expected at most 0, found 2")
    (residual,) = report.violations({"metric": "bias.max_residual_lsb", "max": 1})
    assert residual.found == 3.5


def test_brackets_in_names_are_letters(demo_report):
    text = json.dumps(demo_report.data).replace('"stem.0"', '"stem[0]"')
    report = qatgap.Report(json.loads(text))
    (violation,) = report.violations(
        {"metric": "injected.total.changed", "max": -1, "layers": "st?m[0]", "targets": "t*"}
    )
    assert violation.layer == "stem[0]"


def test_loosening_a_limit_never_makes_a_pass_a_failure(demo_report):
    for metric in qatgap.metric_names():
        failures = [len(demo_report.violations({"metric": metric, "max": limit})) for limit in (0, 1e-4, 1e-2, 1, 1e9)]
        assert failures == sorted(failures, reverse=True), metric


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([], "there are no rules"),
        ({"rules": []}, "there are no rules"),
        ({"rule": [LIMIT]}, "no key is called 'rule'; the nearest is 'rules'"),
        ({"rules": [LIMIT], "extra": 1}, "the rules: no key is called 'extra'"),
        ([LIMIT, 5], "rule 2 is a int"),
        ([{"max": 1}], "rule 1 has no metric"),
        ({"version": 2, "rules": [LIMIT]}, "version 2; this package reads 1"),
        ({"preset": "strict"}, "the rules: preset is of `qatgap gate`"),
        (LIMIT | {"max_increase": 1}, "rule 1: max_increase is of `qatgap gate`"),
        (
            {"metric": "injected.bias_roundin.changed_rate", "max": 1},
            "the nearest is 'injected.bias_rounding.changed_rate'",
        ),
        ({"metric": "outputs.targt.top1_changed_rate", "max": 1}, "the nearest is 'outputs.target.top1_changed_rate'"),
        ({"metric": "findings.QG1", "max": 1}, "no metric is called 'findings.QG1'"),
        (LIMIT | {"layres": "*"}, "no key is called 'layres'; the nearest is 'layers'"),
        (LIMIT | {"layers": "steem.*"}, r"no layer matches 'steem\.\*'; the nearest is 'stem\.0'"),
        (LIMIT | {"targets": "tflite"}, "no target matches 'tflite'; the nearest is 'tflite-reference'"),
        (LIMIT | {"kinds": "conv9d"}, "no chosen layer is of kind 'conv9d'; the nearest is 'conv2d'"),
        ({"metric": "findings.error", "max": 0, "layers": "zzz"}, "findings.error is a figure of the whole model"),
        (LIMIT | {"layers": []}, "layers is empty"),
        (LIMIT | {"must_match": 1}, "must_match is 1"),
        (LIMIT | {"name": 1}, "name is 1"),
        (LIMIT | {"layers": 3}, "layers is 3, not a pattern"),
        (LIMIT | {"level": "fatal"}, "level is 'fatal'"),
        ({"metric": "coverage"}, "has neither max nor min"),
        ({"metric": "coverage", "min": "1"}, "min is '1', not a finite number"),
        ({"metric": "coverage", "min": True}, "min is True, not a finite number"),
        ({"metric": "coverage", "min": float("nan")}, "min is nan, not a finite number"),
        ({"metric": "coverage", "min": 1, "layers": "fc"}, "coverage is a figure of the whole model; it has no layers"),
    ],
    ids=str,
)
def test_a_mistake_is_an_error_and_never_a_pass(demo_report, rules, message):
    with pytest.raises(qatgap.RulesError, match=message):
        demo_report.assert_within(rules)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gate.json", json.dumps([LIMIT])),
        ("gate.yaml", "rules:\n  - metric: injected.bias_rounding.changed_rate\n    max: 0.01\n"),
    ],
)
def test_files(demo_report, tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    demo_report.assert_within(path)
    path.write_text(text.replace("0.01", "-1"))
    with pytest.raises(AssertionError, match="expected at most -1"):
        demo_report.assert_within(str(path))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("gate.json", "{", "gate.json: "),
        ("gate.yaml", "a: [", "gate.yaml: "),
        ("gate.yaml", "", "there are no rules"),
        ("gate.yaml", "text", "there are no rules"),
        ("none.yaml", None, "cannot be read"),
    ],
    ids=["json", "yaml", "empty", "text", "missing"],
)
def test_files_with_mistakes(demo_report, tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(qatgap.RulesError, match=message):
        demo_report.assert_within(tmp_path / name)
