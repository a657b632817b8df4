"""Singling out, linkability and attribute inference: what leaks is found, what is useful is no leak."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk, measured, three

import counterproof as cp
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate, Measurement
from counterproof.metrics.leakage.attribute_inference import attribute_inference
from counterproof.metrics.leakage.linkability import linkability
from counterproof.metrics.leakage.singling_out import singling_out
from counterproof.metrics.metric import Metric, Value

Frames = dict[str, pd.DataFrame]
METRICS = (singling_out, linkability, attribute_inference)
N = 600


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))


def people(n: int, seed: int) -> pd.DataFrame:
    """Mixed rows with rare values, a heavy tail and missing values."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, n)
    job = np.minimum(rng.zipf(1.6, n), 40).astype(str)
    return pd.DataFrame(
        {
            "age": age,
            "pay": np.round(rng.lognormal(3, 0.8, n) + age / 4, 2),
            "hours": rng.integers(1, 60, n),
            "job": np.where(rng.random(n) < 0.05, None, job),
            "town": (np.minimum(rng.zipf(1.9, n), 20) + (age > 50)).astype(str),
            "sex": rng.choice(["f", "m"], n),
        }
    )


def plant(frames: Frames, k: int) -> set[tuple[str, str]]:
    """Overwrite release rows by train rows; pairs of (release row, training row)."""
    rng = np.random.default_rng(0)
    at, of = rng.permutation(len(frames["synthetic"]))[:k], rng.permutation(len(frames["train"]))[:k]
    release = frames["synthetic"].copy()
    release.iloc[at] = frames["train"].iloc[of].to_numpy()
    frames["synthetic"] = release.astype(frames["train"].dtypes.to_dict())
    return {(str(a), str(b)) for a, b in zip(at, of, strict=True)}


def values(metric: Metric, frames: Frames, *, options: dict[str, Any] | None = None, **run: Any) -> dict[Any, Value]:
    found = metric.values(desk(sources=frames, **run), metric.configure(options or {}))
    return {(v.field, v.group[0][1] if v.group else ""): v for v in found}


def estimate(found: dict[Any, Value], field: str = "value", where: str = "") -> Estimate:
    e = found[field, where].estimate
    assert e is not None
    return e


# -- leaks and no leaks ----------------------------------------------------------------------------


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.id)
def test_copies_are_found_and_fresh_rows_are_not(metric: Metric) -> None:
    frames = three(people, N, 1)
    clean = estimate(values(metric, frames))
    assert clean.low <= 0 <= clean.high
    pairs = plant(frames, N // 4)
    found = values(metric, frames)
    leaky = estimate(found)
    assert leaky.low > 0
    assert leaky.value > clean.high or metric is singling_out
    listed = {row[:2] if metric is singling_out else row[1::-1] for row in found["value", ""].evidence[0].rows}
    assert len(listed & pairs) >= (10 if metric is singling_out else 0.6 * len(pairs) * leaky.value)
    assert "members are easier to attack" in found["value", ""].reason


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.id)
def test_a_copy_of_train_is_nearly_all_risk(metric: Metric) -> None:
    frames = three(people, N, 2)
    frames["synthetic"] = frames["train"].copy()
    found = values(metric, frames)
    assert estimate(found).low > 0.5
    assert estimate(found, "attack").value > 0.9


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.id)
def test_a_copy_of_the_holdout_is_no_leak_of_train(metric: Metric) -> None:
    frames = three(people, N, 3)
    frames["synthetic"] = frames["holdout"].iloc[:300].copy()
    assert estimate(values(metric, frames)).high < 0.1


def test_unique_values_of_train_in_shuffled_columns_are_singled_out_and_nothing_else_sees_them() -> None:
    """A copula with empirical marginals copies every income: no row is a copy, each rare value is."""
    frames = three(people, 1000, 4)
    rng = np.random.default_rng(0)
    shuffled = {name: column.to_numpy()[rng.permutation(1000)] for name, column in frames["train"].items()}
    frames["synthetic"] = pd.DataFrame(shuffled)
    found = values(singling_out, frames)
    assert estimate(found, "attack", "univariate").value > 0.95
    assert estimate(found, "control", "univariate").value < 0.25
    assert estimate(found, "value", "univariate").low > 0.8
    for blind in (linkability, attribute_inference):
        assert estimate(values(blind, frames)).low <= 0.05


def test_what_a_release_tells_of_everyone_is_no_leak() -> None:
    def determined(n: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        a = rng.integers(0, 6, n)
        noise = rng.random(n) < 0.1
        return pd.DataFrame(
            {"a": a.astype(str), "b": np.where(noise, rng.integers(0, 6, n), a).astype(str), "c": rng.normal(size=n)}
        )

    found = values(attribute_inference, three(determined, N, 5))
    assert estimate(found, "attack", "a").value > 0.8
    assert estimate(found, "baseline", "a").value < 0.3
    assert estimate(found, "value", "a").low <= 0


# -- the engine ------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.id)
def test_floors_stand_about_zero_and_cells_about_their_own(metric: Metric) -> None:
    made: dict[Any, Measurement] = measured(metric, desk(sources=three(people, N, 6)))
    headline = made["value", ()]
    assert headline.floor is not None
    assert abs(headline.floor.value) < 0.06
    cells = [m for (field, group), m in made.items() if field == "value" and group]
    assert cells
    for cell in cells:
        assert cell.floor is not None
        assert abs(cell.floor.value) < 4 * cell.floor.spread + 1e-9
    assert {field for field, _ in made} == {"value", "attack", "control", "baseline"}


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.id)
def test_same_seed_same_values(metric: Metric) -> None:
    frames = three(people, 300, 7)
    assert values(metric, frames, seed=3) == values(metric, frames, seed=3)


def test_an_audit_names_them_and_gates_judge_them(tmp_path: Any) -> None:
    frames = three(people, 300, 8)
    frames["synthetic"] = frames["train"].copy()
    ids = ("leakage.linkability", "leakage.singling_out", "leakage.attribute_inference")
    record = cp.audit(**frames, metrics=ids, gates=["leakage.attribute_inference[secret=*] <= 0.2"])
    assert record["leakage.linkability"].value > 0.5
    assert record.verdict == "fail"
    text = (record.to_html(tmp_path / "report.html"), (tmp_path / "report.html").read_text())[1]
    assert "Risk by attack" in text


# -- odd data --------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.id)
def test_without_a_holdout_nothing_is_said(metric: Metric) -> None:
    frames = three(people, 100, 9)
    del frames["holdout"]
    made = measured(metric, desk(sources=frames))
    assert made["value", ()].status == "not_assessable"
    assert "holdout" in made["value", ()].reason


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.id)
def test_a_holdout_that_overlaps_train_is_left_out_or_said(metric: Metric) -> None:
    frames = three(people, 200, 10)
    whole = frames | {"holdout": frames["train"].copy()}
    made = measured(metric, desk(sources=whole, allow_overlap=True))["value", ()]
    if metric is singling_out:
        assert made.estimate is not None
        assert made.estimate.value == 0
    else:
        assert made.status == "not_assessable"
        assert "also stands in the other" in made.reason
    half = pd.concat([frames["train"].iloc[:100], frames["holdout"].iloc[:100]], ignore_index=True)
    some = measured(metric, desk(sources=frames | {"holdout": half}, allow_overlap=True))["value", ()]
    assert some.status == "measured"
    if metric is not singling_out:
        assert "200 rows that stand in both are left out" in some.reason


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.id)
def test_forty_rows_give_wide_intervals(metric: Metric) -> None:
    found = estimate(values(metric, three(people, 40, 11)))
    assert found.low <= 0 < found.high
    assert found.high - found.low > 0.1 or metric is linkability


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.id)
@pytest.mark.parametrize("case", ["constant", "ids", "one column", "binary", "all tied", "collapsed", "longer"])
def test_odd_tables_are_measured_or_said_in_a_sentence(metric: Metric, case: str) -> None:
    frames = three(people, 120, 12)
    for role, frame in frames.items():
        if case == "constant":
            frame["nation"] = "here"
        elif case == "ids":
            frame["id"] = [f"{role}{i}" for i in range(len(frame))]
        elif case == "one column":
            frames[role] = frame[["age"]]
        elif case == "binary":
            frames[role] = frame[["sex"]].assign(old=frame["age"] > 50)
        elif case == "all tied":
            frames[role] = pd.DataFrame({"a": ["x"] * 119 + ["y"], "b": ["u"] * 119 + ["v"]})
    if case == "collapsed":
        frames["synthetic"] = pd.concat([frames["synthetic"].iloc[:1]] * 120, ignore_index=True)
    if case == "longer":
        frames["synthetic"] = people(2400, 6)
    made = measured(metric, desk(sources=frames, allow_overlap=True))
    headline = made["value", ()]
    assert headline.status in ("measured", "not_assessable"), headline.reason
    assert headline.reason
    if case in ("constant", "ids", "longer"):
        assert headline.status == "measured"
        assert headline.estimate is not None
        assert headline.estimate.low <= 0
    if case == "one column" and metric is not singling_out:
        assert headline.status == "not_assessable"
        assert "fewer than two columns" in headline.reason
    assert not any(m.status == "error" for m in made.values())


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.id)
def test_three_hundred_columns_are_attacked(metric: Metric) -> None:
    def wide(n: int, seed: int) -> pd.DataFrame:
        return pd.DataFrame(np.random.default_rng(seed).normal(size=(n, 300))).rename(columns=lambda c: f"c{c}")

    made = measured(metric, desk(sources=three(wide, 60, 13)))
    assert made["value", ()].status == "measured"
    if metric is attribute_inference:
        assert len({group for field, group in made if group}) == 16
        assert "16 of 300 columns" in made["value", ()].reason


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.id)
def test_an_oversampled_release_or_train_hides_nothing(metric: Metric) -> None:
    frames = three(people, 200, 14)
    frames["synthetic"] = pd.concat([frames["train"]] * 2, ignore_index=True)
    frames["train"] = pd.concat([frames["train"]] * 2, ignore_index=True)
    found = values(metric, frames)
    assert estimate(found).low > 0.4


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.id)
def test_a_small_holdout_makes_no_false_alarm(metric: Metric) -> None:
    for seed in range(4):
        frames = three(people, 800, 20 + seed)
        frames["holdout"] = frames["holdout"].iloc[:200]
        assert estimate(values(metric, frames)).low <= 0


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.id)
def test_rows_of_one_source_count_once(metric: Metric) -> None:
    """Ten equal rows of each of few sources: as many attacks as sources, no false certainty."""
    frames = {}
    for role, frame in three(people, 40, 30).items():
        frames[role] = frame.loc[frame.index.repeat(10)].assign(pid=[f"{role}{i // 10}" for i in range(400)])
    found = values(metric, frames, cluster="pid")
    if metric is singling_out:
        assert "equal numbers of records compared: 40 a side" in found["value", ""].reason
    else:
        assert found["value", ""].n == {"train": 40, "holdout": 40}


@pytest.mark.parametrize(
    ("metric", "options", "told"),
    [
        (linkability, {"columns": [["age"]]}, "two lists"),
        (linkability, {"columns": [["age"], ["nope"]]}, "'nope' is no column"),
        (linkability, {"columns": [["age"], ["age", "pay"]]}, "stands in both"),
        (linkability, {"k": 0}, "option k = 0: Input should be greater than or equal to 1"),
        (attribute_inference, {"secrets": ["nope"]}, "'nope' is no column"),
        (
            attribute_inference,
            {"tolerance": -1.0},
            "tolerance = -1.0: Input should be greater than or equal to 0",
        ),
        (singling_out, {"columns": [1]}, "Input should be greater than or equal to 2"),
        (singling_out, {"attacks": 0}, "option attacks = 0: Input should be greater than or equal to 1"),
    ],
)
def test_options_that_cannot_be_used_are_refused(metric: Metric, options: dict[str, Any], told: str) -> None:
    with pytest.raises(MetricError, match=told):
        values(metric, three(people, 60, 15), options=options)


def test_options_are_followed() -> None:
    frames = three(people, 200, 16)
    plant(frames, 60)
    found = values(linkability, frames, options={"columns": [["age", "pay"], ["hours", "job"]], "k": 3, "attacks": 120})
    assert found["value", "given"].n == {"train": 120, "holdout": 120}
    assert "a seeded choice of them" in found["value", ""].reason
    assert estimate(found, "baseline").value == pytest.approx(1 - (197 * 196 * 195) / (200 * 199 * 198))
    found = values(attribute_inference, frames, options={"secrets": ["job", "pay"]})
    assert {where for _, where in found} == {"", "job", "pay"}


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.id)
def test_intervals_hold_no_risk_where_there_is_none(metric: Metric) -> None:
    """1,000 repeats stand in tests/simulations/simulate_disclosure_rates.py; 60 allow for 0.95 - 3 errors."""
    inside, cells = 0, []
    for seed in range(60):
        found = values(metric, three(people, 200, 700 + seed))
        inside += estimate(found).low <= 0 <= estimate(found).high
        cells += [
            v.estimate.low <= 0 <= v.estimate.high for (f, at), v in found.items() if f == "value" and at and v.estimate
        ]
    assert inside >= 53
    assert np.mean(cells) >= 0.92
