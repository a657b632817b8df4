"""Rare rows: ratios against R's exact test, tails against quantiles, planted losses, what real data have not seen."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk, measured, three
from helpers.workbenches import bench
from scipy.spatial.distance import cdist
from scipy.stats import binom

import counterproof as cp
from counterproof.metrics.coverage._lost_values import Held, held_values, sure_values
from counterproof.metrics.coverage._rare_kinds import rare_kinds
from counterproof.metrics.coverage.rare import LIMIT, empty_alarm, faithful_kinds, rare, readings
from counterproof.metrics.errors import MetricError
from counterproof.metrics.metric import Value
from counterproof.metrics.statistics.missing_mass import unseen_mass
from counterproof.metrics.statistics.ratios import Count, ShareRatio, count_rows, empty_chance
from counterproof.metrics.workbench import Workbench

Place = tuple[str, tuple[tuple[str, str | None], ...]]
Frames = dict[str, pd.DataFrame]
NUMBERS = ["x0", "x1", "x2", "x3"]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))


def people(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.normal(size=(n, 4)) + 0.7 * rng.normal(size=(n, 1)), columns=NUMBERS)
    return table.assign(job=rng.choice(list("pqrst"), n, p=[0.5, 0.3, 0.13, 0.04, 0.03]))


def clipped(frames: Frames, columns: list[str]) -> Frames:
    made = frames["synthetic"].copy()
    for name in columns:
        made[name] = made[name].clip(*frames["train"][name].quantile([0.025, 0.975]))
    return frames | {"synthetic": made}


def values(view: Workbench, **options: Any) -> dict[Place, Value]:
    return {(v.field, v.group): v for v in rare.values(view, rare.configure(options))}


def audited(frames: Frames, **options: Any) -> cp.Record:
    return cp.audit(**frames, metrics=["coverage.rare"], **options)


def ratio(real: int, n_real: int, made: int, n_made: int) -> ShareRatio:
    return ShareRatio(real=Count(hits=real, rows=n_real), made=Count(hits=made, rows=n_made))


# -- ratios ---------------------------------------------------------------------------------------


def test_the_interval_is_that_of_rs_exact_rate_ratio_test() -> None:
    e = ratio(9, 16_660, 2, 17_877).estimate(0.95)
    assert (e.value, e.low, e.high) == pytest.approx((0.2070941557, 0.02177406, 1.00054910), rel=1e-6)


def test_the_ends_are_where_the_conditional_tests_reject() -> None:
    e = ratio(40, 2000, 11, 1000).estimate(0.9)
    for end, tail in ((e.low, binom.sf(10, 51, _share(e.low))), (e.high, binom.cdf(11, 51, _share(e.high)))):
        assert end > 0
        assert tail == pytest.approx(0.05, rel=1e-6)


def _share(true: float) -> float:
    return true * 1000 / (true * 1000 + 2000)


@pytest.mark.parametrize("true", [0.3, 1.0, 2.0])
def test_the_interval_holds_the_true_ratio(true: float) -> None:
    rng = np.random.default_rng(0)
    real, made = rng.binomial(2000, 0.01, 800), rng.binomial(1000, 0.01 * true, 800)
    found = [ratio(int(r), 2000, int(m), 1000).estimate(0.95) for r, m in zip(real, made, strict=True)]
    assert np.mean([e.low <= true <= e.high for e in found]) >= 0.945


def test_the_chance_of_an_empty_kind_is_that_of_dealing_rows_at_random() -> None:
    rng = np.random.default_rng(1)
    dealt = np.array([np.sort(rng.permutation(90)[:60])[:4].tolist() == [0, 1, 2, 3] for _ in range(20_000)])
    assert ratio(4, 60, 0, 30).empty_by_chance() == pytest.approx(dealt.mean(), abs=0.01)
    assert ratio(20, 1000, 0, 1000).empty_by_chance() == pytest.approx(math.comb(1980, 980) / math.comb(2000, 1000))


def test_rows_of_one_source_widen_the_interval() -> None:
    rng = np.random.default_rng(2)
    source = np.repeat(np.arange(300), 10)
    inside = (rng.random(300) < 0.1)[source]
    view = bench(*np.split(rng.normal(size=(3000, 2)), 3), clusters=source)
    alone = bench(*np.split(rng.normal(size=(3000, 2)), 3))
    together = count_rows(inside[:2000], view.real)
    assert together.swell == pytest.approx(10, rel=0.3)
    assert count_rows(inside[:2000], alone.real).swell == 1
    wide = ShareRatio(real=together, made=count_rows(inside[2000:], view.release)).estimate(0.95)
    narrow = ratio(int(inside[:2000].sum()), 2000, int(inside[2000:].sum()), 1000).estimate(0.95)
    assert wide.value == narrow.value
    assert wide.low < narrow.low < wide.value < narrow.high < wide.high


# -- tails ----------------------------------------------------------------------------------------


def test_tails_are_the_rows_beyond_the_outermost_percent() -> None:
    frames = three(people, 1000, 1)
    found = values(desk(sources=frames))
    real = pd.concat([frames["train"], frames["holdout"]])
    for name in NUMBERS:
        low, high = np.sort(real[name])[[19, 1980]]
        made = frames["synthetic"][name]
        for cell, rows in (("low", made <= low), ("high", made >= high), ("", (made <= low) | (made >= high))):
            group = (("column", name), *([("cell", cell)] if cell else []))
            value = found["tails", group]
            assert value.estimate is not None
            assert value.estimate.value == pytest.approx(rows.sum() / 1000 / (0.02 if not cell else 0.01))
            assert value.n["real"] == (40 if not cell else 20)
            assert not value.decidable


def test_clipped_tails_are_found_at_a_thousand_rows() -> None:
    for seed, columns in ((2, NUMBERS), (3, ["x2"])):
        record = audited(clipped(three(people, 1000, seed), columns))
        assert record.verdict == "fail"
        gate = next(gate for gate in record.gates if gate.field == "tails")
        failing = {cell.group["column"] for cell in gate.cells if cell.verdict == "fail"}
        assert failing == set(columns)
        assert "among its lowest or highest 1%; a faithful release of 1,000 rows would have about 20" in gate.why
        assert gate.why.startswith("No row with ")
        assert gate.why.split()[3] in columns
        assert record["coverage.rare"].evidence[0].rows[0][3] == 0


def test_fresh_rows_are_not_alarmed() -> None:
    alarms = []
    for seed in range(20):
        view = desk(sources=three(people, 1000, 10 + seed))
        found = readings(view, rare_kinds(view, rare=0.05, tail=0.01))
        alarms += [empty_alarm(reading, len(found)) for reading in found]
    assert len(alarms) >= 20 * 12
    assert not any(alarms)
    gates = {gate.field: gate.verdict for gate in audited(three(people, 500, 30)).gates}
    assert gates == {"lost": "pass", "tails": "undecided", "categories": "undecided"}


def test_large_tables_decide_and_most_of_the_tails_gone_fails() -> None:
    frames = three(people, 3000, 4)
    view = desk(sources=frames)
    decided = faithful_kinds(view, rare_kinds(view, rare=0.05, tail=0.01)).decidable
    assert (("column", "x0"),) in decided
    made = frames["synthetic"]
    ends = pd.concat([frames["train"], frames["holdout"]])["x1"].quantile([0.01, 0.99])
    outer = np.flatnonzero((made["x1"] < ends.iloc[0]) | (made["x1"] > ends.iloc[1]))
    made.loc[outer[5:], "x1"] = 0.1
    view = desk(sources=frames)
    found = readings(view, rare_kinds(view, rare=0.05, tail=0.01))
    thin = {r.name for r in found if r.ratio.estimate(0.95).bound("high", 1 - 0.05 / 40) < LIMIT}
    whole, (low, high) = "x1 among its lowest or highest 1%", (f"x1 {sign} " for sign in "≤≥")
    assert whole in thin
    assert all(name.startswith((low, high)) for name in thin - {whole})


def test_a_heap_of_equal_values_is_no_tail() -> None:
    def gains(n: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        amount = np.where(rng.random(n) < 0.9, 0.0, rng.exponential(100, n))
        return people(n, seed).assign(amount=amount, age=rng.integers(18, 90, n))

    found = values(desk(sources=three(gains, 1000, 5)))
    assert ("tails", (("column", "amount"), ("cell", "low"))) not in found
    assert ("tails", (("column", "amount"),)) not in found
    assert found["tails", (("column", "amount"), ("cell", "high"))].n["real"] == 20
    assert found["tails", (("column", "age"), ("cell", "low"))].n["real"] >= 20


# -- categories -----------------------------------------------------------------------------------


def test_rare_categories_are_held_against_their_real_share() -> None:
    frames = three(people, 1000, 6)
    found = values(desk(sources=frames))
    real, made = pd.concat([frames["train"], frames["holdout"]])["job"], frames["synthetic"]["job"]
    places = {group for field, group in found if field == "categories"}
    assert places == {(("column", "job"), ("cell", "s")), (("column", "job"), ("cell", "t"))}
    for place in places:
        e = found["categories", place].estimate
        assert e is not None
        assert e.value == pytest.approx((made == place[1][1]).mean() / (real == place[1][1]).mean())


def test_a_rare_kind_passes_as_often_as_is_said() -> None:
    rng = np.random.default_rng(4)
    for share, n in ((0.01, 3000), (0.02, 1500)):
        real, made = rng.binomial(2 * n, share, 300), rng.binomial(n, share, 300)
        both = [ratio(int(r), 2 * n, int(m), n) for r, m in zip(real, made, strict=True)]
        passed = np.mean([one.estimate(0.95).bound("low", 0.95) >= LIMIT for one in both])
        told = np.mean([one.pass_probability(n, LIMIT, 0.95) for one in both[:60]])
        assert told == pytest.approx(passed, abs=0.03)


def test_a_lost_category_fails() -> None:
    frames = three(people, 1000, 7)
    frames["synthetic"]["job"] = frames["synthetic"]["job"].replace("t", "p")
    record = audited(frames)
    real = pd.concat([frames["train"], frames["holdout"]])["job"]
    gate = next(gate for gate in record.gates if gate.field == "lost")
    assert (gate.verdict, gate.level, record.verdict) == ("fail", "fail", "fail")
    expected = round((real == "t").sum() / 2)
    assert gate.why == f"No row with job = t; a faithful release of 1,000 rows would have about {expected}."
    lost = record["coverage.rare.lost"]
    assert (lost.value, lost.reason) == (1, "of 5 values that a faithful release of this size surely has")
    assert lost.evidence[0].rows == [["job", "t", int((real == "t").sum()), pytest.approx(expected, abs=0.5)]]
    assert next(gate for gate in record.gates if gate.field == "categories").level == "warn"
    missed = record["coverage.rare.missed"]
    assert missed.value is not None
    assert missed.value > 0.1


def test_common_values_booleans_texts_and_missing_are_lost_too() -> None:
    def table(n: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        told = np.where(rng.random(n) < 0.2, "see file", [f"note {i}" for i in rng.integers(0, 10**9, n)])
        town = rng.choice(["north", "south", None], n, p=[0.6, 0.36, 0.04])
        return people(n, seed).assign(flag=rng.random(n) < 0.03, told=told, town=town)

    frames = three(table, 1000, 40)
    assert [value for held in held_values(desk(sources=frames)) for value in (held.column,)].count("told") == 1
    made = frames["synthetic"]
    made["job"] = made["job"].replace("p", "q")
    made["flag"] = False
    made["told"] = [f"other {i}" for i in range(len(made))]
    made["town"] = made["town"].fillna("north")
    found = values(desk(sources=frames))["lost", ()]
    assert [row[:2] for row in found.evidence[0].rows] == [
        ("job", "p"),
        ("told", "see file"),
        ("town", "(missing)"),
        ("flag", "True"),
    ]
    assert found.alarm.startswith("No row with job = p; a faithful release of 1,000 rows would have about 5")
    assert found.alarm.endswith("; 3 more values are missing.")


def test_a_value_that_chance_may_leave_out_is_not_lost() -> None:
    frames = three(people, 1000, 41)
    for at, frame in enumerate(frames.values()):
        frame.loc[: (9, 9, -1)[at], "job"] = "u"  # 20 of 2,000 real rows, none of 1,000: (2/3)^20 = 3e-4
    found = values(desk(sources=frames))["lost", ()]
    assert (found.alarm, found.estimate and found.estimate.value) == ("", 0)
    frames["train"].loc[:19, "job"] = "u"
    assert values(desk(sources=frames))["lost", ()].alarm.startswith("No row with job = u;")


def test_fresh_rows_lose_no_value_in_a_thousand_audits() -> None:
    """Long tails: thousands of values near the edge of what chance leaves out."""
    rng = np.random.default_rng(42)
    share = 1 / np.arange(1, 401) ** 1.1
    share /= share.sum()
    worst = []
    for _ in range(300):
        counts = rng.multinomial(3000, share)
        made = rng.multivariate_hypergeometric(counts, 1000)
        held = [
            Held(column="c", value=str(v), real=k - m, expected=k / 3, made=m, chance=empty_chance(k, 2000, 1000))
            for v, (k, m) in enumerate(zip(counts.tolist(), made.tolist(), strict=True))
            if k - m >= 10
        ]
        sure = sure_values(held)
        worst.append(sum(not one.made for one in sure))
        assert sum(one.chance for one in sure) <= 0.001
        assert 10 < len(sure) < len(held)
    assert sum(worst) == 0


def test_a_release_too_small_to_have_any_value_for_sure_is_too_few_to_say() -> None:
    frames = three(people, 1000, 43)
    found = values(desk(sources=frames | {"synthetic": frames["synthetic"].iloc[:4]}))["lost", ()]
    assert (found.status, found.decidable) == ("not_assessable", True)
    assert found.reason == "a faithful release of 4 rows may lack any value by chance"
    numbers = {role: frame[NUMBERS] for role, frame in frames.items()}
    assert values(desk(sources=numbers))["lost", ()].status == "not_applicable"


def test_a_category_of_few_real_rows_is_never_named() -> None:
    frames = three(people, 600, 8)
    frames["train"].loc[:7, "job"] = "zzsecret"
    hidden = audited(frames)
    assert "zzsecret" not in hidden.model_dump_json()
    assert values(desk(sources=frames))["lost", ()].alarm == ""
    assert ("categories", (("column", "job"), ("cell", "zzsecret"))) in values(desk(sources=frames, show_real=True))


def test_a_column_of_many_rare_values_is_one_kind() -> None:
    rng = np.random.default_rng(9)
    frames = three(people, 3000, 9)
    for frame in frames.values():
        frame["town"] = [f"t{i}" for i in rng.integers(0, 150, len(frame))]
    found = values(desk(sources=frames))
    towns = [group for field, group in found if field == "categories" and group[0][1] == "town"]
    assert len(towns) == 1
    assert towns[0][1][1].endswith("rare values together")  # type: ignore[union-attr]


def test_images_have_rare_classes_and_no_tails() -> None:
    rng = np.random.default_rng(10)
    labels = rng.choice(["cat", "dog", "owl"], 3000, p=[0.6, 0.37, 0.03])
    labels[2000:][labels[2000:] == "owl"] = "cat"
    view = bench(*np.split(rng.normal(size=(3000, 6)), 3), labels=labels, label="kind")
    found = values(view)
    owl = found["categories", (("column", "kind"), ("cell", "owl"))]
    assert owl.estimate is not None
    assert owl.estimate.value == 0
    assert found["lost", ()].alarm.startswith("No row with kind = owl; a faithful release of 1,000 rows")
    assert found["tails", ()].status == "not_applicable"


# -- sparse regions, the lowest, what is unseen -----------------------------------------------------


def test_sparse_regions_are_those_of_the_farthest_neighbours() -> None:
    rng = np.random.default_rng(11)
    parts = np.split(rng.normal(size=(1200, 3)), 3)
    parts[2] *= 0.7
    view = bench(*parts)
    real, made = view.reference.features, view.candidate.features
    own = np.sort(cdist(real, real), axis=1)[:, 5]
    edge = np.sort(own)[-21]
    expected = (np.sort(cdist(made, real), axis=1)[:, 4] > edge).mean() / 0.05
    e = values(view)["sparse", ()].estimate
    assert e is not None
    assert e.value == pytest.approx(expected)
    assert e.high < 0.8


def test_the_lowest_is_bounded_by_plain_lower_and_simultaneous_upper_ends() -> None:
    found = measured(rare, desk(sources=three(people, 1000, 12)))
    kinds = [
        m.estimate for (field, _), m in found.items() if field in ("tails", "categories") and m.decidable and m.estimate
    ]
    lowest = found["value", ()].estimate
    assert lowest is not None
    assert lowest.value == min(e.value for e in kinds)
    assert lowest.low == min(e.low for e in kinds)
    assert lowest.high > min(e.high for e in kinds)
    assert found["value", ()].floor is not None


def test_what_real_data_have_not_seen_is_told_for_rows_and_categories() -> None:
    found = values(desk(sources=three(people, 500, 13)))
    rows, jobs = found["unseen", ()].estimate, found["unseen", (("column", "job"),)].estimate
    assert rows is not None
    assert rows.value == 1.0
    assert jobs is not None
    assert (jobs.value, jobs.high < 0.005) == (0.0, True)


def test_no_singleton_in_2995_rows_leaves_a_thousandth() -> None:
    assert unseen_mass(np.array([2995])).bound("high", 0.95) == pytest.approx(0.001, abs=5e-5)


def test_the_unseen_mass_of_a_long_tail_is_held() -> None:
    rng = np.random.default_rng(14)
    p = 1 / np.arange(1, 5001) ** 1.3
    p /= p.sum()
    drawn = rng.multinomial(2000, p, 200)
    held = [e.low <= p[row == 0].sum() <= e.high for row in drawn for e in [unseen_mass(row)]]
    assert np.mean(held) >= 0.93
    assert np.mean([unseen_mass(row).value for row in drawn]) == pytest.approx(
        np.mean([p[r == 0].sum() for r in drawn]), rel=0.03
    )


# -- odd input ------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"tail": 0.0}, {"tail": 0.6}, {"rare": -1.0}, {"k": 0}])
def test_bad_options_are_said(options: dict[str, Any]) -> None:
    with pytest.raises(MetricError, match="Input should be"):
        values(desk(sources=three(people, 60, 15)), **options)


def test_small_odd_and_empty_columns_are_judged() -> None:
    def odd(n: int, seed: int) -> pd.DataFrame:
        table = people(n, seed)[["x0"]]
        return table.assign(
            gone=np.nan, one=3.0, flag=np.arange(n) % 2 == 0, some=np.where(np.arange(n) % 3, np.nan, 1.5)
        )

    found = values(desk(sources=three(odd, 40, 16)))
    assert found["value", ()].status == "not_assessable"
    assert found["tails", (("column", "x0"),)].reason.startswith("too few rows")
    assert audited(three(odd, 40, 16)).verdict in ("pass", "inconclusive")
    with pytest.raises(ValueError, match="needs a row"):
        unseen_mass(np.zeros(3, dtype=np.intp))
