"""Intervals for shares, counts and differences of shares.

Only methods whose coverage was simulated stand here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, chi2

from counterproof.metrics.estimate import Estimate, normal_quantile
from counterproof.metrics.sample import Floats

# A faithful release passes a decidable cell with probability 0.997: 1.645 standard errors of the
# bound plus 2.8 of luck fit between a ratio of 1 and the limit.
SURE = 4.45


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
    # At k = 0 and k = n the ends are 0 and 1 exactly; rounding would put them a hair beside.
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
    first, second = wilson(k1, n1, level), wilson(k2, n2, level)
    value = first.value - second.value
    down = math.hypot(first.value - first.low, second.high - second.value)
    up = math.hypot(first.high - first.value, second.value - second.low)
    return Estimate(value=value, low=value - down, high=value + up, level=level, method="Newcombe")


def newcombe_sidak(
    hits: Sequence[int], sizes: Sequence[int], level: float = 0.95, *, comparisons: int | None = None
) -> Estimate:
    """The gap ``max - min`` of several independent proportions, simultaneous over all pairs.

    Every pair gets Newcombe's interval at the Šidák level of all pairs; the gap lies between the
    largest lower and the largest upper end. A percentile bootstrap of ``max - min`` never covers a
    true gap of 0; this covered 94.6-99.8 % in simulations of 2, 5 and 10 groups (it is wide where
    groups are many).

    Source: Newcombe 1998 (see :func:`newcombe`); Šidák 1967, doi:10.1080/01621459.1967.10482935.

    Args:
        hits: Hits of each group.
        sizes: Rows of each group, at least 1 each.
        level: Confidence of the two-sided interval.
        comparisons: How many pairs are looked at in all, where these are a part of them.

    Raises:
        ValueError: Fewer than two groups, or counts that are no proportions.

    >>> e = newcombe_sidak([50, 52], [100, 100])
    >>> e.low, round(e.value, 3), round(e.high, 3)
    (0.0, 0.02, 0.155)
    """
    if len(hits) != len(sizes) or len(hits) < 2:
        raise ValueError("a gap needs the hits and rows of at least two groups")
    for hit, size in zip(hits, sizes, strict=True):
        _check_counts(hit, size)
    pairs = comparisons or len(hits) * (len(hits) - 1) // 2
    k, n = np.asarray(hits, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    low, high = wilson_ends(k, n, two_sided_quantile(level ** (1 / pairs)))
    share = k / n
    difference = share[:, None] - share[None, :]
    down = difference - np.hypot((share - low)[:, None], (high - share)[None, :])
    up = difference + np.hypot((high - share)[:, None], (share - low)[None, :])
    np.fill_diagonal(down, -1.0)
    np.fill_diagonal(up, -1.0)
    return Estimate(
        value=float(difference.max()),
        low=float(max(0.0, down.max())),
        high=float(min(1.0, up.max())),
        level=level,
        method=f"Newcombe, Šidák over {pairs} pairs",
    )


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
