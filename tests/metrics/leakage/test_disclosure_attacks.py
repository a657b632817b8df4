"""The defects of Anonymeter 1.1, on which these attacks were modelled, and written-out searches to compare with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import hypergeom

from counterproof.metrics.engine.column_neighbours import Nearest, nearest_by_columns
from counterproof.metrics.leakage._disclosure.predicates import (
    Coded,
    Hits,
    at_random,
    coded,
    matches,
    multivariate,
    univariate,
)
from counterproof.metrics.leakage._disclosure.risk import Rates, worst_risk
from counterproof.metrics.leakage._disclosure.targets import repeated, shared_beyond_chance
from counterproof.metrics.leakage.attribute_inference import attribute_inference, is_right, median_guess, vote
from counterproof.metrics.leakage.linkability import linkability
from counterproof.metrics.leakage.singling_out import success
from counterproof.metrics.sample import Mixed
from counterproof.metrics.statistics.proportions import wilson
from counterproof.metrics.statistics.ratios import excess_risk


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))


def rows(n: int, seed: int) -> pd.DataFrame:
    """A label whose majority has 75.6 % and two columns that hardly tell it."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.normal(40, 12, n).round(),
            "town": rng.choice(list("abcdefgh"), n),
            "income": np.where(rng.random(n) < 0.756, "low", "high"),
        }
    )


def test_the_baseline_is_the_majority_share_of_the_same_rows() -> None:
    """Anonymeter aligns guesses by an unrelated index: .019 to .031 for a majority of .756."""
    frames = {role: rows(2000, seed) for seed, role in enumerate(("train", "holdout", "synthetic"))}
    for shift, frame in enumerate(frames.values()):
        frame.index = frame.index + 10_000 * shift
    found = {(v.field, v.group): v for v in attribute_inference.values(desk(sources=frames), configured())}
    baseline = found["baseline", (("secret", "income"),)].estimate
    assert baseline is not None
    assert baseline.value == pytest.approx((frames["train"]["income"] == "low").mean(), abs=1e-9)
    assert abs(baseline.value - 0.756) < 0.03


@pytest.mark.parametrize(
    ("train", "holdout", "copied", "shared"),
    [
        ([1] * 100, [1] * 100, False, True),
        ([2] * 100, [1] * 100, True, True),
        ([1] * 100 + [0] * 100, [0] * 100 + [1] * 100, False, False),
        ([2] * 100 + [0] * 100, [0] * 100 + [1] * 100, True, False),
        ([9, 8, 7, 6] * 5, [8, 9, 7, 7] * 5, False, False),
        ([36, 32, 28, 24] * 5, [8, 9, 7, 7] * 5, False, False),
    ],
)
def test_repeated_rows_and_shared_rows_are_told_from_natural_twins(
    train: list[int], holdout: list[int], copied: bool, shared: bool
) -> None:
    counts = np.array([train, holdout])
    assert repeated(counts) == copied
    assert shared_beyond_chance(counts) == shared


def configured() -> dict[str, Any]:
    return attribute_inference.configure({})


def test_a_negative_guess_is_not_right_by_its_sign() -> None:
    """Anonymeter divides by the guess: -5 is right for 100 and for 3."""
    assert_array_equal(is_right(np.array([-5.0, -5.0, -5.0]), np.array([100.0, 3.0, -5.1]), 0.2), [False, False, True])


def test_missing_is_right_for_missing_and_near_missing() -> None:
    """Anonymeter's distance counts missing against missing as a mismatch."""
    assert_array_equal(
        is_right(np.array([np.nan, 1.0, np.nan]), np.array([np.nan, np.nan, 1.0]), 9.0), [True, False, False]
    )
    numeric = np.array([[np.nan], [0.4], [np.nan], [0.5]], dtype=np.float32)
    mixed = Mixed(numeric=numeric, codes=np.zeros((4, 1), dtype=np.int32), columns=("a", "b"))
    ((_, (found,)),) = nearest_by_columns(mixed, np.array([0]), np.array([1, 2, 3]), [["a", "b"]], memory=2**20)
    assert found.base.tolist() == [1]
    assert found.distance.tolist() == [0.0]


def test_the_sign_of_a_column_changes_nothing() -> None:
    frames = {role: rows(400, 10 + seed) for seed, role in enumerate(("train", "holdout", "synthetic"))}
    turned = {role: frame.assign(age=-frame["age"]) for role, frame in frames.items()}
    one, other = (
        [
            v.estimate.value
            for v in attribute_inference.values(desk(sources=source), configured())
            if v.group == (("secret", "age"),) and v.estimate and v.field in ("attack", "control")
        ]
        for source in (frames, turned)
    )
    assert_allclose(one, other, atol=0.02)  # of an even number of ties the lower median becomes the upper


# -- rates -----------------------------------------------------------------------------------------


def test_the_risk_is_that_of_its_definition_and_its_interval_that_of_a_ratio_of_failures() -> None:
    for k, c in [(60, 20), (5, 5), (0, 0), (100, 10), (20, 60), (1, 0)]:
        attack, control = wilson(k, 100), wilson(c, 100)
        risk = excess_risk(attack, control)
        assert risk.value == pytest.approx((attack.value - control.value) / (1 - control.value))
        assert risk.low <= risk.value <= risk.high
        for end in (risk.low, risk.high):  # MOVER-R: the ratio r at which the limits of p1 - r p2 reach 0
            r = 1 - end
            p1, p2 = 1 - attack.value, 1 - control.value
            one = ((1 - attack.high) if end == risk.high else (1 - attack.low)) - p1
            two = ((1 - control.low) if end == risk.high else (1 - control.high)) - p2
            assert (p1 - r * p2) ** 2 == pytest.approx(one**2 + r**2 * two**2, abs=1e-9)


def test_a_control_that_always_succeeds_leaves_nothing() -> None:
    assert Rates(hits=(10, 10), sizes=(10, 10), baseline=wilson(1, 10)).saturated
    with pytest.raises(ValueError, match="leaves nothing"):
        excess_risk(wilson(10, 10), wilson(10, 10))


def test_the_worst_attack_is_the_one_shown_to_be_worst() -> None:
    base = wilson(1, 10)
    rates = {
        (("split", "sure"),): Rates(hits=(150, 50), sizes=(1000, 1000), baseline=base),
        (("split", "noisy"),): Rates(hits=(9, 8), sizes=(10, 10), baseline=base),
    }
    group, risk = worst_risk(rates, 0.95)
    assert group == (("split", "sure"),)
    alone = rates[group].risk(0.95)
    assert risk.value == alone.value
    assert risk.low < alone.low
    assert risk.high > alone.high


# -- the search ------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 3])
def test_neighbours_of_every_choice_are_those_of_a_written_out_search(k: int) -> None:
    rng = np.random.default_rng(k)
    numeric = rng.integers(0, 9, (90, 2)).astype(np.float32) / 8
    numeric[rng.random((90, 2)) < 0.1] = np.nan
    mixed = Mixed(numeric=numeric, codes=rng.integers(0, 4, (90, 3)).astype(np.int32), columns=tuple("abcde"))
    query, base = np.arange(40), np.arange(40, 90)
    choices = [["a", "c"], ["b"], list("abcde")]
    found: dict[int, list[tuple[int, int, float]]] = {at: [] for at in range(3)}
    for part, batch in nearest_by_columns(mixed, query, base, choices, k=k, memory=40_000):
        for at, near in enumerate(batch):
            found[at] += zip(
                (near.query + part.start).tolist(), near.base.tolist(), near.distance.tolist(), strict=True
            )
    for at, names in enumerate(choices):
        gaps = []
        for name in names:
            place = "abcde".index(name)
            if place < 2:
                x, y = numeric[query, place][:, None], numeric[base, place]
                gap = np.where(np.isnan(x) & np.isnan(y), 0, np.where(np.isnan(x) | np.isnan(y), 1, abs(x - y)))
            else:
                gap = (mixed.codes[query, place - 2][:, None] != mixed.codes[base, place - 2]).astype(float)
            gaps.append(gap)
        mean = np.mean(gaps, axis=0)
        last = np.sort(mean, axis=1)[:, k - 1]
        expected = [(i, j, mean[i, j]) for i in range(40) for j in range(50) if mean[i, j] <= last[i] + 1e-12]
        assert [f[:2] for f in found[at]] == [e[:2] for e in expected]
        assert_allclose([f[2] for f in found[at]], [e[2] for e in expected], atol=1e-9)


def test_many_ties_come_in_batches_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    mixed = Mixed(
        numeric=np.zeros((60, 0), dtype=np.float32), codes=np.tile([[0], [1]], (30, 1)).astype(np.int32), columns=("a",)
    )
    whole = list(nearest_by_columns(mixed, np.arange(30), np.arange(30, 60), [["a"]], memory=2**12))
    monkeypatch.setattr("counterproof.metrics.engine.column_neighbours.BATCH", 40)
    parts = list(nearest_by_columns(mixed, np.arange(30), np.arange(30, 60), [["a"]], memory=2**12))
    assert len(whole) == 1
    assert len(parts) > 2
    assert np.concatenate([near.base for _, (near,) in parts]).tolist() == whole[0][1][0].base.tolist()
    assert [part.start for part, _ in parts[1:]] == [part.stop for part, _ in parts[:-1]]


def test_votes_and_medians_are_those_of_pandas() -> None:
    rng = np.random.default_rng(0)
    query = np.sort(np.concatenate([np.arange(30), rng.integers(0, 30, 200)]))
    near = Nearest(query, np.arange(230), np.zeros(230))
    values = rng.integers(0, 5, 230).astype(float)
    values[rng.random(230) < 0.2] = np.nan
    groups = pd.Series(values).groupby(query)
    winners = vote(near, values, rng)
    medians = median_guess(near, values)
    for at, group in groups:
        counts = group.value_counts(dropna=False)
        won = winners[int(str(at))]
        assert (group.isna() if np.isnan(won) else group == won).sum() == counts.max()
        known = np.sort(group.dropna())
        if 2 * group.isna().sum() > len(group):
            assert np.isnan(medians[int(str(at))])
        else:
            assert medians[int(str(at))] == known[(len(known) - 1) // 2]


def test_ties_go_by_one_random_order_and_not_by_position() -> None:
    """Where all release rows tie, all halves find the same row; another order of the release does not matter."""
    frames = {role: rows(200, 30 + seed) for seed, role in enumerate(("train", "holdout", "synthetic"))}
    risks = []
    for turn in (1, -1):
        source = frames | {"synthetic": frames["synthetic"].iloc[::turn].reset_index(drop=True)}
        found = {(v.field, v.group): v for v in linkability.values(desk(sources=source), linkability.configure({}))}
        estimate = found["value", ()].estimate
        assert estimate is not None
        risks.append(estimate.low <= 0 <= estimate.high)
    assert risks == [True, True]


# -- predicates ------------------------------------------------------------------------------------


def table(n: int, seed: int) -> Coded:
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(-1, 9, n), rng.permutation(n), rng.integers(0, 3, n), rng.integers(0, 20, n)])
    return Coded.of(codes.astype(np.int32), tuple("abcd"), np.array([True, True, False, False]))


def test_matches_are_those_of_written_out_conditions() -> None:
    release, real = table(80, 0), table(150, 1)
    rng = np.random.default_rng(2)
    made = multivariate(release, (2, 3), 60, rng)
    for predicates in (made, at_random(release, made, rng), univariate(release, 100, rng)):
        for data in (release, real):
            found = matches(predicates, data)
            for at in range(len(predicates)):
                inside = np.ones(data.codes.shape[1], dtype=bool)
                for column, low, high in zip(
                    predicates.column[at], predicates.low[at], predicates.high[at], strict=True
                ):
                    if column >= 0:
                        inside &= (data.codes[column] >= low) & (data.codes[column] <= high)
                assert sorted(found.row[found.predicate == at]) == np.flatnonzero(inside).tolist()


def test_predicates_describe_one_release_row_each_on_as_many_columns_as_asked() -> None:
    release = table(80, 3)
    made = multivariate(release, (2, 4), 500, np.random.default_rng(4))
    found = matches(made, release)
    assert (found.counts == 1).all()
    assert len(np.unique(found.row)) == len(made), "a row gives one predicate at most"
    assert set((made.column >= 0).sum(1)) <= {2, 4}
    for used in made.column:
        used = used[used >= 0]
        assert len(set(used)) == len(used)
    single = univariate(release, 500, np.random.default_rng(5))
    assert (matches(single, release).counts == 1).all()
    assert (single.column == 1).sum() == 82, "80 unique values, the least and the largest"


def test_missing_is_a_condition_of_its_own_and_never_the_least() -> None:
    codes = np.array([[-1, 3, 5, 5, 4]], dtype=np.int32)
    release = Coded.of(codes, ("a",), np.array([True]))
    made = univariate(release, 10, np.random.default_rng(0))
    ends = set(zip(made.low[:, 0].tolist(), made.high[:, 0].tolist(), strict=True))
    assert (-1, -1) in ends
    assert (0, 3) in ends
    found = matches(made, release)
    least = next(at for at in range(len(made)) if made.low[at, 0] == 0)
    assert found.row[found.predicate == least].tolist() == [1]


def test_ranks_are_of_exact_values_and_leave_out_what_tells_nothing() -> None:
    frame = rows(60, 6)
    frame["age"] = 1e9 + np.arange(60) * 1e-6
    frames = {"train": frame, "holdout": frame.assign(age=frame["age"] + 3e-7), "synthetic": frame.copy()}
    for source in frames.values():
        source["id"] = [f"x{i}" for i in range(60)]
        source["nation"] = "here"
    made = coded(desk(sources=frames, allow_overlap=True).corpus)
    assert made.columns == ("age", "town", "income")
    assert len(np.unique(made.codes[0])) == len(np.unique(np.concatenate([f["age"] for f in frames.values()])))


@pytest.mark.parametrize("size", [40, 10])
def test_the_chance_to_match_one_of_fewer_records_is_that_of_drawing_them(size: int) -> None:
    hits = Hits(np.repeat(np.arange(4), [0, 1, 2, 7]), np.arange(10), 4)
    side = np.arange(60) < 40
    found = success(hits, side, size)
    if size == 40:
        assert found.tolist() == [0, 1, 0, 0]
        return
    assert_allclose(found, hypergeom.pmf(1, 40, [0, 1, 2, 7], 10))
    rng = np.random.default_rng(0)
    drawn = np.zeros(4)
    for _ in range(4000):
        some = np.isin(np.arange(60), rng.permutation(40)[:10])
        drawn += success(hits, some, 10)
    assert_allclose(drawn / 4000, found, atol=0.03)


def test_rows_of_one_record_are_one_match() -> None:
    hits = Hits(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2]), 2).grouped(np.array([7, 7, 8]))
    assert hits.predicate.tolist() == [0, 1, 1]
    assert hits.row.tolist() == [7, 7, 8]
