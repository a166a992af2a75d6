"""The result of an analysis."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from qatgap import tables
from qatgap.errors import ReportError
from qatgap.rules import Rules, Violation, check

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Verdict:
    """A target's answer in words."""

    target: str
    headline: str
    sentences: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([self.headline, *(f"  - {sentence}" for sentence in self.sentences)])


class Report:
    """What one analysis measured. docs/report.md describes the JSON, docs/python.md the tables' columns."""

    def __init__(self, data: dict[str, Any]) -> None:
        """Takes the parsed JSON of a report; `Report.load` and `analyze` are the usual ways to get one."""
        if not isinstance(data, dict) or "schema_version" not in data or "statistics" not in data:
            raise ReportError("this is no report of qatgap; it has no schema_version and statistics")
        if data["schema_version"] != SCHEMA_VERSION:
            raise ReportError(
                f"the report has schema {data['schema_version']}, this package reads {SCHEMA_VERSION}; update the one "
                "that is older"
            )
        self.data = data
        self._forms: dict[str, str] = {}

    @classmethod
    def from_bytes(cls, text: bytes, *, html: str = "", markdown: str = "") -> Report:
        """From the service's JSON, with the forms that only the service makes."""
        try:
            data = json.loads(text)
        except ValueError as error:
            raise ReportError(f"this is no JSON: {error}") from None
        report = cls(data)
        report._forms = {"json": text.decode(), "html": html, "markdown": markdown}
        return report

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Report:
        """Reads a `.json` that `save` or `qatgap analyze --json` wrote."""
        try:
            return cls.from_bytes(Path(path).read_bytes())
        except ReportError as error:
            raise ReportError(f"{path}: {error}") from None

    @property
    def id(self) -> str:
        """The analysis' id."""
        return str(self.data["analysis"]["id"])

    @property
    def title(self) -> str:
        """The analysis' name; may be empty."""
        return str(self.data["analysis"]["title"])

    @cached_property
    def layers(self) -> pd.DataFrame:
        """Injected view: one row for each target, layer and reaching input, with every cause."""
        return tables.layers(self.data)

    @cached_property
    def accumulated(self) -> pd.DataFrame:
        """Accumulated view: one row for each target, pair of paths and layer."""
        return tables.accumulated(self.data)

    @cached_property
    def outputs(self) -> pd.DataFrame:
        """The model's outputs: one row for each target, pair of paths and output."""
        return tables.outputs(self.data)

    @cached_property
    def accuracies(self) -> pd.DataFrame:
        """One row for each target and path; empty without labels."""
        return tables.accuracies(self.data)

    @cached_property
    def targets(self) -> pd.DataFrame:
        """One row for each target: what it is, coverage, share of each cause."""
        return tables.targets(self.data)

    @cached_property
    def findings(self) -> pd.DataFrame:
        """What was found without running data, the most severe first."""
        return tables.records(self.data["statistics"]["findings"], tables.FINDING)

    @cached_property
    def unmeasured(self) -> pd.DataFrame:
        """What was not measured, and why."""
        return tables.records(self.data["statistics"]["unmeasured"], tables.UNMEASURED)

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """Each target's answer in words, by target."""
        return {
            verdict["target"]: Verdict(verdict["target"], verdict["headline"], tuple(verdict["sentences"]))
            for verdict in self.data["verdicts"]
        }

    def to_json(self) -> str:
        """The JSON of the service, byte for byte where it came from one."""
        return self._forms.get("json") or json.dumps(self.data, sort_keys=True, separators=(",", ":"))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes `.json`, `.html` or `.md`, by the ending.

        Raises:
            ReportError: another ending; or HTML or Markdown of a report that was loaded from JSON: the service makes
                those.
        """
        path = Path(path)
        form = {".json": "json", ".html": "html", ".htm": "html", ".md": "markdown"}.get(path.suffix.lower())
        if form is None:
            raise ReportError(f"{path.name} does not end in .json, .html or .md")
        text = self.to_json() if form == "json" else self._forms.get(form)
        if not text:
            raise ReportError(
                f"a report that was loaded from JSON has no {form}; save it when `analyze` returns, or run "
                f"`qatgap get {self.id}` against the service that has it"
            )
        path.write_text(text, encoding="utf-8")
        return path

    def plot(self, target: str | None = None) -> Figure:
        """Bars of each layer's difference, split by cause; needs matplotlib (`pip install qatgap[plot]`).

        Args:
            target: one target's name; None: all, one below the other.
        """
        from qatgap.plot import plot

        return plot(self, target)

    def violations(self, rules: Rules) -> list[Violation]:
        """What `assert_within` would raise for, and the warnings, as values.

        Raises:
            RulesError: an unknown key, metric, target or layer: never silently passed.
        """
        return check(self.data, rules)

    def assert_within(self, rules: Rules) -> None:
        """For tests: every figure is within the rules' limits.

        >>> report.assert_within({"layers": "layer1.*", "metric": "injected.bias_rounding.changed_rate", "max": 0.01})

        Args:
            rules: a rule, a list of them, {"rules": [...]}, or the path of a YAML or JSON file of that, as
                `qatgap gate` reads it. A rule has `metric`, and `max`, `min` or both; and may have `layers` and
                `targets` (patterns with * and ?), `kinds`, `level` ("error" or "warn"), `name` and `must_match`.
                docs/python.md lists the metrics.

        Raises:
            AssertionError: something is outside; the text has layer, target, figure, limit and main cause of each.
            RulesError: an unknown key, metric, target or layer: never silently passed.
        """
        from qatgap.rules import raise_or_warn

        raise_or_warn(self.violations(rules))

    def _repr_html_(self) -> str:
        from qatgap.notebook import to_html

        return to_html(self)

    def __repr__(self) -> str:
        names = ", ".join(self.targets["target"])
        name = f" {self.title!r}" if self.title else ""
        return (
            f"<qatgap.Report{name}: {self.data['statistics']['samples']} samples, "
            f"{len(self.data['statistics']['layers'])} layers, targets {names}>"
        )
