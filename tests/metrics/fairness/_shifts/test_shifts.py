"""Losses and changes of the mix, tried on staged models: against means that are written out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.staged_models import staged

from counterproof.metrics.fairness._shifts.population import Mix, mix_of
from counterproof.metrics.fairness._shifts.shifts import LEAST, Shift, ShiftedRows
from counterproof.metrics.statistics.cvar import Tail

N = 1200


def shifted(population: Any = None, **changed: Any) -> tuple[ShiftedRows, dict[str, np.ndarray]]:
    rng = np.random.default_rng(7)
    labels, sex = rng.choice(["no", "yes"], N), rng.choice(["F", "M"], N, p=[0.3, 0.7])
    labels[:60] = ""
    models = {name: rng.dirichlet([1, 1], N) for name in ("real", "synthetic")}
    bench = staged(labels, **models, groups={"sex": sex, "race": rng.choice(list("abc"), N)})
    rows = ShiftedRows(bench=replace(bench, **changed), learners=("linear",), alphas=(0.5, 0.9), population=population)
    return rows, {"labels": labels, "sex": sex, **models}


def test_only_labelled_rows_are_looked_at() -> None:
    rows, given = shifted()
    assert rows.rows.tolist() == np.flatnonzero(given["labels"] != "").tolist()
    assert rows.truth.tolist() == (given["labels"][60:] == "yes").astype(int).tolist()
    assert rows.sizes == {"learning": N - 60, "studying": N - 60, "trial": N - 60}
    assert rows.clusters is None


def test_losses_are_errors_and_brier_scores() -> None:
    rows, given = shifted()
    truth = np.eye(2)[rows.truth]
    probability = given["real"][60:]
    wrong = rows.losses(rows.bench, "linear", rows.bench.learning, "errors")
    squared = rows.losses(rows.bench, "linear", rows.bench.learning, "squared errors")
    assert wrong.tolist() == (probability.argmax(1) != rows.truth).astype(float).tolist()
    assert squared == pytest.approx(((probability - truth) ** 2).sum(1))


def test_every_column_and_crossing_has_a_worst_part_for_each_alpha() -> None:
    rows, _ = shifted()
    assert [shift.name for shift in rows.shifts] == [
        f"worst {share} % by {column}" for column in ("sex", "race") for share in (50, 10)
    ]
    crossed, _ = shifted(intersections=2)
    assert [shift.by for shift in crossed.shifts][-2:] == ["sex, race"] * 2
    assert rows.crowded == {}


def test_a_stated_mix_changes_the_mean_by_its_weights() -> None:
    rows, given = shifted(population={"sex": {"F": 0.5}})
    changes = rows.changes(rows.bench)
    sex = given["sex"][60:]
    means = {}
    for name in ("real", "synthetic"):
        wrong = given[name][60:].argmax(1) != rows.truth
        means[name] = (wrong[sex == "F"].mean() + wrong[sex == "M"].mean()) / 2
    assert changes["stated population", "linear", "errors"] == pytest.approx(means["synthetic"] - means["real"])
    shift = rows.shifts[-1]
    assert isinstance(shift.mix, Mix)
    real, synthetic = rows.risks(shift, "linear", "errors")
    assert (real.value, synthetic.value) == pytest.approx((means["real"], means["synthetic"]))


def test_changes_of_the_worst_part_are_those_of_the_risks() -> None:
    rows, _ = shifted()
    changes = rows.changes(rows.bench)
    for shift in rows.shifts:
        assert isinstance(shift.mix, Tail)
        real, synthetic = rows.risks(shift, "linear", "errors")
        assert changes[shift.name, "linear", "errors"] == pytest.approx(synthetic.value - real.value)


def test_a_mix_of_few_effective_rows_is_not_judged() -> None:
    sex = np.array(["F"] * 40 + ["M"] * 4000)
    mix = mix_of({"sex": {"F": 0.9}}, {"sex": sex}, {"sex": sex})
    shift = Shift(name="stated population", mix=mix)
    assert mix.effective == pytest.approx(1 / (0.9**2 / 40 + 0.1**2 / 4000), rel=1e-6)
    assert mix.effective < LEAST
    assert not shift.enough
    assert shift.least_error == pytest.approx(np.sqrt(2) / (mix.effective + 2))
    assert shift.by == ""
