"""Uncovered mass against brute force and its exact null, by group and crossing; planted holes; odd input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk, three
from helpers.workbenches import bench
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

import counterproof as cp
from counterproof.metrics.coverage.coverage import coverage
from counterproof.metrics.coverage.uncovered_mass import LIMIT, faithful_share, lacking, uncovered_mass
from counterproof.metrics.errors import MetricError
from counterproof.metrics.metric import Value
from counterproof.metrics.workbench import Workbench

Place = tuple[str, tuple[tuple[str, str | None], ...]]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))


def made(n: int = 400, seed: int = 0, m: int | None = None, **options: Any) -> Workbench:
    rng = np.random.default_rng(seed)
    m = n if m is None else m
    x = rng.normal(size=(2 * n + m, 4))
    groups = {
        "sex": rng.choice(["F", "M"], 2 * n + m, p=[0.4, 0.6]),
        "race": rng.choice(["a", "b", ""], 2 * n + m, p=[0.6, 0.35, 0.05]),
    }
    x[:, 0] += 1.5 * (groups["sex"] == "F")
    return bench(x[:n], x[n : 2 * n], x[2 * n :], groups=groups, seed=seed, **options)


def values(view: Workbench, k: int = 5) -> dict[Place, Value]:
    return {(v.field, v.group): v for v in uncovered_mass.values(view, {"k": k})}


def bare_rows(view: Workbench, k: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """By the definition, from full distance matrices."""
    real, release = view.reference.features, view.candidate.features
    radius = np.sort(cdist(real, real), axis=1)[:, k]
    return np.asarray(cdist(real, release).min(1) > radius * (1 + 1e-12))


@pytest.mark.parametrize(
    ("n", "m", "k", "covered"), [(1000, 1000, 5, 0.96898), (1000, 500, 5, 0.86897), (1000, 1000, 3, 0.87538)]
)
def test_the_exact_null_is_that_of_the_notes(n: int, m: int, k: int, covered: float) -> None:
    assert 1 - faithful_share(n, m, k) == pytest.approx(covered, abs=5e-6)


@pytest.mark.parametrize("k", [1, 5])
def test_shares_are_those_of_full_distance_matrices_in_every_group_and_crossing(k: int) -> None:
    view = made(intersections=2, m=300)
    found, bare = values(view, k), bare_rows(view, k)
    sex, race = (view.reference.group(name) for name in ("sex", "race"))
    table = pd.DataFrame({"sex": sex, "race": np.where(race == "", "(missing)", race), "bare": bare})
    assert found["value", ()].estimate.value == pytest.approx(bare.mean())  # type: ignore[union-attr]
    for columns in (["sex"], ["race"], ["sex", "race"]):
        for key, share in table.groupby(columns)["bare"].mean().items():
            group = tuple(zip(columns, key if isinstance(key, tuple) else (key,), strict=True))
            value = found["value", group]
            if value.estimate is not None:
                assert value.estimate.value == pytest.approx(share)
                assert value.estimate.low <= share <= value.estimate.high
    assert (
        sum(1 for field, group in found if field == "value" and len(group) == 2)
        == table.groupby(["sex", "race"]).ngroups
    )


def test_it_is_what_coverage_leaves() -> None:
    view = made(seed=1)
    (one,) = coverage.values(view, {"k": 5, "ties": "le"})
    assert one.estimate is not None
    assert values(view)["value", ()].estimate.value == pytest.approx(1 - one.estimate.value)  # type: ignore[union-attr]


def test_fresh_rows_leave_the_exact_share_in_every_group() -> None:
    drawn = []
    for seed in range(1000):
        rng = np.random.default_rng([seed, 1])
        x, group = rng.normal(size=(160, 3)), rng.random(160) < 0.3
        x[:, 0] += 2 * group
        tree, other = cKDTree(x[:80]), cKDTree(x[80:])
        bare = other.query(x[:80], 1)[0] > tree.query(x[:80], 4)[0][:, -1]
        drawn.append([bare.sum(), bare[group[:80]].sum(), 80, group[:80].sum()])
    totals, expected = np.sum(drawn, axis=0), faithful_share(80, 80, 3)
    assert totals[0] / totals[2] == pytest.approx(expected, abs=0.005)
    assert totals[1] / totals[3] == pytest.approx(expected, abs=0.007)


def holed(n: int, seed: int) -> dict[str, pd.DataFrame]:
    frames = three(people, n, seed)
    release = frames["synthetic"]
    release.loc[release["race"] == "c", ["x", "y"]] -= 4.0  # looks like everyone else
    return frames


def people(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    race = rng.choice(["a", "b", "c"], n, p=[0.6, 0.25, 0.15])
    shift = 4.0 * (race == "c")
    return pd.DataFrame({"x": rng.normal(size=n) + shift, "y": rng.normal(size=n) + shift, "race": race})


def audited(frames: dict[str, pd.DataFrame], **options: Any) -> cp.Record:
    """By the gate that the policy only warns with."""
    gates = ["coverage.uncovered_mass.worst_excess <= 0.2"]
    return cp.audit(**frames, metrics=["coverage.uncovered_mass"], gates=gates, **options)


def test_a_group_whose_region_is_bare_fails_and_is_named() -> None:
    record = audited(holed(1000, 1), groups=["race"])
    assert record.verdict == "fail"
    worst = record["coverage.uncovered_mass.worst"]
    assert worst.reason == "worst: race=c"
    assert worst.floor is not None
    assert worst.low is not None
    assert worst.low > worst.floor.value + 0.2
    assert record["coverage.uncovered_mass"].evidence[0].rows[0][0] == "race=c"


def test_fresh_rows_pass() -> None:
    assert [audited(three(people, 1000, seed), groups=["race"]).verdict for seed in (2, 3)] == ["pass", "pass"]


def test_a_small_group_is_told_but_decides_nothing_and_a_tiny_one_is_hidden() -> None:
    rng = np.random.default_rng(3)
    n = 1000
    race = rng.choice(["a", "b"], 3 * n).astype("U5")
    race[: 2 * n : 40] = "small"  # 50 real rows, 25 of them in the holdout
    race[1 : 2 * n : 400] = "tiny"  # 5 real rows
    view = bench(*np.split(rng.normal(size=(3 * n, 3)), 3), groups={"race": race})
    found = values(view)
    small, tiny = found["value", (("race", "small"),)], found["value", (("race", "tiny"),)]
    assert small.estimate is not None
    assert not small.decidable
    assert small.reason.startswith("too few rows")
    assert (tiny.status, tiny.estimate, dict(tiny.n)) == ("not_assessable", None, {})
    assert tiny.reason == "too few rows: fewer than 10 real rows"
    rows = found["value", ()].evidence[0].rows
    assert [row for row in rows if "tiny" in row[0]] == [("race=tiny: too few rows", None, None, None, None)]
    assert "worst of 2" in found["worst", ()].estimate.method  # type: ignore[union-attr]


def test_the_worst_is_bounded_by_plain_upper_and_simultaneous_lower_ends() -> None:
    view = made(600, 4, intersections=2)
    groups = [one for one in lacking(view, 5)[1:] if one.decidable]
    worst = values(view)["worst", ()].estimate
    assert len(groups) >= 3
    assert worst is not None
    assert worst.high == max(one.estimate(0.95).high for one in groups)
    assert worst.low == max(one.estimate(0.95 ** (1 / len(groups))).low for one in groups)
    assert min(one.rows for one in groups) > max([one.rows for one in lacking(view, 5)[1:] if not one.decidable] or [0])


def test_the_groups_that_decide_pass_together_where_rows_are_fresh() -> None:
    rng = np.random.default_rng(9)
    share, passed = np.array([0.6, 0.2, 0.1, 0.05, 0.03, 0.02]), []
    for seed in range(20):
        race = rng.choice(list("abcdef"), 1500, p=share)
        view = bench(*np.split(rng.normal(size=(1500, 3)), 3), groups={"race": race}, seed=seed)
        decided = [one for one in lacking(view, 5)[1:] if one.decidable]
        names = {one.group[0][1] for one in decided}
        assert "a" in names
        assert not names & set("def")
        passed.append(all(one.estimate(0.95).bound("high", 0.95) <= 0.03 + LIMIT for one in decided))
    assert sum(passed) >= 19


def test_rows_of_one_source_count_less() -> None:
    rng = np.random.default_rng(5)
    n, of = 400, 10
    source = np.repeat(np.arange(3 * n // of), of)
    x = rng.normal(size=(len(source) // of, 3))[source] + 0.05 * rng.normal(size=(3 * n, 3))
    parts = np.split(x, 3)
    alone, together = (values(bench(*parts, **how))["value", ()].estimate for how in ({}, {"clusters": source}))
    assert alone is not None
    assert together is not None
    assert together.value == alone.value
    assert together.high - together.low > 1.3 * (alone.high - alone.low)


def test_without_groups_there_is_no_worst_and_the_gate_does_not_apply() -> None:
    record = audited(three(people, 300, 6))
    assert record["coverage.uncovered_mass.worst"].status == "not_applicable"
    assert [gate.verdict for gate in record.gates] == ["not_applicable", "not_applicable"]


def test_bad_input_is_said() -> None:
    with pytest.raises(MetricError, match="k = 0 is no neighbour"):
        values(made(), k=0)
    few = made(11)
    (only,) = uncovered_mass.values(few, {"k": 5})
    assert only.status == "not_assessable"
    assert "12 rows on each side" in only.reason


def test_a_group_absent_in_the_holdout_and_ten_thousand_values_do_no_harm() -> None:
    frames = three(people, 600, 7)
    frames["holdout"] = frames["holdout"][frames["holdout"]["race"] != "c"]
    for frame in frames.values():
        frame["id"] = [f"v{i}" for i in np.random.default_rng(len(frame)).integers(0, 10_000, len(frame))]
    view = desk(sources=frames, groups=["race", "id"], intersections=2)
    found = values(view)
    gone = found["value", (("race", "c"),)]
    assert (gone.status, gone.decidable) == ("not_assessable", False)
    assert gone.reason == "too few rows: no real row on this side"
    assert found["worst", ()].estimate is not None


def test_of_very_many_crossings_the_small_ones_are_counted() -> None:
    rng = np.random.default_rng(8)
    n = 900
    groups = {name: rng.choice([f"{name}{i}" for i in range(12)], 3 * n) for name in "ab"}
    groups["sex"] = rng.choice(["F", "M"], 3 * n)
    view = bench(*np.split(rng.normal(size=(3 * n, 3)), 3), groups=groups, intersections=3)
    found = values(view)
    places = [group for field, group in found if field == "value" and group]
    assert len(places) == 12 + 12 + 2
    assert found["worst", ()].reason.endswith("smaller crossings: too few rows")
