"""How far the scores of two models are from what comes true, by group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.estimate import normal_quantile
from counterproof.metrics.fairness._group_rates.confusion_counts import Rate
from counterproof.metrics.fairness._group_rates.rates import Rates, Side, Table, Ties, quotient
from counterproof.metrics.fairness._group_rates.strata import Counts, Stratum, finest_cells
from counterproof.metrics.sample import Floats
from counterproof.metrics.workbench import Workbench

CALIBRATION = Rate(name="calibration in the large", hit="expected")
HALF, TENTH = 0.5, 0.1  # how far an outcome is off at a coin's toss; how far two models are apart
# Columns of what is summed by cell.
ROWS, REAL, REAL_SQUARED, SYNTHETIC, SYNTHETIC_SQUARED, MOVED_SQUARED = range(6)

RESIDUALS: Work[NDArray[np.generic]] = Work("residuals of both models by group")


@dataclass(frozen=True, eq=False, kw_only=True)
class Scores:
    """The labelled trial rows as both models score them.

    Attributes:
        truth: ``(n,)`` the row is of the positive class.
        real: ``(n,)`` probability of it, by the model trained on real rows.
        synthetic: ``(n,)`` the same, by the model trained on the candidate.
        rows: ``(n,)`` their positions among the trial rows.
    """

    truth: NDArray[np.bool_]
    real: Floats
    synthetic: Floats
    rows: NDArray[np.intp]


def scores_of(bench: Workbench, learner: str, positive: str) -> Scores:
    """What the two models of this view say of the labelled trial rows."""
    rows = np.flatnonzero(bench.test.labels != "")
    real, synthetic = (
        bench.forecast(learner, sample).score(positive)[rows] for sample in (bench.learning, bench.synthetic_train)
    )
    return Scores(truth=bench.test.labels[rows] == positive, real=real, synthetic=synthetic, rows=rows)


def expected(bench: Workbench, learner: str, stratum: Stratum, rate: Rate, positive: str) -> Residuals:
    """How many more positives there are than the two models of this view expect, by group."""

    def add() -> Floats:
        scores, finest = scores_of(bench, learner, positive), finest_cells(bench)
        real, synthetic = scores.truth - scores.real, scores.truth - scores.synthetic
        parts = (np.ones(len(real)), real, real**2, synthetic, synthetic**2, (real - synthetic) ** 2)
        codes = finest.codes[bench.test.rows[scores.rows]]
        return np.stack([np.bincount(codes, weights=part, minlength=len(finest)) for part in parts], axis=1)

    samples = (bench.learning, bench.synthetic_train, bench.test)
    key = RESIDUALS.about(*samples, learner=learner, positive=positive)
    sums = stratum.summed(bench.shared(key, add))
    scores = None if bench.corpus.clusters is None else partial(scores_of, bench, learner, positive)
    return Residuals(stratum=stratum, sums=sums, scores=scores, bench=bench)


@dataclass(frozen=True, eq=False, kw_only=True)
class Residuals(Table):
    """Outcome minus score, on average: 0 for a model that is calibrated in the large in the group.

    Attributes:
        stratum: The groups.
        sums: ``(g, 6)`` rows, both models' residuals and their squares, and the squares of the difference.
        scores: Gives the rows themselves, where sources of rows are known.
        bench: The view.
    """

    stratum: Stratum
    sums: Floats
    scores: Callable[[], Scores] | None
    bench: Workbench

    @cached_property
    def all_but(self) -> Floats:
        """``(g, 6)`` the sums over all other groups."""
        found: Floats = np.maximum(self.sums.sum(0)[None] - self.sums, [0, -np.inf, 0, -np.inf, 0, 0])
        return found

    @cached_property
    def rows(self) -> Counts:
        """Labelled trial rows of a group."""
        return self.sums[:, ROWS].round().astype(np.intp)

    def rates(self, side: Side) -> Rates:
        """Outcome minus score of one model, on average."""
        return _means(self.sums, side, self.bench.level)

    def rest(self, side: Side) -> Rates:
        """The same over all other groups."""
        return _means(self.all_but, side, self.bench.level)

    @cached_property
    def change(self) -> Floats:
        """Rate of the candidate's model minus that of the real one."""
        return quotient(self.sums[:, SYNTHETIC] - self.sums[:, REAL], self.rows)

    @cached_property
    def error(self) -> Floats:
        """Of each change, paired by trial rows."""
        return _moved_errors(self.sums, self.bench.level)

    @property
    def overall_error(self) -> Floats:
        """Of the change of the difference from all rows."""
        found: Floats = self.other_share("real") * np.hypot(self.error, _moved_errors(self.all_but, self.bench.level))
        return found

    @cached_property
    def ties(self) -> Ties | None:
        """Rows of one source."""
        if self.scores is None:
            return None
        scores = self.scores()
        clusters = self.bench.corpus.clusters
        assert clusters is not None
        members = self.stratum.members(self.bench)[scores.rows]
        kept = members >= 0
        moved = (scores.real - scores.synthetic)[kept]
        members, total = members[kept], int(kept.sum())
        return Ties(
            sources=clusters[self.bench.test.rows[scores.rows]][kept],
            members=members,
            own=(moved - self.change[members]) / self.rows[members].astype(np.float64),
            everyone=(moved - moved.mean()) / total,
        )


def _means(sums: Floats, side: Side, level: float) -> Rates:
    rows, (first, second) = sums[:, ROWS], (REAL, REAL_SQUARED) if side == "real" else (SYNTHETIC, SYNTHETIC_SQUARED)
    return Rates(
        rows=rows.round().astype(np.intp),
        values=quotient(sums[:, first], rows),
        errors=_errors(rows, sums[:, first], sums[:, second], reach=HALF, level=level),
    )


def _moved_errors(sums: Floats, level: float) -> Floats:
    moved = sums[:, SYNTHETIC] - sums[:, REAL]
    return _errors(sums[:, ROWS], moved, sums[:, MOVED_SQUARED], reach=TENTH, level=level)


def _errors(rows: Floats, total: Floats, squares: Floats, *, reach: float, level: float) -> Floats:
    """Standard errors of means, as wide as Student's quantile makes them at the level of the intervals.

    Two rows are added to the spread, ``reach`` above and below the mean, so that a few rows that
    agree do not claim to know it exactly.
    """
    n = np.maximum(rows, 1.0)
    spread = np.maximum(squares - total**2 / n, 0.0) + 2 * reach**2
    wider = student.ppf(0.5 + level / 2, n + 1) / normal_quantile(0.5 + level / 2)
    found: Floats = np.where(rows > 0, wider * np.sqrt(spread / (n + 1) / n), np.inf)
    return found


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
