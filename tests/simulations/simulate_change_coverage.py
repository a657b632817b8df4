"""Do the intervals of model changes cover? Run: ``python tests/simulations/simulate_change_coverage.py [runs]``.

A population of two groups from which training rows, a release and test rows are drawn afresh in
every run. The release is fresh rows of the same population (true change 0), or rows of which a
share of the smaller group's positives was recorded as negatives (a planted change). What must be
covered is the expected change: the mean over all draws of training rows, release and test rows.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.fairness._group_rates.assessment import Question, Ready, assess
from counterproof.metrics.fairness._group_rates.calibration import CALIBRATION
from counterproof.metrics.fairness._group_rates.rates import (
    ACCURACY,
    FALSE_POSITIVE,
    PRECISION,
    SELECTION,
    TRUE_POSITIVE,
)
from counterproof.metrics.fairness._group_rates.values import measured_changes
from counterproof.metrics.metric import Value
from counterproof.metrics.sample import Corpus, Mixed, Sample
from counterproof.metrics.shared.retraining import Change
from counterproof.metrics.utility.tstr import tstr
from counterproof.metrics.workbench import Workbench

COLUMNS = 5
GAPS = Question(rates=(SELECTION, TRUE_POSITIVE, FALSE_POSITIVE, PRECISION, CALIBRATION), limit=0.1)
RATES = Question(rates=(ACCURACY,), limit=-0.05, paired=False)


@dataclass(frozen=True, kw_only=True)
class Covered:
    """What one run says about one quantity."""

    value: float
    sampling: float
    low: float
    high: float


def population(
    rng: np.random.Generator, n: int, flipped: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows, membership of the smaller group, labels."""
    smaller = rng.random(n) < 0.35
    rows = rng.normal(size=(n, COLUMNS)) + 0.4 * smaller[:, None]
    log_odds = 1.2 * rows[:, 0] - rows[:, 1] + 0.8 * rows[:, 2] * rows[:, 3] - 0.8 - 0.5 * smaller
    label = rng.random(n) < 1 / (1 + np.exp(-log_odds))
    label &= ~(smaller & (rng.random(n) < flipped))
    return rows, smaller, label


def world(rng: np.random.Generator, *, train: int, test: int, flipped: float) -> Workbench:
    """One audit: training rows, a release of the same size, test rows."""
    parts = [population(rng, train, 0.0), population(rng, train, flipped), population(rng, test, 0.0)]
    rows, smaller, label = (np.concatenate(part) for part in zip(*parts, strict=True))
    features = np.column_stack([rows, smaller, label]).astype(np.float64)
    corpus = Corpus(
        features=features,
        protocol="made",
        modality="table",
        digests=np.array([b""] * len(rows)),
        names=np.arange(len(rows)).astype(str),
        blocks=tuple(np.array([i]) for i in range(COLUMNS + 2)),
        block_names=(*(f"x{i}" for i in range(COLUMNS)), "group", "label"),
        mixed=Mixed(
            numeric=rows.astype(np.float32),
            codes=np.column_stack([smaller, label]).astype(np.int32),
            columns=(*(f"x{i}" for i in range(COLUMNS)), "group", "label"),
        ),
        label="label",
        labels=np.where(label, "yes", "no"),
        groups={"group": np.where(smaller, "b", "a")},
    )
    learning, synthetic_train, tried = (
        Sample(name, np.arange(low, high), corpus)
        for name, low, high in (
            ("train", 0, train),
            ("synthetic", train, 2 * train),
            ("test", 2 * train, 2 * train + test),
        )
    )
    return Workbench(
        reference=tried,
        candidate=synthetic_train,
        real=learning,
        release=synthetic_train,
        learning=learning,
        test=tried,
        synthetic_train=synthetic_train,
    )


def quantities(bench: Workbench, learners: tuple[str, ...]) -> Iterator[tuple[str, Covered]]:
    """Every change of one audit with its interval."""
    for question in (GAPS, RATES):
        assessed = assess(bench, question, models=learners)
        assert isinstance(assessed, Ready)
        for change in measured_changes(assessed):
            yield _name(change), _covered(change)
    for value in tstr.values(bench, {"models": learners}):
        if value.field in ("gap", "accuracy_gap") and value.group:
            yield _loss(value)


def _name(change: Change) -> str:
    where = dict(change.group)
    return f"{where['learner']}, {where.get('rate', 'accuracy')} {where['group']}"


def _covered(change: Change) -> Covered:
    e = change.estimate(0.95)
    return Covered(value=change.value, sampling=change.sampling, low=e.low, high=e.high)


def _loss(value: Value) -> tuple[str, Covered]:
    e = value.estimate
    assert e is not None
    return f"{dict(value.group)['learner']}, {value.field}", Covered(
        value=e.value, sampling=float("nan"), low=e.low, high=e.high
    )


def simulate(
    *, runs: int, train: int, test: int, flipped: float, learners: tuple[str, ...], seed: int = 0
) -> dict[str, dict[str, float]]:
    """Coverage of the nominal 95 % interval, and of one from the test rows alone.

    Returns:
        By quantity: the true change (0 without a plant, else the mean of all runs), its standard
        deviation over runs, the coverages and the mean width.
    """
    seen: dict[str, list[Covered]] = defaultdict(list)
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        for name, covered in quantities(world(rng, train=train, test=test, flipped=flipped), learners):
            seen[name].append(covered)
    return {name: _summary(several, flipped) for name, several in seen.items()}


def _summary(several: list[Covered], flipped: float) -> dict[str, float]:
    value, sampling, low, high = (
        np.array([getattr(c, f) for c in several]) for f in ("value", "sampling", "low", "high")
    )
    truth = value.mean() if flipped else 0.0
    return {
        "truth": float(truth),
        "sd": float(np.sqrt(((value - truth) ** 2).mean())),
        "coverage": float(((low <= truth) & (truth <= high)).mean()),
        "test rows alone": float(np.where(np.isnan(sampling), np.nan, np.abs(value - truth) <= 1.96 * sampling).mean()),
        "width": float((high - low).mean()),
    }


def main() -> None:
    """Print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 150
    for flipped in (0.0, 0.4):
        found = simulate(runs=runs, train=1000, test=1500, flipped=flipped, learners=("linear", "boosting"))
        print(f"share of positives flipped in the smaller group {flipped}, {runs} runs, 1,000 rows, 1,500 test rows")
        print(f"{'quantity':<42}{'truth':>8}{'sd':>8}{'covered':>9}{'rows only':>11}{'width':>8}")
        for name, line in found.items():
            numbers = "".join(f"{line[key]:>{w}.3f}" for key, w in zip(line, (8, 8, 9, 11, 8), strict=True))
            print(f"{name:<42}{numbers}")


if __name__ == "__main__":
    main()
