"""Standard errors of means of parts, with clusters, crowded neighbours and refits."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta
from scipy.stats import t as student

from counterproof.metrics.estimate import Estimate
from counterproof.metrics.sample import Floats, Rows
from counterproof.metrics.statistics.proportions import two_sided_quantile

# -- sums of independent sources ----------------------------------------------------------------


def parts_error(parts: Floats, clusters: NDArray[np.intp] | None = None) -> float:
    """Standard error of a statistic from what each row adds to it.

    Rows of one cluster are summed first: they are not independent.

    Args:
        parts: ``(n,)`` influences over n, summing to zero.
        clusters: ``(n,)`` source record of each row.
    """
    if clusters is not None:
        _, inverse = np.unique(clusters, return_inverse=True)
        parts = np.bincount(inverse, weights=parts).astype(np.float64)
    n = len(parts)
    return math.sqrt(float(parts @ parts) * n / (n - 1)) if n > 1 else math.inf


def with_refits(value: float, *, sampling: float, refit: float, draws: float, level: float = 0.95) -> Estimate:
    """An interval from the sampling error of the test rows and the spread of few refits.

    The quantile is Student's, with the degrees of freedom that Satterthwaite gives to the sum of a
    well-known variance and one estimated from ``draws`` refits.

    Source: Satterthwaite 1946, doi:10.2307/3002019.

    Args:
        value: The estimate.
        sampling: Standard error that the test rows bring.
        refit: Standard deviation that training anew brings.
        draws: Degrees of freedom of ``refit``: independent draws around a known mean.
        level: Confidence of the two-sided interval.
    """
    variance = sampling**2 + refit**2
    freedom = draws * (variance / refit**2) ** 2 if refit > 0 else math.inf
    quantile = two_sided_quantile(level) if freedom > 1e6 else float(student.ppf(0.5 + level / 2, freedom))
    reach = quantile * math.sqrt(variance)
    method = "test rows and refits, Student"
    return Estimate(value=value, low=value - reach, high=value + reach, level=level, method=method)


def even_count(place: Rows) -> float:
    """How many evenly filled places the rows amount to: one over the sum of squared shares (Kish).

    >>> even_count(np.array([0, 0, 1, 1])), round(even_count(np.array([0, 0, 0, 1])), 2)
    (2.0, 1.6)
    """
    counts: Rows = np.unique(place, return_counts=True)[1]
    return len(place) ** 2 / float(counts @ counts)


def error_of(parts: Floats, *units: Rows) -> float:
    """Standard error from what each row adds: the larger one, over the ways in which rows hang together."""
    return max(parts_error(parts, unit) for unit in units)


def student_estimate(value: float, error: float, freedom: float, *, level: float, method: str) -> Estimate:
    """An interval of few places, by Student's quantile.

    >>> e = student_estimate(0.0, 1.0, 9, level=0.95, method="normal")
    >>> round(e.high, 3), e.method
    (2.262, 'normal, Student')
    """
    reach = error * float(student.ppf(0.5 + level / 2, freedom))
    return Estimate(value=value, low=value - reach, high=value + reach, level=level, method=f"{method}, Student")


def quantile_of(values: Floats, q: float, *units: Rows, level: float) -> Estimate:
    """A quantile of numbers in [0, 1], with the quantiles that its own level cannot be told from.

    The share of values up to it has an error, with rows of one unit summed first; exact limits of the
    share, at as many independent rows as that error tells of, are read as quantiles. Where as many
    rows as there are even units need not hold one value beyond the quantile, the end is 0 or 1.

    Source: Woodruff 1952, doi:10.1080/01621459.1952.10483443; limits by Clopper and Pearson at the
    effective number of rows: Korn and Graubard 1998, Survey Methodology 24:193-201.

    >>> e = quantile_of(np.linspace(0, 1, 1001), 0.5, np.arange(1001), level=0.95)
    >>> round(e.low, 3), e.value, round(e.high, 3)
    (0.469, 0.5, 0.531)
    """
    value = float(np.quantile(values, q))
    hit = np.asarray(values <= value, dtype=np.float64)
    error = error_of((hit - hit.mean()) / len(hit), *units)
    even = min(map(even_count, units))
    rows = min(float(len(hit)), q * (1 - q) / error**2) if error > 0 else even
    tail, hits = (1 - level) / 2, q * rows
    low, high = float(beta.ppf(tail, hits, rows - hits + 1)), float(beta.ppf(1 - tail, hits + 1, rows - hits))
    return Estimate(
        value=value,
        low=0.0 if (1 - q) ** min(rows, even) > tail else float(np.quantile(values, low)),
        high=1.0 if q ** min(rows, even) > tail else float(np.quantile(values, high)),
        level=level,
        method="Woodruff, by places",
    )


def difference(left: Estimate, right: Estimate) -> Estimate:
    """``left - right`` of two estimates that are independent, or rise and fall together.

    Source: the square-and-add rule of Newcombe 1998, method 10,
    doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I.
    """
    value = left.value - right.value
    down = math.hypot(left.value - left.low, right.high - right.value)
    up = math.hypot(left.high - left.value, right.value - right.low)
    return replace(left, value=value, low=value - down, high=value + up)
