#!/usr/bin/env python3
"""Writes the dashboards beside this file: overview.json, tracked_model.json, service_health.json.

Change them here and run this script; a test compares. A dashboard that was changed in Grafana is exported there and
kept as an own one.
"""

import json
from pathlib import Path

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
FULL_WIDTH = 24
ONE = '{track="$track", target="$target"}'


def _query(expression, legend="", *, instant=False, table=False, heatmap=False):
    return {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": expression,
        "format": "table" if table else "heatmap" if heatmap else "time_series",
        "instant": instant,
        "legendFormat": legend or "__auto",
        "range": not instant,
    }


def _panel(kind, title, description, queries, *, width, height, unit="short", defaults=None, options=None, **more):
    for number, query in enumerate(queries):
        query["refId"] = chr(ord("A") + number)
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "targets": queries,
        "gridPos": {"w": width, "h": height},
        "fieldConfig": {"defaults": {"unit": unit, **(defaults or {})}, "overrides": more.pop("overrides", [])},
        "options": options or {},
        **more,
    }


def graph(title, description, *queries, unit="percentunit", width=12, height=9, stacked=False, minimum=None):
    custom = {
        "lineWidth": 1,
        "fillOpacity": 40 if stacked else 8,
        "showPoints": "auto",
        # A tracked model's figures hold until the next analysis: between them there is nothing to interpolate.
        "lineInterpolation": "stepAfter",
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
    }
    defaults = {"custom": custom} if minimum is None else {"custom": custom, "min": minimum}
    options = {
        "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return _panel("timeseries", title, description, list(queries), width=width, height=height, unit=unit,
                  defaults=defaults, options=options)


def stat(title, description, expression, *, unit="short", width=4, steps=None, text="auto", legend=""):
    thresholds = {"mode": "absolute", "steps": steps or [{"color": "text", "value": None}]}
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "none",
        "textMode": text,
    }
    return _panel("stat", title, description, [_query(expression, legend, instant=True)], width=width, height=4,
                  unit=unit, defaults={"thresholds": thresholds}, options=options)


def bars(title, description, expression, legend, *, unit="percentunit", width=12, height=9):
    options = {
        "orientation": "horizontal",
        "displayMode": "gradient",
        "showUnfilled": True,
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return _panel("bargauge", title, description, [_query(expression, legend, instant=True)], width=width,
                  height=height, unit=unit, defaults={"min": 0, "color": {"mode": "continuous-GrYlRd"}},
                  options=options)


def table(title, description, queries, transformations, *, width=FULL_WIDTH, height=9, unit="short", overrides=()):
    return _panel("table", title, description, [_query(query, instant=True, table=True) for query in queries],
                  width=width, height=height, unit=unit, options={"cellHeight": "sm", "showHeader": True},
                  transformations=transformations, overrides=list(overrides))


def heatmap(title, description, expression, *, unit="s", width=12, height=9):
    options = {
        "calculate": False,
        "color": {"mode": "scheme", "scheme": "Blues", "steps": 64},
        "yAxis": {"unit": unit},
        "cellGap": 1,
    }
    return _panel("heatmap", title, description, [_query(expression, "{{le}}", heatmap=True)], width=width,
                  height=height, unit=unit, options=options)


def row(title):
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"w": FULL_WIDTH, "h": 1}}


def _override(field, **properties):
    return {
        "matcher": {"id": "byName", "options": field},
        "properties": [{"id": name.replace("_", "."), "value": value} for name, value in properties.items()],
    }


def choice(name, label, query, *, many=False):
    variable = {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": "variable"},
        "refresh": 2,
        "sort": 1,
        "includeAll": many,
        "multi": many,
    }
    return {**variable, "allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]}} if many else variable


def fixed(name, label, values, first):
    return {
        "name": name,
        "label": label,
        "type": "custom",
        "query": ",".join(values),
        "options": [{"text": value, "value": value, "selected": value == first} for value in values],
        "current": {"text": first, "value": first},
        "includeAll": False,
        "multi": False,
    }


def _place(panels):
    """Fills rows from the left; a panel that does not fit starts the next one."""
    x = y = height = 0
    for number, panel in enumerate(panels, start=1):
        position = panel["gridPos"]
        if x + position["w"] > FULL_WIDTH:
            x, y, height = 0, y + height, 0
        panel["id"] = number
        panel["gridPos"] = {"h": position["h"], "w": position["w"], "x": x, "y": y}
        x += position["w"]
        height = max(height, position["h"])
    return panels


def dashboard(uid, title, description, variables, panels, *, since="now-7d"):
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {}}
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["qatgap"],
        "schemaVersion": 38,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": since, "to": "now"},
        "refresh": "1m",
        "timezone": "browser",
        "links": [{"title": "qatgap", "type": "dashboards", "tags": ["qatgap"], "asDropdown": True,
                   "includeVars": False, "keepTime": True, "icon": "external link", "targetBlank": False,
                   "tooltip": "", "url": ""}],
        "templating": {"list": [source, *variables]},
        "annotations": {"list": []},
        "panels": _place(panels),
    }


TRACKED_MODEL = "qatgap-tracked-model"


def overview():
    per_target = "{{track}} on {{target}}"
    columns = {
        "Value #A": ("Worst layer changed", "percentunit"),
        "Value #B": ("Lowest layer SQNR", "dB"),
        "Value #C": ("Output changed", "percentunit"),
        "Value #D": ("Top-1 changed", "percentunit"),
        "Value #E": ("Coverage", "percentunit"),
        "Value #F": ("Last analysis", "dateTimeFromNow"),
    }
    link = {"title": "Layers of this model",
            "url": f"/d/{TRACKED_MODEL}?var-track=${{__data.fields.track}}&var-target=${{__data.fields.target}}"}
    ends = 'path="target", reference="fake_quant", track=~"$track"'
    return dashboard(
        "qatgap-overview", "qatgap: overview",
        "How far each tracked model's integer arithmetic is from the QAT model that was trained.",
        [choice("track", "Model", "label_values(qatgap_track_samples, track)", many=True)],
        [
            stat("Tracked models", "Models that were analysed with --track.", "sum(qatgap_tracks)"),
            stat("Layers above 1 % changed",
                 "Layers of which more than 1 % of the output codes differ from the QAT model's.",
                 'count(qatgap_layer_changed_ratio{cause="total", track=~"$track"} > 0.01) or vector(0)'),
            stat("Biases that saturate", "Layers whose stored bias saturates; see finding QG001.",
                 'count(qatgap_layer_max_error_lsb{cause="bias_saturation", track=~"$track"} > 0) or vector(0)',
                 steps=[{"color": "green", "value": None}, {"color": "red", "value": 1}]),
            stat("Worst top-1 change", "Largest share of samples whose answer the target changes.",
                 f"max(qatgap_output_top1_changed_ratio{{{ends}}})", unit="percentunit"),
            stat("Analyses, 24 h", "Analyses that succeeded in the last day.",
                 'sum(increase(qatgap_analyses_finished_total{state="succeeded"}[24h]))'),
            stat("Failures, 24 h", "Analyses that failed in the last day.",
                 'sum(increase(qatgap_analyses_finished_total{state="failed"}[24h]))',
                 steps=[{"color": "green", "value": None}, {"color": "red", "value": 1}]),
            table("Models", "The newest analysis of each tracked model. The name leads to its layers.",
                  ['max by (track, target) (qatgap_layer_changed_ratio{cause="total", track=~"$track"})',
                   'min by (track, target) (qatgap_layer_sqnr_decibels{cause="total", track=~"$track"})',
                   f"max by (track, target) (qatgap_output_changed_ratio{{{ends}}})",
                   f"max by (track, target) (qatgap_output_top1_changed_ratio{{{ends}}})",
                   'min by (track, target) (qatgap_track_coverage_ratio{track=~"$track"})',
                   "1000 * max by (track, target) (qatgap_track_coverage_ratio{track=~\"$track\"} * 0 + on (track) "
                   "group_left () max by (track) (qatgap_track_last_success_timestamp_seconds))"],
                  [{"id": "merge", "options": {}},
                   {"id": "organize", "options": {"excludeByName": {"Time": True}, "indexByName": {},
                                                  "renameByName": {key: name for key, (name, _) in columns.items()}}}],
                  overrides=[_override(name, unit=unit) for name, unit in columns.values()]
                  + [_override("track", links=[link])]),
            graph("Worst layer: changed output codes",
                  "Of each model and target the layer with the largest share of changed output codes.",
                  _query('max by (track, target) (qatgap_layer_changed_ratio{cause="total", track=~"$track"})',
                         per_target), minimum=0),
            graph("Answers that change",
                  "Share of samples whose largest output is another one on the target than in the QAT model.",
                  _query(f"max by (track, target) (qatgap_output_top1_changed_ratio{{{ends}}})", per_target),
                  minimum=0),
            bars("Worst layers of all models", "Changed output codes, total of all causes.",
                 'topk(10, max by (track, target, layer) (qatgap_layer_changed_ratio{cause="total", track=~"$track"}))',
                 "{{track}} {{target}}: {{layer}}"),
            bars("What changes them", "Of each cause the worst layer of all models.",
                 'max by (cause) (qatgap_layer_changed_ratio{cause!="total", track=~"$track"})', "{{cause}}"),
        ],
    )


def tracked_model():
    layers = 'track="$track", target="$target", cause="$cause"'
    one_layer = 'track="$track", target="$target", layer=~"$layer"'
    between = "{{path}} against {{reference}}"
    return dashboard(
        TRACKED_MODEL, "qatgap: tracked model by layer",
        "One model on one target, layer by layer and cause by cause, over its analyses.",
        [
            choice("track", "Model", "label_values(qatgap_track_samples, track)"),
            choice("target", "Target", 'label_values(qatgap_track_exported_layers{track="$track"}, target)'),
            fixed("cause", "Cause", ["total", "float_arithmetic", "conversion", "bias_rounding", "bias_saturation",
                                     "accumulator", "requantization", "engine_residual"], "total"),
            choice("layer", "Layers", f"label_values(qatgap_layer_changed_ratio{ONE}, layer)", many=True),
            fixed("top", "Worst layers", ["5", "10", "20", "50"], "10"),
        ],
        [
            stat("Last analysis", "When the analysis that is shown ended.",
                 'max(qatgap_track_last_success_timestamp_seconds{track="$track"}) * 1000', unit="dateTimeFromNow"),
            stat("Samples", "Calibration samples of that analysis.", 'max(qatgap_track_samples{track="$track"})'),
            stat("Coverage", "MAC layers that were analysed, of all.", f"min(qatgap_track_coverage_ratio{ONE})",
                 unit="percentunit",
                 steps=[{"color": "orange", "value": None}, {"color": "green", "value": 1}]),
            stat("Layers left out", "Layers that were measured and have no series: raise --max-tracked-layers.",
                 f"max(qatgap_track_dropped_layers{ONE})",
                 steps=[{"color": "green", "value": None}, {"color": "orange", "value": 1}]),
            stat("Output changed", "Output codes that the target changes against the QAT model.",
                 'max(qatgap_output_changed_ratio{track="$track", target="$target", path="target", '
                 'reference="fake_quant"})', unit="percentunit"),
            stat("Bias alone: answers changed",
                 "Samples whose answer changes by quantizing the biases and nothing else.",
                 'max(qatgap_output_top1_changed_ratio{track="$track", target="$target", path="quantized_bias", '
                 'reference="float_bias"})', unit="percentunit"),
            row("Layers, for the chosen cause"),
            bars("Worst layers: changed output codes", "Share of output codes that the cause changed.",
                 f"topk($top, max by (layer) (qatgap_layer_changed_ratio{{{layers}}}))", "{{layer}}"),
            bars("Worst layers: largest change", "In steps of the layer's output.",
                 f"topk($top, max by (layer) (qatgap_layer_max_error_lsb{{{layers}}}))", "{{layer}}", unit="short"),
            graph("Changed output codes", "The worst layers at each time.",
                  _query(f"topk($top, max by (layer) (qatgap_layer_changed_ratio{{{layers}}}))", "{{layer}}"),
                  minimum=0),
            graph("Signal to quantization noise", "The worst layers at each time; a layer that is exact has none.",
                  _query(f"bottomk($top, min by (layer) (qatgap_layer_sqnr_decibels{{{layers}}}))", "{{layer}}"),
                  unit="dB"),
            row("Causes, for the chosen layers"),
            graph("Changed output codes by cause",
                  "Mean of the chosen layers. Causes overlap: what one changes another may change back.",
                  _query(f'avg by (cause) (qatgap_layer_changed_ratio{{{one_layer}, cause!="total"}})', "{{cause}}"),
                  stacked=True, minimum=0),
            graph("Largest change by cause", "Of the chosen layers, in steps of their outputs.",
                  _query(f"max by (cause) (qatgap_layer_max_error_lsb{{{one_layer}}})", "{{cause}}"), unit="short",
                  minimum=0),
            table("Layers and causes", "Share of output codes that each cause changed.",
                  [f"max by (layer, cause) (qatgap_layer_changed_ratio{{{one_layer}}})"],
                  [{"id": "groupingToMatrix",
                    "options": {"rowField": "layer", "columnField": "cause", "valueField": "Value"}}],
                  unit="percentunit"),
            row("Outputs of the model"),
            graph("Output codes that differ", "Between the paths of the whole network.",
                  _query(f"qatgap_output_changed_ratio{ONE}", between), width=8, minimum=0),
            graph("Answers that differ", "Share of samples whose largest output is another one.",
                  _query(f"qatgap_output_top1_changed_ratio{ONE}", between), width=8, minimum=0),
            graph("Accuracy", "Share of labelled samples that a path gets right; needs --labels.",
                  _query(f"qatgap_accuracy_ratio{ONE}", "{{path}}"), width=8),
            graph("Largest output difference", "In steps of the output.",
                  _query(f"qatgap_output_max_error_lsb{ONE}", between), width=FULL_WIDTH, unit="short", minimum=0),
        ],
        since="now-30d",
    )


def _quantiles(metric, by=""):
    legend = "{{" + by + "}} " if by else ""
    labels = f"le, {by}" if by else "le"
    return [_query(f"histogram_quantile({quantile}, sum by ({labels}) (rate({metric}_bucket{HERE}[$__rate_interval])))",
                   f"{legend}p{round(100 * quantile)}") for quantile in (0.5, 0.9, 0.99)]


HERE = '{instance=~"$instance"}'


def _rate(metric, by):
    return _query(f"sum by ({by}) (rate({metric}{HERE}[$__rate_interval]))", "{{" + by + "}}")


def service_health():
    errors = 'instance=~"$instance", code=~"UNKNOWN|INTERNAL|UNAVAILABLE|DATA_LOSS|DEADLINE_EXCEEDED"'
    bad_exits = 'instance=~"$instance", reason=~"exit_code|signal|timeout|protocol|launch"'
    return dashboard(
        "qatgap-service-health", "qatgap: service health",
        "What an operator of qatgapd looks at: load, errors, latency, runners, queue.",
        [choice("instance", "Server", "label_values(qatgap_build_info, instance)", many=True)],
        [
            stat("Servers up", "Servers that answer scrapes.", 'count(up{instance=~"$instance", job="qatgapd"} == 1)'),
            stat("Version", "Of the running servers.", f"max by (version) (qatgap_build_info{HERE})", text="name",
                 legend="{{version}}"),
            stat("Running", "Analyses that run now.", 'sum(qatgap_analyses{instance=~"$instance", state="running"})'),
            stat("Queue used", "Analyses that wait, of those that may.",
                 'max(qatgap_analyses{instance=~"$instance", state="queued"} / ignoring (state) qatgap_queue_limit)',
                 unit="percentunit",
                 steps=[{"color": "green", "value": None}, {"color": "orange", "value": 0.5},
                        {"color": "red", "value": 0.8}]),
            stat("Runners that broke, 1 h", "Runner processes that crashed, timed out or could not be started.",
                 f"sum(increase(qatgap_runner_exits_total{{{bad_exits}}}[1h]))",
                 steps=[{"color": "green", "value": None}, {"color": "red", "value": 1}]),
            stat("RPC errors, 1 h", "RPCs that ended with the server's fault.",
                 f"sum(increase(qatgap_rpcs_total{{{errors}}}[1h]))",
                 steps=[{"color": "green", "value": None}, {"color": "red", "value": 1}]),
            row("RPCs"),
            graph("RPCs", "By method.", _rate("qatgap_rpcs_total", "method"), unit="reqps", minimum=0),
            graph("Statuses", "RPCs by their status.", _rate("qatgap_rpcs_total", "code"), unit="reqps", stacked=True,
                  minimum=0),
            graph("RPC time", "Quantiles by method; uploads and watches last as long as their streams.",
                  *_quantiles("qatgap_rpc_duration_seconds", "method"), unit="s", minimum=0),
            heatmap("RPC time, spread", "All methods.",
                    f"sum by (le) (increase(qatgap_rpc_duration_seconds_bucket{HERE}[$__rate_interval]))"),
            row("Analyses"),
            graph("Analyses by state", "Those the server holds.",
                  _query(f"sum by (state) (qatgap_analyses{HERE})", "{{state}}"), unit="short", width=8, minimum=0),
            graph("Analyses that ended", "An hour.",
                  _query(f"sum by (state) (increase(qatgap_analyses_finished_total{HERE}[1h]))", "{{state}}"),
                  unit="short", width=8, minimum=0),
            graph("Work done", "Samples and measured layers of analyses that succeeded.",
                  _query(f"sum(rate(qatgap_samples_total{HERE}[$__rate_interval]))", "samples"),
                  _query(f"sum(rate(qatgap_layers_total{HERE}[$__rate_interval]))", "layers"), unit="cps", width=8,
                  minimum=0),
            graph("Time of an analysis", "From its start to its end.", *_quantiles("qatgap_analysis_duration_seconds"),
                  unit="s", minimum=0),
            graph("Time in the queue", "From the submission to the start.",
                  *_quantiles("qatgap_analysis_wait_seconds"), unit="s", minimum=0),
            row("Runners and artifacts"),
            graph("Runners that ended", "An hour, by reason.",
                  _query(f"sum by (reason) (increase(qatgap_runner_exits_total{HERE}[1h]))", "{{reason}}"),
                  unit="short", width=8, minimum=0),
            graph("Memory of a runner", "Peak resident memory.", *_quantiles("qatgap_runner_peak_bytes"),
                  unit="bytes", width=8, minimum=0),
            graph("Artifacts", "Bytes received from clients and opened for runners.",
                  _rate("qatgap_artifact_bytes_total", "direction"), unit="Bps", width=8, minimum=0),
            row("Metrics"),
            graph("Tracked models", "That have series, and how many may.",
                  _query(f"sum(qatgap_tracks{HERE})", "models"), _query(f"sum(qatgap_tracks_limit{HERE})", "limit"),
                  _query(f"sum(increase(qatgap_tracks_dropped_total{HERE}[1h]))", "dropped in an hour"),
                  unit="short", minimum=0),
            graph("Series of a scrape", "Samples that a scrape brings.",
                  _query('scrape_samples_scraped{instance=~"$instance", job="qatgapd"}', "{{instance}}"),
                  unit="short", minimum=0),
        ],
        since="now-6h",
    )


DASHBOARDS = {"overview": overview, "tracked_model": tracked_model, "service_health": service_health}


def text_of(name):
    return json.dumps(DASHBOARDS[name](), indent=2) + "\n"


if __name__ == "__main__":
    for name in DASHBOARDS:
        (Path(__file__).parent / f"{name}.json").write_text(text_of(name))
