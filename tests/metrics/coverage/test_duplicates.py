"""Independent rows and repeats: closed forms, brute force, planted repeats, tables that repeat by nature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk, measured, normal_rows, three
from helpers.workbenches import bench
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist
from scipy.stats import beta, f_oneway

import counterproof as cp
from counterproof.metrics.coverage import _near_duplicates as near_duplicates
from counterproof.metrics.coverage import effective_samples as independent
from counterproof.metrics.coverage._near_duplicates import clumps_of
from counterproof.metrics.coverage.duplicates import duplicates, repeats
from counterproof.metrics.coverage.effective_samples import effective_samples
from counterproof.metrics.metric import Value
from counterproof.metrics.statistics.design_effect import clusters_of, clusters_of_equal_rows, effective_rows
from counterproof.metrics.workbench import Workbench

Frames = dict[str, pd.DataFrame]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))


def values(metric: Any, view: Workbench) -> dict[str, Value]:
    return {v.field: v for v in metric.values(view, {})}


def audited(frames: Frames, name: str) -> cp.Record:
    return cp.audit(**frames, metrics=[f"coverage.{name}"])


def renders(scans: int, each: int, seed: int, correlation: float = 0.5) -> Workbench:
    """Real rows of their own each; a release of several renders of each scan, alike by a correlation."""
    rng = np.random.default_rng(seed)
    scan = np.repeat(np.arange(scans), each)
    made = np.sqrt(correlation) * rng.normal(size=(scans, 8))[scan]
    made += np.sqrt(1 - correlation) * rng.normal(size=(len(scan), 8))
    real = rng.normal(size=(800, 8))
    return bench(real[:400], real[400:], made, clusters=np.concatenate([np.arange(800) + scans, scan]))


# -- design effects -------------------------------------------------------------------------------


def test_a_hundred_thousand_renders_of_a_thousand_scans_are_1980_rows() -> None:
    assert effective_rows(100_000, 100, 0.5) == pytest.approx(1980.2, abs=0.05)
    found = values(effective_samples, renders(1000, 20, 1))
    rows = found["rows"].estimate
    assert rows is not None
    expected = effective_rows(20_000, 20, 0.5)
    assert rows.value == pytest.approx(expected, rel=0.02)
    assert rows.low <= expected <= rows.high
    assert found["largest"].estimate.value == 20  # type: ignore[union-attr]
    assert found["clusters"].estimate.value == 1000  # type: ignore[union-attr]


def test_the_interval_holds_the_closed_form() -> None:
    expected = effective_rows(1200, 8, 0.3)
    found = [values(effective_samples, renders(150, 8, seed, 0.3))["rows"].estimate for seed in range(60)]
    assert np.mean([e.low <= expected <= e.high for e in found if e]) >= 0.9


def test_the_correlation_is_that_of_the_analysis_of_variance() -> None:
    rng = np.random.default_rng(2)
    label = np.repeat(np.arange(30), 6)
    x = rng.normal(size=30)[label] + rng.normal(size=180)
    f = f_oneway(*(x[label == i] for i in range(30))).statistic
    assert clusters_of(x[:, None], label).correlation == pytest.approx((f - 1) / (f + 5))


def test_the_error_leaves_out_each_cluster_in_turn() -> None:
    rng = np.random.default_rng(3)
    label = np.sort(np.concatenate([np.arange(40), rng.integers(0, 40, 120)]))
    x = rng.normal(size=(40, 3))[label] + rng.normal(size=(160, 3))
    sums = clusters_of(x, label)
    left = [
        type(sums)(
            size=np.delete(sums.size, i), between=np.delete(sums.between, i), within=np.delete(sums.within, i)
        ).share()[0]
        for i in range(40)
    ]
    assert sums.share()[1] == pytest.approx(np.sqrt(39 / 40 * np.sum((np.array(left) - np.mean(left)) ** 2)))
    assert clusters_of_equal_rows(label).correlation == 1


def test_of_many_rows_whole_sources_tell_the_correlation(monkeypatch: pytest.MonkeyPatch) -> None:
    view = renders(300, 10, 4)
    whole = values(effective_samples, view)["value"].estimate
    monkeypatch.setattr(independent, "CAP", 1000)
    part = values(effective_samples, view)["value"].estimate
    assert whole is not None
    assert part is not None
    assert part.value == pytest.approx(whole.value, rel=0.1)
    assert part.low < whole.value < part.high


def test_one_source_cannot_be_told() -> None:
    view = renders(1, 400, 5)
    (only,) = effective_samples.values(view, {})
    assert only.status == "not_assessable"
    assert "one source" in only.reason


# -- near duplicates ------------------------------------------------------------------------------


def test_clumps_are_the_components_of_a_full_distance_matrix() -> None:
    frames = nudged(three(normal_rows, 500, 6))
    view = desk(sources=frames)
    found = clumps_of(view, view.release)
    real = view.reference.features
    gaps = np.sort(np.sort(cdist(real, real), axis=1)[:, 1])
    assert found.edge == pytest.approx(gaps[5])
    full = connected_components(cdist(view.release.features, view.release.features) < found.edge)[1]
    assert len(found.sizes) == full.max() + 1
    assert pd.DataFrame({"a": found.label, "b": full}).drop_duplicates().shape[0] == len(found.sizes)


def nudged(frames: Frames) -> Frames:
    """A fifth of the release stands there twice, but for a little noise."""
    made = frames["synthetic"].copy()
    n = len(made) // 5
    made.iloc[:n] = made.iloc[n : 2 * n].to_numpy() + 1e-4
    return frames | {"synthetic": made}


def test_faithful_rows_lose_about_a_hundredth() -> None:
    shares = [values(effective_samples, desk(sources=three(normal_rows, 500, s)))["value"] for s in range(20, 30)]
    found = [v.estimate for v in shares if v.estimate]
    assert np.mean([e.value for e in found]) == pytest.approx(0.987, abs=0.008)
    assert sum(e.low <= 0.987 <= e.high for e in found) >= 8


def test_rows_that_stand_twice_are_one_and_the_gate_warns() -> None:
    frames = nudged(three(normal_rows, 1000, 7))
    record = audited(frames, "effective_samples")
    value = record["coverage.effective_samples"]
    assert value.value == pytest.approx(1000 / 1400, abs=0.03)  # 600 rows alone, 200 pairs
    assert [(gate.verdict, gate.level) for gate in record.gates] == [("fail", "warn")]
    first = value.evidence[0].rows[0]
    assert first[1] >= 2
    near = values(duplicates, desk(sources=frames))["near"].estimate
    assert near is not None
    assert near.low <= 0.2 + 0.007 <= near.high


def test_of_a_large_release_a_part_tells_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    made = np.repeat(rng.normal(size=(400, 6)), 8, axis=0)
    view = bench(*np.split(rng.normal(size=(1000, 6)), 2), made)
    whole = values(effective_samples, view)["value"].estimate
    monkeypatch.setattr(near_duplicates, "CAP", 1600)
    fresh = bench(*np.split(rng.normal(size=(1000, 6)), 2), made)
    part = values(effective_samples, fresh)["value"].estimate
    assert whole is not None
    assert part is not None
    assert whole.value == pytest.approx(1 / 8, abs=0.005)
    assert part.value == pytest.approx(1 / 8, abs=0.02)
    assert "drawn at random" in values(effective_samples, fresh)["value"].reason


# -- exact repeats --------------------------------------------------------------------------------


def test_the_share_is_that_of_pandas() -> None:
    frames = three(coarse, 400, 9)
    view = desk(sources=frames)
    found = values(duplicates, view)
    made = frames["synthetic"]
    assert found["value"].estimate.value == pytest.approx(made.duplicated().mean())  # type: ignore[union-attr]
    assert found["near"].status == "not_applicable"
    times = made.value_counts()
    rows = found["value"].evidence[0].rows
    assert [row[1] for row in rows] == times.iloc[: len(rows)].tolist()
    for name, count, _ in rows:
        assert times[tuple(made.iloc[int(name)])] == count


def coarse(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({name: rng.choice(list("uvwxy"), n, p=[0.5, 0.2, 0.1, 0.1, 0.1]) for name in "abcd"})


def test_repeated_rows_fail_and_are_named() -> None:
    frames = three(normal_rows, 1000, 10)
    frames["synthetic"].iloc[900:] = frames["synthetic"].iloc[:100].to_numpy()
    record = audited(frames, "duplicates")
    assert record.verdict == "fail"
    value = record["coverage.duplicates"]
    assert value.value == pytest.approx(0.1)
    assert list(value.evidence[0].rows[0]) == ["0", 2, "900"]
    assert audited(three(normal_rows, 1000, 11), "duplicates").verdict == "pass"


def test_tables_that_repeat_by_nature_pass() -> None:
    record = audited(three(coarse, 1000, 12), "duplicates")
    value = record["coverage.duplicates"]
    assert value.value is not None
    assert value.floor is not None
    assert value.floor.value > 0.3
    assert abs(value.value - value.floor.value) < 4 * value.floor.spread
    assert record.verdict == "pass"


def test_no_repeat_is_known_as_well_as_an_exact_proportion() -> None:
    view = desk(sources=three(normal_rows, 300, 13))
    e = values(duplicates, view)["value"].estimate
    assert e is not None
    assert (e.value, e.low) == (0.0, 0.0)
    assert e.high == pytest.approx(1 - 0.025 ** (1 / 300))


def test_a_record_repeated_often_is_one_event() -> None:
    view = bench(*np.split(np.random.default_rng(14).normal(size=(1500, 2)), 3))
    pairs = np.concatenate([np.repeat(np.arange(100), 2), np.arange(100, 400)])
    heap = np.concatenate([np.zeros(101, dtype=np.intp), np.arange(1, 400)])
    each, once = (repeats(view.release, record, 0.95) for record in (pairs, heap))
    assert each.value == once.value == 0.2
    assert (each.low, each.high) == pytest.approx(tuple(beta.ppf([0.025, 0.975], [100, 101], [401, 400])))
    assert once.high > 0.7
    assert repeats(view.release, heap, 0.95, natural=heap == 0).high == each.high


def test_a_larger_release_is_held_at_the_number_of_real_rows() -> None:
    frames = three(coarse, 300, 15)
    frames["synthetic"] = coarse(3000, 16)
    found = measured(duplicates, desk(sources=frames))
    value, whole = found["value", ()], found["whole", ()]
    assert value.estimate is not None
    assert value.floor is not None
    assert whole.estimate is not None
    assert abs(value.estimate.value - value.floor.value) < 5 * value.floor.spread
    assert whole.estimate.value == pytest.approx(frames["synthetic"].duplicated().mean())
    assert whole.floor is None


def test_constant_and_tiny_releases_are_judged() -> None:
    frames = three(normal_rows, 60, 17)
    frames["synthetic"] = pd.DataFrame([frames["synthetic"].iloc[0]] * 60)
    found = values(effective_samples, desk(sources=frames))
    assert found["value"].estimate.value == pytest.approx(1 / 60)  # type: ignore[union-attr]
    assert values(duplicates, desk(sources=frames))["value"].estimate.value == pytest.approx(59 / 60)  # type: ignore[union-attr]
    few = {role: frame.iloc[:3] for role, frame in three(normal_rows, 60, 18).items()}
    (only,) = effective_samples.values(desk(sources=few), {})
    assert only.status == "not_assessable"
    assert values(duplicates, desk(sources=few))["near"].status == "not_assessable"
