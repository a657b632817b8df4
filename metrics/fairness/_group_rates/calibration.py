"""How far the scores of two models are from what comes true, by group."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.estimate import Evidence, normal_quantile
from counterproof.metrics.fairness._group_rates.assessment import Ready
from counterproof.metrics.fairness._group_rates.rates import (
    Rate,
    Rates,
    RateTable,
    RowInfluences,
    Side,
    Stratum,
    finest_cells,
    other_share,
    quotient,
)
from counterproof.metrics.sample import Floats
from counterproof.metrics.workbench import Workbench

HALF, TENTH = 0.5, 0.1  # how far an outcome is off at a coin's toss; how far two models are apart
# Columns of what is summed by cell.
ROWS, REAL, REAL_SQUARED, SYNTHETIC, SYNTHETIC_SQUARED, MOVED_SQUARED = range(6)

RESIDUALS: Work[NDArray[np.generic]] = Work("residuals of both models by group")


@dataclass(frozen=True, eq=False, kw_only=True)
class Scores:
    """The labelled test rows as both models score them.

    Attributes:
        truth: ``(n,)`` the row is of the positive class.
        real: ``(n,)`` probability of it, by the model trained on real rows.
        synthetic: ``(n,)`` the same, by the model trained on the candidate.
        rows: ``(n,)`` their positions among the test rows.
    """

    truth: NDArray[np.bool_]
    real: Floats
    synthetic: Floats
    rows: NDArray[np.intp]


def scores_of(bench: Workbench, learner: str, positive: str) -> Scores:
    """What the two models of this view say of the labelled test rows."""
    rows = np.flatnonzero(bench.test.labels != "")
    real, synthetic = (
        bench.forecast(learner, sample).score(positive)[rows] for sample in (bench.learning, bench.synthetic_train)
    )
    return Scores(truth=bench.test.labels[rows] == positive, real=real, synthetic=synthetic, rows=rows)


def table_of_residuals(bench: Workbench, learner: str, stratum: Stratum, rate: Rate, positive: str) -> RateTable:
    """How many more positives there are than the two models of this view expect, by group."""

    def add() -> Floats:
        scores, finest = scores_of(bench, learner, positive), finest_cells(bench)
        real, synthetic = scores.truth - scores.real, scores.truth - scores.synthetic
        parts = (np.ones(len(real)), real, real**2, synthetic, synthetic**2, (real - synthetic) ** 2)
        codes = finest.codes[bench.test.rows[scores.rows]]
        return np.stack([np.bincount(codes, weights=part, minlength=len(finest)) for part in parts], axis=1)

    samples = (bench.learning, bench.synthetic_train, bench.test)
    key = RESIDUALS.about(*samples, learner=learner, positive=positive)
    table = residual_table(stratum, stratum.summed(bench.shared(key, add)), level=bench.level)
    if bench.corpus.clusters is None:
        return table
    scores = partial(scores_of, bench, learner, positive)
    return replace(table, influences=lambda: _influences(bench, table, scores()))


CALIBRATION = Rate(name="calibration in the large", hit="expected", tabulate=table_of_residuals)


def residual_table(stratum: Stratum, sums: Floats, *, level: float) -> RateTable:
    """Outcome minus score, on average: 0 for a model that is calibrated in the large in the group.

    Args:
        stratum: The groups.
        sums: ``(g, 6)`` rows, both models' residuals and their squares, and the squares of the difference.
        level: Confidence of the intervals.
    """
    others: Floats = np.maximum(sums.sum(0)[None] - sums, [0, -np.inf, 0, -np.inf, 0, 0])
    rows = sums[:, ROWS].round().astype(np.intp)
    rates, rest = (_of_both(part, level) for part in (sums, others))
    error = _moved_errors(sums, level)
    with np.errstate(invalid="ignore"):  # of a single group nothing is known of the rest
        overall_error = other_share(rates["real"], rest["real"]) * np.hypot(error, _moved_errors(others, level))
    return RateTable(
        stratum=stratum,
        rows=rows,
        rates=rates,
        rest=rest,
        change=quotient(sums[:, SYNTHETIC] - sums[:, REAL], rows),
        error=error,
        overall_error=overall_error,
    )


def _of_both(sums: Floats, level: float) -> dict[Side, Rates]:
    return {
        "real": _means(sums, REAL, REAL_SQUARED, level),
        "synthetic": _means(sums, SYNTHETIC, SYNTHETIC_SQUARED, level),
    }


def _means(sums: Floats, total: int, squares: int, level: float) -> Rates:
    rows = sums[:, ROWS]
    return Rates(
        rows=rows.round().astype(np.intp),
        values=quotient(sums[:, total], rows),
        errors=_errors(rows, sums[:, total], sums[:, squares], reach=HALF, level=level),
    )


def _moved_errors(sums: Floats, level: float) -> Floats:
    moved = sums[:, SYNTHETIC] - sums[:, REAL]
    return _errors(sums[:, ROWS], moved, sums[:, MOVED_SQUARED], reach=TENTH, level=level)


def _errors(rows: Floats, total: Floats, squares: Floats, *, reach: float, level: float) -> Floats:
    """Standard errors of means, as wide as Student's quantile makes them.

    Two rows are added to the spread, ``reach`` above and below the mean, so that a few rows that
    agree do not claim to know it exactly.
    """
    n = np.maximum(rows, 1.0)
    spread = np.maximum(squares - total**2 / n, 0.0) + 2 * reach**2
    wider = student.ppf(0.5 + level / 2, n + 1) / normal_quantile(0.5 + level / 2)
    errors: Floats = np.where(rows > 0, wider * np.sqrt(spread / (n + 1) / n), np.inf)
    return errors


def _influences(bench: Workbench, table: RateTable, scores: Scores) -> RowInfluences:
    clusters = bench.corpus.clusters
    assert clusters is not None
    members = table.stratum.members(bench)[scores.rows]
    kept = members >= 0
    moved = (scores.real - scores.synthetic)[kept]
    members, total = members[kept], int(kept.sum())
    return RowInfluences(
        sources=clusters[bench.test.rows[scores.rows]][kept],
        members=members,
        own=(moved - table.change[members]) / table.rows[members].astype(np.float64),
        everyone=(moved - moved.mean()) / total,
    )


# -- the expected calibration error -------------------------------------------------------------


def calibration_errors(ready: Ready) -> tuple[Evidence, ...]:
    """The expected calibration error of each group, beside that of scores that are all right."""
    few = max(ready.bench.small_cell, 1)
    rows = []
    for stratum in ready.strata:
        for learner in ready.learners:
            scores = scores_of(ready.bench, learner, ready.positive)
            members = stratum.members(ready.bench)[scores.rows]
            for g in np.flatnonzero(~stratum.hidden):
                inside = members == g
                if inside.sum() >= few:
                    ends = [
                        binned_error(part[inside], scores.truth[inside]) for part in (scores.real, scores.synthetic)
                    ]
                    column = ", ".join([stratum.name, *(f"{name}={value}" for name, value in stratum.level)])
                    rows.append((column, stratum.groups[g], learner, int(inside.sum()), *ends[0], *ends[1]))
    return (
        Evidence(
            title="Expected calibration error by group",
            columns=(
                *("column", "group", "model", "trial rows"),
                *("trained on real", "if all scores were right", "on the release", "if all scores were right"),
            ),
            rows=tuple(rows),
            note=f"Ten bins of equally many rows. Groups of fewer than {few} trial rows are not shown.",
        ),
    )


def binned_error(scores: Floats, truth: NDArray[np.bool_], *, bins: int = 10) -> tuple[float, float]:
    """The expected calibration error over bins of equally many rows, and what it would be if all scores were right.

    It cannot be below 0, so right scores too have some (Naeini, Cooper and Hauskrecht, AAAI 2015; the
    second number is the mean of the absolute normal deviations of the bins).

    >>> p = np.linspace(0.05, 0.95, 1000)
    >>> y = np.random.default_rng(0).random(1000) < p
    >>> error, right = binned_error(p, y)
    >>> abs(error - right) < 0.02
    True
    """
    order = np.argsort(scores, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    n = len(order)
    apart = [abs(float((truth[part] - scores[part]).sum())) for part in parts]
    by_luck = [np.sqrt(float((scores[part] * (1 - scores[part])).sum()) * 2 / np.pi) for part in parts]
    return sum(apart) / n, float(sum(by_luck)) / n
