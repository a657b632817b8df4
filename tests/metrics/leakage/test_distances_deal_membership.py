"""The descriptive leakage metrics against written-out searches; their nulls are dealt membership; bad input is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk, measured, normal_rows, three
from helpers.workbenches import bench
from numpy.testing import assert_allclose
from scipy.spatial.distance import cdist
from scipy.special import comb, logsumexp

import counterproof as cp
from counterproof.metrics.errors import MetricError
from counterproof.metrics.leakage._distances.known_neighbours import (
    Proximity,
    among,
    below,
    members_of,
    pool_of,
    proximity_of,
)
from counterproof.metrics.leakage.authenticity import authenticity
from counterproof.metrics.leakage.closer_to_train import closer_to_train, credit, missed
from counterproof.metrics.leakage.data_copying import copying_test
from counterproof.metrics.leakage.likelihood_gap import MIXTURE, bandwidths, likelihood_gap, log_likelihood
from counterproof.metrics.leakage.nearest_neighbour_ratio import nearest_neighbour_ratio
from counterproof.metrics.metric import Metric, Value
from counterproof.metrics.workbench import Workbench

METRICS = (closer_to_train, nearest_neighbour_ratio, copying_test, authenticity, likelihood_gap)
Array = Any


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))


def values(metric: Metric, view: Workbench) -> dict[str, Value]:
    return {v.field: v for v in metric.values(view, metric.configure({})) if not v.group}


def value(metric: Metric, view: Workbench) -> float:
    found = values(metric, view)["value"]
    assert found.estimate is not None, found.reason
    return found.estimate.value


def normal(*sizes: int, d: int = 6, seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, d)) for n in sizes]


# -- against written-out searches ------------------------------------------------------------------


def test_the_share_is_that_of_a_written_out_search() -> None:
    train, holdout, made = normal(150, 150, 90)
    share = (cdist(made, train).min(1) < cdist(made, holdout).min(1)).mean()
    assert value(closer_to_train, bench(train, holdout, made)) == pytest.approx(share)


@pytest.mark.parametrize("sizes", [(200, 60), (60, 200)])
def test_sizes_are_matched_as_by_many_draws_of_the_larger_side(sizes: tuple[int, int]) -> None:
    train, holdout, made = normal(*sizes, 80, seed=1)
    rng, least = np.random.default_rng(0), min(sizes)
    to_train, to_holdout = cdist(made, train), cdist(made, holdout)
    drawn = []
    for _ in range(2000):
        some = [rng.permutation(size)[:least] for size in sizes]
        drawn.append((to_train[:, some[0]].min(1) < to_holdout[:, some[1]].min(1)).mean())
    found = value(closer_to_train, bench(train, holdout, made))
    assert found == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / np.sqrt(2000))


def test_missed_is_a_ratio_of_binomial_coefficients() -> None:
    expected = [comb(30 - j, 12) / comb(30, 12) for j in range(10)]
    assert_allclose(missed(30, 12, 9), expected)


def test_ties_count_one_half_wherever_the_rows_stand() -> None:
    grid = np.random.default_rng(0).integers(0, 12, size=(3, 200, 2)).astype(float)
    train, holdout = (cdist(grid[2], grid[side]).min(1) for side in (0, 1))
    share = ((train < holdout) + 0.5 * (train == holdout)).mean()
    assert (train == holdout).any()
    assert value(closer_to_train, bench(grid[0], grid[1], grid[2])) == pytest.approx(share)
    assert value(closer_to_train, bench(grid[1], grid[0], grid[2])) == pytest.approx(1 - share)


def test_twins_beyond_the_end_of_a_list_favour_nobody() -> None:
    train, holdout, made = normal(300, 300, 100, seed=20)
    train[:200] = holdout[:200] = made[:80] = 0.0
    share = value(closer_to_train, bench(train, holdout, made))
    to_train, to_holdout = cdist(made, train).min(1), cdist(made, holdout).min(1)
    assert share == pytest.approx(((to_train < to_holdout) + 0.5 * (to_train == to_holdout)).mean(), abs=1e-6)


def test_the_ratio_is_that_of_a_written_out_search() -> None:
    train, holdout, made = normal(150, 120, 90, seed=2)

    def ratios(rows: Array) -> Array:
        near = np.sort(cdist(rows, train), axis=1)
        return near[:, 0] / near[:, 1]

    found = values(nearest_neighbour_ratio, bench(train, holdout, made))
    for field, q in (("value", 0.05), ("median", 0.5)):
        e = found[field].estimate
        assert e is not None
        assert e.value == pytest.approx(np.quantile(ratios(holdout), q) - np.quantile(ratios(made), q))
    e = found["q05"].estimate
    assert e is not None
    assert e.value == pytest.approx(np.quantile(ratios(made), 0.05))


def test_authenticity_is_that_of_the_published_code() -> None:
    train, holdout, made = normal(150, 150, 90, seed=3)
    among = cdist(train, train)
    np.fill_diagonal(among, np.inf)
    across = cdist(train, made)
    authentic = among.min(0)[across.argmin(0)] < across.min(0)
    assert value(authenticity, bench(train, holdout, made)) == pytest.approx(authentic.mean())


def test_likelihoods_are_those_of_a_written_out_mixture() -> None:
    train, holdout, made = normal(40, 40, 20, d=3, seed=4)
    view = bench(train, holdout, made)
    found = value(likelihood_gap, view)
    mixture = next(found for _, found in view.work.results(MIXTURE))
    assert mixture is not None
    member = np.arange(80) < 40
    width = bandwidths(mixture, member)
    real = np.concatenate([train, holdout])
    scale = np.sqrt(((real - real.mean(0)) ** 2).mean())
    square = cdist(real, made, "sqeuclidean") / scale**2
    square[square > np.sort(square, axis=1)[:, [15]]] = np.inf  # the sixteen nearest count
    log_density = -square / (2 * width) - 1.5 * np.log(2 * np.pi * width) + np.log(0.99 / 20)
    broad = -(((real - real.mean(0)) / scale) ** 2).sum(1) / 2 - 1.5 * np.log(2 * np.pi) + np.log(0.01)
    expected = logsumexp(np.column_stack([log_density, broad]), axis=1)
    assert_allclose(log_likelihood(mixture, width), expected, rtol=1e-9)
    assert found == pytest.approx((expected[:40].mean() - expected[40:].mean()) / 3)


def test_every_step_of_the_bandwidths_raises_the_penalised_likelihood() -> None:
    train, holdout, made = normal(60, 60, 40, d=3, seed=5)
    view = bench(train, holdout, made)
    list(likelihood_gap.values(view, {}))
    mixture = next(found for _, found in view.work.results(MIXTURE))
    assert mixture is not None
    member = np.arange(120) < 60
    fitted = log_likelihood(mixture, bandwidths(mixture, member))[member].mean()
    common = np.full(40, float(mixture.square[:, 0].mean()) / 3)
    assert fitted > log_likelihood(mixture, common)[member].mean()


# -- what they see, and what not -------------------------------------------------------------------


def test_a_copy_of_train_is_at_the_end_of_every_scale() -> None:
    train, holdout, _ = normal(300, 300, 1, seed=6)
    view = bench(train, holdout, train.copy())
    assert value(closer_to_train, view) == 1.0
    assert value(authenticity, view) == 0.0
    assert value(copying_test, view) < -10
    assert value(likelihood_gap, view) > 1
    ratio = values(nearest_neighbour_ratio, view)
    assert ratio["q50"].estimate is not None
    assert ratio["q50"].estimate.value == 0.0
    assert ratio["value"].estimate is not None
    assert ratio["value"].estimate.low > 0


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.id)
def test_the_null_deals_membership_anew(metric: Metric) -> None:
    train, holdout, fresh = normal(400, 400, 400, seed=7)
    made = np.concatenate([train[:120], fresh[120:]])
    view = bench(train, holdout, made)
    told = measured(metric, view)["value", ()]
    assert told.estimate is not None
    assert told.floor is not None
    assert told.floor.draws == 20
    worse = told.estimate.value - told.floor.value
    if metric is nearest_neighbour_ratio:  # copies fill the lowest 5 % in either deal
        assert told.estimate.low > 0
        return
    assert (worse if metric.better == "lower" else -worse) > 3 * told.floor.spread
    assert not metric.tolerances


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.id)
def test_a_fresh_release_lies_at_its_floor(metric: Metric) -> None:
    frames = {role: frame.to_numpy() for role, frame in three(normal_rows, 500, 8).items()}
    told = measured(metric, desk(sources=frames))["value", ()]
    assert told.estimate is not None
    assert told.floor is not None
    spread = np.hypot(told.floor.spread, (told.estimate.high - told.estimate.low) / 3.92)
    assert abs(told.estimate.value - told.floor.value) < 4 * spread
    assert "not gated" in told.reason
    assert told.alarm == ""


def test_a_collapsed_release_is_no_leak_where_a_binomial_would_alarm() -> None:
    train, holdout, _ = normal(500, 500, 1, seed=9)
    centres = np.random.default_rng(10).normal(size=(3, 6))
    made = np.repeat(centres, 333, axis=0) + 1e-3 * np.random.default_rng(1).normal(size=(999, 6))
    found = values(closer_to_train, bench(train, holdout, made))["value"]
    assert found.estimate is not None
    assert abs(found.estimate.value - 0.5) > 4 * 0.5 / np.sqrt(1000)
    assert found.estimate.low < 0.5 < found.estimate.high


def test_the_training_rows_behind_it_are_named() -> None:
    train, holdout, fresh = normal(300, 300, 300, seed=11)
    fresh[:30] = train[17] + 1e-4 * fresh[:30]
    view = bench(train, holdout, fresh)
    crowded = values(closer_to_train, view)["value"].evidence[0]
    assert crowded.rows[0][0] == "17"
    assert crowded.rows[0][1] >= 30
    for metric in (nearest_neighbour_ratio, authenticity):
        rows = values(metric, view)["value"].evidence[0].rows
        assert {row[1] for row in rows} == {"17"}


@pytest.mark.parametrize("metric", [nearest_neighbour_ratio, copying_test, authenticity], ids=lambda m: m.id)
def test_of_a_release_that_repeats_few_rows_little_can_be_told(metric: Metric) -> None:
    train, holdout, fresh = normal(300, 300, 300, seed=16)
    made = fresh[np.random.default_rng(0).integers(0, 12, 300)]
    assert not [v for v in metric.values(bench(train, holdout, made), metric.configure({})) if v.estimate]
    found = values(metric, bench(train, holdout, made))["value"]
    assert found.status == "not_assessable"
    assert "places, by their nearest training record" in found.reason
    repeated = np.repeat(fresh[:75], 4, axis=0)
    wide, narrow = (values(metric, bench(train, holdout, some))["value"].estimate for some in (repeated, fresh))
    assert wide is not None
    assert narrow is not None
    assert wide.high - wide.low > 1.2 * (narrow.high - narrow.low)


# -- sources, sizes, seeds -------------------------------------------------------------------------


def test_rows_of_one_source_are_dealt_together() -> None:
    rng = np.random.default_rng(12)
    clusters = np.concatenate([np.repeat(np.arange(60), 10), np.arange(60, 660)])
    centres = rng.normal(size=(60, 6))
    rows = np.repeat(centres, 10, axis=0) + 0.1 * rng.normal(size=(600, 6))
    made = centres[5 * rng.integers(0, 12, 600)] + 0.1 * rng.normal(size=(600, 6))
    wide = values(closer_to_train, bench(rows[:300], rows[300:], made, clusters=clusters))["value"].estimate
    narrow = values(closer_to_train, bench(rows[:300], rows[300:], made))["value"].estimate
    assert wide is not None
    assert narrow is not None
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.id)
def test_the_same_seed_gives_the_same_bytes(metric: Metric) -> None:
    parts = normal(120, 100, 130, seed=13)
    first, second = (repr(list(metric.values(bench(*parts), metric.configure({})))) for _ in range(2))
    assert first == second


def test_lists_that_lack_a_side_are_completed_by_a_search() -> None:
    train, holdout, made = normal(40, 700, 60, seed=14)
    train += 4  # all near rows are holdout rows
    view = bench(train, holdout, made)
    near = proximity_of(view, "release", gower=False)
    assert not members_of(view)[near.index].any(1).all()
    among = cdist(train, train)
    np.fill_diagonal(among, np.inf)
    across = cdist(train, made)
    expected = (among.min(0)[across.argmin(0)] < across.min(0)).mean()
    found = authenticity.values(replace(view, draw=0), {})  # as on a re-split: the release stands at few places
    assert [v.estimate.value for v in found if v.estimate] == pytest.approx([expected])


def test_queries_alone_are_cut_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("counterproof.metrics.leakage._distances.known_neighbours.MOST", 100)
    train, holdout, made = normal(200, 200, 300, seed=15)
    view = bench(train, holdout, made)
    near = proximity_of(view, "release", gower=False)
    assert len(near.asked) == 100
    assert len(near.pool) == 400
    assert_allclose(near.distance[:, 0], cdist(near.asked.features, pool_of(view).features).min(1))
    assert "100 rows asked of the release, drawn by the seed" in values(closer_to_train, view)["value"].reason


def test_below_is_by_mid_rank() -> None:
    left, right = np.array([1.0, 2.0, 1.0, np.inf]), np.array([2.0, 1.0, 1.0 + 1e-12, np.inf])
    assert below(left, right).tolist() == [1.0, 0.0, 0.5, 0.5]


def test_credit_of_one_list_by_hand() -> None:
    view = bench(*normal(3, 3, 3))
    pool = pool_of(view)
    near = Proximity(
        asked=pool,
        pool=pool,
        distance=np.array([[1.0, 2.0, 2.0, 3.0]]),
        index=np.array([[0, 1, 2, 3]]),
        gower=False,
    )
    member = np.array([False, True, True, True, True, True])
    assert credit(near, member).tolist() == [0.0]
    member = np.array([True, True, False, True, True, False])  # four against two: one in two is kept
    assert credit(near, member)[0] == pytest.approx(1 - (1 / 2 + 1 / 6) / 2)


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.id)
@pytest.mark.parametrize("release", ["the same point", "another point", "everywhere"])
def test_rows_that_are_all_equal_tell_nothing(metric: Metric, release: str) -> None:
    same = np.full((60, 3), 0.1)
    made = np.random.default_rng(0).normal(size=(60, 3)) if release == "everywhere" else same
    made = made + (release == "another point")
    for v in metric.values(bench(same, same, made), metric.configure({})):
        assert v.status == "not_assessable" or v.estimate is not None
        assert v.estimate is None or np.isfinite([v.estimate.value, v.estimate.low, v.estimate.high]).all()


def frames_of(kind: str) -> dict[str, pd.DataFrame]:
    if kind == "forty rows":
        return three(normal_rows, 40, 1)
    if kind == "few rows":
        return three(normal_rows, 15, 1)
    frames = three(normal_rows, 200, 1)
    if kind == "one constant column":
        return {role: frame.assign(k="US") for role, frame in frames.items()}
    if kind == "300 columns":
        return {
            role: pd.DataFrame(np.random.default_rng(at).normal(size=(200, 300)), columns=[f"c{i}" for i in range(300)])
            for at, role in enumerate(frames)
        }
    if kind == "unique ids":
        return {role: frame.assign(id=[f"{role}-{i:05d}" for i in range(len(frame))]) for role, frame in frames.items()}
    if kind == "release 20 times larger":
        frames["synthetic"] = normal_rows(4000, 77)
    return frames


KINDS = ["forty rows", "few rows", "one constant column", "300 columns", "unique ids", "release 20 times larger"]


@pytest.mark.parametrize("kind", KINDS)
def test_odd_data_get_a_state_and_a_sentence(kind: str) -> None:
    record = cp.audit(**frames_of(kind), metrics=[m.id for m in METRICS])
    for metric in METRICS:
        found = record[metric.id]
        assert found.status in ("measured", "not_assessable"), (metric.id, found.reason)
        assert found.reason
        crowded = (nearest_neighbour_ratio, copying_test, authenticity)  # forty rows stand at fewer than 20 places
        small = kind == "few rows" or (kind == "forty rows" and metric in crowded)
        assert (found.status == "not_assessable") == small
        if kind == "few rows":
            assert "needs 20 rows of train, and there are 15" in found.reason


def test_a_table_that_does_not_vary_is_refused() -> None:
    frames = {role: pd.DataFrame({"k": ["US"] * 100}) for role in ("train", "holdout", "synthetic")}
    with pytest.raises(cp.Refusal, match="no column of the real data varies"):
        cp.audit(**frames, metrics=[closer_to_train.id])


@pytest.mark.parametrize("option", ["cells", "tau"])
def test_options_out_of_range_are_refused(option: str) -> None:
    view = bench(*normal(60, 60, 60))
    with pytest.raises(MetricError, match=r"Input should be greater than or equal to [01]"):
        list(copying_test.values(view, copying_test.configure({option: -1})))


def test_without_a_holdout_none_can_be_told() -> None:
    frames = three(normal_rows, 100, 2)
    del frames["holdout"]
    record = cp.audit(**frames, metrics=[m.id for m in METRICS])
    for metric in METRICS:
        assert record[metric.id].status == "not_assessable"
        assert "without holdout rows" in record[metric.id].reason


def test_a_holdout_that_overlaps_train_is_refused() -> None:
    frames = three(normal_rows, 100, 3)
    frames["holdout"].iloc[:50] = frames["train"].iloc[:50].to_numpy()
    with pytest.raises(cp.Refusal, match="50 of its 100 rows also stand in train"):
        cp.audit(**frames, metrics=[closer_to_train.id])


def test_few_sources_are_too_few() -> None:
    train, holdout, made = normal(100, 100, 100, seed=4)
    clusters = np.concatenate([np.repeat(np.arange(10), 10), np.arange(10, 210)])
    for metric in METRICS:
        found = values(metric, bench(train, holdout, made, clusters=clusters))["value"]
        assert found.status == "not_assessable"
        assert "needs 20 sources of train rows, and there are 10" in found.reason


def test_row_seven_of_the_release_is_not_row_seven_of_the_known_records() -> None:
    """Lists are filed by the rows' content: equal positions in two samples are two questions."""
    at = desk(sources=three(normal_rows, 60, 1))
    release, known = proximity_of(at, "release", gower=False), proximity_of(at, "known", gower=False)
    rows, places = np.array([7]), np.arange(len(release.pool))
    for near in (release, known):
        distance = among(at, near, rows, places, 1)[0][0, 0]
        between = np.sqrt(((near.asked.features[7] - near.pool.features) ** 2).sum(1))
        between[near.pool.rows == near.asked.rows[7]] = np.inf
        assert distance == pytest.approx(between.min(), rel=1e-9)
