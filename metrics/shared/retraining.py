"""Variance from retraining: how much models would differ if trained on another draw of the rows.

The test rows alone give the precision of the comparison of *these* two models. A release is judged on
what a model trained on it does, and the variation between trainings is two to three times the test-row part. So the
same statistic is taken between models of two random halves of the real learning rows, and between
models of two random halves of the release: models trained on a damaged release vary more than those
trained on real rows.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from counterproof.metrics.estimate import Better, Estimate, Group
from counterproof.metrics.sample import Floats
from counterproof.metrics.statistics.variance import with_refits
from counterproof.metrics.workbench import Workbench

K = TypeVar("K", bound=Hashable)
REFITS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Difference between a model trained on the release and one trained on real rows, in one group.

    Attributes:
        group: Where.
        value: The change.
        sampling: Its standard error from the test rows, paired.
        refit: Its standard deviation from retraining.
        draws: Degrees of freedom of ``refit``.
        decidable: Whether there are enough rows that a faithful release would pass.
        remark: How many rows, in words.
    """

    group: Group
    value: float
    sampling: float = 0.0
    refit: float = 0.0
    draws: float = REFITS
    decidable: bool = True
    remark: str = ""

    def estimate(self, level: float) -> Estimate:
        """With its interval."""
        return with_refits(self.value, sampling=self.sampling, refit=self.refit, draws=self.draws, level=level)


@dataclass(frozen=True, slots=True)
class Refits:
    """How much retraining changes a difference between two models.

    Attributes:
        spread: Its standard deviation.
        draws: Degrees of freedom behind it.
    """

    spread: float
    draws: float


def refit_spread(
    bench: Workbench, statistic: Callable[[Workbench], Mapping[K, float]], *, draws: int = REFITS
) -> dict[K, Refits]:
    """How much retraining changes the difference between two models, for each key of the statistic.

    The halves of a split are exchangeable, so the difference of their models has mean 0 by
    symmetry, and its mean square over the splits has all ``draws`` degrees of freedom. Models of
    n/2 rows vary twice as much as models of n, and two of them differ: one full model has a quarter
    of that mean square. The measurement holds one model of real rows and one of the release, whose
    quarters are added (degrees of freedom after Satterthwaite 1946, doi:10.2307/3002019).

    Args:
        bench: The measurement's view; forecasts of the halves are shared by all metrics.
        statistic: Candidate against baseline models, by key; every half knows the same keys.
        draws: How many splits of each side.
    """
    keys: list[K] = []

    def differences(view: Workbench) -> Floats:
        found = statistic(view)
        keys[:] = keys or found
        return np.array([found[key] for key in keys])

    spreads, freedoms = refit_spreads(bench, differences, draws=draws)
    return {key: Refits(float(s), float(f)) for key, s, f in zip(keys, spreads, freedoms, strict=True)}


def refit_spreads(
    bench: Workbench, statistic: Callable[[Workbench], Floats], *, draws: int = REFITS
) -> tuple[Floats, Floats]:
    """The same as :func:`refit_spread` for many differences at once.

    Halves without a difference (NaN: the rate has no row) are left out of its mean; where fewer than half
    of them have one, the spread is infinite.

    Args:
        bench: The measurement's view.
        statistic: ``(m,)`` differences between the models of a view.
        draws: How many splits of each side.

    Returns:
        ``(m,)`` standard deviations and ``(m,)`` degrees of freedom.
    """
    sides = []
    for view in (bench.halves, bench.release_halves):
        squares = np.stack([statistic(view(draw)) for draw in range(draws)]) ** 2
        known = np.isfinite(squares).sum(0)
        mean = np.where(known > 0, np.nansum(squares, 0), np.nan) / np.maximum(known, 1)
        sides.append((np.where(2 * known >= draws, mean, np.inf), np.maximum(known, 1)))
    (real, m), (release, n) = sides
    both = real + release
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = both**2 / (real**2 / m + release**2 / n)
    return np.sqrt(both / 4), np.where(np.isfinite(freedom) & (both > 0), freedom, 2.0 * draws)


def worst_change(changes: Sequence[Change], better: Better, level: float) -> Estimate:
    """The worst of several changes, with an interval for the worst that is simultaneous over them.

    Each change gets an interval at the Šidák level; the worst lies between the worst of the lower
    and of the upper ends. With ``better="zero"`` the size of the change counts, and the value
    keeps its sign.

    Args:
        changes: At least one.
        better: Which direction is good.
        level: Confidence of the two-sided interval.

    Raises:
        ValueError: No change was given.
    """
    if not changes:
        raise ValueError("the worst of no changes is not defined")
    several = [change.estimate(level ** (1 / len(changes))) for change in changes]
    value, low, high = _WORST[better](several)
    return Estimate(value=value, low=low, high=high, level=level, method=f"worst of {len(changes)}, Šidák")


def _largest(several: Iterable[Estimate]) -> tuple[float, float, float]:
    value, low, high = zip(*((e.value, e.low, e.high) for e in several), strict=True)
    return max(value), max(low), max(high)


def _smallest(several: Iterable[Estimate]) -> tuple[float, float, float]:
    value, low, high = zip(*((e.value, e.low, e.high) for e in several), strict=True)
    return min(value), min(low), min(high)


def _farthest(several: Sequence[Estimate]) -> tuple[float, float, float]:
    worst = max(several, key=lambda e: abs(e.value))
    outer = max(max(e.high, -e.low) for e in several)
    inner = max(max(e.low, -e.high) for e in several)
    if worst.value >= 0:
        return worst.value, inner if inner > 0 else worst.low, outer
    return worst.value, -outer, -inner if inner > 0 else worst.high


_WORST: Mapping[Better, Callable[[Sequence[Estimate]], tuple[float, float, float]]] = {
    "lower": _largest,
    "higher": _smallest,
    "zero": _farthest,
}
