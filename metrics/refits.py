"""What training on another draw of the rows would change: the second half of every model interval.

The test rows alone say how well *these* two models are known. A release is judged on what a model
trained on it does, and training luck at a threshold is two to three times the test-row part, so
the same statistic is taken between models of two random halves of the real learning rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from counterproof.metrics.estimate import Better, Estimate, Group
from counterproof.metrics.intervals import with_refits
from counterproof.metrics.workbench import Workbench

K = TypeVar("K", bound=Hashable)
REFITS = 16  # of 10 the spread is known to a quarter of itself, and one fresh audit in twenty suffers for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a model trained on the release does otherwise than one trained on real rows, at one place.

    Attributes:
        group: Where.
        value: The change.
        sampling: Its standard error from the trial rows, paired.
        refit: Its standard deviation from training anew.
        draws: Refits behind ``refit``.
        decidable: Enough rows that a faithful release would pass.
        remark: How many rows, in words.
    """

    group: Group
    value: float
    sampling: float = 0.0
    refit: float = 0.0
    draws: int = REFITS
    decidable: bool = True
    remark: str = ""

    def estimate(self, level: float) -> Estimate:
        """With its interval."""
        return with_refits(self.value, sampling=self.sampling, refit=self.refit, draws=self.draws, level=level)


def refit_spread(
    bench: Workbench, statistic: Callable[[Workbench], Mapping[K, float]], *, draws: int = REFITS
) -> dict[K, float]:
    """How far training anew moves the difference between two models, for each key of the statistic.

    The halves of a split are exchangeable, so the difference has mean 0 by symmetry and its root
    mean square over ``draws`` splits is its spread, with all ``draws`` degrees of freedom. Models
    of n/2 rows vary twice as much as models of n, two of them differ by four times one full model,
    and the measurement holds one model of each training size:
    ``Var = spread**2 / 4 * (1 + learning / studying)``.

    Args:
        bench: The measurement's view; forecasts of the halves are shared by all metrics.
        statistic: Candidate against baseline models, by key; every half knows the same keys.
        draws: How many splits.
    """
    seen = [statistic(bench.halves(draw)) for draw in range(draws)]
    scale = (1 + len(bench.learning) / max(len(bench.studying), 1)) / 4
    return {key: math.sqrt(scale * sum(one[key] ** 2 for one in seen) / draws) for key in seen[0]}


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
