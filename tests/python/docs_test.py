"""The Python of docs/python.md and README.md, run as it stands; its lists against the code."""

import pathlib
import re

import pytest

import qatgap
from qatgap import errors, tables

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/python.md").read_text()


def blocks(text):
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.filterwarnings("ignore::qatgap.RuleWarning")
def test_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    assert len(blocks(PAGE)) >= 4
    for block in blocks(PAGE):
        exec(compile(block, "docs/python.md", "exec"), names)
    assert "Quantizing the bias" in capsys.readouterr().out
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {"report.html", "report.png", "qat.pt2"}
    # README's lines stand on the same names.
    for block in blocks((ROOT / "README.md").read_text()):
        exec(compile(block, "README.md", "exec"), names)


def test_every_exception_is_listed():
    public = {
        name
        for name in qatgap.__all__
        if isinstance(getattr(qatgap, name), type) and issubclass(getattr(qatgap, name), Exception)
    }
    defined = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert defined <= public
    for name in defined:
        assert f"`{name}`" in PAGE, name


def test_every_column_and_cause_is_listed(demo_report):
    for cause in ("total", *tables.CAUSES):
        assert f"`{cause}`" in PAGE
    for name in ("accumulated", "outputs", "accuracies", "targets", "findings", "unmeasured"):
        for column in getattr(demo_report, name).columns:
            base = column.partition(".")[2] or column
            assert f"`{base}`" in PAGE or f"`{column}`" in PAGE, (name, column)
    for column in demo_report.layers.columns:
        base = column.partition(".")[2] or column
        assert f"`{base}`" in PAGE, column


def test_every_kind_of_metric_is_listed():
    for view in {name.partition(".")[0] for name in qatgap.metric_names()}:
        assert f"`{view}" in PAGE, view
