"""Limits on the figures of a report. Names of metrics are stable; an unknown one is an error, never a pass."""

from __future__ import annotations

import difflib
import json
import math
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qatgap import tables
from qatgap.errors import RulesError

Rules = Mapping[str, Any] | Sequence[Mapping[str, Any]] | str | os.PathLike[str]

KEYS = ("metric", "name", "layers", "kinds", "targets", "level", "must_match", "max", "min")
# Of `qatgap gate`, which has the baseline that these are about.
GATE_KEYS = ("max_increase", "max_decrease", "max_ratio")
FILE_KEYS = ("version", "rules")
GATE_FILE_KEYS = ("preset", "waivers")
LEVELS = ("error", "warn")
SEVERITIES = ("error", "warning", "info")
# A figure for each layer.
OF_LAYERS = ("injected.", "accumulated.", "bias.")
PAIRS = {
    **{path: (path, "fake_quant") for path in tables.PATHS},
    "quantized_bias_vs_float_bias": ("quantized_bias", "float_bias"),
    "engine_vs_target": ("engine", "target"),
}


class RuleWarning(UserWarning):
    """A figure outside a rule of level "warn"."""


@dataclass(frozen=True)
class Rule:
    """One limit, checked for spelling; no patterns means all."""

    metric: str
    name: str
    maximum: float | None
    minimum: float | None
    layers: tuple[str, ...]
    kinds: tuple[str, ...]
    targets: tuple[str, ...]
    level: str
    must_match: bool

    @property
    def limit(self) -> str:
        """In words."""
        parts = []
        if self.minimum is not None:
            parts.append(f"at least {_figure(self.minimum)}")
        if self.maximum is not None:
            parts.append(f"at most {_figure(self.maximum)}")
        return " and ".join(parts)

    def holds(self, found: float) -> bool:
        """Whether found is within; NaN never is."""
        above = self.minimum is None or found >= self.minimum
        below = self.maximum is None or found <= self.maximum
        return not math.isnan(found) and above and below


@dataclass(frozen=True)
class Violation:
    """A figure outside its limit.

    Attributes:
        metric: its dotted name.
        target: the target.
        layer: the layer; empty for figures of the whole model.
        found: the figure; NaN where it was not measured.
        expected: the limit in words.
        cause: the layer's largest cause, or why there is no figure.
        level: "error" or "warn".
        rule: the rule's name; the metric where it has none.
    """

    metric: str
    target: str
    layer: str
    found: float
    expected: str
    cause: str
    level: str
    rule: str

    def __str__(self) -> str:
        where = f"{self.layer} ({self.target})" if self.layer else f"({self.target})"
        found = "not measured" if math.isnan(self.found) else _figure(self.found)
        cause = f"; {self.cause}" if self.cause else ""
        name = f" [{self.rule}]" if self.rule != self.metric else ""
        return f"{where}: {self.metric}{name}: expected {self.expected}, found {found}{cause}"


@dataclass(frozen=True)
class _Figure:
    """A value of a metric at one place; None where nothing differs, so that every limit holds."""

    target: str
    layer: str
    value: float | None
    note: str


def metric_names() -> list[str]:
    """Every metric that a rule can name; `findings.QG001` and its like are too."""
    names = [f"injected.{cause}.{name}" for cause in ("total", *tables.CAUSES) for name in tables.FIGURES]
    names += [f"accumulated.{pair}.{name}" for pair in PAIRS for name in tables.FIGURES]
    names += [f"outputs.{name}" for name in (*tables.FIGURES, "top1_changed_rate")]
    names += [f"outputs.{pair}.{name}" for pair in PAIRS for name in (*tables.FIGURES, "top1_changed_rate")]
    names += [f"accuracy.{path}" for path in ("fake_quant", *tables.PATHS)]
    names += [f"accuracy_drop.{path}" for path in tables.PATHS]
    names += ["bias.max_residual_lsb", "bias.saturated_channels", "coverage"]
    return sorted([*names, *(f"findings.{severity}" for severity in SEVERITIES)])


def check(report: dict[str, Any], rules: Rules) -> list[Violation]:
    """What is outside, in the order of the rules, then of the report."""
    return [violation for rule in read(rules) for violation in _violations(report, rule)]


def raise_or_warn(violations: Sequence[Violation]) -> None:
    """An AssertionError for those of level "error", a RuleWarning for each other one."""
    for violation in violations:
        if violation.level == "warn":
            warnings.warn(str(violation), RuleWarning, stacklevel=3)
    errors = [violation for violation in violations if violation.level == "error"]
    if errors:
        lines = "\n".join(f"  {violation}" for violation in errors)
        raise AssertionError(f"{len(errors)} figures are outside the rules:\n{lines}")


def read(rules: Rules) -> list[Rule]:
    """Rules from any of the forms that `assert_within` takes; none at all is an error."""
    if isinstance(rules, (str, os.PathLike)):
        rules = _file(Path(rules))
    if isinstance(rules, Mapping) and "metric" not in rules:
        _known_keys(rules, FILE_KEYS, GATE_FILE_KEYS, "the rules")
        if rules.get("version", 1) != 1:
            raise RulesError(f"the rules have version {rules['version']!r}; this package reads 1")
        rules = rules.get("rules", [])
    if isinstance(rules, Mapping):
        rules = [rules]
    if not isinstance(rules, Sequence) or isinstance(rules, (str, bytes)) or not rules:
        raise RulesError("there are no rules; give a rule, a list of rules, or {'rules': [...]}")
    return [_rule(rule, f"rule {index + 1}") for index, rule in enumerate(rules)]


def _file(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RulesError(f"the rules {path} cannot be read: {error}") from None
    if path.suffix.lower() == ".json":
        try:
            return json.loads(text)
        except ValueError as error:
            raise RulesError(f"{path}: {error}") from None
    try:
        import yaml
    except ImportError:
        raise RulesError(f"{path.name}: YAML needs PyYAML: pip install 'qatgap[yaml]'; JSON does without") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RulesError(f"{path}: {error}") from None


def _rule(rule: Any, where: str) -> Rule:
    if not isinstance(rule, Mapping):
        raise RulesError(f"{where} is a {type(rule).__name__}, not a mapping with `metric` and `max` or `min`")
    _known_keys(rule, KEYS, GATE_KEYS, where)
    metric = rule.get("metric")
    if not isinstance(metric, str):
        raise RulesError(f"{where} has no metric, for example injected.bias_rounding.changed_rate")
    names = metric_names()
    if metric not in names and not _is_finding_id(metric):
        raise RulesError(f"{where}: no metric is called {metric!r}{_nearest(metric, names)}")
    name = rule.get("name", metric)
    if not isinstance(name, str):
        raise RulesError(f"{where}: name is {name!r}, not a text")
    level = rule.get("level", "error")
    if level not in LEVELS:
        raise RulesError(f"{where}: level is {level!r}; it is 'error' or 'warn'")
    must_match = rule.get("must_match", True)
    if not isinstance(must_match, bool):
        raise RulesError(f"{where}: must_match is {must_match!r}; it is true or false")
    maximum, minimum = _limit(rule, "max", where), _limit(rule, "min", where)
    if maximum is None and minimum is None:
        raise RulesError(f"{where} ({metric}) has neither max nor min, so it would check nothing")
    for key in ("layers", "kinds"):
        if key in rule and not metric.startswith(OF_LAYERS):
            raise RulesError(f"{where}: {metric} is a figure of the whole model; it has no {key}")
    layers, kinds, targets = (_patterns(rule, key, where) for key in ("layers", "kinds", "targets"))
    return Rule(metric, name, maximum, minimum, layers, kinds, targets, level, must_match)


def _patterns(rule: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    """One pattern or several."""
    value = rule.get(key, [])
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, Sequence) or not all(isinstance(one, str) for one in values):
        raise RulesError(f"{where}: {key} is {value!r}, not a pattern such as 'layer1.*' or a list of them")
    if key in rule and not values:
        raise RulesError(f"{where}: {key} is empty, so it would match nothing")
    return tuple(values)


def _limit(rule: Mapping[str, Any], name: str, where: str) -> float | None:
    value = rule.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise RulesError(f"{where}: {name} is {value!r}, not a finite number")
    return float(value)


def _violations(report: dict[str, Any], rule: Rule) -> Iterator[Violation]:
    targets = report["statistics"]["targets"]
    kept = _matching("target", [target["name"] for target in targets], rule.targets, rule.must_match)
    figures = list(_figures(report, [target for target in targets if target["name"] in kept], rule))
    if not figures and rule.must_match:
        words = "the report has no such figure"
        yield Violation(rule.metric, ", ".join(sorted(kept)), "", math.nan, rule.limit, words, rule.level, rule.name)
    for figure in figures:
        if figure.value is not None and not rule.holds(figure.value):
            yield Violation(
                rule.metric, figure.target, figure.layer, figure.value, rule.limit, figure.note, rule.level, rule.name
            )


def _figures(report: dict[str, Any], targets: Sequence[dict[str, Any]], rule: Rule) -> Iterator[_Figure]:
    view, _, rest = rule.metric.partition(".")
    if rule.metric.startswith(OF_LAYERS):
        kinds = {fact["name"]: fact["kind"] for fact in report["statistics"]["layers"]}
        kept = _matching("layer", kinds, rule.layers, rule.must_match)
        if rule.kinds:
            chosen = [kinds[name] for name in kept]
            for kind in rule.kinds:
                if kind not in chosen and rule.must_match:
                    raise RulesError(f"no chosen layer is of kind {kind!r}{_nearest(kind, chosen)}")
            kept = {name for name in kept if kinds[name] in rule.kinds}
        of_layers = {"injected": _injected, "accumulated": _accumulated, "bias": _bias}[view]
        yield from (figure for figure in of_layers(targets, rest) if figure.layer in kept)
    elif view == "outputs":
        yield from _outputs(targets, rest, report["statistics"]["samples"])
    elif view in ("accuracy", "accuracy_drop"):
        yield from _accuracies(targets, rest, dropped=view == "accuracy_drop")
    elif view == "coverage":
        yield from (_Figure(target["name"], "", tables.coverage(target), "") for target in targets)
    else:
        yield from _findings(report, targets, rest)


def _injected(targets: Sequence[dict[str, Any]], rest: str) -> Iterator[_Figure]:
    cause, _, name = rest.partition(".")
    for target in targets:
        for layer in target["layers"]:
            differences = layer["causes"][cause]
            if differences is None:
                yield _Figure(target["name"], layer["layer"], math.nan, layer["engine_note"])
            else:
                value = _value(differences, name)
                yield _Figure(target["name"], layer["layer"], value, _largest_cause(layer["shares"]))


def _accumulated(targets: Sequence[dict[str, Any]], rest: str) -> Iterator[_Figure]:
    pair_name, _, name = rest.partition(".")
    for target in targets:
        largest = {layer["layer"]: _largest_cause(layer["shares"]) for layer in target["layers"]}
        for pair in _pairs(target, pair_name):
            for layer in pair["layers"]:
                note = largest.get(layer["layer"], "")
                yield _Figure(target["name"], layer["layer"], _value(layer, name), note)


def _bias(targets: Sequence[dict[str, Any]], rest: str) -> Iterator[_Figure]:
    for target in targets:
        for layer in target["layers"]:
            channels = layer["channels"]
            if rest == "saturated_channels":
                value: float = sum(channels["bias_saturated"])
            else:
                value = max((abs(tables.number(residual)) for residual in channels["bias_residual_lsb"]), default=0.0)
            yield _Figure(target["name"], layer["layer"], value, _largest_cause(layer["shares"]))


def _outputs(targets: Sequence[dict[str, Any]], rest: str, samples: int) -> Iterator[_Figure]:
    pair_name, _, name = rest.rpartition(".")
    for target in targets:
        note = _largest_cause(target["shares"])
        for pair in _pairs(target, pair_name or "target"):
            if name == "top1_changed_rate":
                yield _Figure(target["name"], "", pair["top1_changed"] / samples if samples else math.nan, note)
                continue
            for index, output in enumerate(pair["outputs"]):
                where = f"output {index}" if len(pair["outputs"]) > 1 else ""
                yield _Figure(target["name"], where, _value(output, name), note)


def _pairs(target: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [pair for pair in target["comparisons"] if (pair["path"], pair["reference"]) == PAIRS[name]]


def _accuracies(targets: Sequence[dict[str, Any]], path: str, *, dropped: bool) -> Iterator[_Figure]:
    for target in targets:
        rates = {accuracy["path"]: tables.number(accuracy["rate"]) for accuracy in target["accuracies"]}
        if path in rates:
            yield _Figure(target["name"], "", rates["fake_quant"] - rates[path] if dropped else rates[path], "")


def _findings(report: dict[str, Any], targets: Sequence[dict[str, Any]], kind: str) -> Iterator[_Figure]:
    member = "severity" if kind in SEVERITIES else "id"
    findings = [finding for finding in report["statistics"]["findings"] if finding[member] == kind]
    for target in targets:
        here = [finding for finding in findings if finding["target"] in ("", target["name"])]
        first = f"first: {here[0]['id']} {here[0]['title']}, {here[0]['layer'] or 'the model'}" if here else ""
        yield _Figure(target["name"], "", len(here), first)


def _value(differences: Mapping[str, Any], name: str) -> float | None:
    """NaN where it is not defined; None where it is not because the streams are equal."""
    value = differences[tables.FIGURES[name]]
    if name in ("sqnr_db", "cosine") and differences["bit_exact"]:
        return None
    return tables.number(value)


def _largest_cause(shares: Mapping[str, float | None] | None) -> str:
    known = {cause: share for cause, share in (shares or {}).items() if share}
    if not known:
        return ""
    cause = max(known, key=lambda name: known[name])
    return f"largest cause: {cause} ({100 * known[cause]:.3g} %)"


def _is_finding_id(metric: str) -> bool:
    view, _, kind = metric.partition(".")
    return view == "findings" and len(kind) == 5 and kind.startswith("QG") and kind[2:].isdigit()


def _known_keys(given: Mapping[str, Any], known: Sequence[str], of_gate: Sequence[str], where: str) -> None:
    for key in given:
        if key in of_gate:
            raise RulesError(f"{where}: {key} is of `qatgap gate`, which knows a baseline and presets")
        if key not in known:
            raise RulesError(f"{where}: no key is called {key!r}{_nearest(str(key), known)}")


def _matching(what: str, names: Iterable[str], patterns: Sequence[str], must_match: bool) -> set[str]:
    """Those that match any of the patterns; a pattern that matches nothing would pass unseen."""
    names = list(names)
    if not patterns:
        return set(names)
    kept: set[str] = set()
    for pattern in patterns:
        # Only * and ?: names have brackets of their own.
        expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
        matches = [name for name in names if re.fullmatch(expression, name, re.DOTALL)]
        if not matches and must_match:
            raise RulesError(f"no {what} matches {pattern!r}{_nearest(pattern, names)}")
        kept.update(matches)
    return kept


def _nearest(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
    return f"; the nearest is {near[0]!r}" if near else ""


def _figure(value: float) -> str:
    return f"{value:.6g}"
