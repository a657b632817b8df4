"""Spoil one column of any kind: the verdict is never PASS, or the headline says that a column was not judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from simulations.text_columns import frame as texts

import counterproof as cp
from counterproof.metrics.fidelity.text_profiles import text_profiles
from counterproof.reports.record import Record
from counterproof.reports.wording import headline

N = 2000
KINDS = ("age", "city", "paid", "x", "pay", "code", "remark", "admitted", "label")
BY_COLUMN = ("fidelity.schema", "fidelity.marginals", text_profiles)
JOINT = ("fidelity.schema", "fidelity.marginals", text_profiles, "fidelity.kernel_distance", "utility.tstr")
Column = pd.Series


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))


def table(n: int, seed: int) -> pd.DataFrame:
    """Numbers, categories, truth values, codes, texts and dates, most of them tied to a label."""
    rng = np.random.default_rng(seed)
    u = rng.normal(size=n)
    age = rng.integers(18, 80, n)
    ill = rng.random(n) < 1 / (1 + np.exp(-1.5 * u - 0.05 * (age - 45)))
    given = texts(n, seed)
    first = np.where(ill, "fever and cough since monday ", "healthy and well as before ")
    return pd.DataFrame(
        {
            "age": age,
            "city": np.array(["Oslo", "Lima", "Riga", "Bonn"])[
                np.clip(np.round(u + rng.normal(size=n) + 1.5), 0, 3).astype(int)
            ],
            "paid": rng.random(n) < 1 / (1 + np.exp(-2 * u)),
            "x": np.round(0.8 * u + 0.6 * rng.normal(size=n), 3),
            "pay": np.round(np.exp(7 + 0.4 * u + 0.2 * rng.normal(size=n)), 2),
            "code": given["code"],
            "remark": [a + b for a, b in zip(first, given["remark"].fillna("").str[:20], strict=True)],
            "admitted": given["admitted"],
            "label": np.where(ill, "yes", "no"),
        }
    )


def shifted(column: Column, _: np.random.Generator) -> Column:
    """By a standard deviation; what has none goes to the next value, texts lose their first letters."""
    if column.dtype == bool:
        return ~column
    if column.dtype.kind in "iuf":
        return column + column.std()
    if column.name == "admitted":
        moments = pd.to_datetime(column)
        return (moments + (moments - moments.min()).std()).dt.strftime("%Y-%m-%dT%H:%M:%S")
    levels = sorted(column.unique())
    return column.map(dict(zip(levels, np.roll(levels, 1), strict=True))) if len(levels) < 9 else column.str[3:]


SPOILS: Mapping[str, Callable[[Column, np.random.Generator], Column]] = {
    "constant": lambda column, _: pd.Series([column.iloc[0]] * len(column)),
    "shuffled": lambda column, rng: pd.Series(rng.permutation(column.to_numpy())),
    "shifted": shifted,
    "missing": lambda column, _: pd.Series([None] * len(column), dtype=object),
}
SWAPPED = ("city", "paid", "label")
TIED = ("age", "city", "paid", "x", "pay", "label")
UNTIED = ("code", "admitted")  # drawn alone: in another order they are as good as before


def audited(column: str, spoil: str, metrics: tuple[Any, ...], columns: list[str]) -> Record:
    roles = {role: table(N, at)[columns] for at, role in enumerate(("train", "holdout", "synthetic"))}
    made = roles["synthetic"].copy()
    if spoil:
        made[column] = SPOILS[spoil](made[column], np.random.default_rng(9))
    return cp.audit(**{**roles, "synthetic": made}, label="label", metrics=list(metrics))


def spoiled_unseen(record: Record) -> bool:
    return record.verdict == "pass" and "not judged" not in headline(record)


@pytest.mark.parametrize("spoil", ["constant", "shifted", "missing"])
@pytest.mark.parametrize("column", KINDS)
def test_a_column_that_is_spoiled_by_itself_is_seen(column: str, spoil: str) -> None:
    columns = list(dict.fromkeys(["age", column, "label"]))
    if spoil == "shifted" and column in SWAPPED:  # about as frequent as before: what they go with tells it
        assert not spoiled_unseen(audited(column, spoil, (*BY_COLUMN, "fidelity.kernel_distance"), list(TIED)))
    else:
        assert not spoiled_unseen(audited(column, spoil, BY_COLUMN, columns))


@pytest.mark.slow
@pytest.mark.parametrize("spoil", SPOILS)
@pytest.mark.parametrize("column", KINDS)
def test_a_column_that_is_spoiled_among_others_is_seen(column: str, spoil: str) -> None:
    if spoil != "shuffled" or column not in UNTIED:
        assert not spoiled_unseen(audited(column, spoil, JOINT, list(KINDS)))


@pytest.mark.slow
def test_the_table_itself_passes() -> None:
    record = audited("", "", JOINT, list(KINDS))
    assert record.verdict == "pass"
    assert headline(record) == "Pass"
