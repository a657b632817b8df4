"""The move of the worst group, and the metric frame against Fairlearn's way of counting."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers.staged_models import decisions, people, staged
from simulations.simulate_gap_coverage import stratum_of

from counterproof.metrics.fairness._group_rates.assessment import Question, Ready, assess
from counterproof.metrics.fairness._group_rates.rates import ACCURACY, share_table
from counterproof.metrics.fairness._group_rates.values import measured_changes
from counterproof.metrics.fairness._group_rates.worst_group import metric_frame, minimax_change, minimax_values
from counterproof.metrics.shared.retraining import Change


def ready(rows: pd.DataFrame) -> Ready:
    models = {name: decisions(rows[name].to_numpy()) for name in ("real", "synthetic")}
    groups = {"race": rows["race"].to_numpy(dtype=np.str_)}
    bench = staged(np.where(rows["truth"], "yes", "no"), **models, groups=groups)
    question = Question(rates=(ACCURACY,), limit=-0.05, paired=False)
    answer = assess(bench, question, models=("linear",))
    assert isinstance(answer, Ready)
    return answer


def test_the_move_of_the_worst_is_the_difference_of_the_two_worst_rates() -> None:
    rows = people()
    answer = ready(rows)
    (value,) = minimax_values(answer, measured_changes(answer))
    right = {m: (rows[m] == rows["truth"]).groupby(rows["race"]).mean() for m in ("real", "synthetic")}
    assert value.estimate is not None
    assert value.estimate.value == pytest.approx(right["synthetic"].min() - right["real"].min())
    assert value.estimate.low <= value.estimate.value <= value.estimate.high


def test_where_the_worst_group_is_plain_the_interval_is_that_of_its_change() -> None:
    counts = np.zeros((2, 2, 2, 2), dtype=np.intp)
    counts[0, 0] = [[900, 20], [80, 1000]]  # about half right, less by the second model
    counts[1, 0] = [[10, 5], [5, 1980]]  # nearly all right by both
    table = share_table(stratum_of(2), counts, ACCURACY)
    several = [Change(group=(), value=float(table.change[g]), sampling=float(table.error[g])) for g in (0, 1)]
    estimate = minimax_change(table, np.array([0, 1]), several, 0.95)
    of_worst = several[0].estimate((1 - 0.05 / 3) ** 0.5)
    assert estimate.value == pytest.approx(-60 / 2000)
    assert (estimate.low, estimate.high) == pytest.approx((of_worst.low, of_worst.high))


def test_the_frame_counts_each_group_and_hides_small_ones() -> None:
    rows = people(1200)
    rows.loc[:6, "race"] = "d"
    frame = metric_frame(ready(rows), "yes")
    by_group = {row[1]: dict(zip(frame.columns, row, strict=True)) for row in frame.rows}
    inside = rows[rows["race"] == "a"]
    assert by_group["a"]["trial rows"] == len(inside)
    assert by_group["a"]["positives"] == inside["truth"].sum()
    assert by_group["a"]["precision, release"] == pytest.approx(inside[inside["synthetic"]]["truth"].mean())
    assert by_group["a"]["false positive rate, real"] == pytest.approx(inside[~inside["truth"]]["real"].mean())
    hidden = by_group["d"]
    assert hidden.pop("remark") == "too few rows"
    assert set(list(hidden.values())[3:]) == {None}


def test_the_frame_of_three_classes_holds_accuracy_alone() -> None:
    rng = np.random.default_rng(0)
    labels, race = rng.choice(["a", "b", "c"], 900), rng.choice(["p", "q"], 900)
    models = {name: np.eye(3)[rng.integers(0, 3, 900)] for name in ("real", "synthetic")}
    question = Question(rates=(ACCURACY,), limit=-0.05, paired=False)
    answer = assess(staged(labels, **models, groups={"race": race}), question, models=("linear",))
    assert isinstance(answer, Ready)
    frame = metric_frame(answer, None)
    row = dict(zip(frame.columns, frame.rows[0], strict=True))
    truth = np.array(["a", "b", "c"])[models["real"].argmax(1)] == labels
    assert row["accuracy, real"] == pytest.approx(truth[race == "p"].mean())
    assert row["selection rate, real"] is None
    assert row["positives"] is None
