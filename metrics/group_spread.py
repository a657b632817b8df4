"""What groups differ in: the worst of them, the gap, the slope against their size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from counterproof.metrics.estimate import Estimate, normal_quantile
from counterproof.metrics.sample import Floats


@dataclass(frozen=True, eq=False, kw_only=True)
class Losses:
    """Independent estimates of a loss, one for each group of a column.

    Attributes:
        names: Of the groups.
        values: Estimates; larger is worse.
        errors: Their standard errors.
        sizes: Rows of each group, for the slope.
    """

    names: Sequence[str]
    values: Floats
    errors: Floats
    sizes: Floats

    @property
    def worst(self) -> int:
        """Position of the group that is worst off."""
        return int(self.values.argmax())

    @property
    def best(self) -> int:
        """Position of the group that is best off."""
        return int(self.values.argmin())


def worst_loss(losses: Losses, *, level: float, comparisons: int) -> Estimate:
    """The largest loss, simultaneous over all groups: no winner's luck in the lower end.

    The largest true loss lies between the largest lower and the largest upper end of intervals at
    the Šidák level of all groups.

    Args:
        losses: Of the groups.
        level: Confidence.
        comparisons: How many groups are looked at in all.

    >>> three = Losses(names="abc", values=np.array([0.1, 0.5, 0.2]), errors=np.full(3, 0.01), sizes=np.ones(3))
    >>> round(worst_loss(three, level=0.95, comparisons=3).low, 3)
    0.476
    """
    reach = _quantile(level, comparisons) * losses.errors
    return Estimate(
        value=float(losses.values.max()),
        low=float((losses.values - reach).max()),
        high=float((losses.values + reach).max()),
        level=level,
        method=f"normal, Šidák over {comparisons} groups",
    )


def loss_gap(losses: Losses, *, level: float, comparisons: int) -> Estimate:
    """Largest less smallest loss, simultaneous over all pairs; its lower end is never below 0.

    Args:
        losses: Of two groups or more.
        level: Confidence.
        comparisons: How many pairs are looked at in all.
    """
    difference = losses.values[:, None] - losses.values[None, :]
    reach = _quantile(level, comparisons) * np.hypot(losses.errors[:, None], losses.errors[None, :])
    np.fill_diagonal(reach, 0.0)
    return Estimate(
        value=float(difference.max()),
        low=float((difference - reach).max()),  # 0 on the diagonal
        high=float((difference + reach).max()),
        level=level,
        method=f"normal, Šidák over {comparisons} pairs",
    )


def size_slope(losses: Losses, *, level: float) -> Estimate | None:
    """Loss for a tenfold larger group, by least squares weighted with the sizes; None where all are of one size.

    >>> two = Losses(names="ab", values=np.array([0.3, 0.1]), errors=np.full(2, 0.01), sizes=np.array([10.0, 100.0]))
    >>> round(size_slope(two, level=0.95).value, 6)
    -0.2
    """
    if losses.sizes.max() < 1.5 * losses.sizes.min():
        return None
    decades, weights = np.log10(losses.sizes), losses.sizes / losses.sizes.sum()
    centred = decades - weights @ decades
    share = weights * centred / (weights @ centred**2)
    error = math.sqrt(float(share**2 @ losses.errors**2))
    return Estimate.normal(float(share @ losses.values), error, level=level, method="normal, weighted least squares")


def _quantile(level: float, comparisons: int) -> float:
    return normal_quantile(0.5 + level ** (1 / max(1, comparisons)) / 2)
