"""Slices against brute force over the table; what is planted is found, what is luck or rare is not told."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk
from helpers.staged_models import decisions, stage, staged
from helpers.workbenches import bench

from counterproof.measuring.measure import measure
from counterproof.metrics.errors import MetricError
from counterproof.metrics.fairness._slices.grid import Grid, grid_of
from counterproof.metrics.fairness._slices.search import Slice, gaps, judged
from counterproof.metrics.fairness.slices import slices
from counterproof.metrics.metric import Value
from counterproof.metrics.sample import Sample
from counterproof.metrics.statistics.proportions import paired_error
from counterproof.metrics.workbench import Workbench

N = 4000


def people(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    city = rng.choice(["north", "south", "east", None], n, p=[0.5, 0.3, 0.15, 0.05])
    age = np.where(rng.random(n) < 0.1, np.nan, rng.integers(18, 90, n))
    day = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1000, n), unit="D")
    label = np.where(rng.random(n) < 0.4, "yes", "no")
    return pd.DataFrame({"age": age, "city": city, "day": day, "sex": rng.choice(["F", "M"], n), "y": label})


def grid(n: int = 800, least: int = 20) -> tuple[Grid, pd.DataFrame]:
    frame = people(n, 1)
    view = desk(label="y", groups=["sex"], sources={"real": frame, "synthetic": people(50, 2)})
    sample = Sample("all", view.real.rows, view.corpus)
    found = grid_of(sample, least)
    return found.crossed(range(len(found.columns))), frame


def test_every_slice_holds_the_rows_that_its_name_says() -> None:
    found, frame = grid()
    assert {column.name for column in found.columns} == {"age", "city", "day", "sex"}
    states = np.random.default_rng(0).integers(0, 4, len(frame))
    counts = found.counts(states, 4)
    assert len(counts) == found.starts[-1]
    names = [found.name(at) for at in range(len(counts))]
    assert len(set(names)) == len(names)
    at = names.index("sex = F, city = (missing)")
    inside = (frame["sex"] == "F") & frame["city"].isna()
    assert (found.inside(at) == inside.to_numpy()).all()
    for at in range(len(counts)):
        assert counts[at].tolist() == np.bincount(states[found.inside(at)], minlength=4).tolist()
        parents = found.parents[at]
        assert (found.inside(at) == found.inside(parents[0]) & found.inside(parents[1])).all()


def test_numbers_and_dates_are_cut_into_fifths_and_missing_is_apart() -> None:
    found, frame = grid()
    age = next(column for column in found.columns if column.name == "age")
    assert age.bins[-1] == "(missing)"
    assert (age.codes == len(age) - 1).tolist() == frame["age"].isna().tolist()
    sizes = np.bincount(age.codes)[:-1]
    assert len(sizes) == 5
    assert sizes.max() - sizes.min() < 0.08 * len(frame)
    day = next(column for column in found.columns if column.name == "day")
    assert day.bins[0].startswith("< 2020-")
    names = [found.name(at) for at in range(5)]
    assert any(name.startswith("age ≥ ") for name in map(found.name, range(found.starts[-1]))), names


def test_rare_categories_have_no_name() -> None:
    found, _ = grid(least=100)
    city = next(column for column in found.columns if column.name == "city")
    assert city.bins == ("north", "south", "east")
    assert (city.codes == 3).any()


def test_a_gap_is_inside_less_outside_with_its_paired_error() -> None:
    counts = np.array([[50, 6, 20, 4]])
    totals = np.array([500, 40, 50, 30])
    gap, error = gaps(counts, totals, "change")
    assert gap[0] == pytest.approx((20 - 6) / 80 - (30 - 34) / 540)
    expected = np.hypot(paired_error(20, 6, 80), paired_error(30, 34, 540))
    assert error[0] == pytest.approx(expected)
    gap, _ = gaps(counts, totals, "error")
    assert gap[0] == pytest.approx(24 / 80 - 56 / 540)


def test_confirmed_are_those_of_benjamini_and_hochberg() -> None:
    def made(z: float, luck: float = 0.0) -> Slice:
        return Slice(at=0, learner="linear", value=0.1 * z + luck, sampling=0.1, luck=luck)

    found = judged([made(3.5), made(2.2), made(1.0), made(2.2, luck=0.3)], 0.05)
    assert [one.confirmed for one in found] == [True, True, False, True]
    assert found[0].p == pytest.approx(4 * 0.000232629, rel=1e-4)
    low = judged([made(1.6)], 0.05)[0].estimate(0.95).low
    assert low == pytest.approx(0.16 - 0.196, abs=1e-4)


# -- the metric on staged models --------------------------------------------------------------------


def trial(wrong_real: np.ndarray, wrong_made: np.ndarray, groups: dict[str, Any], **options: Any) -> Workbench:
    truth = np.random.default_rng(9).random(len(wrong_real)) < 0.5
    said = [decisions(np.where(wrong, ~truth, truth)) for wrong in (wrong_real, wrong_made)]
    return staged(np.where(truth, "yes", "no"), real=said[0], synthetic=said[1], groups=groups, **options)


def found_in(view: Workbench, **options: Any) -> list[Value]:
    return list(slices.values(view, slices.configure({"models": ("linear",), **options})))


def columns(n: int = N, seed: int = 0, of: int = 6) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {f"g{i}": rng.choice(list("abcd"), n) for i in range(of)}


def test_a_planted_slice_is_found_named_and_confirmed() -> None:
    groups, rng = columns(), np.random.default_rng(1)
    planted = (groups["g1"] == "a") & (groups["g4"] == "c")
    real, made = rng.random(N) < 0.1, rng.random(N) < np.where(planted, 0.5, 0.1)
    values = found_in(trial(real, made, groups))
    change = [v for v in values if v.field == "change"]
    assert change[0].group == (("cell", "g1 = a, g4 = c"), ("learner", "linear"))
    assert change[0].reason == ""
    headline = change[-1]
    assert headline.group == ()
    assert headline.estimate is not None
    assert headline.estimate.low <= 0.4 <= headline.estimate.high
    assert headline.estimate.low > 0.2
    assert headline.reason.startswith("g1 = a, g4 = c, linear; ")
    confirmed = [str(v.group[0][1]) for v in change[:-1] if not v.reason]
    assert all("g1 = a" in name or "g4 = c" in name for name in confirmed)
    rows = headline.evidence[0].rows
    assert rows[0][0] == "g1 = a, g4 = c"
    assert rows[0][2] == planted.sum()
    assert rows[0][3:5] == pytest.approx((real[planted].mean(), made[planted].mean()))
    assert rows[0][-1] < 1e-6
    drawn = headline.panels[0].data["entries"][0]
    assert drawn["label"] == "g1 = a, g4 = c · linear"


def test_only_the_other_half_tells() -> None:
    """The value of a chosen slice is that of the rows that did not choose it."""
    groups, rng = columns(), np.random.default_rng(2)
    view = trial(rng.random(N) < 0.2, rng.random(N) < 0.2, groups)
    headline = next(v for v in found_in(view) if not v.group)
    other = np.ones(N, dtype=bool)
    other[Sample("x", view.test.rows, view.corpus).half(view.generator("slices"))] = False
    wrong = [view.forecast("linear", s).predicted != view.test.labels for s in (view.learning, view.synthetic_train)]
    difference = wrong[1].astype(float) - wrong[0]
    inside = np.ones(N, dtype=bool)
    for part in headline.reason.split(", linear;")[0].split(", "):
        name, value = part.split(" = ")
        inside &= groups[name] == value
    assert headline.estimate is not None
    expected = difference[inside & other].mean() - difference[~inside & other].mean()
    assert headline.estimate.value == pytest.approx(expected)
    assert headline.n["slice"] == (inside & other).sum()


def test_fresh_errors_are_not_confirmed() -> None:
    """The false discovery rate over 60 draws of two models that err at random."""
    false = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        view = trial(rng.random(1500) < 0.2, rng.random(1500) < 0.2, columns(1500, seed, of=5))
        false += any(v.group and not v.reason for v in found_in(view) if v.field == "change")
    assert false <= 6


def test_slices_of_few_rows_are_not_looked_at() -> None:
    groups = columns()
    groups["rare"] = np.where(np.arange(N) < 40, "few", "many")
    wrong = np.arange(N) < 40
    values = found_in(trial(np.zeros(N, dtype=bool), wrong, groups))
    assert not any("few" in str(v.group) or "few" in v.reason for v in values)
    small = found_in(trial(wrong[:50], wrong[:50], columns(50)))
    assert [(v.field, v.status) for v in small] == [("change", "not_assessable")]
    assert small[0].reason == "too few rows: no slice has 30 real test rows in each half"


def test_slices_are_as_large_as_asked_for() -> None:
    groups, rng = columns(1000, of=3), np.random.default_rng(4)
    view = trial(rng.random(1000) < 0.2, rng.random(1000) < 0.2, groups)
    sizes = [v.n["slice"] for v in found_in(view, smallest=100) if v.group]
    assert min(sizes) >= 100


def test_sources_widen_the_interval() -> None:
    of = np.arange(N) // 20
    rng = np.random.default_rng(5)
    groups = {name: values[: N // 20][of] for name, values in columns().items()}
    real, made = (rng.random(N // 20) < 0.2)[of], (rng.random(N // 20) < 0.2)[of]
    wide = next(v.estimate for v in found_in(trial(real, made, groups, clusters=of)) if not v.group)
    plain = next(v.estimate for v in found_in(trial(real, made, groups)) if not v.group)
    assert wide is not None
    assert plain is not None
    assert wide.high - wide.low > 1.5 * (plain.high - plain.low)


def test_three_sources_cannot_be_halved() -> None:
    rng = np.random.default_rng(5)
    view = trial(rng.random(N) < 0.2, rng.random(N) < 0.2, columns(), clusters=np.arange(N) % 3)
    (value,) = found_in(view)
    assert (value.status, value.reason.endswith("fewer than two sources for each half")) == ("not_assessable", True)


def test_the_same_seed_gives_the_same_slices() -> None:
    rng = np.random.default_rng(6)
    wrong = rng.random(N) < 0.2, rng.random(N) < 0.2
    first, second = ([(v.group, v.estimate) for v in found_in(trial(*wrong, columns()))] for _ in range(2))
    assert first == second


def test_luck_of_training_is_taken_off() -> None:
    """Models of halves that err where they like: the same change is not confirmed any more."""
    groups, rng = columns(), np.random.default_rng(7)
    planted = groups["g1"] == "a"
    real, made = rng.random(N) < 0.1, rng.random(N) < np.where(planted, 0.25, 0.1)
    steady = trial(real, made, groups)
    assert any(v.group and not v.reason for v in found_in(steady) if v.field == "change")
    shaky = trial(real, made, groups)
    labels = shaky.test.labels == "yes"
    halves = [shaky.release_halves(draw) for draw in range(10)]
    for half in itertools.chain.from_iterable((view.learning, view.synthetic_train) for view in halves):
        up = rng.random() < 0.5
        wrong = rng.random(N) < np.where(planted, 0.5 if up else 0.1, 0.1)
        forecast = shaky.forecast("linear", half)
        said = np.where(wrong, ~labels, labels)
        again = type(forecast)(
            classes=forecast.classes,
            probability=decisions(said),
            predicted=forecast.classes[said.astype(int)],
            rows=forecast.rows,
        )
        stage(shaky, "linear", half, again)
    found = [v for v in found_in(shaky) if v.field == "change"]
    assert not any(v.group and not v.reason for v in found)


# -- through the engine -----------------------------------------------------------------------------


def test_a_table_is_sliced_by_all_its_columns_but_the_label() -> None:
    frames = {role: people(500, seed) for seed, role in enumerate(("train", "holdout", "synthetic"))}
    view = desk(label="y", groups=["sex"], sources=frames)
    found = measure(slices, view, slices.configure({"models": ("linear",)}))
    named = {str(dict(m.group).get("cell", "")) for m in found}
    assert not any(name.startswith("y ") or ", y " in name for name in named)
    assert any("age" in name or "city" in name or "day" in name for name in named)
    assert all(m.status == "measured" for m in found)


def test_arrays_are_sliced_by_their_groups() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 4))
    labels = np.where(x[:, 0] + rng.normal(size=900) > 0, "yes", "no")
    view = bench(x[:300], x[300:600], x[600:], label="y", labels=labels, groups={"g": rng.choice(["a", "b", "c"], 900)})
    found = measure(slices, view, slices.configure({"models": ("linear",)}))
    assert {str(m.group[0][1])[:4] for m in found if m.group} == {"g = "}
    bare = bench(x[:300], x[300:600], x[600:], label="y", labels=labels)
    (none,) = measure(slices, bare, slices.configure({"models": ("linear",)}))
    assert none.status == "not_assessable"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"smallest": 5}, "option smallest = 5: Input should be greater than or equal to 30"),
        ({"q": 0.0}, "option q = 0.0: Input should be greater than 0"),
        ({"models": ()}, "option models = (): Tuple should have at least 1 item"),
    ],
)
def test_bad_options_are_one_sentence(options: dict[str, Any], sentence: str) -> None:
    rng = np.random.default_rng(0)
    view = trial(rng.random(200) < 0.2, rng.random(200) < 0.2, columns(200))
    with pytest.raises(MetricError) as caught:
        measure(slices, view, slices.configure(options))
    assert sentence in str(caught.value)
