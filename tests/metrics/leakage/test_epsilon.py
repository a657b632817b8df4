"""The bound on ε against closed forms; ties fake nothing; a claim is falsified or not, never confirmed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from helpers.records import desk, normal_rows, three
from scipy.stats import beta, binom

import counterproof as cp
from counterproof.metrics.errors import MetricError
from counterproof.metrics.leakage._membership.evaluation import Guesses, SplitScores, broken_ranks
from counterproof.metrics.leakage.epsilon import epsilon, lower_bounds, one_run_bound, rate_bound, surest
from counterproof.metrics.metric import Value


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))


def values(seed: int, *, copied: int = 0, n: int = 600, **options: Any) -> dict[str, Value]:
    frames = three(normal_rows, n, seed)
    if copied:
        frames["synthetic"].iloc[:copied] = frames["train"].iloc[:copied].to_numpy()
    return {v.field: v for v in epsilon.values(desk(sources=frames), epsilon.configure(options))}


def split_of(member: Any, scores: Any, tie: Any) -> SplitScores:
    choosing = np.arange(len(member)) % 2 == 0
    return SplitScores(member=member, choosing=choosing, scores={"a": scores}, rank={"a": broken_ranks(scores, tie)})


# -- closed forms ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "ceiling"), [(100, 3.28), (200, 3.98), (500, 4.91), (1000, 5.60), (5000, 7.21)])
def test_a_perfect_attack_shows_no_more_than_its_rates_allow(n: int, ceiling: float) -> None:
    found = rate_bound(Guesses(right=n, members=n, wrong=0, others=n), 0.95)
    assert found == pytest.approx(ceiling, abs=0.005)
    assert found == pytest.approx(math.log(0.025 ** (1 / n) / (1 - 0.025 ** (1 / n))))


@pytest.mark.parametrize(
    ("n", "tpr", "bound"), [(200, 0.10, 0.56), (1000, 0.10, 1.50), (5000, 0.10, 1.94), (500, 0.05, 0.34)]
)
def test_rates_show_what_exact_intervals_leave(n: int, tpr: float, bound: float) -> None:
    right, wrong = int(tpr * n), n // 100
    found = rate_bound(Guesses(right=right, members=n, wrong=wrong, others=n), 0.95)
    assert found == pytest.approx(bound, abs=0.01)
    low, high = beta.ppf(0.025, right, n - right + 1), beta.ppf(0.975, wrong + 1, n - wrong)
    assert found == pytest.approx(math.log(low / high))


@pytest.mark.parametrize(
    ("guessed", "ceiling"), [(5, 0.20), (10, 1.05), (20, 1.82), (50, 2.78), (100, 3.49), (500, 5.11)]
)
def test_all_guesses_right_show_no_more_than_their_number_allows(guessed: int, ceiling: float) -> None:
    assert one_run_bound(guessed, guessed, 0.95) == pytest.approx(ceiling, abs=0.005)


@pytest.mark.parametrize(("right", "guessed"), [(9, 10), (40, 50), (70, 100), (300, 500)])
def test_the_one_run_bound_inverts_the_binomial_test(right: int, guessed: int) -> None:
    found = one_run_bound(right, guessed, 0.95)

    def p(eps: float) -> float:
        return float(binom.sf(right - 1, guessed, math.exp(eps) / (1 + math.exp(eps))))

    assert p(found) == pytest.approx(0.05)
    assert p(found - 0.01) < 0.05 < p(found + 0.01)


# -- ties ------------------------------------------------------------------------------------------


def test_ties_are_broken_at_random() -> None:
    """In the order of the rows members stand first: every guess would be right, ε 2.06 at 50 + 50."""
    member = np.repeat([True, False], 50)
    guessed = 25
    by_position = np.argsort(np.zeros(100), kind="stable")[:guessed]
    assert one_run_bound(int(member[by_position].sum()), guessed, 0.95) == pytest.approx(2.06, abs=0.01)
    shown = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        member = np.repeat([True, False], 400)
        made = lower_bounds(split_of(member, np.zeros(800), rng.random(800)), 0.95)
        shown += [bound.value for _, bound in made.values()]
    assert np.mean(np.array(shown) > 0) <= 0.1
    assert max(shown) < 1


def test_the_share_of_guesses_is_fixed_beforehand() -> None:
    member = np.tile([True, True, False, False], 50)
    scores = np.where(member, 1.0, 0.0)
    found = split_of(member, scores, np.random.default_rng(0).random(200))
    assert surest(found, "a", ~found.choosing) == (5, 5)
    assert lower_bounds(found, 0.95)["one_run"][1].value == pytest.approx(0.197, abs=0.001)


@pytest.mark.parametrize("true", [0.0, 1.0])
def test_a_known_epsilon_is_hardly_ever_exceeded(true: float) -> None:
    over = np.zeros(2)
    for seed in range(100):
        rng = np.random.default_rng(seed)
        member = np.tile([True, True, False, False], 200)
        told = np.where(rng.random(800) < math.exp(true) / (1 + math.exp(true)), member, ~member)
        made = lower_bounds(split_of(member, told.astype(float), rng.random(800)), 0.95)
        over += [made[method][1].value > true for method in ("rates", "one_run")]
    assert (over <= 11).all()  # P(X > 11) = 0.004 at 0.05


# -- audits ----------------------------------------------------------------------------------------


def test_fresh_rows_show_nothing_and_copies_much() -> None:
    fresh, copied = values(1), values(1, copied=600)
    for field in ("value", "rates", "one_run"):
        nothing, much = fresh[field].estimate, copied[field].estimate
        assert nothing is not None
        assert much is not None
        assert nothing.low == nothing.value <= 0.3
        assert much.value > (3.5 if field != "one_run" else 1.8)
        assert much.low == much.value <= much.high
        assert nothing.high == pytest.approx(much.high), "the most that 300 + 300 records can show"
    assert "a perfect attack would have shown 4.39" in fresh["value"].reason
    assert "a random split is assumed" in fresh["value"].reason


def test_a_claim_is_falsified_or_not() -> None:
    assert values(2)["claim"].status == "not_applicable"
    held = values(2, claimed=1.0)["claim"]
    assert held.alarm == ""
    assert held.reason == "the claimed ε = 1 is not falsified, which does not confirm it"
    beyond = values(2, claimed=9.0)["claim"]
    assert "at this size no attack could have shown more than 4.39" in beyond.reason
    broken = values(2, claimed=1.0, copied=600)["claim"]
    assert broken.alarm.startswith("the claimed ε = 1 is falsified: these attacks prove at least 4.39")


def test_a_false_claim_fails_an_audit_and_no_claim_is_no_gate() -> None:
    frames = three(normal_rows, 600, 3)
    frames["synthetic"] = frames["train"] + 1e-3
    claim = {"leakage.epsilon": {"claimed": 2.0}}
    record = cp.audit(**frames, metrics=["leakage.epsilon"], options=claim)
    assert record.verdict == "fail"
    assert "falsified" in record.because
    unclaimed = cp.audit(**frames, metrics=["leakage.epsilon"])
    assert [gate.verdict for gate in unclaimed.gates] == ["not_applicable"]
    told = " ".join(reading.reason + reading.alarm for reading in record.measurements)
    assert not any(word in told for word in ("private", "safe", "confirmed"))


@pytest.mark.parametrize("claimed", [-1.0, math.nan, math.inf])
def test_a_claim_is_a_number_from_nought(claimed: float) -> None:
    with pytest.raises(MetricError, match=r"option claimed = .*: Input should be"):
        values(4, claimed=claimed)


def test_a_few_records_leave_a_claim_open() -> None:
    found = values(5, n=30, claimed=1.0)
    assert found["value"].status == found["claim"].status == "not_assessable"
    assert "40 of each are needed" in found["value"].reason
