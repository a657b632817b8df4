"""The area under the ROC curve and its intervals."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from counterproof.metrics.estimate import Estimate, normal_quantile
from counterproof.metrics.sample import Flags, Floats


def area_estimate(scores: Floats, member: Flags, level: float) -> Estimate:
    """The area with DeLong's interval, widened as if each side had one more row in the middle of the other.

    Without that row, a perfect separation of a few rows would have an interval of width 0.
    """
    area, parts = auc_parts(scores, member)
    others = int((~member).sum())
    unseen = 0.25 / int(member.sum()) ** 2 + 0.25 / others**2
    error = math.sqrt(auc_error(parts, member) ** 2 + unseen)
    made = Estimate.normal(area, error, level=level)
    return Estimate(
        value=area,
        low=max(0.0, made.low),
        high=min(1.0, made.high),
        level=level,
        method="DeLong, one unseen row a side",
    )


def smallest_area(members: int, others: int, *, confidence: float = 0.95) -> float:
    """The smallest area that a test at this confidence detects as above 0.5, with power of the same size.

    >>> round(smallest_area(2500, 2500), 3)
    0.527
    """
    return 0.5 + 2 * normal_quantile(confidence) * math.sqrt((members + others + 1) / (12 * members * others))


# -- area under the ROC curve -------------------------------------------------------------------


def delong_auc(scores: ArrayLike, labels: ArrayLike) -> tuple[float, float]:
    """The area under the ROC curve and its standard error.

    Source: DeLong, DeLong and Clarke-Pearson 1988, doi:10.2307/2531595; by mid-ranks in
    O(n log n): Sun and Xu 2014, doi:10.1109/LSP.2014.2337313.

    Args:
        scores: ``(n,)``, larger means more likely positive; ties count one half.
        labels: ``(n,)``, true for positives.

    Returns:
        The area and its standard error.

    Raises:
        ValueError: One of the two classes has no row.

    >>> auc, error = delong_auc([0.1, 0.4, 0.35, 0.8], [False, False, True, True])
    >>> auc, round(error, 3)
    (0.75, 0.354)
    """
    positive = np.asarray(labels, dtype=bool)
    auc, parts = auc_parts(scores, positive)
    return auc, auc_error(parts, positive)


def auc_parts(scores: ArrayLike, positive: NDArray[np.bool_]) -> tuple[float, Floats]:
    """The area and what each row adds to its sampling error (the parts sum to zero).

    The part of a positive is ``(its placement - auc) / positives``, of a negative likewise.
    Sums and differences of areas on the same rows have the sums and differences of their parts.
    """
    score = np.asarray(scores, dtype=np.float64)
    m = int(positive.sum())
    n = len(positive) - m
    if m == 0 or n == 0:
        raise ValueError("an area under the ROC curve needs rows of both classes")
    pooled = rankdata(score)
    placed_positive = (pooled[positive] - rankdata(score[positive])) / n
    placed_negative = 1 - (pooled[~positive] - rankdata(score[~positive])) / m
    auc = float(placed_positive.mean())
    parts = np.empty(len(score))
    parts[positive] = (placed_positive - auc) / m
    parts[~positive] = (placed_negative - auc) / n
    return auc, parts


def auc_error(parts: Floats, positive: NDArray[np.bool_]) -> float:
    """DeLong's standard error from the rows' parts."""
    variance = 0.0
    for side in (parts[positive], parts[~positive]):
        if len(side) < 2:
            return math.inf
        variance += float(side @ side) * len(side) / (len(side) - 1)
    return math.sqrt(variance)
