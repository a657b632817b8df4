"""Odd inputs to the search for copies: a right state or one clear sentence, and copies in them are found."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk, normal_rows, three
from helpers.workbenches import bench

import counterproof as cp
from counterproof.metrics.leakage.copies import copies
from counterproof.metrics.metric import Value
from counterproof.metrics.statistics.exact_tests import ALARM, Tally, fewest, fewest_hits
from counterproof.metrics.statistics.ranking_scan import excess_bounds
from counterproof.reports.record import Record

Frames = dict[str, pd.DataFrame]
Change = Callable[[Frames], Frames]
N = 200


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", os.fspath(tmp_path))


def people(n: int, seed: int) -> pd.DataFrame:
    """Numbers, a skewed one and categories; hardly any two rows are equal."""
    rng = np.random.default_rng(seed)
    talent = rng.normal(size=n)
    return pd.DataFrame(
        {
            "age": np.round(40 + 12 * talent).clip(18, 90).astype(int),
            "pay": np.round(np.exp(7 + 0.5 * talent + 0.3 * rng.normal(size=n)), 2),
            "kind": rng.choice(list("abcd"), n),
            "sex": np.where(talent + rng.normal(size=n) > 0, "f", "m"),
            "score": rng.normal(size=n),
        }
    )


def coins(n: int, seed: int) -> pd.DataFrame:
    """Four possible rows."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"a": rng.choice(["x", "y"], n), "b": rng.choice(["u", "v"], n)})


def wide(n: int, seed: int) -> pd.DataFrame:
    """300 columns of five hidden ones."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, 5)) @ np.random.default_rng(0).normal(size=(5, 300)) + rng.normal(size=(n, 300))
    return pd.DataFrame(values, columns=[f"c{at}" for at in range(300)])


def sized(train: int, holdout: int, release: int, make: Callable[[int, int], pd.DataFrame] = people) -> Frames:
    return {"train": make(train, 1), "holdout": make(holdout, 2), "synthetic": make(release, 3)}


def numbered(frames: Frames, name: Callable[[str, int], Any]) -> Frames:
    return {role: frame.assign(id=[name(role, at) for at in range(len(frame))]) for role, frame in frames.items()}


def with_constant(frames: Frames) -> Frames:
    return {role: frame.assign(country="US", year=2024) for role, frame in frames.items()}


def with_gaps(frames: Frames) -> Frames:
    return {
        role: frame.assign(pay=frame["pay"].where(frame.index % 2 == 0), none=np.nan) for role, frame in frames.items()
    }


def copied(frames: Frames, k: int) -> Frames:
    """The last ``k`` release rows are training rows in all columns but the id, if there is one."""
    columns = [name for name in frames["train"] if name != "id"]
    release = frames["synthetic"].copy()
    for name in columns:
        values = [*release[name].iloc[: len(release) - k], *frames["train"][name].iloc[:k]]
        release[name] = pd.Series(values, index=release.index, dtype=frames["train"][name].dtype)
    return {**frames, "synthetic": release}


def values(frames: Frames) -> dict[str, Value]:
    return {value.field: value for value in copies.values(desk(sources=frames), {})}


def audited(frames: Any, **run: Any) -> Record:
    return cp.audit(**frames, metrics=["leakage.copies"], **run)


ODD: dict[str, Frames] = {
    "40 rows a side": sized(40, 40, 40),
    "a constant column": with_constant(sized(N, N, N)),
    "a column that is constant in real rows": {
        role: frame.assign(k=1.0 if role != "synthetic" else np.arange(N) / 7) for role, frame in sized(N, N, N).items()
    },
    "300 columns": sized(45, 45, 45, wide),
    "numbered ids": numbered(sized(N, N, N), lambda role, at: at + 1000 * len(role)),
    "ids in words": numbered(sized(N, N, N), lambda role, at: f"{role}-{at:06d}"),
    "the same ids in every role": numbered(sized(N, N, N), lambda role, at: at),
    "a release of 20 times train": sized(N, N, 20 * N),
    "a release of a twentieth of train": sized(400, 400, 20),
    "missing numbers and an empty column": with_gaps(sized(N, N, N)),
    "kinds that no real row has": {**sized(N, N, N), "synthetic": people(N, 3).assign(kind="new", sex="new")},
}


@pytest.mark.parametrize("name", ODD)
def test_an_honest_release_is_left_open_at_small_sizes_and_never_fails(name: str) -> None:
    record = audited(ODD[name])
    assert record.verdict == "inconclusive"
    open_sentences = ("Leakage cannot be judged: too few rows to judge: ", "a pass needs at least 1000 rows a side")
    assert sum(sentence in record.because for sentence in open_sentences) == 1
    found = {reading.field: reading for reading in record.measurements}
    assert {reading.status for reading in found.values()} == {"measured"}
    assert found["value"].reason.startswith("0 distinct training records stand in the release against 0")
    assert "more would be found, fewer cannot be told" in found["near"].reason
    controls = [control for reading in record.measurements for control in reading.controls]
    assert [control.kind for control in controls if control.found] == ["copies", "near_copies"]


@pytest.mark.parametrize("name", [name for name in ODD if "kinds" not in name])
def test_copies_in_odd_tables_fail(name: str) -> None:
    record = audited(copied(ODD[name], 10))
    assert record.verdict == "fail"
    assert "10 distinct training records" in record.because


def test_a_release_that_is_train_20_times_over_fails_by_all_its_rows() -> None:
    frames = sized(N, N, N)
    frames["synthetic"] = pd.concat([frames["train"]] * 20, ignore_index=True)
    record = audited(frames)
    assert record.verdict == "fail"
    assert f"{N} distinct training records stand in the release against 0 of the holdout" in record.because
    assert "4000 of 4000 release rows equal one of them" in record.because
    near = next(m for m in record.measurements if m.field == "near")
    assert near.status == "not_assessable"


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_a_holdout_that_overlaps_train_is_refused(share: float) -> None:
    frames = sized(N, N, N)
    k = int(share * N)
    frames["holdout"] = pd.concat([frames["train"][:k], frames["holdout"][k:]], ignore_index=True)
    with pytest.raises(cp.Refusal, match=rf"{k} of its {N} rows also stand in train .* remove them"):
        audited(frames)


def test_an_overlap_that_was_allowed_tells_nothing_but_hides_no_other_copy() -> None:
    frames = sized(N, N, N)
    frames["holdout"] = pd.concat([frames["train"][100:], frames["holdout"][100:]], ignore_index=True)
    found = audited(copied(frames, 20), allow_overlap=True)["leakage.copies"]
    assert found.alarm.startswith("20 distinct training records stand in the release against 0")
    assert f"{N} real rows have twins and tell nothing" in found.reason


def test_without_a_holdout_nothing_passes_and_copies_still_fail() -> None:
    frames = sized(N, N, N)
    del frames["holdout"]
    assert audited(frames).verdict == "inconclusive"
    assert audited(copied(frames, 10)).verdict == "fail"


@pytest.mark.parametrize("make", [coins, lambda n, seed: coins(n, seed)[["a"]]])
def test_where_no_record_stands_once_nothing_can_be_told(make: Any) -> None:
    record = audited(sized(N, N, N, make))
    assert record.verdict == "inconclusive"
    assert "no record stands once in train or holdout: none can be told" in record.because


@pytest.mark.parametrize("sizes", [(4, 4, 4), (8, 4, 20), (300, 2, 300)])
def test_sizes_that_can_show_nothing_are_not_assessed(sizes: tuple[int, int, int]) -> None:
    found = values(sized(*sizes))
    if sizes[0] > 100:
        assert found["value"].status == "measured", "290 copies and more could be told"
        return
    assert {value.status for value in found.values()} == {"not_assessable"}
    assert "these sizes can show no copies" in found["value"].reason
    assert "these sizes can show no near copies" in found["near"].reason


def test_a_few_records_without_twins_show_nothing_however_long_the_table() -> None:
    frames = sized(1200, 1200, 1200, coins)
    for role in ("train", "holdout"):
        frames[role].loc[:3, "a"] = [f"{role}{i}" for i in range(4)]
    record = audited(frames)
    assert record.verdict == "inconclusive"
    assert record["leakage.copies"].status == "not_assessable"
    assert "these sizes can show no copies; 2392 real rows have twins and tell nothing" in record.because


def test_four_rows_that_are_all_copies_are_still_listed_and_measured() -> None:
    frames = sized(4, 4, 4)
    frames["synthetic"] = frames["train"].copy()
    found = values(frames)["value"]
    assert found.status == "measured"
    assert found.estimate is not None
    assert found.estimate.value == 1.0
    assert found.evidence[0].title == "Release rows that equal a training row: 4"


@pytest.mark.parametrize("roles", [("train", 1), ("holdout", 1), ("synthetic", 1)])
def test_a_role_of_one_row_is_refused(roles: tuple[str, int]) -> None:
    frames = sized(N, N, N)
    frames[roles[0]] = frames[roles[0]][:1]
    with pytest.raises(cp.Refusal, match=f"the {roles[0]} rows are 1; an audit needs 2 at least"):
        audited(frames)


def tied(rows: list[int]) -> dict[str, Value]:
    """Rows of an orthonormal basis, each as far from every other: 60 of train, 60 of the holdout, the release."""
    points = np.eye(180)[[*range(120), *rows]]
    names = np.array([f"{int(at):016d}".encode() for at in points.argmax(1)])
    return {v.field: v for v in copies.values(bench(points[:60], points[60:120], points[120:], digests=names), {})}


def test_tied_distances_tell_nothing() -> None:
    found = tied([*range(120, 180)])
    near = found["near"].estimate
    assert near is not None
    assert (near.low, near.high) == (0.0, 0.0)
    assert found["near"].reason.startswith("p = 1 ")
    assert not any(value.alarm for value in found.values())


def test_copies_among_tied_distances_are_found() -> None:
    found = tied([*range(12), *range(120, 168)])
    assert found["value"].alarm.startswith("12 distinct training records stand in the release against 0")


def test_points_that_all_coincide_tell_nothing() -> None:
    ones = np.ones((50, 3))
    for release in (ones, 0 * ones):
        found = {v.field: v for v in copies.values(bench(ones, ones, release), {})}
        assert {value.status for value in found.values()} == {"not_assessable"}


# -- the smallest number that can be told ----------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(300, 300), (800, 200), (200, 800), (9, 9), (3, 3)])
@pytest.mark.parametrize("others", [0, 1, 7])
def test_the_fewest_matches_are_those_of_brute_force(sizes: tuple[int, int], others: int) -> None:
    others = min(others, sizes[1])
    seen = (k for k in range(1, sizes[0] + 1) if Tally(hits=(k, others), sizes=sizes).p < ALARM)
    least = fewest_hits(Tally(hits=(0, others), sizes=sizes), ALARM)
    assert least == next(seen, None)
    if not others:
        assert least == fewest(sizes, ALARM)


def text(frames: Frames) -> Frames:
    """Remarks that are never the same: rows can agree in all that is compared but for them."""
    rng = np.random.default_rng(0)
    return {
        role: frame.assign(
            remark=[" ".join(rng.choice(list("abcdefghij"), 9)) + f" and {at} more words" for at in frame.index]
        )
        for role, frame in frames.items()
    }


def test_two_tests_need_more_copies_and_the_number_printed_says_so() -> None:
    """Where rows can agree but for text, whole rows and columns are tested, each at half the level."""
    for k, least in ((10, 11), (11, 11)):
        frames = text(three(normal_rows, 300, 5))
        frames["synthetic"].iloc[0, :4] = frames["holdout"].iloc[0, :4]
        frames["synthetic"].iloc[1 : 1 + k] = frames["train"].iloc[:k].to_numpy()
        found = values(frames)["value"]
        assert f"at this size {least} copies or more would be found" in found.reason
        assert bool(found.alarm) == (k >= least)


def test_matches_of_the_holdout_raise_the_number_that_is_printed() -> None:
    for k in (17, 18):
        frames = three(normal_rows, 300, 6)
        frames["synthetic"].iloc[:3] = frames["holdout"].iloc[:3].to_numpy()
        frames["synthetic"].iloc[3 : 3 + k] = frames["train"].iloc[:k].to_numpy()
        found = values(frames)["value"]
        assert "against 3 of the holdout, 18 training records or more would be found, fewer" in found.reason
        assert bool(found.alarm) == (k == 18)


def test_a_table_with_some_twins_is_no_smaller_for_them() -> None:
    """1,000 rows a side of which ten have twins: 990 records count, and the gate can still pass."""
    frames = three(normal_rows, 1000, 7)
    for role in ("train", "holdout"):
        frames[role].iloc[5:10] = frames[role].iloc[:5].to_numpy()
    record = audited(frames)
    assert record.verdict == "pass"
    assert record["leakage.copies"].n == {"train": 1000, "holdout": 1000, "release": 1000}
    assert "20 real rows have twins and tell nothing" in record["leakage.copies"].reason


def test_rows_of_one_source_count_as_one() -> None:
    """1,200 rows of 120 people are 120, too few for a pass."""
    frames = three(normal_rows, 1200, 8)
    for role, frame in frames.items():
        frame["pid"] = [f"{role}{at // 10}" for at in range(1200)]
    record = audited(frames, cluster="pid")
    assert record.verdict == "inconclusive"
    assert record["leakage.copies"].n["train"] == 120


# -- the interval of near copies ---------------------------------------------------------------------------


@pytest.mark.parametrize(("members", "others"), [(300, 300), (400, 100)])
@pytest.mark.parametrize("k", [0, 3, 12])
def test_the_interval_holds_the_copies_that_head_the_rankings(members: int, others: int, k: int) -> None:
    """Two spaces, in each of which the copies come first and chance orders the rest."""
    rng = np.random.default_rng(members + k)
    depth, held, values = 40, 0, []
    for _ in range(400):
        made = []
        for _space in range(2):
            rest = rng.permutation(members + others - k) < members - k
            made.append(excess_bounds(depth, k + int(rest[: depth - k].sum()), (members, others), 0.025 / 2))
        low, value, high = max(made, key=lambda one: (one[2], one[1]))
        held += low <= k <= high
        values.append(value)
        assert low <= value <= high
    assert held >= 0.95 * 400
    assert np.mean(values) >= k, "the larger of two: never fewer than there are, on average"
