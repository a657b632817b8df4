"""Column distributions against scipy and written-out sums; what the panel and the evidence may show."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk, measured, three
from numpy.testing import assert_allclose
from scipy.stats import binomtest, ks_2samp, norm

import counterproof as cp
from counterproof.metrics.fidelity.marginals import (
    _log_chance,
    kolmogorov_smirnov,
    level_error,
    marginals,
    total_variation,
)
from counterproof.metrics.metric import Value
from counterproof.metrics.shared.column_histograms import _hidden, column_panel
from counterproof.reports.record import Record

Frames = dict[str, pd.DataFrame]
Flaw = Callable[[pd.DataFrame, np.random.Generator], None]


def people(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": rng.normal(40, 12, n).round(1),
            "income": rng.lognormal(10, 1, n),
            "city": rng.choice(list("ABCDE"), n, p=[0.4, 0.3, 0.15, 0.1, 0.05]),
            "job": rng.choice(["clerk", "cook", "judge"], n, p=[0.5, 0.3, 0.2]),
        }
    )
    frame.loc[rng.random(n) < 0.1, "income"] = np.nan
    frame.loc[rng.random(n) < 0.1, "job"] = None
    return frame


def values(frames: Frames, **run: Any) -> dict[tuple[str, str], Value]:
    """What the metric yields, by field and column ("" for the table as a whole)."""
    found = marginals.values(desk(sources=frames, **run), {})
    return {(v.field, v.group[0][1] or "" if v.group else ""): v for v in found}


def point(value: Value) -> float:
    assert value.estimate is not None
    return value.estimate.value


@pytest.mark.parametrize("seed", range(4))
def test_kolmogorov_smirnov_is_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=211), rng.normal(0.3, 1.2, size=150)
    if seed % 2:
        x, y = x.round(1), y.round(1)  # ties within and across
    found = kolmogorov_smirnov(np.append(x, np.nan), y)
    assert found.value == pytest.approx(float(ks_2samp(x, y).statistic), abs=1e-12)
    assert 0 < found.error < 0.1


@pytest.mark.parametrize("seed", range(3))
def test_total_variation_is_half_the_sum_of_share_differences(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 6, 90).astype(np.int32), rng.integers(1, 8, 70).astype(np.int32)
    half = sum(abs((x == code).mean() - (y == code).mean()) for code in range(8)) / 2
    assert total_variation(x, y).value == pytest.approx(half, abs=1e-12)
    assert total_variation(x, x).value == 0.0
    assert total_variation(x * 0, y * 0 + 1).value == 1.0


def test_the_interval_covers_a_distance_that_is_known() -> None:
    rng = np.random.default_rng(5)
    truth = 2 * norm.cdf(0.5) - 1  # of two unit normals one apart
    covered = 0
    for _ in range(200):
        found = kolmogorov_smirnov(rng.normal(size=400), rng.normal(1, 1, size=400)).estimate(0.95, "")
        covered += found.low <= truth <= found.high
    assert covered >= 182  # P(X < 182) < 0.01 at 0.95: a plug-in maximum is a little high, its error a little wide


def test_columns_of_an_audit_are_those_of_the_raw_table() -> None:
    frames = three(people, 600, 1)
    frames["synthetic"]["age"] *= 1.1
    found = values(frames)
    real, made = frames["holdout"], frames["synthetic"]
    for name in ("age", "income"):
        expected = float(ks_2samp(real[name].dropna(), made[name].dropna()).statistic)
        assert point(found["value", name]) == pytest.approx(expected, abs=1e-9)
    for name in ("city", "job"):
        shares = [f[name].fillna("?").value_counts(normalize=True) for f in (real, made)]
        expected = float(shares[0].sub(shares[1], fill_value=0).abs().sum()) / 2
        assert point(found["value", name]) == pytest.approx(expected, abs=1e-12)
    worst = max(("age", "income", "city", "job"), key=lambda name: point(found["value", name]))
    assert point(found["value", ""]) == point(found["value", worst])
    assert found["value", ""].reason == f"the worst column is {worst}"


def test_missing_rates_are_compared_by_themselves() -> None:
    frames = three(people, 400, 2)
    frames["synthetic"]["income"] = frames["synthetic"]["income"].fillna(1.0)
    found = values(frames)
    rate = float(frames["holdout"]["income"].isna().mean())
    missing = found["missing", "income"].estimate
    assert missing is not None
    assert missing.value == pytest.approx(rate)
    assert missing.low > 0
    assert ("missing", "age") not in found
    bare = {role: frame[["age", "city"]] for role, frame in frames.items()}
    assert values(bare)["missing", ""].status == "not_applicable"


def test_unseen_and_lost_categories_are_counted_exactly() -> None:
    frames = three(people, 500, 3)
    frames["synthetic"].loc[:6, "city"] = "Z"
    frames["synthetic"].loc[5:9, "job"] = "pilot"  # two rows have both: a row counts once
    frames["synthetic"]["city"] = frames["synthetic"]["city"].replace("E", "A")
    found = values(frames)
    lost = int((frames["holdout"]["city"] == "E").sum())
    for field, k in (("unseen", 10), ("lost", lost)):
        estimate = found[field, ""].estimate
        assert estimate is not None
        exact = binomtest(k, 500).proportion_ci(0.95, method="exact")
        assert_allclose([estimate.value, estimate.low, estimate.high], [k / 500, exact.low, exact.high], rtol=1e-9)
    assert found["unseen", ""].evidence[0].rows == (("city", "Z", 7), ("job", "pilot", 5))
    real = int(sum((frames[role]["city"] == "E").sum() for role in ("train", "holdout")))
    assert found["lost", ""].evidence[0].rows == (("city", "E", real),)


def test_a_category_that_only_train_has_counts_as_on_the_floor_and_is_not_named() -> None:
    frames = three(people, 300, 4)
    frames["train"].loc[0, "city"] = "Q"
    frames["synthetic"].loc[:4, "city"] = "Q"
    found = values(frames)["unseen", ""]
    assert point(found) == pytest.approx(5 / 300)
    assert found.evidence == ()


def test_missing_is_a_category_that_can_be_invented() -> None:
    frames = three(people, 300, 5)
    for role in ("train", "holdout"):
        frames[role]["city"] = frames[role]["city"].replace({"E": "A"})
    frames["synthetic"]["city"] = frames["synthetic"]["city"].replace({"E": None})
    rows = values(frames)["unseen", ""].evidence[0].rows
    assert rows == (("city", "(missing)", int(frames["synthetic"]["city"].isna().sum())),)


def with_rare() -> Frames:
    frames = three(people, 400, 6)
    frames["train"].loc[:2, "city"] = "hermitage"
    frames["holdout"].loc[:1, "job"] = "executioner"
    frames["synthetic"]["city"] = frames["synthetic"]["city"].replace("D", "A")
    return frames


def test_rare_lost_categories_are_counted_but_not_named() -> None:
    hidden = values(with_rare())["lost", ""].evidence[0]
    assert hidden.title == "3 real categories that the release never has"
    assert "hermitage" not in repr(hidden)
    assert "executioner" not in repr(hidden)
    assert [row[:2] for row in hidden.rows] == [("city", "D"), ("city", "1 more, hidden"), ("job", "1 more, hidden")]
    assert not hidden.shows_real
    shown = values(with_rare(), show_real=True)["lost", ""].evidence[0]
    assert shown.rows[1:] == (("city", "hermitage", 3), ("job", "executioner", 2))
    assert shown.shows_real


def panel(frames: Frames) -> dict[str, dict[str, Any]]:
    drawn = column_panel(desk(sources=frames), dict.fromkeys(frames["train"], 0.1))
    return {column["column"]: column for column in drawn.data["columns"]}


def test_the_panel_hides_rare_real_values_and_bars() -> None:
    frames = with_rare()
    frames["holdout"].loc[:8, "city"] = "nine rows"
    found = panel(frames)
    assert "nine rows" not in found["city"]["labels"]
    assert "executioner" not in found["job"]["labels"]
    for column in found.values():
        real = frames["holdout"][column["column"]]
        for bar in column["real"]:
            assert bar is None or bar == 0 or bar * len(real) >= 10 - 1e-9
    shares = frames["synthetic"]["city"].value_counts(normalize=True)
    for label, share in zip(found["city"]["labels"], found["city"]["synthetic"], strict=True):
        if label in shares:
            assert share == pytest.approx(shares[label])


def test_of_few_real_rows_the_panel_shows_one_bin() -> None:
    frames = three(people, 39, 7)
    found = panel(frames)
    assert found["age"]["labels"] == ["all values"]
    assert found["age"]["real"] == found["age"]["synthetic"] == [1.0]
    assert found["income"]["labels"] == ["all values", "missing"]
    assert panel(three(people, 40, 7))["age"]["labels"] != ["all values"]


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ({"A": 200, "B": 90, "C": 10}, ["A", "B", "C"]),
        ({"A": 200, "B": 90, "rare": 10 - 3}, ["A"]),  # 297 - 290 would tell it
        ({"A": 200, "B": 90, "C": 30, "rare": 3, "rarer": 1}, ["A", "B"]),
    ],
)
def test_no_hidden_bar_is_what_the_others_leave(counts: dict[str, int], shown: list[str]) -> None:
    column = np.repeat(list(counts), list(counts.values()))
    real = pd.DataFrame({"city": column, "x": np.random.default_rng(0).normal(size=len(column))})
    drawn = panel({"train": real.sample(frac=1, random_state=0), "holdout": real, "synthetic": real})["city"]
    told = dict(zip(drawn["labels"], drawn["real"], strict=True))
    assert [label for label, share in told.items() if share] == shown
    hidden = 1 - sum(share for share in told.values() if share is not None)
    assert hidden < 1e-9 or (hidden * len(real) >= 10 and list(told.values()).count(None) >= 2)


def test_bars_that_are_few_together_hide_another() -> None:
    assert _hidden(np.array([50, 20, 3, 0, 2]), 10).tolist() == [False, True, True, False, True]
    assert _hidden(np.array([50, 20, 6, 0, 5]), 10).tolist() == [False, False, True, False, True]
    assert _hidden(np.array([3, 0]), 10).tolist() == [True, False]
    assert not _hidden(np.array([50, 20, 0]), 10).any()


@pytest.mark.parametrize("never", ["9999-12-31", "0001-01-01"])
def test_dates_that_stand_for_never_are_drawn(never: str) -> None:
    days = np.array([never, "2000-01-01", "2000-01-02"] * 40, dtype="datetime64[us]")
    frame = pd.DataFrame({"until": days, "x": np.random.default_rng(0).normal(size=120)})
    labels = panel({"train": frame, "holdout": frame, "synthetic": frame})["until"]["labels"]
    assert any(never in label for label in labels)


@pytest.mark.parametrize("n", [41, 60, 400])
def test_the_panel_never_shows_a_real_extreme(n: int) -> None:
    frames = three(people, n, 7)
    frames["holdout"].loc[0, "age"], frames["holdout"].loc[1, "age"] = 119.7, -3.3
    labels = panel(frames)["age"]["labels"]
    ages = np.sort(frames["holdout"]["age"])
    low, high = float(labels[0].removeprefix("< ")), float(labels[-1].removeprefix("≥ "))
    assert (ages < low + 1e-3).sum() >= 10
    assert (ages > high - 0.06).sum() >= 10  # labels carry four digits


# -- what the default policy makes of it -----------------------------------------------------------


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))


def audited(frames: Frames) -> Record:
    return cp.audit(**frames, metrics=["fidelity.marginals"])


def verdicts(record: Record) -> dict[str, str]:
    return {gate.field: gate.verdict for gate in record.gates}


@pytest.mark.parametrize("seed", [11, 12])
def test_fresh_rows_pass(seed: int) -> None:
    record = audited(three(people, 800, seed))
    assert record.verdict == "pass"
    assert not record.warnings
    assert set(verdicts(record).values()) == {"pass"}


def shifted(frame: pd.DataFrame, rng: np.random.Generator) -> None:
    frame["age"] += 12


def invented(frame: pd.DataFrame, rng: np.random.Generator) -> None:
    frame.loc[rng.permutation(len(frame))[: len(frame) // 20], "job"] = "unheard of"


def beyond(frame: pd.DataFrame, rng: np.random.Generator) -> None:
    frame.loc[rng.permutation(len(frame))[: len(frame) // 25], "age"] = 140.0


def misspelt(frame: pd.DataFrame, rng: np.random.Generator) -> None:
    rows = rng.permutation(len(frame))[: len(frame) // 20]
    frame.loc[rows, "job"] = [f"clerk{row}" for row in rows]


def filled(frame: pd.DataFrame, rng: np.random.Generator) -> None:
    frame.loc[rng.random(len(frame)) < 0.35, "income"] = np.nan


@pytest.mark.parametrize(
    ("flaw", "field"),
    [
        (shifted, "excess"),
        (invented, "invented"),
        (beyond, "invented"),
        (misspelt, "unseen_excess"),
        (filled, "missing_excess"),
    ],
)
def test_planted_flaws_fail(flaw: Flaw, field: str) -> None:
    frames = three(people, 800, 13)
    flaw(frames["synthetic"], np.random.default_rng(0))
    record = audited(frames)
    assert record.verdict == "fail"
    assert {name for name, verdict in verdicts(record).items() if verdict == "fail"} == {field}


@pytest.mark.parametrize(
    ("constant", "made", "field"), [(5.0, 5.001, "excess"), ("US", "Mars", "excess"), ("US", "Mars", "invented")]
)
def test_columns_that_real_rows_hold_constant_are_judged(constant: Any, made: Any, field: str) -> None:
    frames = {role: frame.assign(k=constant) for role, frame in three(people, 800, 11).items()}
    assert audited(frames).verdict == "pass"
    frames["synthetic"]["k"] = made
    record = audited(frames)
    assert verdicts(record)[field] == "fail"
    assert point(values(frames)["value", "k"]) == 1.0


def test_an_unseen_category_in_two_percent_of_rows_fails() -> None:
    frames = three(people, 3000, 14)
    frames["synthetic"].loc[np.random.default_rng(0).permutation(3000)[:60], "job"] = "unheard of"
    assert verdicts(audited(frames))["invented"] == "fail"


def surnames(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    common, rare = rng.integers(0, 30, n), rng.integers(0, 2000, n)
    names = np.where(rng.random(n) < 0.5, np.char.add("c", common.astype(str)), np.char.add("r", rare.astype(str)))
    return pd.DataFrame({"name": names, "age": rng.normal(size=n)})


def test_invented_categories_fail_beside_a_long_tail_and_fresh_rows_do_not() -> None:
    frames = three(surnames, 1500, 3)
    fresh = audited(frames)
    assert "fail" not in verdicts(fresh).values()
    assert verdicts(fresh)["invented"] == "pass"
    frames["synthetic"].loc[:59, "name"] = "GARBAGE"  # 4 %, where four rows in ten have a name that the holdout lacks
    record = audited(frames)
    assert verdicts(record)["invented"] == "fail"
    assert verdicts(record)["unseen_excess"] != "fail"  # one flaw fails one gate
    found = values(frames)
    assert point(found["invented", "name"]) == 60 / 1500
    assert found["unseen", ""].evidence[0].rows[0] == ("name", "GARBAGE", 60)
    assert found["invented", ""].evidence[0].rows == (("name", "categories that no real row has", 60),)


def test_values_beyond_the_real_range_are_invented_unless_chance_explains_them() -> None:
    frames = three(people, 500, 3)
    frames["synthetic"].loc[:4, "age"] = 140.0  # each of the five greatest of 1500 in the release: (1/3)^5
    assert point(values(frames)["invented", "age"]) == 0
    frames["synthetic"].loc[:39, "age"] = 140.0
    frames["synthetic"].loc[40:59, "income"] = -1.0
    found = values(frames)
    least = min(frames[role]["income"].min() for role in ("train", "holdout"))
    below = int((frames["synthetic"]["income"] < least).sum())
    assert 20 <= below <= 22
    assert (point(found["invented", "age"]), point(found["invented", "income"])) == (40 / 500, below / 500)
    assert point(found["invented", ""]) == pytest.approx((40 + below) / 500)


def test_rows_of_one_source_bring_an_unseen_category_together() -> None:
    frames = {role: frame.assign(person=np.arange(500) // 25) for role, frame in three(people, 500, 3).items()}
    frames["synthetic"].loc[:49, "city"] = "Z"  # 50 rows, but two people of twenty
    alike = values(frames)
    assert point(alike["invented", "city"]) == 50 / 500
    found = {
        (v.field, v.group[0][1] if v.group else ""): v
        for v in marginals.values(desk(sources=frames, cluster="person"), {})
    }
    assert point(found["invented", "city"]) == 0
    assert point(found["unseen", "city"]) == 50 / 500


def test_the_error_of_unseen_shares_is_that_of_their_excess_over_the_floor() -> None:
    rng, n = np.random.default_rng(0), 400
    beyond, errors = [], []
    for _ in range(150):
        rows = rng.integers(0, 800, 3 * n)
        real, made = rows[: 2 * n], rows[2 * n :]
        splits = [rng.permutation(real) for _ in range(20)]
        floor = np.mean([(~np.isin(split[n:], split[:n])).mean() for split in splits])
        unseen = (~np.isin(made, real[:n])).mean()
        beyond.append(unseen - floor)
        errors.append(math.hypot(level_error(np.bincount(real), 0.5), math.sqrt(unseen * (1 - unseen) / n)))
    assert np.std(beyond) == pytest.approx(np.mean(errors), rel=0.15)
    assert np.std(beyond) > 1.15 * math.sqrt(0.6 * 0.4 / n)  # the binomial error alone would be too small


def test_chance_is_that_of_drawing_without_replacement() -> None:
    assert math.exp(_log_chance(2, 3, 4)) == pytest.approx(3 / 7 * 2 / 6)
    assert _log_chance(0, 5, 9) == 0


def test_dropped_categories_warn_and_do_not_stop_a_release() -> None:
    frames = three(people, 2500, 15)
    frames["synthetic"]["city"] = frames["synthetic"]["city"].replace("E", "D")
    record = audited(frames)
    assert record.verdict == "pass"
    assert verdicts(record)["lost_excess"] == "fail"
    assert len(record.warnings) == 1


def test_the_engine_sets_each_column_against_its_own_floor() -> None:
    frames = three(people, 500, 16)
    bench = desk(sources=frames)
    found = measured(marginals, bench)
    age = found["value", (("column", "age"),)]
    drawn = []
    for draw in range(20):
        view = bench.resplit(draw)
        drawn.append(ks_2samp(view.reference.frame["age"], view.candidate.frame["age"]).statistic)
    assert age.floor is not None
    assert age.floor.value == pytest.approx(np.mean(drawn), abs=1e-9)
    assert age.floor.spread == pytest.approx(np.std(drawn, ddof=1), abs=1e-9)
    beyond = found["excess", (("column", "age"),)].estimate
    assert beyond is not None
    assert age.estimate is not None
    assert beyond.value == pytest.approx(age.estimate.value - age.floor.value, abs=1e-12)


def test_a_table_of_numbers_alone_has_no_category_to_miss() -> None:
    frames = {role: frame[["age", "income"]] for role, frame in three(people, 50, 0).items()}
    found = values(frames)
    assert [found[field, ""].status for field in ("unseen", "lost")] == ["not_applicable", "not_applicable"]
    assert found["value", ""].status == "measured"


# -- numbers that real rows share: codes, counts, ages ---------------------------------------------------


def coded(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "code": rng.choice([1, 2, 3, 5, 8], n),
            "age": rng.integers(18, 80, n),
            "visits": rng.poisson(3, n),
            "tail": rng.zipf(1.8, n).astype(float),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 60, n), "D"),
            "pay": rng.lognormal(7, 0.4, n).round(2),
        }
    )


@pytest.mark.parametrize(("n", "seed"), [(800, 0), (2000, 1), (5000, 2)])
def test_fresh_codes_counts_and_long_tails_bring_nothing_that_alarms(n: int, seed: int) -> None:
    found = verdicts(audited(three(coded, n, seed)))
    assert "fail" not in found.values()
    assert found["invented"] == found["unseen_excess"] == "pass" if n > 1000 else True


def unheard(frame: pd.DataFrame) -> None:
    frame.loc[:79, "code"] = 4


def wrong_day(frame: pd.DataFrame) -> None:
    frame["day"] += pd.Timedelta(hours=1)


def broken(frame: pd.DataFrame) -> None:
    frame["age"] = frame["age"] + 0.25


def few_broken(frame: pd.DataFrame) -> None:
    frame["tail"] = frame["tail"].where(np.arange(len(frame)) >= 80, 1.5)


def many_codes(frame: pd.DataFrame) -> None:
    frame.loc[:99, "code"] = 10 + np.arange(100)


def below_zero(frame: pd.DataFrame) -> None:
    frame.loc[:79, "visits"] = -1


@pytest.mark.parametrize("spoil", [unheard, wrong_day, broken, few_broken, many_codes, below_zero])
def test_numbers_that_real_data_never_hold_fail_the_unseen_share(spoil: Callable[[pd.DataFrame], None]) -> None:
    frames = three(coded, 2000, 5)
    spoil(frames["synthetic"])
    found = verdicts(audited(frames))
    assert "fail" in (found["invented"], found["unseen_excess"])


def test_a_code_never_seen_is_told_with_its_rows() -> None:
    frames = three(coded, 2000, 5)
    unheard(frames["synthetic"])
    found = values(frames)
    assert point(found["invented", "code"]) == 80 / 2000
    assert found["invented", ""].evidence[0].rows == (("code", "numbers that no real row has", 80),)
    assert found["unseen", ""].evidence[0].rows[0] == ("code", "4", 80)


def test_numbers_that_no_rows_share_are_looked_at_by_their_range_alone() -> None:
    frames = three(coded, 800, 7)
    frames["synthetic"]["pay"] = frames["synthetic"]["pay"].round(1)
    found = values(frames)
    assert ("unseen", "pay") not in found
    assert point(found["invented", "pay"]) == 0


def test_close_numbers_are_told_apart_beside_a_huge_one() -> None:
    frames = three(coded, 2000, 5)
    for role in ("train", "holdout"):
        frames[role].loc[:49, "code"] = 10**12  # in single precision the ranks of 8 and 9 are one
    frames["synthetic"].loc[:49, "code"] = 10**12
    frames["synthetic"].loc[50:129, "code"] = 9
    assert point(values(frames)["invented", "code"]) == 80 / 2000
