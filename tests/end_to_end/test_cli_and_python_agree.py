"""``counterproof.audit`` and ``counterproof run`` are one audit; frames go in and stay as they were."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.cli import called, record_in, rows, saved

import counterproof as cp

METRICS = ["fidelity.precision", "fidelity.marginals", "coverage.representation", "leakage"]


@pytest.fixture(autouse=True)
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path / "cache"))


def frames(n: int = 150) -> dict[str, pd.DataFrame]:
    return {role: rows(n, seed).round(6) for seed, role in enumerate(("train", "holdout", "synthetic"))}


def numbers(measurements: Any) -> list[tuple[Any, ...]]:
    return [(m["metric"], m["field"], m["group"], m["value"], m["low"], m["high"]) for m in measurements]


def test_the_same_numbers_and_verdict(tmp_path: Path) -> None:
    given = frames()
    record = cp.audit(**given, label="y", groups=["group"], metrics=METRICS, seed=3)
    arguments = ("--label", "y", "--groups", "group", "--metrics", ",".join(METRICS), "--seed", 3, "--out", "out")
    done = called("run", *saved(tmp_path, **given), *arguments)
    told = record_in(tmp_path / "out")
    assert numbers(told["measurements"]) == numbers(record.model_dump(mode="json")["measurements"])
    assert (told["verdict"], told["because"]) == (record.verdict, record.because)
    assert done.exit_code == {"pass": 0, "fail": 1, "inconclusive": 3}[record.verdict]


def test_frames_are_never_changed() -> None:
    given = {
        role: frame.assign(
            when=pd.Timestamp("2024-01-01") + pd.to_timedelta(range(len(frame)), unit="D"),
            kind=pd.Categorical(frame["group"]),
            gone=frame["a"].where(frame["a"] > 0),
        ).set_index(pd.Index(range(7, 7 + len(frame)), name="key"))
        for role, frame in frames().items()
    }
    before = {role: frame.copy(deep=True) for role, frame in given.items()}
    gates, groups = ["fidelity.precision >= 0.1"], ["group"]
    cp.audit(**given, label="y", groups=groups, metrics=METRICS, gates=gates)
    for role, frame in given.items():
        pd.testing.assert_frame_equal(frame, before[role])
    assert (gates, groups) == (["fidelity.precision >= 0.1"], ["group"])


def test_arrays_are_never_changed() -> None:
    values = [np.random.default_rng(seed).normal(size=(120, 4)).astype(np.float32) for seed in range(3)]
    copies = [array.copy() for array in values]
    for array in values:
        array.flags.writeable = False
    train, holdout, made = values
    cp.audit(train=train, holdout=holdout, synthetic=made, metrics=["fidelity.precision", "leakage"])
    assert all(np.array_equal(a, b) for a, b in zip(values, copies, strict=True))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"synthetic": [1, 2]}, "cannot read list"),
        ({"synthetic": {"a": [1]}}, "cannot read dict"),
        ({"synthetic": 7}, "cannot read int"),
        ({"synthetic": pd.Series([1, 2])}, "cannot read Series"),
        ({"synthetic": np.array(["a"])}, "expected numbers"),
        ({"synthetic": None}, "synthetic"),
        ({"real": 3}, "cannot read int"),
        ({"label": 3}, "data.label"),
        ({"groups": "group"}, "data.groups: give a list of texts"),
        ({"groups": [3]}, "data.groups"),
        ({"metrics": "leakage"}, "run.metrics: give a list"),
        ({"gates": "leakage.copies <= 0"}, "gates.fail: give a list"),
        ({"sead": 3}, "run.sead: no such key; did you mean seed?"),
        ({"seed": "x"}, "run.seed"),
        ({"device": "abacus"}, "run.device"),
        ({"options": {"fidelity.precision": {"k": "many"}}}, "fidelity.precision: option k"),
        ({"options": {"fidelity.precision": 3}}, "metrics.fidelity.precision"),
        ({"encoder": 3}, "encoder"),
        ({"kinds": ["x"]}, "data.kinds: give a value by name"),
        ({"read_as": ["x"]}, "data.read: give a value by name"),
        ({"read_as": {"decimel": ","}}, "data.read.decimel: no such key; did you mean decimal?"),
        ({"all_of": ["x"]}, "gates.all_of: give a name"),
        ({"options": ["x"]}, "metrics: give a value by name"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(options: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"real": rows(30, 0), "synthetic": rows(30, 1), "metrics": ["fidelity.precision"]}
    with pytest.raises(cp.Refusal) as caught:
        cp.audit(**{**given, **options})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


class Closed(HTMLParser):
    """Whether every tag is closed in turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag not in ("br", "hr", "img", "meta", "col"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_record_shows_itself() -> None:
    record = cp.audit(**frames(), metrics=["fidelity.precision"])
    assert repr(record) == str(record)
    assert repr(record).startswith(f"<counterproof record: {record.verdict.upper()} (fidelity ")
    strip = Closed(record._repr_html_())
    assert strip.open == []
    assert "script" not in strip.seen
    assert record.verdict in record._repr_html_().casefold()
    reading = record["fidelity.precision"]
    assert reading.low is not None
    assert reading.low < 1
    with pytest.raises(KeyError, match=r"did you mean fidelity\.precision"):
        record["fidelity.precison"]
