"""Names and colours of the causes, as in the HTML report: Okabe and Ito's palette."""

from __future__ import annotations

from collections.abc import Mapping

from qatgap.tables import CAUSES

COLOURS = {
    "float_arithmetic": "#8d96a3",
    "conversion": "#0072b2",
    "bias_rounding": "#e69f00",
    "bias_saturation": "#d55e00",
    "accumulator": "#cc79a7",
    "requantization": "#009e73",
    "engine_residual": "#56b4e9",
}


def words(cause: str) -> str:
    """A cause's name for people."""
    return cause.replace("_", " ")


def parts(shares: Mapping[str, float | None] | None) -> dict[str, float]:
    """The causes that have a share, in the order of the ladder."""
    return {cause: share for cause in CAUSES if (share := (shares or {}).get(cause))}
