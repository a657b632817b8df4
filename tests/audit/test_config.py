"""``audit.toml``: misspelt keys, wrong values and broken files are told by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.cli import called, record_in, refused, rows, saved

DATA = '[data]\nreal = "real.csv"\nsynthetic = "synthetic.csv"\n'


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    saved(tmp_path, real=rows(60, 0), synthetic=rows(60, 1))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[data\n", "not valid TOML"),
        ("a = " + "[" * 5000, "not valid TOML"),
        (DATA + "[run]\nseed = true\n", "run.seed: a number is wanted, not true"),
        (DATA + "[run]\nconfidence = true\n", "run.confidence: a number is wanted, not true"),
        ('[data]\nreal = ""\nsynthetic = "synthetic.csv"\n', "data.real: the path is empty"),
        (DATA + '[metrics."fidelity.precision"]\nk = 0\n', "option k = 0: Input should be greater than or equal to 1"),
        (DATA + '[metrics."fidelity.precision"]\nk = true\n', "option k = True: a number is wanted"),
        (DATA + '[metrics."utility.tstr"]\nmodels = []\n', "option models = []: "),
        (DATA + '[metrics."coverage.vendi_score"]\nq = nan\n', "option q = nan: Input should be greater than 0"),
        ("", "data: is missing"),
        ('[data]\nreal = "real.csv"\n', "data.synthetic: is missing"),
        ('[data]\nsynthetic = "synthetic.csv"\n', "give real rows"),
        (DATA + 'train = "real.csv"\n', "'real' stands in place of 'train' and 'holdout'"),
        (DATA + 'lable = "y"\n', "data.lable: no such key; did you mean label?"),
        (DATA + 'groups = ["sex", "learner"]\n', "data.groups: group column 'learner' has a reserved name; rename it"),
        (DATA + "[runs]\nseed = 1\n", "runs: no such key; did you mean run?"),
        (DATA + "[run]\nzzz = 1\n", "run.zzz: no such key; there are metrics,"),
        (DATA + "[run]\nseed = -1\n", "run.seed"),
        (DATA + "[run]\nseed = 2147483648\n", "run.seed"),
        (DATA + "[run]\nconfidence = 1.0\n", "run.confidence"),
        (DATA + "[run]\nconfidence = nan\n", "run.confidence"),
        (DATA + '[run]\ndevice = "abacus"\n', "run.device"),
        (DATA + '[run]\nmetrics = ["fidelity.nothing"]\n', "no metric or family is called 'fidelity.nothing'"),
        (DATA + '[gates]\nfail = ["fidelity.nothing <= 1"]\n', "no metric is called fidelity.nothing"),
        (DATA + '[gates]\nfail = "fidelity.precision >= 0"\n', "gates.fail"),
        (DATA + '[metrics."fidelity.precision"]\nkk = 3\n', "fidelity.precision has no option 'kk'"),
        (DATA + '[metrics."fidelity.precison"]\nk = 3\n', "fidelity.precison"),
        (DATA + '[data.read]\ndecimel = ","\n', "data.read.decimel: no such key; did you mean decimal?"),
        (DATA + '[data.read]\ndecimal = ";"\n', "data.read.decimal"),
        (DATA + 'kinds = {a = "integer"}\n', "data.kinds.a"),
        (
            DATA + '[gates]\nfail = ["coverage.representation[grup=north] >= 0.8"]\n',
            "there is no group column grup; did",
        ),
    ],
)
def test_one_sentence_names_the_key(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "audit.toml").write_text(text)
    said = "".join(refused("run", "audit.toml").splitlines())
    assert words in said


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    text = DATA + 'label = "y"\n[run]\nmetrics = ["fidelity.schema"]\n'
    (tmp_path / "audit.toml").write_text(text, encoding="utf-8-sig")
    assert called("run", "audit.toml").exit_code in (0, 3)


def options_of(*given: str) -> dict[str, Any]:
    done = called(
        "run",
        "--real",
        "real.csv",
        "--synthetic",
        "synthetic.csv",
        "--metrics",
        "fidelity.schema",
        "--out",
        "o",
        *given,
    )
    assert done.exit_code in (0, 3), done.output
    found: dict[str, Any] = record_in(Path("o"))["manifest"]["config"]["data"]
    return found


def test_options_say_how_texts_are_read() -> None:
    found = options_of("--kind", "a=number", "--kind", "group=category", "--decimal", ".", "--dates", "since=day-first")
    assert found["kinds"] == {"a": "number", "group": "category"}
    assert found["read"]["decimal"] == "."
    assert found["read"]["dates"] == {"since": "day-first"}
    found = options_of("--encoding", "latin-1", "--separator", ",", "--header", "--decimal", "a=.", "--decimal", "b=.")
    assert found["read"] == {
        "encoding": "latin-1", "separator": ",", "header": True, "decimal": {"a": ".", "b": "."}, "dates": "auto",
        "missing": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--kind", "number"], "--kind number: give it by column, as in --kind pay=number"),
        (["--decimal", ",", "--decimal", "a=."], "--decimal ,: give it by column"),
        (["--dates", "year-first"], "data.read.dates"),
        (["--kind", "group=number"], "values of column 'group' cannot be read as number, the first in row 0"),
        (["--encoding", "klingon"], "'klingon' is no encoding"),
    ],
)
def test_options_that_cannot_be_met_are_refused(given: list[str], words: str) -> None:
    said = "".join(refused("run", "--real", "real.csv", "--synthetic", "synthetic.csv", *given).splitlines())
    assert words in said


@pytest.mark.parametrize("name", ["column", "learner", "model", "rate"])
def test_names_of_cells_are_no_names_of_groups(name: str) -> None:
    said = "".join(refused("run", "--real", "real.csv", "--synthetic", "synthetic.csv", "--groups", name).splitlines())
    assert f"group column '{name}' has a reserved name; rename it" in said


def test_paths_are_relative_to_the_file_and_options_outweigh_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "audit.toml").write_text(
        DATA + '[run]\nseed = 4\npolicy = "none"\nmetrics = ["fidelity.precision"]\n'
        '[gates]\nfail = ["fidelity.precision >= 0.1"]\n[metrics."fidelity.precision"]\nk = 3\n'
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    done = called("run", tmp_path / "audit.toml", "--seed", 5, "--device", "cpu", "--out", "o")
    assert done.exit_code in (0, 3), done.output
    record = record_in(elsewhere / "o")
    assert record["manifest"]["seed"] == 5
    assert record["manifest"]["device"] == "cpu"
    assert record["manifest"]["config"]["run"]["device"] == "cpu"
    assert record["measurements"][0]["params"]["k"] == 3
    assert [gate["expression"] for gate in record["gates"]] == ["fidelity.precision >= 0.1"]
