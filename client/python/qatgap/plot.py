"""The report as a figure: a bar for each layer, split by cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qatgap.causes import COLOURS, parts, words
from qatgap.errors import ReportError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from qatgap.report import Report

BAR_INCHES = 0.27
LONGEST_LABEL = 44
SOFT = "#5b6575"
LINE = "#dfe3ea"


def plot(report: Report, target: str | None = None) -> Figure:
    """Draws; see `Report.plot`. A bar's length is the layer's RMS difference, and its parts are the causes' shares."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ReportError("plots need matplotlib: pip install 'qatgap[plot]'") from error
    targets = [value for value in report.data["statistics"]["targets"] if target in (None, value["name"])]
    if not targets:
        known = ", ".join(value["name"] for value in report.data["statistics"]["targets"])
        raise ReportError(f"the report has no target {target!r}; it has {known}")
    heights = [max(1, len(value["layers"])) * BAR_INCHES + 1.1 for value in targets]
    figure, grid = pyplot.subplots(
        len(targets),
        1,
        figsize=(9, sum(heights) + 0.5),
        squeeze=False,
        layout="constrained",
        gridspec_kw={"height_ratios": heights},
    )
    seen: dict[str, Any] = {}
    least, most = _range(targets)
    for axes, value in zip(grid[:, 0], targets, strict=True):
        # One scale: targets are there to be compared.
        axes.set_xlim(1.04 * least, 1.12 * most or 1)
        seen |= _draw(axes, value, (most - least) / 1000)
    if seen:
        ordered = [cause for cause in COLOURS if cause in seen]
        figure.legend(
            [seen[cause] for cause in ordered],
            [words(cause) for cause in ordered],
            loc="outside lower center",
            ncols=4,
            frameon=False,
            fontsize=9,
        )
    # Notebooks show the figure that is returned, not a second one.
    pyplot.close(figure)
    return figure


def _segments(layer: dict[str, Any]) -> dict[str, float]:
    """The length of each cause's part of a layer's bar."""
    length = layer["causes"]["total"]["rms_lsb"] or 0.0
    return {cause: share * length for cause, share in parts(layer["shares"]).items()}


def _range(targets: list[dict[str, Any]]) -> tuple[float, float]:
    bars = [_segments(layer).values() for target in targets for layer in target["layers"]]
    return (
        min((sum(width for width in bar if width < 0) for bar in bars), default=0.0),
        max((sum(width for width in bar if width > 0) for bar in bars), default=0.0),
    )


def _draw(axes: Axes, target: dict[str, Any], visible: float) -> dict[str, Any]:
    """One target; gives a handle for each cause that can be seen."""
    seen: dict[str, Any] = {}
    layers = target["layers"]
    for row, layer in enumerate(layers):
        total = layer["causes"]["total"]
        right = left = 0.0
        for cause, width in _segments(layer).items():
            start = right if width > 0 else left
            bar = axes.barh(row, width, left=start, height=0.72, color=COLOURS[cause], linewidth=0)
            if width > 0:
                right += width
            else:
                left += width
            if abs(width) > visible:
                seen.setdefault(cause, bar)
        rate = total["changed_rate"]
        text = "bit exact" if total["bit_exact"] else "no data" if rate is None else f"{100 * rate:.3g} %"
        axes.annotate(
            text, (right, row), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8, color=SOFT
        )
    axes.set_yticks(range(len(layers)), [_label(layer) for layer in layers], fontsize=9)
    axes.set_ylim(len(layers) - 0.4, -0.6)
    axes.set_title(target["name"], loc="left", fontsize=11, fontweight="bold")
    axes.set_xlabel("RMS difference of output codes, LSB; beside the bars: codes changed", fontsize=9, color=SOFT)
    axes.tick_params(length=0, labelcolor="#1c2330")
    axes.tick_params(axis="x", labelsize=8, labelcolor=SOFT)
    axes.grid(axis="x", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    return seen


def _label(layer: dict[str, Any]) -> str:
    """The layer's name without TeX, and which input where there are several; a long one keeps its end."""
    name = str(layer["layer"]) + (f" (input {layer['input_index']})" if layer["input_index"] else "")
    name = name if len(name) <= LONGEST_LABEL else "…" + name[-(LONGEST_LABEL - 1) :]
    return name.replace("$", r"\$")
