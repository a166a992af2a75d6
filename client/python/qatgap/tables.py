"""The report's JSON as pandas tables. docs/python.md lists the columns; their names do not change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

Json = dict[str, Any]

# In the order of the ladder; `total` is the last stage minus the first.
CAUSES = (
    "float_arithmetic",
    "conversion",
    "bias_rounding",
    "bias_saturation",
    "accumulator",
    "requantization",
    "engine_residual",
)
PATHS = ("float_bias", "quantized_bias", "target", "engine")
# Figures of a difference by the names that metrics of rules have too, and their members in docs/report.md.
FIGURES = {
    "changed": "changed",
    "changed_rate": "changed_rate",
    "max_lsb": "max_absolute",
    "mean_lsb": "mean_lsb",
    "mean_absolute_lsb": "mean_absolute_lsb",
    "rms_lsb": "rms_lsb",
    "sqnr_db": "sqnr_db",
    "cosine": "cosine",
}
LAYER_FIGURES = ("changed", "changed_rate", "max_lsb", "mean_absolute_lsb", "sqnr_db")
PLACE = ("target", "layer", "kind", "source", "input_index", "samples", "channels", "outputs", "engine_measured")
FINDING = ("id", "severity", "title", "layer", "target", "channels", "detail", "advice")
UNMEASURED = ("name", "what", "reason", "is_mac_layer")


def layers(report: Json) -> pd.DataFrame:
    """One row for each target, layer and reaching input; injected view."""
    facts = report["statistics"]["layers"]
    rows = []
    for target in report["statistics"]["targets"]:
        for layer in target["layers"]:
            fact = facts[layer["layer_index"]]
            row: dict[str, object] = {
                "target": target["name"],
                "layer": layer["layer"],
                "kind": fact["kind"],
                "source": fact.get("source_line", ""),
                "input_index": layer["input_index"],
                "samples": layer["samples"],
                "channels": fact["channels"],
                "outputs": layer["causes"]["total"]["count"],
                "engine_measured": layer["engine_measured"],
            }
            for cause in ("total", *CAUSES):
                statistics = layer["causes"][cause] or {}
                row |= {f"{cause}.{name}": number(statistics.get(FIGURES[name])) for name in LAYER_FIGURES}
                if cause != "total":
                    row[f"{cause}.share"] = number((layer["shares"] or {}).get(cause))
            rows.append(row)
    return pd.DataFrame(rows, columns=[*PLACE, *layer_columns()])


def layer_columns() -> list[str]:
    """The columns of `layers` that hold figures."""
    columns = [f"total.{name}" for name in LAYER_FIGURES]
    for cause in CAUSES:
        columns += [f"{cause}.{name}" for name in (*LAYER_FIGURES, "share")]
    return columns


def accumulated(report: Json) -> pd.DataFrame:
    """One row for each target, pair of paths and layer."""
    rows = [
        {"target": target["name"], "path": pair["path"], "reference": pair["reference"], "layer": layer["layer"]}
        | _figures(layer)
        for target in report["statistics"]["targets"]
        for pair in target["comparisons"]
        for layer in pair["layers"]
    ]
    return pd.DataFrame(rows, columns=["target", "path", "reference", "layer", "count", *FIGURES])


def outputs(report: Json) -> pd.DataFrame:
    """One row for each target, pair of paths and output of the model."""
    samples = report["statistics"]["samples"]
    rows = [
        {
            "target": target["name"],
            "path": pair["path"],
            "reference": pair["reference"],
            "output": index,
            "top1_changed": pair["top1_changed"],
            "top1_changed_rate": pair["top1_changed"] / samples if samples else math.nan,
        }
        | _figures(output)
        for target in report["statistics"]["targets"]
        for pair in target["comparisons"]
        for index, output in enumerate(pair["outputs"])
    ]
    columns = ["target", "path", "reference", "output", "top1_changed", "top1_changed_rate", "count", *FIGURES]
    return pd.DataFrame(rows, columns=columns)


def _figures(differences: Json) -> dict[str, object]:
    figures = {name: number(differences.get(member)) for name, member in FIGURES.items()}
    return {"count": differences["count"], **figures}


def accuracies(report: Json) -> pd.DataFrame:
    """One row for each target and path; empty without labels."""
    labelled = report["statistics"]["labelled"]
    rows = [
        {
            "target": target["name"],
            "path": accuracy["path"],
            "correct": accuracy["correct"],
            "labelled": labelled,
            "rate": number(accuracy["rate"]),
        }
        for target in report["statistics"]["targets"]
        for accuracy in target["accuracies"]
    ]
    return pd.DataFrame(rows, columns=["target", "path", "correct", "labelled", "rate"])


def targets(report: Json) -> pd.DataFrame:
    """One row for each target."""
    rows = [
        {
            "target": target["name"],
            "title": target["title"],
            "bias_mode": target["bias_mode"],
            "engine": target["engine"],
            "evidence": target["evidence"]["kind"],
            "analysed": target["coverage"]["analysed"],
            "mac_layers": target["coverage"]["mac_layers"],
            "coverage": coverage(target),
        }
        | {f"{cause}.share": number((target["shares"] or {}).get(cause)) for cause in CAUSES}
        for target in report["statistics"]["targets"]
    ]
    columns = ["target", "title", "bias_mode", "engine", "evidence", "analysed", "mac_layers", "coverage"]
    return pd.DataFrame(rows, columns=[*columns, *(f"{cause}.share" for cause in CAUSES)])


def coverage(target: Json) -> float:
    """Analysed MAC layers / all MAC layers."""
    layers_of_model = target["coverage"]["mac_layers"]
    return target["coverage"]["analysed"] / layers_of_model if layers_of_model else math.nan


def records(values: Sequence[Mapping[str, object]], columns: Sequence[str]) -> pd.DataFrame:
    """Findings or what was not measured, as they are."""
    return pd.DataFrame([{name: value.get(name) for name in columns} for value in values], columns=list(columns))


def number(value: object) -> float:
    """NaN for what is not defined."""
    return math.nan if value is None else value  # type: ignore[return-value]
