"""Intervals for shares, counts and differences of shares.

Only methods whose coverage was simulated.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, chi2

from counterproof.metrics.estimate import Estimate, normal_quantile
from counterproof.metrics.sample import Floats

Ends = Floats | float


def two_sided_quantile(level: float) -> float:
    """The normal quantile of a two-sided interval."""
    return normal_quantile(0.5 + level / 2)


def _check_counts(k: float, n: float) -> None:
    if not 0 <= k <= n or n < 1:
        raise ValueError(f"{k} hits of {n} rows is no proportion: give 0 <= hits <= rows and at least one row")


# -- one proportion -----------------------------------------------------------------------------


def wilson(k: float, n: int, level: float = 0.95) -> Estimate:
    """Wilson's score interval of a proportion.

    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.

    Args:
        k: Hits.
        n: Rows, at least 1.
        level: Confidence of the two-sided interval.

    Raises:
        ValueError: The counts are no proportion.

    >>> e = wilson(0, 10)
    >>> round(e.low, 3), round(e.high, 3)
    (0.0, 0.278)
    """
    _check_counts(k, n)
    low, high = wilson_ends(np.array([k]), np.array([n]), two_sided_quantile(level))
    return Estimate(value=k / n, low=float(low[0]), high=float(high[0]), level=level, method="Wilson score")


def wilson_ends(hits: NDArray[np.generic], sizes: NDArray[np.generic], z: float) -> tuple[Floats, Floats]:
    """Lower and upper ends of Wilson's intervals at a normal quantile; rows may be effective ones."""
    k, n = hits.astype(np.float64), sizes.astype(np.float64)
    centre = (k + z * z / 2) / (n + z * z)
    reach = z / (n + z * z) * np.sqrt(k * (n - k) / n + z * z / 4)
    # At k = 0 and k = n the ends are 0 and 1 exactly; rounding would miss them by a little.
    low = np.where(k == 0, 0.0, np.maximum(centre - reach, 0.0))
    high = np.where(k == n, 1.0, np.minimum(centre + reach, 1.0))
    return low, high


def clopper_pearson(k: int, n: int, level: float = 0.95) -> Estimate:
    """The exact interval of a proportion: covers at least ``level``, whatever the truth.

    Source: Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404.

    Args:
        k: Hits.
        n: Rows, at least 1.
        level: Confidence of the two-sided interval.

    Raises:
        ValueError: The counts are no proportion.

    >>> e = clopper_pearson(0, 100)
    >>> e.low, round(e.high, 4)
    (0.0, 0.0362)
    """
    _check_counts(k, n)
    tail = (1 - level) / 2
    low = float(beta.ppf(tail, k, n - k + 1)) if k > 0 else 0.0
    high = float(beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0
    return Estimate(value=k / n, low=low, high=high, level=level, method="Clopper-Pearson")


def poisson_upper(count: int, confidence: float = 0.95) -> float:
    """The exact one-sided upper bound of a Poisson mean.

    Source: Garwood 1936, doi:10.1093/biomet/28.3-4.437.

    Args:
        count: Events seen.
        confidence: One-sided confidence.

    >>> round(poisson_upper(0), 3)
    2.996
    """
    if count < 0:
        raise ValueError(f"a count of {count} is impossible: give 0 or more")
    return float(chi2.ppf(confidence, 2 * (count + 1)) / 2)


# -- differences of proportions -----------------------------------------------------------------


def newcombe(k1: int, n1: int, k2: int, n2: int, level: float = 0.95) -> Estimate:
    """The difference ``k1/n1 - k2/n2`` of two independent proportions.

    Source: Newcombe 1998, method 10,
    doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I.

    Args:
        k1: Hits of the first.
        n1: Rows of the first, at least 1.
        k2: Hits of the second.
        n2: Rows of the second, at least 1.
        level: Confidence of the two-sided interval.

    Raises:
        ValueError: The counts are no proportions.

    >>> e = newcombe(56, 70, 48, 80)
    >>> round(e.low, 4), round(e.high, 4)
    (0.0524, 0.3339)
    """
    return replace(difference(wilson(k1, n1, level), wilson(k2, n2, level)), method="Newcombe")


def difference(left: Estimate, right: Estimate) -> Estimate:
    """``left - right`` of two estimates that are independent, or positively correlated (then it is conservative).

    The method and the level are those of ``left``; source as for :func:`newcombe`.
    """
    low, high = difference_ends(left.value, left.low, left.high, right.value, right.low, right.high)
    return replace(left, value=left.value - right.value, low=float(low), high=float(high))


def difference_ends(a: Ends, a_low: Ends, a_high: Ends, b: Ends, b_low: Ends, b_high: Ends) -> tuple[Floats, Floats]:
    """Both ends of ``a - b`` from each side's own interval, for one pair or many: the square-and-add rule (MOVER).

    Source: Newcombe 1998, method 10 (see :func:`newcombe`).

    >>> low, high = difference_ends(0.8, 0.69, 0.88, 0.6, 0.49, 0.7)
    >>> round(float(low), 2), round(float(high), 2)
    (0.05, 0.34)
    """
    gap = np.subtract(a, b)
    low = gap - np.hypot(np.subtract(a, a_low), np.subtract(b_high, b))
    return low, gap + np.hypot(np.subtract(a_high, a), np.subtract(b, b_low))


def paired_error(gained: int, lost: int, n: int) -> float:
    """Standard error of the mean of ``n`` paired differences in {-1, 0, 1}.

    One is added to the gains and one to the losses, so that a few rows that all agree do not claim
    to know the difference exactly.

    Source: Bonett and Price 2012, doi:10.3102/1076998611411915.

    >>> round(paired_error(0, 0, 5), 3)
    0.202
    """
    _check_counts(gained + lost, n)
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    return math.sqrt((up + down - (up - down) ** 2) / (n + 2))
