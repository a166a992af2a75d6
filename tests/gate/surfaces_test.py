"""The files that other tools read, held against their schemas (schemas/README.md), for every kind of verdict."""

import json

import jsonschema
import pytest
from conftest import EXAMPLE, HERE, qatgap
from lxml import etree

SCHEMAS = HERE / "schemas"
SARIF = jsonschema.Draft4Validator(
    json.loads((SCHEMAS / "sarif-2.1.0.json").read_text()), format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER
)
GITLAB = jsonschema.Draft7Validator(json.loads((SCHEMAS / "gitlab-code-quality.json").read_text()))
JUNIT = etree.XMLSchema(file=str(SCHEMAS / "junit.xsd"))

# Every outcome of a check at once.
RULES = """version: 1
rules:
  - {name: fails, metric: injected.total.mean_absolute_lsb, max: 0}
  - {name: warns, metric: injected.requantization.changed_rate, max: 0, level: warn}
  - {name: waived, metric: injected.bias_rounding.changed_rate, max: 0}
  - {name: holds, metric: coverage, min: 0}
waivers:
  - {rule: waived, reason: "known & <accepted>", expires: 9999-12-31}
"""


def written(folder, report, rules):
    (folder / "gate.yaml").write_text(rules)
    result = qatgap(
        *("gate", "--report", report, "--rules", "gate.yaml", "--baseline", EXAMPLE / "baseline.json"),
        *(
            "--junit",
            "gate.xml",
            "--sarif",
            "gate.sarif",
            "--gitlab",
            "gl.json",
            "--json",
            "gate.json",
            "--markdown",
            "gate.md",
        ),
        cwd=folder,
    )
    return result.returncode, result.stderr


CASES = [
    ("baseline", "version: 1\npreset: ratchet\n", 0),
    ("baseline", RULES, 1),
    ("bias_saturation", "version: 1\npreset: ratchet\n", 1),
    ("requantization", "version: 1\npreset: strict\n", 1),
    ("renamed", "version: 1\npreset: ratchet\n", 3),
]


@pytest.fixture(scope="session", params=CASES, ids=["pass", "every outcome", "fail", "strict", "not comparable"])
def files(request, reports, tmp_path_factory):
    model, rules, code = request.param
    folder = tmp_path_factory.mktemp("files")
    (folder / "report.json").write_bytes(reports(model).read_bytes())
    assert written(folder, "report.json", rules) == (code, "")
    return folder, code


def outcomes(folder):
    return [check["outcome"] for check in json.loads((folder / "gate.json").read_text())["checks"]]


def test_junit(files):
    folder, code = files
    document = etree.parse(str(folder / "gate.xml"))
    JUNIT.assertValid(document)
    found = outcomes(folder)
    for suite in document.getroot():
        cases = suite.findall("testcase")
        assert int(suite.get("tests")) == len(cases) > 0
        for attribute, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.get(attribute)) == len(suite.findall(f"testcase/{element}"))
    assert len(document.findall(".//failure")) == found.count("fail")
    assert len(document.findall(".//skipped")) == found.count("waived")
    assert bool(document.findall(".//error")) == (code == 3)
    # A case of a name is there once: CI systems follow a case by it.
    names = [(case.get("classname"), case.get("name")) for case in document.iter("testcase")]
    assert len(names) == len(set(names))


def test_sarif(files):
    folder, code = files
    document = json.loads((folder / "gate.sarif").read_text())
    assert [error.message for error in SARIF.iter_errors(document)] == []
    (run,) = document["runs"]
    found = outcomes(folder)
    levels = [result["level"] for result in run["results"]]
    assert levels.count("warning") == found.count("warn")
    assert levels.count("note") == found.count("waived") == sum("suppressions" in result for result in run["results"])
    assert (levels.count("error") > found.count("fail")) == (code == 3)
    prints = [result["partialFingerprints"]["qatgapCheck/v1"] for result in run["results"]]
    assert len(prints) == len(set(prints))
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        # GitHub refuses a result without a file.
        assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]


def test_gitlab(files):
    folder, code = files
    document = json.loads((folder / "gl.json").read_text())
    assert [error.message for error in GITLAB.iter_errors(document)] == []
    found = outcomes(folder)
    severities = [entry["severity"] for entry in document]
    assert severities.count("major") == found.count("fail")
    assert severities.count("minor") == found.count("warn")
    assert ("blocker" in severities) == (code == 3)
    # GitLab drops an entry whose fingerprint it has seen.
    assert len({entry["fingerprint"] for entry in document}) == len(document)


def test_markdown_has_the_rows_that_do_not_hold(files):
    folder, code = files
    text = (folder / "gate.md").read_text()
    rows = [
        line.split(" | ") for line in text.splitlines() if line.startswith("| ") and not line.startswith("| outcome")
    ]
    assert [row[0][2:] for row in rows] == [outcome for outcome in outcomes(folder) if outcome != "pass"]
    header = "| outcome | rule | target | layer | expected | found | baseline | delta | cause | advice |"
    assert (header in text) == bool(rows)
    assert all(len(row) == 10 for row in rows)
    accept = f"`qatgap baseline update --report report.json --baseline {EXAMPLE / 'baseline.json'}`"
    assert (accept in text) == (code != 0)


def test_a_result_keeps_its_fingerprint(reports, tmp_path):
    """Whatever was found: code scanning tells the old results from the new by it."""
    rules = "version: 1\nrules:\n  - {metric: injected.total.mean_absolute_lsb, max: 0}\n"

    def prints(model):
        written(tmp_path, reports(model), rules)
        results = json.loads((tmp_path / "gate.sarif").read_text())["runs"][0]["results"]
        return {result["message"]["text"].split(":")[0]: result["partialFingerprints"] for result in results}, results

    (first, before), (second, after) = prints("baseline"), prints("harmless")
    assert first == second
    assert before != after


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("<testcase ", "<testcas ", 1).replace("</testcase>", "</testcas>", 1),
        lambda text: text.replace(' tests="', ' tets="', 1),
        lambda text: text.replace("<testsuite ", "<failure/><testsuite ", 1),
    ],
    ids=["element", "attribute", "place"],
)
def test_the_xml_schema_refuses_what_is_wrong(reports, tmp_path, damage):
    written(tmp_path, reports("bias_saturation"), "version: 1\npreset: ratchet\n")
    text = (tmp_path / "gate.xml").read_text()
    JUNIT.assertValid(etree.fromstring(text.encode()))
    with pytest.raises((etree.DocumentInvalid, etree.XMLSyntaxError)):
        JUNIT.assertValid(etree.fromstring(damage(text).encode()))


def test_the_json_schemas_refuse_what_is_wrong(reports, tmp_path):
    written(tmp_path, reports("bias_saturation"), "version: 1\npreset: ratchet\n")
    sarif = json.loads((tmp_path / "gate.sarif").read_text())
    sarif["runs"][0]["results"][0]["level"] = "fatal"
    assert list(SARIF.iter_errors(sarif))
    gitlab = json.loads((tmp_path / "gl.json").read_text())
    del gitlab[0]["fingerprint"]
    assert list(GITLAB.iter_errors(gitlab))
