"""The report in a notebook: a self-contained piece of HTML, no script, no request; every name is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from qatgap.causes import COLOURS, parts, words

if TYPE_CHECKING:
    from qatgap.report import Report

MOST_LAYERS = 60
MOST_FINDINGS = 20
_CELL = "padding:4px 12px 4px 0;text-align:left;background:none;border:0;border-bottom:1px solid rgba(128,128,128,.25)"
_NUMBER = _CELL.replace("text-align:left", "text-align:right") + ";font-variant-numeric:tabular-nums;white-space:nowrap"
_HEADLINE = "border-left:4px solid #2b5fa8;padding-left:12px;margin:6px 0"
_SOFT = "opacity:.7;font-size:12.5px"


def to_html(report: Report) -> str:
    """The whole report in short; `report.save("report.html")` has the rest."""
    statistics = report.data["statistics"]
    title = escape(report.title or "qatgap")
    facts = f"{statistics['samples']:,} samples, {len(statistics['layers'])} layers"
    pieces = [
        '<div style="font:14px/1.5 system-ui,sans-serif;max-width:1000px">',
        f'<div style="font-size:18px;font-weight:650">{title}</div><div style="{_SOFT}">{facts}</div>',
    ]
    pieces += [_target(report, target) for target in statistics["targets"]]
    pieces.append(_findings(statistics["findings"]))
    if statistics["unmeasured"]:
        pieces.append(f'<div style="{_SOFT}">{len(statistics["unmeasured"])} not measured: see report.unmeasured</div>')
    return "".join([*pieces, "</div>"])


def _target(report: Report, target: dict[str, Any]) -> str:
    verdict = report.verdicts.get(target["name"])
    coverage = target["coverage"]
    head = (
        f'<div style="margin:18px 0 4px;font-weight:650">{escape(target["name"])}'
        f' <span style="{_SOFT};font-weight:400">{escape(target["title"])}, {coverage["analysed"]} of '
        f"{coverage['mac_layers']} MAC layers, {escape(target['evidence']['kind'])}</span></div>"
    )
    said = ""
    if verdict is not None:
        said = f'<div style="{_HEADLINE}">{escape(verdict.headline)}</div>'
    # Those with the largest differences, in the order in which they run.
    layers = target["layers"]
    shown = sorted(range(len(layers)), key=lambda index: -(layers[index]["causes"]["total"]["rms_lsb"] or 0))
    rows = "".join(_row(layers[index]) for index in sorted(shown[:MOST_LAYERS]))
    rest = len(layers) - MOST_LAYERS
    more = (
        f'<div style="{_SOFT}">and {rest} layers with smaller differences: see report.layers</div>' if rest > 0 else ""
    )
    headings = "".join(
        f'<th style="{_NUMBER if number else _CELL};{_SOFT}">{text}</th>'
        for text, number in (
            ("layer", False),
            ("changed", True),
            ("max LSB", True),
            ("SQNR dB", True),
            ("causes", False),
        )
    )
    return (
        f'{head}{said}<table style="border-collapse:collapse;width:100%;font-size:13.5px">'
        f"<thead><tr>{headings}</tr></thead><tbody>{rows}</tbody></table>{more}{_legend(layers)}"
    )


def _row(layer: dict[str, Any]) -> str:
    total = layer["causes"]["total"]
    name = escape(layer["layer"]) + (f" (input {layer['input_index']})" if layer["input_index"] else "")
    rate = "-" if total["changed_rate"] is None else f"{100 * total['changed_rate']:.3g} %"
    sqnr = "exact" if total["bit_exact"] else "-" if total["sqnr_db"] is None else f"{total['sqnr_db']:.1f}"
    cells = [f'<td style="{_CELL};overflow-wrap:anywhere">{name}</td>']
    cells += [f'<td style="{_NUMBER}">{text}</td>' for text in (rate, f"{total['max_absolute']:,}", sqnr)]
    cells.append(f'<td style="{_CELL};min-width:200px">{_bar(layer["shares"])}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _bar(shares: dict[str, float | None] | None) -> str:
    """The causes side by side by the size of their shares; one that offsets the others is pale."""
    known = parts(shares)
    if not known:
        return f'<span style="{_SOFT}">nothing differs</span>'
    whole = sum(abs(share) for share in known.values())
    spans = "".join(
        f'<span title="{words(cause)} {100 * share:.3g} %" style="display:inline-block;height:11px;'
        f'width:{100 * abs(share) / whole:.2f}%;background:{COLOURS[cause]};opacity:{1 if share > 0 else 0.45}"></span>'
        for cause, share in known.items()
    )
    largest = max(known, key=lambda cause: abs(known[cause]))
    text = f"{words(largest)} {100 * known[largest]:.3g} %"
    return f'<div style="line-height:0;white-space:nowrap">{spans}</div><span style="{_SOFT}">{text}</span>'


def _legend(layers: list[dict[str, Any]]) -> str:
    present = [cause for cause in COLOURS if any(cause in parts(layer["shares"]) for layer in layers)]
    marks = "".join(
        f'<span style="margin-right:16px;white-space:nowrap"><span style="display:inline-block;width:10px;height:10px;'
        f'background:{COLOURS[cause]};margin-right:5px"></span>{words(cause)}</span>'
        for cause in present
    )
    return f'<div style="{_SOFT};margin-top:6px">{marks}</div>' if marks else ""


def _findings(findings: list[dict[str, Any]]) -> str:
    serious = [finding for finding in findings if finding["severity"] != "info"]
    if not findings:
        return ""
    items = "".join(
        f"<li>{escape(finding['severity'])} {escape(finding['id'])}: {escape(finding['title'])}"
        f"{', ' + escape(finding['layer']) if finding['layer'] else ''}</li>"
        for finding in serious[:MOST_FINDINGS]
    )
    head = f"{len(findings)} findings, {len(serious)} of them warnings or errors"
    rest = f" (the first {MOST_FINDINGS})" if len(serious) > MOST_FINDINGS else ""
    return (
        f'<details style="margin-top:14px"><summary>{head}{rest}</summary><ul style="margin:4px 0">{items}</ul>'
        f'<div style="{_SOFT}">all: report.findings</div></details>'
    )
