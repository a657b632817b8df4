"""Proxies against the closed form of two normal groups, planted giveaways, renamed columns, odd input."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk, measured, three
from helpers.workbenches import bench

from counterproof.metrics.fairness._proxy_columns import copies_of, renamed
from counterproof.metrics.fairness.proxy import Learner, proxy, separability
from counterproof.metrics.metric import Value
from counterproof.metrics.shared.partitions import partitions
from counterproof.metrics.workbench import Workbench

Place = tuple[str, tuple[tuple[str, str | None], ...]]
SEX = (("sex", None),)


def people(n: int, seed: int, apart: float = 0.5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    sex = rng.choice(["F", "M"], n, p=[0.35, 0.65])
    x = rng.normal(size=(n, 3))
    x[:, 0] += apart * (sex == "F")
    race = rng.choice(list("pqrs"), n, p=[0.5, 0.3, 0.15, 0.05])
    return pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "sex": sex, "race": race})


def values(view: Workbench, **options: Any) -> dict[Place, Value]:
    return {(v.field, v.group): v for v in proxy.values(view, proxy.configure(options))}


def test_the_area_is_that_of_two_normal_groups() -> None:
    for delta in (0.5, 1.0):
        rng = np.random.default_rng(int(10 * delta))
        sex = rng.choice(["F", "M"], 6000)
        x = rng.normal(size=(6000, 3))
        x[:, 0] += delta * (sex == "F")
        found = values(bench(x[:2000], x[2000:4000], x[4000:], groups={"sex": sex}))
        expected = NormalDist().cdf(delta / math.sqrt(2))
        for field in ("real", "synthetic"):
            e = found[field, SEX].estimate
            assert e is not None
            assert e.value == pytest.approx(expected, abs=0.03)
            assert e.low <= expected <= e.high
        change = found["change", SEX].estimate
        assert change is not None
        assert change.value == found["synthetic", SEX].estimate.value - found["real", SEX].estimate.value  # type: ignore[union-attr]
        assert change.low <= 0 <= change.high


def test_a_planted_proxy_is_found_and_its_column_is_named() -> None:
    frames = three(people, 1000, 1)
    frames["synthetic"] = people(1000, 77, apart=1.5)
    found = measured(proxy, desk(sources=frames, groups=["sex", "race"]))
    change = found["change", SEX]
    assert change.estimate is not None
    assert change.estimate.low > 0.1
    assert change.floor is not None
    assert change.floor.value == 0
    farthest = found["change", ()]
    assert farthest.reason == "farthest from 0: sex"
    assert farthest.estimate is not None
    assert farthest.estimate.low > 0.05
    table = farthest.evidence[0]
    assert table.title in ("Columns that tell sex=F", "Columns that tell sex=M")
    name, lost, lost_real = table.rows[0]
    assert name == "a"
    assert lost > lost_real
    assert not farthest.decidable or farthest.better == "zero"


def test_lost_structure_is_a_change_below_zero() -> None:
    frames = three(people, 1000, 2)
    frames["train"], frames["holdout"] = people(1000, 21, 1.2), people(1000, 22, 1.2)
    e = values(desk(sources=frames, groups=["sex"]))["change", ()].estimate
    assert e is not None
    assert e.high < 0


def test_fresh_rows_are_not_alarmed() -> None:
    for seed in range(3):
        e = values(desk(sources=three(people, 400, 60 + seed), groups=["sex"]))["change", ()].estimate
        assert e is not None
        assert e.low <= 0 <= e.high


def test_columns_that_are_the_group_renamed_are_left_out() -> None:
    def tell(n: int, seed: int) -> pd.DataFrame:
        table = people(n, seed)
        age = np.round(np.random.default_rng(seed).normal(40, 10, n), 1)
        return table.assign(
            gender=np.where(table["sex"] == "F", "w", "m"),
            age=age,
            months=12 * age,
            noisy=age + 5 * table["b"],
            y=table["sex"],
        )

    view = desk(sources=three(tell, 500, 3), groups=["sex", "age"], label="y")
    assert set(copies_of(view, "sex")) == {"sex", "gender", "y"}
    assert set(copies_of(view, "age")) == {"age", "months", "y"}
    found = values(view)
    assert found["change", SEX].reason == "left out as copies of it: gender"
    assert found["change", (("age", None),)].reason == "left out as copies of it: months"
    real = found["real", SEX].estimate
    assert real is not None
    assert real.high < 0.8, "the renamed column would tell all"


def test_codes_that_tell_each_other_but_for_noise_are_renamed() -> None:
    rng = np.random.default_rng(0)
    one = rng.integers(0, 4, 2000)
    other = (one + 1) % 4
    assert renamed(one, other)
    other[:10] = rng.integers(0, 4, 10)
    assert renamed(one, other)
    assert not renamed(one, np.where(one == 3, 2, one))
    assert not renamed(one, np.arange(2000))
    assert not renamed(np.zeros(9, dtype=np.intp), np.zeros(9, dtype=np.intp))


def test_boosting_sees_what_columns_tell_together() -> None:
    def crossed(n: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(n, 2))
        return pd.DataFrame({"u": x[:, 0], "v": x[:, 1], "sex": np.where(x[:, 0] * x[:, 1] > 0, "F", "M")})

    view = desk(sources=three(crossed, 400, 4), groups=["sex"])
    (sex,) = partitions(view)
    linear, boosting = (separability(view, view.learning, sex, [0, 1], name).auc for name in ("linear", "boosting"))
    assert linear < 0.6 < 0.9 < boosting
    assert set(get_args(Learner)) == {"linear", "boosting"}


def test_the_same_seed_gives_the_same_numbers() -> None:
    frames = three(people, 300, 5)
    first, second = (values(desk(sources=frames, groups=["sex", "race"], seed=7)) for _ in range(2))
    assert first == second


def test_missing_groups_are_no_class_and_small_ones_are_left_to_the_rest() -> None:
    rng = np.random.default_rng(6)
    race = rng.choice(["p", "q", "r", ""], 3000, p=[0.5, 0.3, 0.01, 0.19])
    view = bench(*np.split(rng.normal(size=(3000, 3)), 3), groups={"race": race})
    e = values(view)["real", (("race", None),)].estimate
    assert e is not None
    assert 0.4 < e.value < 0.6


@pytest.mark.parametrize(
    ("group", "reason"),
    [
        (lambda rng, n: np.full(n, "F"), "has not two groups of 50 rows"),
        (lambda rng, n: rng.integers(0, 10_000, n).astype(np.str_), "has not two groups of 50 rows"),
        (lambda rng, n: np.where(np.arange(n) < 2 * n // 3, "M", rng.choice(["M"], n)), "has not two groups"),
    ],
)
def test_columns_of_no_two_groups_cannot_be_told(group: Any, reason: str) -> None:
    rng = np.random.default_rng(8)
    view = bench(*np.split(rng.normal(size=(900, 3)), 3), groups={"sex": group(rng, 900)})
    found = values(view)
    for place in (("change", SEX), ("change", ())):
        assert found[place].status == "not_assessable"
        assert found[place].reason.startswith("too few rows")
    assert reason in found["change", SEX].reason


def test_a_table_of_the_group_alone_has_nothing_to_tell_it_by() -> None:
    def only(n: int, seed: int) -> pd.DataFrame:
        return people(n, seed)[["sex"]].assign(gender=lambda t: t["sex"].str.lower())

    found = values(desk(sources=three(only, 300, 9), groups=["sex"]))
    assert found["change", SEX].status == "not_assessable"
    assert found["change", SEX].reason == "there is no column besides sex to tell it by"


def test_few_sources_cannot_be_held_out() -> None:
    rng = np.random.default_rng(10)
    view = bench(
        *np.split(rng.normal(size=(900, 3)), 3),
        groups={"sex": rng.choice(["F", "M"], 900)},
        clusters=np.repeat(np.arange(12), 75),
    )
    assert "fewer than 5 distinct rows or sources" in values(view)["change", SEX].reason
