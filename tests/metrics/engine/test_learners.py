"""What learners may see, and what they say of rows unlike those they were trained on."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from helpers.staged_models import bench_of, table

from counterproof.metrics.engine.learners import LEARNERS, Forecast, chosen_learners, fit_forecast, no_library_warnings
from counterproof.metrics.errors import MetricError
from counterproof.metrics.workbench import Workbench

TABLE = ("linear", "boosting")
RNG_SEED = 11


def _noise(n: int, d: int = 3) -> np.ndarray:
    return np.random.default_rng(RNG_SEED).normal(size=(n, d))


def _fit(bench: Workbench, learner: str) -> Forecast:
    return fit_forecast(LEARNERS[learner], bench.learning, bench.test, seed=0)


@pytest.mark.parametrize("learner", TABLE)
def test_a_label_that_nothing_explains_cannot_be_told(learner: str) -> None:
    labels = np.random.default_rng(1).choice(["no", "yes"], 900)
    bench = bench_of(table(_noise(900), labels), learning=300, synthetic_train=0)
    # Any glimpse of the label's own column would make this 1.
    assert (_fit(bench, learner).predicted == bench.test.labels).mean() < 0.6


@pytest.mark.parametrize("learner", TABLE)
def test_group_columns_stay_among_the_inputs(learner: str) -> None:
    labels = np.random.default_rng(2).choice(["no", "yes"], 600)
    groups = {"sex": np.where(labels == "yes", "F", "M")}
    bench = bench_of(table(_noise(600), labels, groups=groups), learning=300, synthetic_train=0)
    assert (_fit(bench, learner).predicted == bench.test.labels).all()


@pytest.mark.parametrize("learner", TABLE)
def test_a_class_that_training_lacks_has_probability_zero_and_its_column(learner: str) -> None:
    x = _noise(600)
    labels = np.array(["a", "b", "c"])[np.digitize(x[:, 0], [-0.5, 0.5])]
    labels[:300][labels[:300] == "b"] = "a"
    bench = bench_of(table(x, labels), learning=300, synthetic_train=0)
    forecast = _fit(bench, learner)
    assert list(forecast.classes) == ["a", "b", "c"]
    assert (forecast.score("b") == 0).all()
    assert forecast.probability.sum(1) == pytest.approx(1.0)
    assert set(forecast.predicted) == {"a", "c"}


@pytest.mark.parametrize("learner", ["linear", "boosting", "neighbours"])
def test_one_class_is_degenerate_and_says_why(learner: str) -> None:
    labels = ["no"] * 50 + ["no", "yes"] * 25
    forecast = _fit(bench_of(table(_noise(100), labels), learning=50, synthetic_train=0), learner)
    assert forecast.degenerate
    assert forecast.constant
    assert forecast.reason == "all rows have one class of label, 'no'"
    assert (forecast.predicted == "no").all()


def test_rows_without_a_label_are_left_out_of_training() -> None:
    x = _noise(400)
    labels = np.where(x[:, 0] > 0, "yes", "no")
    unlabelled = labels.copy()
    unlabelled[150:200] = ""
    half = bench_of(
        table(np.vstack([x[:150], x[200:]]), np.concatenate([labels[:150], labels[200:]])),
        learning=150,
        synthetic_train=0,
    )
    whole = bench_of(table(x, unlabelled), learning=200, synthetic_train=0)
    assert _fit(whole, "boosting").rows == 150
    np.testing.assert_allclose(_fit(whole, "linear").probability, _fit(half, "linear").probability, atol=1e-6)


def test_no_label_at_all_is_degenerate() -> None:
    forecast = _fit(bench_of(table(_noise(60), [""] * 30 + ["a", "b"] * 15), learning=30, synthetic_train=0), "linear")
    assert forecast.degenerate
    assert forecast.reason == "no row has a value of label"


@pytest.mark.parametrize("learner", ["linear", "boosting", "neighbours"])
def test_the_same_seed_gives_the_same_bytes(learner: str) -> None:
    x = _noise(300)
    bench = bench_of(table(x, np.where(x[:, 0] + x[:, 1] > 0, "yes", "no")), learning=150, synthetic_train=0)
    assert _fit(bench, learner).probability.tobytes() == _fit(bench, learner).probability.tobytes()


def test_boosting_takes_missing_numbers_and_more_categories_than_it_can_tell_apart() -> None:
    rng = np.random.default_rng(3)
    x = _noise(3000)
    x[rng.random(x.shape) < 0.2] = np.nan
    x[:, 2] = np.nan
    city = np.array([f"city {i}" for i in rng.integers(0, 700, 3000)])  # hundreds are never seen in training
    labels = np.where(np.nan_to_num(x[:, 0]) > 0, "yes", "no")
    bench = bench_of(table(x, labels, groups={"city": city}), learning=1000, synthetic_train=0)
    forecast = _fit(bench, "boosting")
    assert np.isfinite(forecast.probability).all()
    assert (forecast.predicted == bench.test.labels).mean() > 0.95


def test_neighbours_need_no_more_rows_than_there_are() -> None:
    x = _noise(50)
    labels = ["a", "b", "a", *["a"] * 47]
    forecast = _fit(bench_of(table(x, labels, space=True), learning=3, synthetic_train=0), "neighbours")
    assert forecast.probability.sum(1) == pytest.approx(1.0)


@pytest.mark.parametrize("learner", ["linear", "neighbours"])
def test_a_feature_space_is_standardised(learner: str) -> None:
    x = _noise(300)
    labels = np.where(x[:, 0] > 0, "yes", "no")
    plain = bench_of(table(x, labels, space=True), learning=150, synthetic_train=0)
    scaled = bench_of(table(x * [1.0, 1e4, 1e-3] + 7, labels, space=True), learning=150, synthetic_train=0)
    np.testing.assert_allclose(_fit(plain, learner).probability, _fit(scaled, learner).probability, atol=1e-6)


def test_learners_are_chosen_by_modality_and_by_name() -> None:
    tabular, space = (table(_noise(4), ["a", "b"] * 2, space=space) for space in (False, True))
    assert chosen_learners(tabular, None) == ("linear", "boosting")
    assert chosen_learners(space, None) == ("linear", "neighbours")
    assert chosen_learners(tabular, ("boosting", "boosting")) == ("boosting",)
    with pytest.raises(MetricError, match="no model is called 'forest': choose from linear, boosting, neighbours"):
        chosen_learners(tabular, ("forest",))
    with pytest.raises(MetricError, match="boosting needs a table"):
        chosen_learners(space, ("boosting",))
    with pytest.raises(MetricError, match="models is empty"):
        chosen_learners(tabular, ())


@pytest.mark.parametrize("learner", TABLE)
def test_what_libraries_say_of_classes_of_one_row_stays_inside(learner: str) -> None:
    labels = np.arange(80).astype(str)  # scikit-learn warns of more classes than half the rows
    forecast = _fit(bench_of(table(_noise(80), labels), learning=40, synthetic_train=0), learner)
    assert forecast.probability.sum(1) == pytest.approx(1.0)


def test_other_warnings_pass() -> None:
    with pytest.warns(UserWarning, match="ours"), no_library_warnings():
        warnings.warn("ours", UserWarning, stacklevel=1)
