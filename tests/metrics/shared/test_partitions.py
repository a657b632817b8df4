"""Partitions are what pandas' groupby finds, and small crossings are hidden."""

from __future__ import annotations

import numpy as np
import pandas as pd
from helpers.workbenches import bench

from counterproof.metrics.shared.partitions import partition_by, partitions
from counterproof.metrics.workbench import Workbench

N = 300


def made(seed: int = 0, **options: object) -> tuple[Workbench, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "sex": rng.choice(["F", "M", ""], N, p=[0.4, 0.5, 0.1]),
            "race": rng.choice(list("abcd"), N, p=[0.6, 0.2, 0.15, 0.05]),
            "age": rng.choice(["≤ 30", "> 30"], N),
            "income": rng.choice(["low", "high"], N),
        }
    )
    groups = {name: table[name].to_numpy(dtype=np.str_) for name in ("sex", "race", "age")}
    x = rng.normal(size=(N, 3))
    how = {"groups": groups, "label": "income", "labels": table["income"].to_numpy(dtype=np.str_), **options}
    return bench(x[:120], x[120:200], x[200:], **how), table


def test_counts_are_those_of_a_groupby() -> None:
    view, table = made(intersections=3)
    found = partitions(view, label=True)
    assert [part.name for part in found[:4]] == ["sex", "race", "age", "income"]
    assert len(found) == 4 + 6 + 4
    for part in found:
        for sample in (view.real, view.release, view.reference):
            frame = table.iloc[sample.rows].replace("", "(missing)")
            expected = frame.groupby(list(part.columns)).size()
            counts = part.counts(sample)
            told = {tuple(value for _, value in part.groups[i]): int(n) for i, n in enumerate(counts) if n}
            assert told == {key if isinstance(key, tuple) else (key,): n for key, n in expected.items()}
        inside = part.inside(0, view.release)
        assert len(inside) == part.counts(view.release)[0]


def test_the_audit_says_how_many_columns_are_crossed() -> None:
    view, _ = made()
    assert [part.name for part in partitions(view)] == ["sex", "race", "age"]
    assert [part.name for part in partitions(view, order=2)][3:] == ["sex, race", "sex, age", "race, age"]


def test_small_crossings_of_real_rows_are_hidden() -> None:
    view, _ = made(small_cell=15)
    part = partition_by(view, ("sex", "race"))
    real = part.counts(view.real)
    assert ((real > 0) & (real < 15)).any()
    assert part.hidden(view).tolist() == ((real > 0) & (real < 15)).tolist()
    shown, _ = made(show_real=True, small_cell=15)
    assert not partition_by(shown, ("sex", "race")).hidden(shown).any()


def test_a_column_of_many_values_is_crossed_with_none() -> None:
    rng = np.random.default_rng(1)
    groups = {"id": np.arange(N).astype(np.str_), "sex": rng.choice(["F", "M"], N), "age": rng.choice(["y", "o"], N)}
    x = rng.normal(size=(N, 2))
    found = partitions(bench(x[:120], x[120:200], x[200:], groups=groups, intersections=3))
    assert [part.name for part in found] == ["id", "sex", "age", "sex, age"]
