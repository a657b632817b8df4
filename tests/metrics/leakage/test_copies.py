"""Copies against scipy and brute force; what is planted is found and listed, what is chance is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk, measured, normal_rows, three
from numpy.testing import assert_allclose
from scipy.spatial.distance import cdist
from scipy.stats import fisher_exact, hypergeom

import counterproof as cp
from counterproof.metrics.leakage._copy_search.matching import find_matches
from counterproof.metrics.leakage._copy_search.near_copies import rank_spaces
from counterproof.metrics.leakage.copies import copies, excess_rate
from counterproof.metrics.metric import Value
from counterproof.metrics.statistics.exact_tests import ALARM, Tally, fewest, tail_p
from counterproof.reports.record import Record

Frames = dict[str, pd.DataFrame]
N = 1000
ENCODERS = {"table": "auto", "features": "auto", "images": "pixels"}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))


def plant(frames: Frames, k: int, *, jitter: float = 0.0, seed: int = 0) -> list[tuple[str, str]]:
    """Overwrite ``k`` release rows by training rows; pairs of (release row, training row)."""
    rng = np.random.default_rng(seed)
    at = rng.permutation(len(frames["synthetic"]))[:k]
    of = rng.permutation(len(frames["train"]))[:k]
    rows = frames["train"].iloc[of].to_numpy()
    if jitter:
        rows = rows + jitter * frames["train"].std().to_numpy() * rng.normal(size=rows.shape)
    frames["synthetic"].iloc[at] = rows
    return [(str(a), str(b)) for a, b in zip(at, of, strict=True)]


def values(frames: Frames, **run: Any) -> dict[str, Value]:
    return {v.field: v for v in copies.values(desk(sources=frames, **run), {})}


def fisher(k: int, other: int, n: int, m: int) -> float:
    return Tally(hits=(k, other), sizes=(n, m)).p


def small(n: int, seed: int) -> pd.DataFrame:
    """Sixty possible rows: nearly every row has twins."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"a": rng.choice(list("abcdef"), n), "b": rng.choice(list("vwxyz"), n), "c": rng.random(n) < 1})


def mid(n: int, seed: int) -> pd.DataFrame:
    """Some 8,000 possible rows: an honest generator matches real ones now and then."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame({c: rng.choice(list("abcdefghijklmnopqrst"), n) for c in "xyz"})


# -- the tests behind the alarms -------------------------------------------------------------------


@pytest.mark.parametrize(("hits", "sizes"), [([9, 0], [500, 500]), ([3, 4], [80, 60]), ([20, 5], [900, 300])])
def test_p_is_fishers_which_is_hypergeometric(hits: list[int], sizes: list[int]) -> None:
    table = [[hits[0], sizes[0] - hits[0]], [hits[1], sizes[1] - hits[1]]]
    assert fisher(*hits, *sizes) == pytest.approx(float(fisher_exact(table, alternative="greater").pvalue))
    tail = hypergeom.sf(hits[0] - 1, sum(sizes), sizes[0], sum(hits))
    assert fisher(*hits, *sizes) == pytest.approx(float(tail), rel=1e-9)


@pytest.mark.parametrize(("count", "members", "others"), [(0, 5, 5), (1, 10, 30), (7, 400, 100), (12, 12, 3)])
def test_tail_p_is_the_chance_that_the_extreme_are_all_members(count: int, members: int, others: int) -> None:
    assert tail_p(count, members, others) == pytest.approx(
        float(hypergeom.pmf(count, members + others, members, count))
    )


@pytest.mark.parametrize("sizes", [[500, 500], [800, 200], [200, 800], [30, 30], [3, 3]])
def test_the_smallest_detectable_number_is_that_of_brute_force(sizes: list[int]) -> None:
    seen = [k for k in range(1, sizes[0] + 1) if fisher(k, 0, *sizes) < 0.002]
    assert fewest(sizes, ALARM) == (seen[0] if seen else None)


def test_the_excess_rate_is_in_rows_of_the_release() -> None:
    found = excess_rate(Tally(hits=(40, 10), sizes=(1000, 500)), 1000 / 2000, 0.95)
    assert found.value == pytest.approx((40 / 1000 - 10 / 500) * 1000 / 2000)
    assert found.low < found.value < found.high


@pytest.mark.parametrize("space", ["Gower distance", "distance of features"])
def test_scores_are_those_of_a_written_out_search(space: str) -> None:
    frames = three(normal_rows, 150, 1)
    plant(frames, 4)
    bench = desk(sources=frames)
    found = find_matches(bench)
    near = next(one for one in found.spaces if one.space == space)
    mixed = bench.corpus.mixed
    assert mixed is not None
    numeric = mixed.numeric.astype(np.float64)

    def between(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if space == "Gower distance":
            parts = [np.minimum(np.abs(numeric[a][:, [j]] - numeric[b][:, j]), 1) for j in range(numeric.shape[1])]
            return np.asarray(np.mean(parts, axis=0))
        return np.asarray(cdist(bench.corpus.features[a], bench.corpus.features[b]))

    copied = np.isin(frames["synthetic"]["a"], pd.concat([frames["train"], frames["holdout"]])["a"])
    assert found.matched.sum() == copied.sum() == 4
    rest = ~found.matched
    to_release = between(bench.real.rows, bench.release.rows[~copied])
    among = between(bench.real.rows, bench.real.rows)
    np.fill_diagonal(among, np.inf)
    expected = to_release.min(1) / np.sort(among, axis=1)[:, :5].mean(1)
    assert_allclose(near.score[rest], expected[rest], rtol=1e-6)
    assert_allclose(near.distance[rest], to_release.min(1)[rest], rtol=1e-6, atol=1e-9)
    assert np.isinf(near.score[found.matched]).all()
    member = np.isin(bench.real.rows[found.rows], bench.train.rows if bench.train else [])
    of_row: dict[int, int] = {}  # the nearest record of each release row stands for those that it is nearest to
    for at in sorted(np.flatnonzero(rest), key=lambda at: expected[at]):
        of_row.setdefault(int(to_release[at].argmin()), int(at))
    ranked = next(one for one in rank_spaces(bench, found, member) if one.space == space)
    assert ranked.at[ranked.ranking.order].tolist() == list(of_row.values())
    inside = member[list(of_row.values())]
    assert ranked.ranking.run == (inside.argmin() if not inside.all() else len(inside))
    assert ranked.ranking.sizes == (inside.sum(), (~inside).sum())


def test_numbers_are_compared_among_rows_of_equal_categories() -> None:
    rng = np.random.default_rng(0)
    frames = three(lambda n, s: normal_rows(n, s, "ab").assign(c=rng.choice(list("xyz"), n)), 80, 3)
    frames["train"].loc[:9, "a"] = np.nan
    frames["synthetic"].loc[:9, "a"] = np.nan
    found = find_matches(desk(sources=frames))
    near = next(one for one in found.spaces if one.space == "distance of numbers among rows of equal categories")
    real = pd.concat([frames["train"], frames["holdout"]], ignore_index=True)
    scale = real[["a", "b"]].std(ddof=0)
    for at in range(0, len(real), 7):
        mine, made = real.iloc[at], frames["synthetic"]
        same = made[(made["c"] == mine["c"]) & (made["a"].isna() == (mine["a"] != mine["a"]))]
        gaps = ((same[["a", "b"]] - mine[["a", "b"]].astype(float)) / scale).fillna(0.0)
        expected = np.sqrt((gaps**2).sum(axis=1)).min()
        assert near.distance[at] >= expected - 1e-12  # among the nearest by Gower's distance
        if expected < 0.1:
            assert near.distance[at] == pytest.approx(expected, abs=1e-6)


# -- what is counted -------------------------------------------------------------------------------


def test_distinct_records_count_once() -> None:
    frames = three(normal_rows, 300, 2)
    frames["synthetic"].iloc[:] = frames["train"].iloc[7].to_numpy()
    found = values(frames)["value"]
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(1 / 300)
    assert found.reason.startswith("1 distinct training records stand in the release against 0 of the holdout")
    assert found.alarm == ""


def test_twins_in_real_data_identify_nobody() -> None:
    frames = three(normal_rows, 300, 3)
    for role in ("train", "holdout"):
        frames[role].iloc[150:280] = frames[role].iloc[:130].to_numpy()
    frames["train"].iloc[0] = frames["holdout"].iloc[0] = frames["train"].iloc[200]
    frames["synthetic"].iloc[:130] = frames["train"].iloc[:130].to_numpy()
    found = values(frames)["value"]
    assert found.estimate is not None
    assert found.estimate.value == 0.0
    assert found.alarm == ""
    assert "real rows have twins and tell nothing" in found.reason


def test_where_every_record_has_a_twin_nothing_can_be_told() -> None:
    frames = three(normal_rows, 300, 3)
    frames["holdout"] = frames["train"].copy()
    found = values(frames)["value"]
    assert found.status == "not_assessable"


def test_an_oversampled_train_table_hides_no_copy() -> None:
    frames = three(normal_rows, 600, 4)
    frames["synthetic"] = frames["train"].copy()
    frames["train"] = pd.concat([frames["train"], frames["train"]], ignore_index=True)
    found = values(frames)["value"]
    assert found.alarm.startswith("600 distinct training records stand in the release against 0")


def test_near_copies_alone_fail_the_policy() -> None:
    frames = three(normal_rows, 1200, 5)
    frames["synthetic"] = frames["train"].assign(a=frames["train"]["a"] + 1e-6)
    record = audited(frames)
    assert record.verdict == "fail"
    assert "training records" in record.because


def test_copies_with_a_rewritten_text_are_copies() -> None:
    frames = three(normal_rows, 1200, 6)
    rng = np.random.default_rng(0)
    for frame in frames.values():
        frame["notes"] = [
            " ".join(rng.choice(list("abcdefghij"), 9)) + f" {i} and more words" for i in range(len(frame))
        ]
    frames["synthetic"] = frames["train"].assign(notes=frames["synthetic"]["notes"])
    frames["holdout"].loc[0, list("ab")] = frames["train"].loc[0, list("ab")]
    record = audited(frames)
    assert record.families["leakage"].verdict == "fail"
    assert "but for text" in record["leakage.copies"].alarm or "nearer" in record["leakage.copies"].alarm


def test_sources_count_once_where_rows_of_one_are_not_independent() -> None:
    alarms = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        people = {}
        for role in ("train", "holdout", "synthetic"):
            kinds = rng.integers(0, 4, (30, 3))
            frame = pd.DataFrame(np.repeat(kinds, 10, axis=0), columns=list("xyz")).astype(str)
            frame["x"] = rng.choice(list("abcdefgh"), 300)
            people[role] = frame.assign(pid=[f"{role}{i // 10}" for i in range(300)])
        alarms += any(v.alarm for v in copies.values(desk(sources=people, cluster="pid"), {}))
    assert alarms <= 1


def test_a_table_whose_duplicates_were_removed_is_not_accused_without_a_holdout() -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({c: rng.choice(list("abcdefgh"), 4000) for c in "vwxyz"}).drop_duplicates(ignore_index=True)
    train, fresh = rows.iloc[:1500], rows.iloc[1500:3000].copy()
    fresh.iloc[:12] = train.iloc[:12].to_numpy()  # coincidences of an honest generator
    assert audited({"train": train, "synthetic": fresh}).verdict == "inconclusive"
    fresh.iloc[:150] = train.iloc[:150].to_numpy()
    assert audited({"train": train, "synthetic": fresh}).verdict == "fail"


def test_matches_of_the_holdout_are_subtracted() -> None:
    frames = three(normal_rows, 400, 4)
    frames["synthetic"].iloc[:30] = frames["train"].iloc[:30].to_numpy()
    frames["synthetic"].iloc[30:60] = frames["holdout"].iloc[:30].to_numpy()
    found = values(frames)["value"]
    assert found.estimate is not None
    assert found.estimate.value == 0.0
    assert found.alarm == ""


@pytest.mark.parametrize("make", [mid, small])
def test_natural_matches_of_coarse_tables_do_not_alarm(make: Any) -> None:
    for seed in range(5):
        found = values(three(make, 600, 20 + seed))
        assert not any(v.alarm for v in found.values())


# -- what is planted -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_one_percent_of_exact_copies_is_found_and_listed(seed: int) -> None:
    frames = three(normal_rows, N, 100 + seed)
    planted = plant(frames, N // 100, seed=seed)
    found = values(frames)["value"]
    assert "10 distinct training records stand in the release against 0" in found.alarm
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(0.01)
    listed = found.evidence[0]
    assert listed.title == "Release rows that equal a training row: 10"
    assert {row[:2] for row in listed.rows} == set(planted)
    assert all(row[2] == 0 for row in listed.rows)


def test_the_fewest_copies_that_can_be_found_are_found_and_one_fewer_are_not() -> None:
    least = fewest([300, 300], ALARM / 2)  # the other half is for near copies
    assert least is not None
    for k in (least - 1, least):
        frames = three(normal_rows, 300, 5)
        plant(frames, k)
        found = values(frames)["value"]
        assert bool(found.alarm) == (k == least)
        assert f"at this size {least} copies or more would be found" in found.reason


def test_one_percent_of_near_copies_is_found_nearly_always() -> None:
    alarms, named = 0, 0
    for seed in range(12):
        frames = three(lambda n, s: normal_rows(n, s, "abcdefgh"), N, 200 + seed)
        planted = plant(frames, N // 100, jitter=0.03, seed=seed)
        found = values(frames)
        assert not found["value"].alarm, "one alarm fails one gate"
        alarms += bool(found["near"].alarm)
        pairs = {row[:2] for row in found["near"].evidence[0].rows}
        named += len(pairs & set(planted))
    assert alarms >= 11
    assert named >= 0.8 * 12 * 10


def test_fresh_rows_alarm_nowhere() -> None:
    for seed in range(12):
        found = values(three(normal_rows, N, 300 + seed))
        assert not any(v.alarm for v in found.values())


@pytest.mark.slow
def test_alarms_on_fresh_rows_stay_within_their_level() -> None:
    alarms = {"value": 0, "near": 0}
    for seed in range(400):
        for field, value in values(three(normal_rows, 300, 5000 + seed)).items():
            alarms[field] += bool(value.alarm)
    assert alarms["value"] == 0
    assert alarms["near"] <= 5  # P(X > 5) = 0.0002 at 0.002


def test_a_duplicated_copy_lists_every_release_row() -> None:
    frames = three(normal_rows, 300, 6)
    frames["synthetic"].iloc[10:15] = frames["train"].iloc[3].to_numpy()
    rows = values(frames)["value"].evidence[0].rows
    assert [row[:2] for row in rows] == [(str(at), "3") for at in range(10, 15)]
    alone = {role: frames[role] for role in ("train", "synthetic")}
    assert values(alone)["value"].evidence[0].rows == rows


def test_contents_stay_hidden_unless_asked_for() -> None:
    frames = three(normal_rows, 300, 7)
    plant(frames, 12)
    hidden = values(frames)["value"].panels[0]
    assert not hidden.shows_real
    assert hidden.data["redacted"]
    for pair in hidden.data["pairs"]:
        shown = {pair[k] for k in ("synthetic_record", "real_record", "synthetic_image", "real_image")}
        assert shown == {None}
    assert sum(pair["exact"] for pair in hidden.data["pairs"]) == 12
    numbers = {repr(v) for v in frames["train"].to_numpy().ravel().tolist()}
    told = repr(values(frames))
    assert not any(number in told for number in numbers)
    open_ = values(frames, show_real=True)["value"].panels[0]
    assert open_.shows_real
    first = open_.data["pairs"][0]
    assert first["real_record"] == first["synthetic_record"]
    assert (first["agree"], first["of"]) == (4, 4)
    real = frames["train"].iloc[int(first["real"])]
    assert [float(v) for v in first["real_record"].values()] == pytest.approx(real.tolist())


# -- verdicts --------------------------------------------------------------------------------------


def audited(frames: Frames, **run: Any) -> Record:
    return cp.audit(**frames, metrics=["leakage.copies"], **run)


def test_a_fresh_release_passes_and_copies_fail_it() -> None:
    frames = three(normal_rows, N, 8)
    assert audited(frames).verdict == "pass"
    plant(frames, 10)
    record = audited(frames)
    assert record.verdict == "fail"
    assert "distinct training records stand in the release" in record.because


def test_the_membership_floor_is_centred_on_nought() -> None:
    frames = three(mid, 500, 9)
    found = measured(copies, desk(sources=frames))["value", ()]
    assert found.floor is not None
    assert found.floor.draws == 20
    assert found.floor.spread > 0
    assert abs(found.floor.value) < 3 * found.floor.spread / np.sqrt(20)
    assert not any(name.endswith("excess") for name, _ in measured(copies, desk(sources=frames)))


def test_the_deal_of_membership_changes_no_match() -> None:
    bench = desk(sources=three(mid, 300, 10))
    first = {v.field: v for v in copies.values(bench, {})}
    list(copies.values(bench.membership(0), {}))
    again = {v.field: v for v in copies.values(bench, {})}
    assert first["value"].estimate == again["value"].estimate
    assert first["near"].estimate == again["near"].estimate


@pytest.mark.parametrize("make", [normal_rows, mid])
def test_without_a_holdout_nothing_passes(make: Any) -> None:
    frames = three(make, 600, 11)
    del frames["holdout"]
    record = audited(frames)
    assert record.verdict == "inconclusive"
    assert record["leakage.copies"].status == "not_assessable"


def test_without_a_holdout_copies_are_facts() -> None:
    frames = three(normal_rows, 600, 12)
    del frames["holdout"]
    planted = plant(frames, 6)
    for run in ({}, {"without_holdout": "allow"}):
        record = audited(frames, **run)
        assert record.verdict == "fail"
        assert record["leakage.copies"].alarm.startswith("6 distinct training records stand in the release")
    listed = record["leakage.copies"].evidence[0].rows
    assert {(row[0], row[1]) for row in listed} == set(planted)


def test_without_a_holdout_twins_explain_matches() -> None:
    frames = three(small, 600, 13)
    del frames["holdout"]
    assert audited(frames).verdict == "inconclusive"


def copied_share(real: Any, made: Any, share: float) -> Any:
    """The release with the first rows taken from the real ones."""
    count = round(share * len(made))
    if isinstance(real, np.ndarray):
        return np.concatenate([real[:count], made[count:]])
    return pd.concat([real.iloc[:count], made.iloc[count:]], ignore_index=True)


@pytest.mark.parametrize("run", [{}, {"without_holdout": "allow"}])
@pytest.mark.parametrize("shape", ["table", "features", "images"])
def test_real_rows_alone_show_exact_copies_and_nothing_else(shape: str, run: dict[str, Any]) -> None:
    frames = three(normal_rows, 300, 14)
    real, made = (frames[role] for role in ("train", "synthetic"))
    if shape != "table":
        real, made = real.to_numpy(), made.to_numpy()
    if shape == "images":
        rng = np.random.default_rng(14)
        real, made = (rng.integers(0, 256, (60, 16, 16, 3), dtype=np.uint8) for _ in range(2))
    record = cp.audit(real=real, synthetic=made, metrics=["leakage.copies"], encoder=ENCODERS[shape], **run)
    assert record.verdict == "inconclusive"
    assert "without train and holdout rows, copies cannot be told" in record["leakage.copies"].reason
    assert record.families["leakage"].verdict == ("not_assessed" if run else "inconclusive")
    for share in (0.1, 1.0):
        taken = copied_share(real, made, share)
        record = cp.audit(real=real, synthetic=taken, metrics=["leakage.copies"], encoder=ENCODERS[shape], **run)
        assert record.verdict == "fail"
        assert f"{round(share * len(made))} distinct real records stand in the release" in record.because


def test_twins_of_the_real_rows_explain_as_many_matches() -> None:
    frames = three(small, 600, 13)
    record = cp.audit(real=frames["train"], synthetic=frames["synthetic"], metrics=["leakage.copies"])
    assert record.verdict == "inconclusive"
    assert not record["leakage.copies"].alarm


def test_features_without_a_table_are_searched_too() -> None:
    frames = three(normal_rows, N, 15)
    planted = plant(frames, 10)
    found = values({role: frame.to_numpy() for role, frame in frames.items()})  # type: ignore[misc]
    assert "10 distinct training records" in found["value"].alarm
    assert {row[:2] for row in found["value"].evidence[0].rows} == set(planted)
    assert found["value"].panels[0].data["pairs"][0]["agree"] is None


def test_image_space_distances_are_euclidean() -> None:
    frames = three(normal_rows, 120, 16)
    bench = desk(sources={role: frame.to_numpy() for role, frame in frames.items()})
    found = find_matches(bench)
    real = np.concatenate([frames["train"], frames["holdout"]])
    assert [near.space for near in found.spaces] == ["distance of features"]
    assert_allclose(found.spaces[0].distance, cdist(real, frames["synthetic"].to_numpy()).min(1), rtol=1e-9)


def test_copies_whose_constant_column_was_rewritten_are_copies() -> None:
    frames = {role: frame.assign(k="US") for role, frame in three(normal_rows, 1200, 8).items()}
    frames["synthetic"] = frames["train"].assign(k="Mars")
    found = values(frames)["value"]
    assert found.alarm.startswith("1200 distinct training records stand in the release but for text or constant")
