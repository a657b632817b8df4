"""Targets: shares over declared shares, their intervals, what stays with real data, and bad input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk, three
from helpers.workbenches import bench
from scipy.stats import beta

import counterproof as cp
from counterproof.metrics.coverage._shares.quotas import Quota
from counterproof.metrics.coverage.representation import representation
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate, Group
from counterproof.metrics.metric import Value
from counterproof.metrics.statistics.decidability import pass_probability
from counterproof.metrics.statistics.proportions import wilson
from counterproof.metrics.workbench import Workbench

Frames = dict[str, pd.DataFrame]
HALVES = {"sex": {"F": 0.5, "M": 0.5}}
F, M = (("sex", "F"),), (("sex", "M"),)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))


def people(n: int, seed: int, women: float = 0.3) -> pd.DataFrame:
    """Women are more often of race b."""
    rng = np.random.default_rng(seed)
    sex = np.where(rng.random(n) < women, "F", "M")
    race = np.where(rng.random(n) < np.where(sex == "F", 0.6, 0.3), "b", "a")
    return pd.DataFrame({"age": rng.normal(40, 9, n), "sex": sex, "race": race})


def frames_of(n: int, seed: int, women: float) -> Frames:
    made = people(n, 900 + seed, women)
    return three(people, n, seed) | {"synthetic": made}


def values(frames: Frames, target: dict[str, dict[str, float]] | None, **run: Any) -> dict[tuple[str, Group], Value]:
    at = desk(sources=frames, groups=["sex", "race"], **run)
    return found_at(at, target)


def found_at(at: Workbench, target: dict[str, dict[str, float]] | None) -> dict[tuple[str, Group], Value]:
    return {(v.field, v.group): v for v in representation.values(at, representation.configure({"target": target}))}


def estimate(value: Value) -> Estimate:
    assert value.estimate is not None
    return value.estimate


def test_a_share_is_held_to_the_declared_one_with_wilsons_interval() -> None:
    frames = frames_of(1000, 1, 0.3)
    found = values(frames, HALVES)
    k = int((frames["synthetic"]["sex"] == "F").sum())
    e, expected = estimate(found["target", F]), wilson(k, 1000)
    assert (e.value, e.low, e.high) == pytest.approx((k / 500, expected.low / 0.5, expected.high / 0.5))
    assert estimate(found["value", F]) == e
    assert "against the declared share of 0.5" in found["value", F].reason
    assert estimate(found["target", M]).low > 1.25  # over, which a gate on the field sees


def test_without_a_target_nothing_changes() -> None:
    frames = frames_of(400, 2, 0.3)
    assert repr(values(frames, None)) == repr(values(frames, {}))
    assert not any(field == "target" for field, _ in values(frames, None))


def test_a_balanced_release_passes_against_its_target_and_fails_against_real_shares() -> None:
    frames = frames_of(2000, 3, 0.5)
    audited = {"groups": ["sex", "race"], "metrics": ["coverage.representation"]}
    assert cp.audit(**frames, **audited).verdict == "fail"
    options = {"coverage.representation": {"target": HALVES}}
    gates = ["coverage.representation.target[*] >= 0.8", "coverage.representation.target[*] <= 1.25"]
    assert cp.audit(**frames, **audited, options=options, gates=gates).verdict == "pass"
    skewed = frames_of(2000, 4, 0.3)
    assert cp.audit(**skewed, **audited, options=options).verdict == "fail"


def test_combinations_are_judged_within_the_declared_values() -> None:
    frames = frames_of(2000, 5, 0.5)
    found = values(frames, HALVES)
    real = pd.concat([frames["train"], frames["holdout"]])
    shares = [frame.loc[frame["sex"] == "F", "race"].eq("b").mean() for frame in (frames["synthetic"], real)]
    pair = (("sex", "F"), ("race", "b"))
    assert estimate(found["value", pair]).value == pytest.approx(shares[0] / shares[1])
    women = int((frames["synthetic"]["sex"] == "F").sum())
    assert found["value", pair].n["release"] == women
    assert (("sex", "F"),) not in {group for field, group in found if field == "value" and len(group) == 2}


def test_combinations_of_declared_columns_alone_are_not_judged() -> None:
    found = values(frames_of(500, 6, 0.5), HALVES | {"race": {"a": 0.5, "b": 0.5}})
    assert {group for _, group in found} == {F, M, (("race", "a"),), (("race", "b"),), ()}


def test_a_combination_that_the_release_thins_within_a_declared_value_is_found() -> None:
    frames = frames_of(2000, 7, 0.5)
    made = frames["synthetic"]
    made.loc[(made["sex"] == "F") & (made["race"] == "b"), "race"] = "a"
    assert values(frames, HALVES)["value", (("sex", "F"), ("race", "b"))].alarm.startswith(
        "No row with sex = F, race = b; "
    )


def test_a_declared_value_that_nobody_has_is_nothing_with_the_exact_bound() -> None:
    frames = frames_of(1000, 8, 0.5)
    found = values(frames, {"sex": {"F": 0.45, "M": 0.45, "X": 0.1}})["target", (("sex", "X"),)]
    e = estimate(found)
    assert (e.value, e.low) == (0.0, 0.0)
    assert e.high == pytest.approx(beta.ppf(0.975, 1, 1000) / 0.1)
    assert found.alarm == "no row, real or synthetic, has sex=X; there are F, M"


def test_a_declared_value_that_only_real_rows_have_is_an_alarm_beyond_chance() -> None:
    frames = frames_of(300, 9, 0.0)
    assert "asks for about 150" in values(frames, HALVES)["value", F].alarm
    assert values(frames, {"sex": {"F": 0.002}})["value", F].alarm == ""
    men = values(frames, HALVES)["value", (("sex", "F"), ("race", "a"))]
    assert (men.status, men.estimate) == ("not_assessable", None)


def test_the_target_alone_is_enough_where_real_rows_know_no_group() -> None:
    rng = np.random.default_rng(10)
    sex = np.concatenate([np.repeat("", 400), rng.choice(["F", "M"], 200)])
    x = np.zeros((200, 1))
    found = found_at(bench(x, x, x, groups={"sex": sex}), HALVES)
    k = int((sex[400:] == "F").sum())
    assert estimate(found["target", F]).value == pytest.approx(k / 100)


def test_a_value_that_may_be_among_the_pooled_is_not_assessable() -> None:
    frames = frames_of(500, 11, 0.5)
    frames["train"].loc[:2, "sex"] = "X"
    options = {"coverage.representation": {"target": {"sex": {"X": 0.01}}}}
    record = cp.audit(**frames, groups=["sex"], metrics=["coverage.representation"], options=options)
    found = record["coverage.representation.target[sex=X]"]
    assert (found.status, found.reason) == (
        "not_assessable",
        "sex = X may be among the rare values, which are pooled",
    )


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ({"sax": {"F": 0.5}}, "option target: 'sax' is neither group nor label; did you mean sex?"),
        ({"zip": {"1": 0.5}}, "option target: 'zip' is neither group nor label; there are sex, race"),
        ({"sex": {"F": 0.7, "M": 0.4}}, "option target: the shares of sex sum to 1.1, more than 1"),
        ({"sex": {"F": 0.0}}, "option target: sex=F has the share 0: give one above 0, at most 1"),
        ({"sex": {"F": float("nan")}}, "option target: sex=F has the share nan: give one above 0, at most 1"),
    ],
)
def test_bad_targets_are_one_sentence(target: dict[str, dict[str, float]], told: str) -> None:
    with pytest.raises(MetricError) as caught:
        values(frames_of(100, 12, 0.5), target)
    assert str(caught.value) == told


def passes(quota: Quota, n: int) -> float:
    return float(pass_probability(-math.log(0.8), quota.faithful_error(n)))


def test_the_interval_covers_and_a_release_that_keeps_to_the_quota_passes() -> None:
    rng = np.random.default_rng(13)
    for share, n in ((0.5, 200), (0.1, 5000), (0.02, 1000)):
        quotas = [Quota(group=F, share=share, made=int(k), n_made=n) for k in rng.binomial(n, share, 1000)]
        covered = np.mean([q.estimate(0.95).low <= 1 <= q.estimate(0.95).high for q in quotas])
        assert 0.93 <= covered <= 0.98
        passed = np.mean([q.estimate(0.95).bound("low", 0.95) >= 0.8 for q in quotas])
        assert passes(quotas[0], n) == pytest.approx(passed, abs=0.08)
    assert passes(Quota(group=F, share=0.1, made=0, n_made=5000), 5000) > 0.99
    assert passes(Quota(group=F, share=0.02, made=0, n_made=1000), 1000) < 0.5
