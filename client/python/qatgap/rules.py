"""Limits on the figures of a report. Names of metrics are stable; an unknown one is an error, never a pass."""

from __future__ import annotations

import difflib
import fnmatch
import json
import math
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qatgap import tables
from qatgap.errors import RulesError

Rules = Mapping[str, Any] | Sequence[Mapping[str, Any]] | str | os.PathLike[str]

KEYS = ("metric", "max", "min", "layers", "kinds", "target", "level", "reason")
LEVELS = ("error", "warn")
SEVERITIES = ("error", "warning", "info")
# Figures of a difference of codes; `share` is of injected causes only.
STATISTICS = (*tables.STATISTICS, "sum_absolute")
OUTPUT_STATISTICS = (*STATISTICS, "top1_changed", "top1_changed_rate")
PAIRS = {
    **{path: (path, "fake_quant") for path in tables.PATHS},
    "quantized_bias_vs_float_bias": ("quantized_bias", "float_bias"),
    "engine_vs_target": ("engine", "target"),
}


class RuleWarning(UserWarning):
    """A figure outside a rule of level "warn"."""


@dataclass(frozen=True)
class Rule:
    """One limit, checked for spelling."""

    metric: str
    maximum: float | None
    minimum: float | None
    layers: str
    kinds: str
    target: str
    level: str

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
    """

    metric: str
    target: str
    layer: str
    found: float
    expected: str
    cause: str
    level: str

    def __str__(self) -> str:
        where = f"{self.layer} ({self.target})" if self.layer else f"({self.target})"
        found = "not measured" if math.isnan(self.found) else _figure(self.found)
        cause = f"; {self.cause}" if self.cause else ""
        return f"{where}: {self.metric}: expected {self.expected}, found {found}{cause}"


@dataclass(frozen=True)
class _Figure:
    """A value of a metric at one place."""

    target: str
    layer: str
    kind: str
    value: float
    note: str


def metric_names() -> list[str]:
    """Every metric that a rule can name."""
    names = [f"injected.{cause}.{name}" for cause in ("total", *tables.CAUSES) for name in STATISTICS]
    names += [f"injected.{cause}.share" for cause in tables.CAUSES]
    names += [f"accumulated.{pair}.{name}" for pair in PAIRS for name in STATISTICS]
    names += [f"outputs.{name}" for name in OUTPUT_STATISTICS]
    names += [f"outputs.{pair}.{name}" for pair in PAIRS for name in OUTPUT_STATISTICS]
    names += [f"accuracy.{path}" for path in ("fake_quant", *tables.PATHS)]
    return [*names, "coverage", *(f"findings.{severity}" for severity in SEVERITIES)]


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
    if isinstance(rules, Mapping) and "rules" in rules:
        _known_keys(rules, ("rules",), "the file of rules")
        rules = rules["rules"]
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
    _known_keys(rule, KEYS, where)
    metric = rule.get("metric")
    if not isinstance(metric, str):
        raise RulesError(f"{where} has no metric, for example injected.bias_rounding.changed_rate")
    names = metric_names()
    if metric not in names and not _is_finding_id(metric):
        raise RulesError(f"{where}: no metric is called {metric!r}{_nearest(metric, names)}")
    if rule.get("level", "error") not in LEVELS:
        raise RulesError(f"{where}: level is {rule['level']!r}; it is 'error' or 'warn'")
    limits = {name: _limit(rule, name, where) for name in ("max", "min")}
    if limits["max"] is None and limits["min"] is None:
        raise RulesError(f"{where} ({metric}) has neither max nor min, so it would check nothing")
    for key in ("layers", "kinds"):
        if key in rule and not metric.startswith(("injected.", "accumulated.", "findings.")):
            raise RulesError(f"{where}: {metric} is a figure of the whole model; it has no {key}")
    if "kinds" in rule and metric.startswith("findings."):
        raise RulesError(f"{where}: findings have no kinds; choose them by layers")
    patterns = {key: rule.get(key, "*") for key in ("layers", "kinds", "target")}
    for key, pattern in patterns.items():
        if not isinstance(pattern, str):
            raise RulesError(f"{where}: {key} is {pattern!r}, not a pattern such as 'layer1.*'")
    return Rule(
        metric,
        limits["max"],
        limits["min"],
        patterns["layers"],
        patterns["kinds"],
        patterns["target"],
        rule.get("level", "error"),
    )


def _limit(rule: Mapping[str, Any], name: str, where: str) -> float | None:
    value = rule.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise RulesError(f"{where}: {name} is {value!r}, not a finite number")
    return float(value)


def _violations(report: dict[str, Any], rule: Rule) -> Iterator[Violation]:
    targets = report["statistics"]["targets"]
    chosen = [target for target in targets if fnmatch.fnmatchcase(target["name"], rule.target)]
    if not chosen:
        _no_match("target", rule.target, [target["name"] for target in targets])
    figures = list(_figures(report, chosen, rule))
    if not figures:
        yield Violation(rule.metric, rule.target, "", math.nan, rule.limit, "the report has no such figure", rule.level)
    for figure in figures:
        if not rule.holds(figure.value):
            yield Violation(rule.metric, figure.target, figure.layer, figure.value, rule.limit, figure.note, rule.level)


def _figures(report: dict[str, Any], targets: Sequence[dict[str, Any]], rule: Rule) -> Iterator[_Figure]:
    view, _, rest = rule.metric.partition(".")
    if view in ("injected", "accumulated"):
        facts = {fact["name"]: fact["kind"] for fact in report["statistics"]["layers"]}
        names = [name for name in facts if fnmatch.fnmatchcase(name, rule.layers)]
        if not names:
            _no_match("layer", rule.layers, facts)
        kept = {name for name in names if fnmatch.fnmatchcase(facts[name], rule.kinds)}
        if not kept:
            _no_match("kind", rule.kinds, {facts[name] for name in names})
        rows = _injected(targets, rest) if view == "injected" else _accumulated(targets, rest)
        yield from (
            _Figure(row.target, row.layer, facts.get(row.layer, ""), row.value, row.note)
            for row in rows
            if row.layer in kept
        )
    elif view == "outputs":
        yield from _outputs(targets, rest, report["statistics"]["samples"])
    elif view == "accuracy":
        for target in targets:
            rates = {accuracy["path"]: accuracy["rate"] for accuracy in target["accuracies"]}
            if rest in rates:
                yield _Figure(target["name"], "", "", tables.number(rates[rest]), "")
    elif view == "coverage":
        yield from (_Figure(target["name"], "", "", tables.coverage(target), "") for target in targets)
    else:
        yield from _findings(report, targets, rest, rule.layers)


def _injected(targets: Sequence[dict[str, Any]], rest: str) -> Iterator[_Figure]:
    cause, _, statistic = rest.partition(".")
    for target in targets:
        for layer in target["layers"]:
            differences = layer["causes"][cause]
            note = _largest_cause(layer["shares"])
            if differences is None:
                value, note = math.nan, layer["engine_note"]
            elif statistic == "share":
                # No shares: nothing differs, so no cause has a part in it.
                value = tables.number((layer["shares"] or {}).get(cause, 0.0))
            else:
                value = _statistic(differences, statistic)
            yield _Figure(target["name"], layer["layer"], "", value, note)


def _accumulated(targets: Sequence[dict[str, Any]], rest: str) -> Iterator[_Figure]:
    pair_name, _, statistic = rest.partition(".")
    for target in targets:
        largest = {layer["layer"]: _largest_cause(layer["shares"]) for layer in target["layers"]}
        for pair in target["comparisons"]:
            if (pair["path"], pair["reference"]) != PAIRS[pair_name]:
                continue
            for layer in pair["layers"]:
                note = largest.get(layer["layer"], "")
                yield _Figure(target["name"], layer["layer"], "", _statistic(layer, statistic), note)


def _outputs(targets: Sequence[dict[str, Any]], rest: str, samples: int) -> Iterator[_Figure]:
    pair_name, _, statistic = rest.rpartition(".")
    for target in targets:
        for pair in target["comparisons"]:
            if (pair["path"], pair["reference"]) != PAIRS[pair_name or "target"]:
                continue
            note = _largest_cause(target["shares"])
            if statistic.startswith("top1_changed"):
                changed = pair["top1_changed"]
                value = changed / samples if statistic.endswith("_rate") and samples else changed
                yield _Figure(target["name"], "", "", value, note)
                continue
            for index, output in enumerate(pair["outputs"]):
                where = f"output {index}" if len(pair["outputs"]) > 1 else ""
                yield _Figure(target["name"], where, "", _statistic(output, statistic), note)


def _findings(report: dict[str, Any], targets: Sequence[dict[str, Any]], kind: str, layers: str) -> Iterator[_Figure]:
    field = "severity" if kind in SEVERITIES else "id"
    findings = [finding for finding in report["statistics"]["findings"] if finding[field] == kind]
    if layers != "*":
        known = {fact["name"] for fact in report["statistics"]["layers"]}
        known |= {finding["layer"] for finding in report["statistics"]["findings"]}
        if not any(fnmatch.fnmatchcase(name, layers) for name in known):
            _no_match("layer", layers, known)
        findings = [finding for finding in findings if fnmatch.fnmatchcase(finding["layer"], layers)]
    for target in targets:
        here = [finding for finding in findings if finding["target"] in ("", target["name"])]
        first = f"first: {here[0]['id']} {here[0]['title']}, {here[0]['layer'] or 'the model'}" if here else ""
        yield _Figure(target["name"], "", "", len(here), first)


def _statistic(differences: Mapping[str, Any], name: str) -> float:
    if name == "sqnr_db" and differences["bit_exact"]:
        return math.inf
    return tables.number(differences[name])


def _largest_cause(shares: Mapping[str, float | None] | None) -> str:
    known = {cause: share for cause, share in (shares or {}).items() if share}
    if not known:
        return ""
    cause = max(known, key=lambda name: known[name])
    return f"largest cause: {cause} ({100 * known[cause]:.3g} %)"


def _is_finding_id(metric: str) -> bool:
    view, _, kind = metric.partition(".")
    return view == "findings" and len(kind) == 5 and kind.startswith("QG") and kind[2:].isdigit()


def _known_keys(given: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in given:
        if key not in known:
            raise RulesError(f"{where}: no key is called {key!r}{_nearest(str(key), known)}")


def _no_match(what: str, pattern: str, names: Iterable[str]) -> None:
    raise RulesError(f"no {what} matches {pattern!r}{_nearest(pattern, list(names))}")


def _nearest(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
    return f"; the nearest is {near[0]!r}" if near else ""


def _figure(value: float) -> str:
    return f"{value:.6g}"
