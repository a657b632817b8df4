"""Train on synthetic, test on real: values, intervals, and what cannot be measured."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk
from helpers.reference_statistics import delong_change
from helpers.staged_models import bench_of, staged, table
from scipy.stats import norm
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

import counterproof as cp
from counterproof.judging.gates import judge_gates
from counterproof.judging.policy import policy_gates
from counterproof.measuring.measure import measure
from counterproof.metrics.metric import Value
from counterproof.metrics.shared.retraining import REFITS, Change, refit_spread, worst_change
from counterproof.metrics.utility.tstr import chance_of_one_class, losses, tstr
from counterproof.metrics.workbench import Workbench
from counterproof.reports.model import Reading

Z = norm.ppf(0.975)


def _values(bench: Workbench, models: tuple[str, ...] = ("linear",)) -> dict[tuple[str, tuple], Value]:
    return {(v.field, v.group): v for v in tstr.values(bench, {"models": models})}


def _at(learner: str) -> tuple[tuple[str, str]]:
    return (("learner", learner),)


def _scores(rng: np.random.Generator, labels: np.ndarray, strength: float) -> np.ndarray:
    log_odds = strength * (labels == "yes") + rng.normal(size=len(labels))
    p = 1 / (1 + np.exp(-log_odds))
    return np.column_stack([1 - p, p])


def _learnable(n: int, rng: np.random.Generator, *, space: bool = False, broken: slice | None = None) -> Workbench:
    x = rng.normal(size=(3 * n, 4))
    labels = np.where(x[:, 0] + x[:, 1] + 0.7 * rng.normal(size=3 * n) > 0.5, "yes", "no")
    if broken is not None:
        labels[n : 2 * n] = rng.permutation(labels[n : 2 * n])
    return bench_of(table(x, labels, space=space), learning=n, synthetic_train=n)


def test_two_classes_give_sklearns_area_and_delongs_paired_error() -> None:
    rng = np.random.default_rng(0)
    labels = np.where(rng.random(500) < 0.3, "yes", "no")
    real, synthetic = _scores(rng, labels, 2.0), _scores(rng, labels, 1.2)
    found = _values(staged(labels, real=real, synthetic=synthetic))
    gap = found["gap", _at("linear")].estimate
    area = roc_auc_score(labels == "yes", real[:, 1]) - roc_auc_score(labels == "yes", synthetic[:, 1])
    assert gap is not None
    assert gap.value == pytest.approx(area)
    assert gap.high - gap.value == pytest.approx(Z * delong_change(real[:, 1], synthetic[:, 1], labels == "yes")[1])
    assert found["gap", ()].estimate.value == gap.value
    assert found["real_auroc", _at("linear")].estimate.value == pytest.approx(
        roc_auc_score(labels == "yes", real[:, 1])
    )
    assert found["gap", ()].n == {"learning": 500, "studying": 500, "trial": 500}


def test_more_classes_give_the_macro_area_and_an_error_that_a_bootstrap_agrees_with() -> None:
    rng = np.random.default_rng(1)
    labels = rng.choice(["a", "b", "c"], 600, p=[0.5, 0.3, 0.2])
    truth = np.eye(3)[np.searchsorted(["a", "b", "c"], labels)]

    def made(strength: float) -> np.ndarray:
        raw = np.exp(strength * truth + rng.normal(size=truth.shape))
        return raw / raw.sum(1, keepdims=True)

    real, synthetic = made(2.0), made(1.3)

    def macro(p: np.ndarray, rows: np.ndarray) -> float:
        return roc_auc_score(labels[rows], p[rows], multi_class="ovr", average="macro")

    everything = np.arange(600)
    gap = _values(staged(labels, real=real, synthetic=synthetic))["gap", _at("linear")].estimate
    assert gap is not None
    assert gap.value == pytest.approx(macro(real, everything) - macro(synthetic, everything))
    drawn = [rng.integers(0, 600, 600) for _ in range(120)]
    bootstrap = np.std([macro(real, rows) - macro(synthetic, rows) for rows in drawn])
    assert (gap.high - gap.value) / Z == pytest.approx(bootstrap, rel=0.2)


def test_the_worst_learner_is_the_headline_and_every_learner_a_cell() -> None:
    found = _values(_learnable(150, np.random.default_rng(2)), ("linear", "boosting"))
    cells = [found["gap", _at(learner)].estimate.value for learner in ("linear", "boosting")]
    assert found["gap", ()].estimate.value == max(cells)
    assert found["gap", ()].panels[0].kind == "forest"
    assert {field for field, _ in found} == {
        *(
            "gap",
            "gap_as_released",
            "accuracy_gap",
            "trts_gap",
            "real_auroc",
            "synthetic_auroc",
            "real_accuracy",
            "synthetic_accuracy",
        )
    }


def _small(rows: int, seed: int = 5, n: int = 1500) -> Workbench:
    """Train and holdout of ``n`` rows, and a release of few fresh ones."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2 * n + rows, 4))
    frame = pd.DataFrame(x, columns=list("abcd"))
    frame["y"] = np.where(x[:, 0] + x[:, 1] + 0.7 * rng.normal(size=len(x)) > 0.5, "yes", "no")
    parts = {"train": frame[:n], "holdout": frame[n : 2 * n], "synthetic": frame[2 * n :]}
    return desk(sources={role: part.reset_index(drop=True) for role, part in parts.items()}, label="y", seed=seed)


def test_the_gap_is_at_equal_n_and_the_loss_as_released_against_all_rows() -> None:
    bench = _small(150)
    found = _values(bench)
    gap, released = found["gap", _at("linear")], found["gap_as_released", _at("linear")]
    assert (gap.n["learning"], gap.n["studying"], released.n["learning"]) == (150, 150, 1500)
    labels = bench.test.labels
    models = {
        "few": bench.forecast("linear", bench.learning),
        "all": bench.forecast("linear", bench.train or bench.learning),
        "made": bench.forecast("linear", bench.synthetic_train),
    }
    area = {name: roc_auc_score(labels == "yes", model.score("yes")) for name, model in models.items()}
    assert gap.estimate is not None
    assert released.estimate is not None
    assert gap.estimate.value == pytest.approx(area["few"] - area["made"])
    assert released.estimate.value == pytest.approx(area["all"] - area["made"])
    assert found["gap_as_released", ()].reason == "real models learned from 1,500 rows"
    assert {tolerance.field for tolerance in tstr.tolerances} == {"gap", "trts_gap"}


def test_of_a_release_as_large_as_train_both_losses_are_one() -> None:
    found = _values(_small(1500))
    assert found["gap", ()].estimate == found["gap_as_released", ()].estimate


def test_forty_perfect_rows_are_too_few_to_say_and_never_fail() -> None:
    """Of forty rows the halves teach the boosting learner nothing: they agree without knowing anything."""
    for seed in range(4):
        bench = _small(40, seed)
        found = _values(bench, ("linear", "boosting"))
        boosting = found["gap", _at("boosting")]
        assert (boosting.status, boosting.decidable, boosting.estimate) == ("not_assessable", False, None)
        assert boosting.reason == ("too few rows: half of the 40 real rows that models learn from teach nothing")
        assert found["gap", ()].estimate.value == found["gap", _at("linear")].estimate.value
        alone = _values(bench, ("boosting",))
        assert (alone["gap", ()].status, alone["gap", ()].decidable) == ("not_assessable", False)
        record = judged_of(bench)
        assert record["utility.tstr.gap[*] <= 0.02"] == "undecided"


def judged_of(bench: Workbench) -> dict[str, str]:
    """The verdicts of the metric's own gates."""
    readings = [
        Reading.of(made, family="utility", title=tstr.title)
        for made in measure(tstr, bench, tstr.configure({"models": ("linear", "boosting")}))
    ]
    return {gate.expression: gate.verdict for gate in judge_gates(policy_gates([tstr]), readings)}


@pytest.mark.parametrize("space", [False, True])
def test_shuffled_labels_lose_more_than_any_tolerance(space: bool) -> None:
    rng = np.random.default_rng(3)
    models = ("linear", "neighbours") if space else ("linear", "boosting")
    broken = _values(_learnable(250, rng, space=space, broken=slice(None)), models)
    assert broken["gap", ()].estimate.low > 0.1
    fresh = _values(_learnable(250, rng, space=space), models)
    assert fresh["gap", ()].estimate.low < 0.02
    assert broken["gap", ()].better == "lower"


def test_a_release_of_one_class_fails_by_a_fact() -> None:
    x = np.random.default_rng(4).normal(size=(300, 2))
    labels = np.where(x[:, 0] > 0, "yes", "no")
    labels[100:200] = "no"
    found = _values(bench_of(table(x, labels), learning=100, synthetic_train=100), ("linear", "boosting"))
    assert set(found) == {("gap", ()), ("gap", _at("linear")), ("gap", _at("boosting"))}
    for value in found.values():
        assert value.status == "not_assessable"
        assert value.alarm == "the release cannot train a model: all rows have one class of label, 'no'"


@pytest.mark.parametrize(("rows", "blamed"), [(40, False), (227, True)])
def test_one_class_alarms_only_where_chance_does_not_explain_it(rows: int, blamed: bool) -> None:
    # three rows in a hundred are positive: 0.97 ** 40 = 0.3, and 0.97 ** 227 is the first power below 0.001
    labels = np.array(["yes" if i % 100 < 3 else "no" for i in range(1000 + rows + 1000)])
    labels[1000 : 1000 + rows] = "no"
    labels[-1000:] = labels[:1000]
    x = np.random.default_rng(12).normal(size=(len(labels), 2))
    bench = bench_of(table(x, labels), learning=1000, synthetic_train=rows)
    assert chance_of_one_class(bench.learning, bench.synthetic_train) == pytest.approx(0.97**rows + 0.03**rows)
    for value in _values(bench).values():
        assert (value.status, bool(value.alarm)) == ("not_assessable", blamed)
        assert value.reason == "the release cannot train a model: all rows have one class of label, 'no'"


@pytest.mark.parametrize(("share", "blamed"), [(0.9, False), (0.5, True)])
def test_no_label_at_all_alarms_only_where_real_labels_are_not_as_rare(share: float, blamed: bool) -> None:
    labels = np.resize(["yes", "no"], 420)
    labels[: int(200 * share)] = labels[200:220] = ""
    x = np.random.default_rng(13).normal(size=(420, 2))
    bench = bench_of(table(x, labels), learning=200, synthetic_train=20)
    assert chance_of_one_class(bench.learning, bench.synthetic_train) == pytest.approx(share**20)
    assert {bool(value.alarm) for value in _values(bench).values()} == {blamed}


def test_test_rows_of_one_source_say_nothing_about_others() -> None:
    rng = np.random.default_rng(14)
    labels = np.resize(["yes", "no"], 90)
    clusters = np.arange(90)
    clusters[60:] = 60
    bench = bench_of(table(rng.normal(size=(90, 2)), labels, clusters=clusters), learning=30, synthetic_train=30)
    for value in _values(bench).values():
        assert (value.status, value.alarm) == ("not_assessable", "")
        assert "come from one source" in value.reason


def test_real_rows_of_one_class_are_no_fault_of_the_release() -> None:
    x = np.random.default_rng(5).normal(size=(300, 2))
    labels = np.where(x[:, 0] > 0, "yes", "no")
    labels[:100] = "no"
    for value in _values(bench_of(table(x, labels), learning=100, synthetic_train=100)).values():
        assert (value.status, value.alarm) == ("not_assessable", "")
    labels[:200], labels[200:] = np.resize(["yes", "no"], 200), "no"
    for value in _values(bench_of(table(x, labels), learning=100, synthetic_train=100)).values():
        assert value.status == "not_assessable"
        assert "test rows hold fewer than two classes" in value.reason


def test_test_rows_without_a_label_do_not_count() -> None:
    rng = np.random.default_rng(6)
    labels = np.where(rng.random(200) < 0.5, "yes", "no")
    real, synthetic = _scores(rng, labels, 2.0), _scores(rng, labels, 1.0)
    some = labels.copy()
    some[150:] = ""
    whole = _values(staged(labels[:150], real=real[:150], synthetic=synthetic[:150]))["gap", ()]
    part = _values(staged(some, real=real, synthetic=synthetic))["gap", ()]
    assert part.estimate.value == pytest.approx(whole.estimate.value)
    assert part.n["trial"] == 150


def test_nulls_yield_the_same_places_without_intervals() -> None:
    bench = _learnable(200, np.random.default_rng(7))
    null = {(v.field, v.group): v for v in tstr.values(bench.halves(0), {"models": ("linear",)})}
    measured = {place for place in _values(bench) if place[0] in ("gap", "accuracy_gap")}
    assert set(null) == measured
    assert all(v.estimate.low == v.estimate.value == v.estimate.high and not v.panels for v in null.values())


def test_the_interval_holds_the_spread_of_training_anew_on_both_sides() -> None:
    bench = _learnable(300, np.random.default_rng(8))
    seen: dict[str, list[float]] = {"half": [], "release half": []}

    def statistic(view: Workbench) -> dict[tuple[str, str], float]:
        found = losses(view, ("linear",))
        seen[view.learning.name.rpartition(" ")[0]].append(found["gap", "linear"])
        assert not set(view.learning.rows) & set(view.synthetic_train.rows)
        assert len(view.learning) == len(view.synthetic_train) == 150
        return found

    refits = refit_spread(bench, statistic)["gap", "linear"]
    variances = [np.mean(np.square(several)) / 4 for several in seen.values()]
    assert refits.spread == pytest.approx(math.sqrt(sum(variances)))
    assert refits.draws == pytest.approx(REFITS * sum(variances) ** 2 / np.sum(np.square(variances)))
    gap = _values(bench)["gap", _at("linear")].estimate
    assert gap.high - gap.value > student.ppf(0.975, 10**6) * refits.spread


def test_a_steady_statistic_has_no_spread() -> None:
    refits = refit_spread(_learnable(20, np.random.default_rng(9)), lambda view: {"x": 0.0})["x"]
    assert (refits.spread, refits.draws) == (0.0, 2 * REFITS)


def test_identical_models_show_no_gap_but_a_width() -> None:
    labels = np.resize(["yes", "no"], 100)
    same = _scores(np.random.default_rng(10), labels, 50.0)  # told apart perfectly
    found = _values(staged(labels, real=same, synthetic=same))
    gap, area = found["gap", ()].estimate, found["real_auroc", _at("linear")].estimate
    assert gap.value == 0.0
    assert gap.high > 0.005
    assert area.low < area.value == 1.0


def test_rows_of_one_source_widen_the_interval() -> None:
    rng = np.random.default_rng(11)
    once = np.where(rng.random(100) < 0.5, "yes", "no")
    real, synthetic = _scores(rng, once, 2.0), _scores(rng, once, 1.0)
    labels, twins = np.repeat(once, 4), np.repeat(np.arange(100), 4)
    four = {"real": np.repeat(real, 4, axis=0), "synthetic": np.repeat(synthetic, 4, axis=0)}
    naive = _values(staged(labels, **four))["gap", ()].estimate
    aware = _values(staged(labels, **four, clusters=twins))["gap", ()].estimate
    alone = _values(staged(once, real=real, synthetic=synthetic))["gap", ()].estimate
    assert aware.high - aware.low == pytest.approx(alone.high - alone.low, rel=0.02)
    assert naive.high - naive.low == pytest.approx((alone.high - alone.low) / 2, rel=0.02)


def test_the_worst_of_changes_is_judged_simultaneously() -> None:
    several = [Change(group=(("g", str(i)),), value=v, sampling=0.1) for i, v in enumerate((0.3, -0.5, 0.1))]
    reach = norm.ppf(0.5 + 0.95 ** (1 / 3) / 2) * 0.1
    high, low, far = (worst_change(several, better, 0.95) for better in ("lower", "higher", "zero"))
    assert (high.value, high.low, high.high) == pytest.approx((0.3, 0.3 - reach, 0.3 + reach))
    assert (low.value, low.low, low.high) == pytest.approx((-0.5, -0.5 - reach, -0.5 + reach))
    assert (far.value, far.low, far.high) == pytest.approx((-0.5, -0.5 - reach, -0.5 + reach))
    wide = [*several, Change(group=(), value=0.0, sampling=1.0)]
    assert worst_change(wide, "zero", 0.95).low < -2  # what another cell may hide counts too
    with pytest.raises(ValueError, match="no changes"):
        worst_change([], "lower", 0.95)


# -- train on real, test on synthetic -------------------------------------------------------------------


def _roles(n: int, seed: int, *, swapped: float = 0.0, classes: int = 2) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    frames = {}
    for role in ("train", "holdout", "synthetic"):
        x = rng.normal(size=(n, 4))
        edges = np.quantile(x[:, 0] + x[:, 1], np.linspace(0, 1, classes + 1)[1:-1])
        y = np.digitize(x[:, 0] + x[:, 1] + 0.8 * rng.normal(size=n), edges)
        if role == "synthetic":
            moved = rng.random(n) < swapped
            y[moved] = (y[moved] + rng.integers(1, classes, int(moved.sum()))) % classes
        frames[role] = pd.DataFrame(x, columns=list("abcd")).assign(y=[f"class {k}" for k in y])
    return frames


@pytest.mark.parametrize("classes", [2, 3])
def test_swapped_labels_hardly_hurt_a_model_trained_on_them_and_yet_fail(classes: int) -> None:
    record = cp.audit(**_roles(2000, 1, swapped=0.2, classes=classes), label="y", metrics=["utility.tstr"])
    gates = {gate.expression.split(".")[2].split("[")[0]: gate.verdict for gate in record.gates}
    assert gates["gap"] != "fail"
    assert gates["trts_gap"] == "fail"
    assert record.families["utility"].verdict == "fail"


def test_labels_of_fresh_rows_are_known_as_well_as_real_ones() -> None:
    """The error is that of one model on two samples: of 40 fresh releases about two lie outside the interval."""
    outside = 0
    for seed in range(40):
        made = desk(sources=_roles(400, 100 + seed), label="y")
        found = _values(made)["trts_gap", _at("linear")]
        assert found.estimate is not None
        assert found.expected is not None
        outside += not found.estimate.low <= 0 <= found.estimate.high
        assert found.expected.error == pytest.approx((found.estimate.high - found.estimate.value) / Z, rel=0.25)
    assert outside <= 6  # 0.05 of 40, but for a chance of 1 %


def test_a_release_of_one_class_cannot_be_asked() -> None:
    frames = _roles(300, 3, classes=3)
    frames["synthetic"]["y"] = np.where(np.arange(300) < 150, "class 0", "class 1")
    found = _values(desk(sources=frames, label="y"))["trts_gap", _at("linear")]
    assert found.status == "measured"  # of three classes the two that the release has are asked
