"""The dashboards as files: what Grafana's own models know, ids, places, datasource variable, units, links."""

import importlib.util
import json
import re

import pytest
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from running import ROOT

FOLDER = ROOT / "deploy/grafana"
FILES = sorted(FOLDER.glob("*.json"))
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

register_default_plugins()


def _generator():
    spec = importlib.util.spec_from_file_location("make_dashboards", FOLDER / "make_dashboards.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=FILES, ids=[path.stem for path in FILES])
def dashboard(request):
    return json.loads(request.param.read_text())


def _plain(value):
    """The SDK's objects as JSON values, without what is not set."""
    if hasattr(value, "to_json"):
        value = value.to_json()
    if isinstance(value, dict):
        return {key: plain for key, part in value.items() if (plain := _plain(part)) is not None}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return getattr(value, "value", value)


def _lost(given, kept, path="$"):
    """Paths of members that the models do not know, or that they read as something else."""
    if isinstance(given, dict):
        kept = kept if isinstance(kept, dict) else {}
        for key, value in given.items():
            if value is not None:
                yield from _lost(value, kept.get(key), f"{path}.{key}")
    elif isinstance(given, list):
        if not isinstance(kept, list) or len(kept) != len(given):
            if given:
                yield path
            return
        for index, value in enumerate(given):
            yield from _lost(value, kept[index], f"{path}[{index}]")
    elif given != kept:
        yield path


def test_there_are_three():
    assert [path.stem for path in FILES] == ["overview", "service_health", "tracked_model"]


def test_they_are_what_the_script_makes():
    generator = _generator()
    made = {name: generator.text_of(name) for name in generator.DASHBOARDS}
    assert {path.stem: path.read_text() for path in FILES} == made


def test_grafanas_models_know_every_member(dashboard):
    assert list(_lost(dashboard, _plain(Dashboard.from_json(dashboard)))) == []


def test_a_misspelt_member_would_be_found(dashboard):
    dashboard["panels"][0]["fieldConfig"]["defaults"]["unitt"] = "s"
    dashboard["panels"][0]["options"]["colorMod"] = "value"
    dashboard["panels"][0]["titel"] = "x"
    found = list(_lost(dashboard, _plain(Dashboard.from_json(dashboard))))
    assert sorted(path.removeprefix("$.panels[0].") for path in found) == [
        "fieldConfig.defaults.unitt",
        "options.colorMod",
        "titel",
    ]


def test_ids_are_unique(dashboard):
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    for panel in dashboard["panels"]:
        references = [query["refId"] for query in panel.get("targets", [])]
        assert len(references) == len(set(references)), panel["title"]
    names = [variable["name"] for variable in dashboard["templating"]["list"]]
    assert len(names) == len(set(names))


def test_uids_and_titles_are_unique():
    dashboards = [json.loads(path.read_text()) for path in FILES]
    assert len({dashboard["uid"] for dashboard in dashboards}) == len(FILES)
    assert len({dashboard["title"] for dashboard in dashboards}) == len(FILES)
    assert all(len(dashboard["uid"]) <= 40 for dashboard in dashboards)


def test_everything_is_asked_of_the_chosen_datasource(dashboard):
    first, *others = dashboard["templating"]["list"]
    assert (first["name"], first["type"], first["query"]) == ("datasource", "datasource", "prometheus")
    for variable in others:
        assert variable["type"] == "custom" or variable["datasource"] == DATASOURCE, variable["name"]
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            continue
        assert panel["datasource"] == DATASOURCE, panel["title"]
        assert panel["targets"], panel["title"]
        assert all(query["datasource"] == DATASOURCE for query in panel["targets"]), panel["title"]


def test_panels_lie_beside_each_other(dashboard):
    taken = {}
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] >= 0 and place["w"] > 0 and place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']} lies on {taken[x, y]}"
                taken[x, y] = panel["title"]


def test_panels_explain_themselves(dashboard):
    for panel in dashboard["panels"]:
        assert panel["title"]
        if panel["type"] != "row":
            assert panel["description"].endswith("."), panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


def test_variables_are_defined_before_they_are_used(dashboard):
    defined = {"datasource", "__rate_interval"}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            assert set(re.findall(r"\$(\w+)", variable["query"]["query"])) <= defined, variable["name"]
        defined.add(variable["name"])
    used = {"datasource"}
    for panel in dashboard["panels"]:
        for query in panel.get("targets", []):
            used |= set(re.findall(r"\$(\w+)", query["expr"]))
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert variables <= used <= defined


def test_links_lead_to_dashboards_and_their_variables():
    dashboards = {dashboard["uid"]: dashboard for path in FILES for dashboard in [json.loads(path.read_text())]}
    links = re.findall(r"/d/([a-z-]+)\?([^\"\s]*)", "".join(path.read_text() for path in FILES))
    assert links
    for uid, query in links:
        names = {variable["name"] for variable in dashboards[uid]["templating"]["list"]}
        assert set(re.findall(r"var-(\w+)=", query)) <= names
