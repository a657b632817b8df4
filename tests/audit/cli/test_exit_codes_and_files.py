"""Exit code and files of an audit: they agree, they are whole, and nothing undecided passes."""

from __future__ import annotations

import json
import re
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pandas as pd
import pytest
from helpers.cli import CENSUS, FILES, MAIN, called, census, python, record_in, rows, saved

import counterproof.metrics.metric as registry
from counterproof import Value, metric, run
from counterproof.judging import gates
from counterproof.metrics.estimate import Estimate
from counterproof.metrics.metric import Tolerance, installed

WORDS = {0: "pass", 1: "fail", 3: "inconclusive", 4: "error"}
PRECISION = ("--metrics", "fidelity.precision", "--policy", "none")


@pytest.fixture(autouse=True)
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path / "cache"))


@metric(
    id="acme.crash",
    family="fidelity",
    tolerances=[Tolerance(field="value", operator="<=", limit=0.5, reason="a crash must not pass")],
)
def crash(bench: Any) -> Any:
    """Crashes on every data set."""
    yield Value(estimate=Estimate(value=1 / len(bench.candidate), low=0.0, high=0.1))
    raise RuntimeError("secret contents of a record")


@metric(
    id="acme.fixed",
    family="coverage",
    better="lower",
    null="none",
    tolerances=[Tolerance(field="value", operator="<=", limit=0.5, reason="for the test")],
)
def fixed(bench: Any, *, value: float = 0.2, error: float = 0.05) -> Any:
    """Yields what it is told."""
    yield Value(estimate=Estimate.normal(value, error), n=dict(bench.sizes))


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {
        found.id: EntryPoint(found.id, f"{__name__}:{found.id.partition('.')[2]}", "counterproof.metrics")
        for found in (crash, fixed)
    }
    known = {**installed(), **made}
    for place in (registry, run, gates):
        monkeypatch.setattr(place, "installed", lambda: known)


def agreed(folder: Path, code: int) -> dict[str, Any]:
    """The record, once all four files have been seen to tell the verdict of the exit code."""
    assert {path.name for path in folder.iterdir()} == FILES
    record = record_in(folder)
    word = WORDS[code]
    assert record["verdict"] == word
    page = (folder / "report.html").read_text(encoding="utf-8")
    head = re.search(r'<h1 id="verdict">(.*?)</h1>', page, re.DOTALL)
    assert head is not None
    assert word in re.sub(r"<[^>]*>", "", head[1]).casefold()
    assert word in (folder / "summary.md").read_text(encoding="utf-8").splitlines()[0].casefold()
    suite = ET.parse(folder / "junit.xml").getroot()
    assert (int(suite.attrib["failures"]) > 0) == (code == 1)
    assert (int(suite.attrib["failures"]) + int(suite.attrib["errors"]) == 0) == (code == 0)
    return dict(record)


def toml(folder: Path, metrics: list[str], **options: dict[str, float]) -> Path:
    saved(folder, real=rows(60, 0), synthetic=rows(60, 1))
    chosen = ", ".join(f'"{name}"' for name in metrics)
    text = f'[data]\nreal = "real.csv"\nsynthetic = "synthetic.csv"\n[run]\nmetrics = [{chosen}]\n'
    for name, given in options.items():
        text += f'[metrics."acme.{name}"]\n' + "".join(f"{key} = {value}\n" for key, value in given.items())
    (folder / "audit.toml").write_text(text)
    return folder / "audit.toml"


@pytest.mark.parametrize(
    ("metrics", "value", "code"),
    [
        (["acme.fixed"], 0.2, 0),
        (["acme.fixed"], 0.9, 1),
        (["acme.fixed"], 0.5, 3),
        (["acme.fixed", "acme.crash"], 0.2, 4),
        (["acme.fixed", "acme.crash"], 0.5, 4),
        (["acme.fixed", "acme.crash"], 0.9, 1),
    ],
)
@pytest.mark.usefixtures("plugins")
def test_every_verdict_has_its_code_and_all_files_tell_it(
    tmp_path: Path, metrics: list[str], value: float, code: int
) -> None:
    done = called("run", toml(tmp_path, metrics, fixed={"value": value}), "--out", "out")
    assert done.exit_code == code, done.output
    record = agreed(tmp_path / "out", code)
    assert f"VERDICT {WORDS[code].upper()}" in done.stdout
    measured = {m["metric"]: m for m in record["measurements"]}
    assert measured["acme.fixed"]["value"] == value, "a crash elsewhere loses nothing"
    if "acme.crash" in metrics:
        assert measured["acme.crash"]["status"] == "error"
        assert "RuntimeError" in measured["acme.crash"]["reason"]
        for path in (tmp_path / "out").iterdir():
            assert "secret contents" not in path.read_text(encoding="utf-8")
    assert done.stdout.splitlines()[-1] == "report: out/report.html (and record.json, junit.xml, summary.md)"


@pytest.mark.usefixtures("plugins")
def test_bad_usage_outweighs_everything(tmp_path: Path) -> None:
    path = toml(tmp_path, ["acme.fixed", "acme.crash"], fixed={"value": 0.9})
    assert called("run", path, "--gate", "acme.fixed.valeu <= 1").exit_code == 2
    assert called("run", path, "--gate", "acme.fix <= 1").exit_code == 2


@pytest.mark.usefixtures("plugins")
def test_gates_judge_a_record_again(tmp_path: Path) -> None:
    called("run", toml(tmp_path, ["acme.fixed"]), "--out", "out")
    record = tmp_path / "out" / "record.json"
    assert called("gate", record).exit_code == 0
    assert called("gate", record, "--out", "again").exit_code == 0
    assert agreed(tmp_path / "again", 0) == record_in(tmp_path / "out")
    for gate, code in (("acme.fixed <= 0.01", 1), ("acme.fixed <= 0.25", 3), ("acme.fixed < 0.4", 0)):
        assert called("gate", record, "--gate", gate).exit_code == code
        assert called("gate", record, "--warn", gate).exit_code == 0
    assert called("gate", record, "--policy", "none").exit_code == 3, "without gates nothing has passed"
    assert called("gate", record, "--gate", "acme.fixed.vale <= 0.1").exit_code == 2


def test_a_gate_of_the_user_fails_a_real_release(tmp_path: Path) -> None:
    roles = {"train": census("train", 300), "holdout": census("holdout", 300)}
    given = saved(tmp_path, **roles, synthetic=census("release_tvae3", 300))
    gate = "fidelity.kernel_distance.excess <= 0.0001"
    options = ("--metrics", "fidelity.kernel_distance", "--policy", "none", "--gate", gate, "--out", "out")
    assert called("run", *given, *options).exit_code == 1
    (judged,) = agreed(tmp_path / "out", 1)["gates"]
    assert (judged["expression"], judged["source"], judged["verdict"]) == (gate, "config", "fail")
    assert judged["bound"] > 0.0001


def test_forty_rows_are_inconclusive_but_an_exact_copy_fails(tmp_path: Path) -> None:
    roles = {"train": census("train", 40), "holdout": census("holdout", 40)}
    labelled = ("--label", "income", "--groups", "sex", "--out")
    fresh = saved(tmp_path, **roles, synthetic=census("test", 40))
    done = called("run", *fresh, *labelled, "fresh")
    assert done.exit_code == 3, done.output
    agreed(tmp_path / "fresh", 3)
    copied = saved(tmp_path, **roles, synthetic=census("train", 40))
    assert called("run", *copied, "--metrics", "leakage", "--out", "copied").exit_code == 1
    record = agreed(tmp_path / "copied", 1)
    assert record["families"]["leakage"]["verdict"] == "fail"
    assert record["families"]["leakage"]["because"]


@pytest.mark.parametrize("role", ["real", "train"])
def test_leakage_never_passes_without_a_holdout(tmp_path: Path, role: str) -> None:
    given = saved(tmp_path, **{role: census("train", 300)}, synthetic=census("test", 300))
    done = called("run", *given, "--metrics", "leakage", "--out", "out")
    assert done.exit_code == 3, done.output
    assert agreed(tmp_path / "out", 3)["families"]["leakage"]["verdict"] == "inconclusive"
    assert "cannot be assessed on these data" in done.stdout
    allowed = called("run", *given, "--metrics", "leakage", "--without-holdout", "allow")
    assert allowed.exit_code == 3
    assert record_in(tmp_path / "counterproof-report")["families"]["leakage"]["verdict"] != "pass"


def test_a_verbatim_copy_fails_without_a_holdout(tmp_path: Path) -> None:
    given = saved(tmp_path, train=census("train", 300), synthetic=census("train", 300))
    assert called("run", *given, "--metrics", "leakage").exit_code == 1


def test_files_are_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = saved(tmp_path, real=rows(60, 0), synthetic=rows(60, 1))
    called("run", *given, *PRECISION, "--out", "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def broken(record: object) -> str:
        raise RuntimeError("a defect in one of the writers")

    monkeypatch.setattr("counterproof.reports.outputs.junit.junit", broken)
    done = called("run", *given, *PRECISION, "--seed", 3, "--out", "out")
    assert done.exit_code == 4, "a defect never looks like a FAIL"
    assert done.stderr.splitlines()[-1].startswith("counterproof crashed")
    assert "Traceback" not in done.output
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_interrupting_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("counterproof.run.run_audit", stop)
    done = called("run", *saved(tmp_path, real=rows(9, 0), synthetic=rows(9, 1)))
    assert done.exit_code == 130
    assert "nothing was judged" in done.stderr


def test_gate_reads_any_record_again_in_a_fresh_process(tmp_path: Path) -> None:
    given = saved(tmp_path, real=rows(60, 0), synthetic=rows(60, 1))
    gate = ("--gate", "fidelity.precision >= 0.99")
    code = called("run", *given, *PRECISION, *gate, "--out", "out").exit_code
    done = python("-c", MAIN, "gate", "out/record.json", cwd=tmp_path)
    assert done.returncode == code
    assert f"VERDICT {WORDS[code].upper()}" in done.stdout
    plain = json.loads((tmp_path / "out" / "record.json").read_text())
    assert plain["manifest"]["command"].startswith("counterproof")


def test_metrics_are_listed_and_shown() -> None:
    listed = called("metrics", "list")
    assert listed.exit_code == 0
    names = re.findall(r"^  (\w+\.\w+)", listed.stdout, re.MULTILINE)
    assert sorted(names) == sorted(installed())
    for name in names:
        shown = called("metrics", "show", name)
        assert shown.exit_code == 0
        assert shown.stdout.startswith(f"{name}: ")
        assert "How to read it" in shown.stdout
    assert pd.read_parquet(CENSUS / "train.parquet").shape == (5000, 14), "the demo's data ship whole"
