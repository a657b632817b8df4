"""Conditional value at risk against closed forms and linear programmes, raking against its margins; bad input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk
from helpers.reference_statistics import tail_mean
from helpers.staged_models import decisions, staged
from scipy.optimize import linprog
from scipy.stats import norm

from counterproof.measuring.measure import measure
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Measurement
from counterproof.metrics.fairness._shifts.population import mix_of
from counterproof.metrics.fairness.worst_shift import worst_shift
from counterproof.metrics.metric import Value
from counterproof.metrics.statistics.cvar import FOLDS, STRETCH, Tail, folds_of, worst_weights
from counterproof.metrics.workbench import Workbench

N = 2000


def test_the_tail_of_a_normal_is_the_closed_form() -> None:
    """CVaR of N(0, 1) at 0.9 is φ(z)/0.1 = 1.755."""
    quantiles = norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    found = tail_mean(quantiles, np.full(100_000, 1e-5), 0.9)
    assert found == pytest.approx(norm.pdf(norm.ppf(0.9)) / 0.1, abs=1e-3)
    assert round(found, 3) == 1.755


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.75, 0.9, 0.99])
def test_the_worst_mix_solves_the_linear_programme(alpha: float) -> None:
    rng = np.random.default_rng(3)
    means, mass = rng.random(7), rng.dirichlet(np.ones(7))
    bounds = [(0, share / (1 - alpha)) for share in mass]
    best = linprog(-means, A_eq=np.ones((1, 7)), b_eq=[1.0], bounds=bounds)
    assert tail_mean(means, mass, alpha) == pytest.approx(-best.fun)
    parts, edge = worst_weights(means, mass, alpha)
    assert (parts * mass).sum() == pytest.approx(1 - alpha)
    assert edge == pytest.approx(means[parts > 0].min())


def test_each_fold_is_measured_on_groups_that_the_others_choose() -> None:
    """The debiased half of the estimate, written out row by row."""
    rng = np.random.default_rng(0)
    codes, losses = rng.integers(0, 4, 300), (rng.random(300) < 0.3).astype(float)
    tail = Tail(codes=codes, groups=4, folds=folds_of(np.arange(300), rng), alpha=0.75)
    risk = tail.risk(losses)
    other = risk.value - risk.doubt / 2
    scores = []
    for i in range(300):
        rest = tail.folds != tail.folds[i]
        counts = np.array([(codes[rest] == g).sum() for g in range(4)])
        sums = np.array([losses[rest][codes[rest] == g].sum() for g in range(4)])
        means = (sums + 10 * losses[rest].mean()) / (counts + 10)
        parts, edge = worst_weights(means, counts / counts.sum(), 0.75)
        scores.append(edge + parts[codes[i]] * (losses[i] - edge) / 0.25)
    assert other == pytest.approx(np.mean(scores))
    assert risk.parts[1] == pytest.approx(STRETCH * (np.array(scores) - np.mean(scores)) / 300)
    assert tail.value(losses) == pytest.approx(risk.value)


def test_of_one_group_it_is_the_mean() -> None:
    losses = np.random.default_rng(1).random(400)
    tail = Tail(
        codes=np.zeros(400, np.intp), groups=1, folds=folds_of(np.arange(400), np.random.default_rng(2)), alpha=0.9
    )
    risk = tail.risk(losses)
    assert risk.value == pytest.approx(losses.mean(), abs=2e-3)
    assert risk.error(None) == pytest.approx(STRETCH * losses.std(ddof=1) / 20, rel=0.1)


def test_the_interval_holds_where_groups_are_equal_and_the_debiased_one_alone_does_not() -> None:
    held = naive = 0
    for repeat in range(300):
        rng = np.random.default_rng(repeat)
        codes = rng.integers(0, 10, 2000)
        tail = Tail(codes=codes, groups=10, folds=folds_of(np.arange(2000), rng), alpha=0.75)
        first, second = (tail.risk((rng.random(2000) < 0.2).astype(float)) for _ in range(2))
        change = second.less(first)
        held += abs(change.value) <= 1.96 * change.error(None)
        debiased = change.value - change.doubt / 2
        naive += abs(debiased) <= 1.96 * math.sqrt(float(change.parts[1] @ change.parts[1])) / STRETCH
    assert held >= 0.93 * 300
    assert naive < 0.93 * 300


def test_sources_stay_in_one_fold() -> None:
    units = np.repeat(np.arange(50), 4)
    folds = folds_of(units, np.random.default_rng(0))
    assert all(len(set(folds[units == u])) == 1 for u in range(50))
    assert np.bincount(folds).tolist() == [40] * FOLDS


# -- a stated population ----------------------------------------------------------------------------


def columns(n: int = N, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"sex": rng.choice(["F", "M"], n, p=[0.3, 0.7]), "race": rng.choice(["", "a", "b"], n, p=[0.1, 0.6, 0.3])}


def test_raked_rows_have_the_stated_shares() -> None:
    rows = columns()
    mix = mix_of({"sex": {"F": 0.5, "M": 0.5}, "race": {"b": 0.5}}, rows, rows)
    assert mix.weight.sum() == pytest.approx(1)
    assert mix.weight[rows["sex"] == "F"].sum() == pytest.approx(0.5)
    assert mix.weight[rows["race"] == "b"].sum() == pytest.approx(0.5)
    rest = [mix.weight[rows["race"] == value].sum() for value in ("", "a")]
    assert rest[0] / rest[1] == pytest.approx((rows["race"] == "").sum() / (rows["race"] == "a").sum())
    assert mix.effective == pytest.approx(1 / (mix.weight**2).sum())


def test_one_column_is_post_stratification() -> None:
    """Mean and standard error of the stratified estimator, by their formulas."""
    rows = columns()
    losses = np.random.default_rng(1).random(N) + (rows["sex"] == "F")
    risk = mix_of({"sex": {"F": 0.5}}, rows, rows).risk(losses)
    strata = [losses[rows["sex"] == sex] for sex in ("F", "M")]
    assert risk.value == pytest.approx(np.mean([s.mean() for s in strata]))
    expected = math.sqrt(sum(0.25 * s.var() / len(s) for s in strata))
    assert risk.error(None) == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize(
    ("population", "told"),
    [
        ({}, "option population is empty"),
        ({"age": {"old": 1}}, "population: 'age' is no group column; there are sex, race"),
        ({"sex": {"X": 0.5}}, "population.sex: no row has sex = 'X'; there are F, M"),
        ({"sex": {"F": 0.5, "M": 0.6}}, "population.sex: the shares sum to 1.1 instead of 1"),
        ({"sex": {"F": 0.5, "M": 0.4}}, "sum to 0.9 instead of 1, and no other value is there to take the rest"),
        ({"sex": {"F": -0.5}}, "the share of 'F' is -0.5: give a number from 0 to 1"),
        ({"sex": {"F": math.nan}}, "the share of 'F' is nan"),
        ({"race": {"gone": 0.2}}, "no real test row has race = 'gone', so it cannot be weighted"),
    ],
)
def test_a_population_that_cannot_be_is_one_sentence(population: dict[str, dict[str, float]], told: str) -> None:
    rows = columns(100)
    known = rows | {"race": np.append(rows["race"], "gone")}
    with pytest.raises(MetricError, match=r"^[^\n]*$") as error:
        mix_of(population, rows, known)
    assert told in str(error.value)


def test_shares_that_exclude_each_other_are_one_sentence() -> None:
    rows = {"sex": np.array(["F", "F", "M"]), "race": np.array(["a", "a", "b"])}
    with pytest.raises(MetricError, match="no weights of the real test rows meet all stated shares at once"):
        mix_of({"sex": {"F": 0.2}, "race": {"a": 0.9}}, rows, rows)


def test_missing_is_a_value_like_others() -> None:
    rows = columns()
    mix = mix_of({"race": {"(missing)": 0.4}}, rows, rows)
    assert mix.weight[rows["race"] == ""].sum() == pytest.approx(0.4)


# -- the metric -------------------------------------------------------------------------------------


def trial(right_real: np.ndarray, right_made: np.ndarray, seed: int = 0, **options: Any) -> Workbench:
    """Models that are right where told; a label of two classes."""
    rng = np.random.default_rng(seed)
    truth = rng.random(len(right_real)) < 0.4
    labels = np.where(truth, "yes", "no")
    said = [decisions(np.where(right, truth, ~truth)) for right in (right_real, right_made)]
    return staged(labels, real=said[0], synthetic=said[1], **options)


def told(view: Workbench, **options: Any) -> dict[tuple[str, str], Value]:
    params = worst_shift.configure({"models": ("linear",), **options})
    return {(v.field, str(dict(v.group).get("cell", ""))): v for v in worst_shift.values(view, params)}


def test_a_group_that_the_release_teaches_badly_is_the_worst_population() -> None:
    rng = np.random.default_rng(2)
    sex = rng.choice(["F", "M"], N, p=[0.3, 0.7])
    real, made = rng.random(N) < 0.9, rng.random(N) < np.where(sex == "F", 0.6, 0.9)
    found = told(trial(real, made, groups={"sex": sex}))
    change = found["change", "worst 25 % by sex"]
    e = change.estimate
    assert e is not None
    assert e.low <= -0.3 <= e.high
    assert e.high < -0.2
    synthetic = found["synthetic", "worst 25 % by sex"].estimate
    assert synthetic is not None
    assert synthetic.low <= 0.6 <= synthetic.high
    assert change.n["effective"] == 500
    headline = found["change", ""]
    assert headline.reason.startswith("worst")
    rows = headline.evidence[0].rows
    assert rows[0][0] == "sex = F"
    assert rows[0][1] == (sex == "F").sum()
    tail = 0.25 if "25 %" in headline.evidence[0].title else 0.1
    assert rows[0][-1] == pytest.approx(tail * N / (sex == "F").sum())
    loss = found["loss_change", "worst 25 % by sex"].estimate
    assert loss is not None
    assert loss.value == pytest.approx(-2 * e.value, abs=1e-9)  # of certain models, a squared error is 2 or 0


def test_a_stated_population_weighs_the_rows() -> None:
    rng = np.random.default_rng(4)
    sex = rng.choice(["F", "M"], N, p=[0.3, 0.7])
    real, made = np.ones(N, dtype=bool), np.where(sex == "F", rng.random(N) < 0.5, True)
    found = told(trial(real, made, groups={"sex": sex}), population={"sex": {"F": 0.8}})
    made_well = (made & (sex == "F")).sum() / (sex == "F").sum()
    value = found["synthetic", "stated population"]
    assert value.estimate is not None
    assert value.estimate.value == pytest.approx(0.8 * made_well + 0.2)
    weights = np.where(sex == "F", 0.8 / (sex == "F").sum(), 0.2 / (sex == "M").sum())
    assert value.n["effective"] == int(1 / (weights**2).sum())


def test_worst_rows_of_little_worth_are_measured_and_cannot_decide() -> None:
    rng = np.random.default_rng(5)
    sex = rng.choice(["F", "M"], 380)
    found = told(trial(rng.random(380) < 0.9, rng.random(380) < 0.9, groups={"sex": sex}))
    assert not found["change", "worst 10 % by sex"].decidable
    assert found["change", "worst 10 % by sex"].reason == "too few rows: worth 38 test rows"
    assert found["change", ""].status == "not_assessable"


def test_hundreds_of_groups_are_not_searched_for_the_worst() -> None:
    rng = np.random.default_rng(8)
    groups = {"sex": rng.choice(["F", "M"], N), "town": rng.choice([f"t{i}" for i in range(150)], N)}
    view = trial(rng.random(N) < 0.9, rng.random(N) < 0.9, groups=groups)
    values = list(worst_shift.values(view, worst_shift.configure({"models": ("linear",)})))
    (town,) = [v for v in values if v.group and v.group[0] == ("town", None)]
    assert town.reason == "too few rows: town has 150 groups, more than the 100 that are searched"
    assert not any("by town" in str(v.group) for v in values)
    alone = trial(rng.random(N) < 0.9, rng.random(N) < 0.9, groups={"town": groups["town"]})
    (none, *_) = worst_shift.values(alone, worst_shift.configure({"models": ("linear",)}))
    assert (none.status, none.reason) == ("not_assessable", "the groups are the label, or more than 100")


def test_a_group_without_test_rows_is_no_part_of_the_worst() -> None:
    """Real rows to learn from know a group that the test rows do not hold."""
    codes, losses = np.tile([0, 2], 300), np.random.default_rng(0).random(600)
    tail = Tail(codes=codes, groups=4, folds=folds_of(np.arange(600), np.random.default_rng(1)), alpha=0.75)
    assert tail.weights(losses)[[1, 3]].tolist() == [0.0, 0.0]
    assert math.isfinite(tail.risk(losses).error(None))


def test_sources_widen_the_interval() -> None:
    rng = np.random.default_rng(6)
    of = np.arange(N) // 10
    sex = rng.choice(["F", "M"], N // 10)[of]
    real, made = (rng.random(N // 10) < 0.8)[of], (rng.random(N // 10) < 0.8)[of]
    ends = []
    for clusters in (of, None):
        e = told(trial(real, made, groups={"sex": sex}, clusters=clusters))["change", "worst 25 % by sex"].estimate
        assert e is not None
        ends.append(e.high - e.low)
    assert ends[0] > 1.8 * ends[1]


def frames(n: int, seed: int) -> dict[str, pd.DataFrame]:
    made = {}
    for at, role in enumerate(("train", "holdout", "synthetic")):
        rng = np.random.default_rng([seed, at])
        sex, x = rng.choice(["F", "M", "X"], n, p=[0.5, 0.49, 0.01]), rng.normal(size=n)
        made[role] = pd.DataFrame({"x": x, "sex": sex, "y": np.where(x + rng.normal(size=n) > 0, "yes", "no")})
    return made


def through_the_engine(label: str = "y", **options: Any) -> list[Measurement]:
    view = desk(label=label, groups=["sex"], sources=frames(700, 1))
    return measure(worst_shift, view, worst_shift.configure({"models": ("linear",), **options}))


def test_fresh_rows_change_nothing_and_have_a_floor() -> None:
    found = through_the_engine()
    headline = next(m for m in found if m.field == "change" and not m.group)
    assert headline.estimate is not None
    assert headline.estimate.low < 0 < headline.estimate.high
    assert headline.floor is not None
    assert headline.floor.value == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"alphas": (1.0,)}, "option alphas = (1.0,): Input should be less than 1"),
        ({"alphas": ()}, "option alphas = (): Tuple should have at least 1 item"),
        ({"models": ("forest",)}, "option models = ('forest',): Input should be 'linear', 'boosting' or 'neighbours'"),
    ],
)
def test_bad_options_are_one_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(MetricError) as caught:
        through_the_engine(**options)
    assert sentence in str(caught.value)


def test_a_population_of_nobody_is_one_sentence() -> None:
    (found,) = through_the_engine(population={"sex": {"Z": 0.5}})
    assert found.status == "error"
    assert "no row has sex = 'Z'; there are F, M" in found.reason


def test_a_numeric_label_does_not_apply() -> None:
    (found,) = through_the_engine(label="x")
    assert (found.status, found.reason) == ("not_applicable", "'x' is a number")
