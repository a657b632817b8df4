"""Standard errors from what each row adds, from clusters, from refits, and by the jackknife."""

from __future__ import annotations

import math

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
        refit: Standard deviation that retraining brings.
        draws: Degrees of freedom of ``refit``: independent draws around a known mean.
        level: Confidence of the two-sided interval.
    """
    variance = sampling**2 + refit**2
    freedom = draws * (variance / refit**2) ** 2 if refit > 0 else math.inf
    quantile = two_sided_quantile(level) if freedom > 1e6 else float(student.ppf(0.5 + level / 2, freedom))
    reach = quantile * math.sqrt(variance)
    method = "test rows and refits, Student"
    return Estimate(value=value, low=value - reach, high=value + reach, level=level, method=method)


def effective_sample_size(cluster: Rows) -> float:
    """Kish's effective sample size of clustered rows: one over the sum of the clusters' squared shares.

    >>> effective_sample_size(np.array([0, 0, 1, 1])), round(effective_sample_size(np.array([0, 0, 0, 1])), 2)
    (2.0, 1.6)
    """
    counts: Rows = np.unique(cluster, return_counts=True)[1]
    return len(cluster) ** 2 / float(counts @ counts)


def clustered_error(parts: Floats, *units: Rows) -> float:
    """Standard error from what each row adds; the largest over several ways to cluster the rows."""
    return max(parts_error(parts, unit) for unit in units)


def student_estimate(value: float, error: float, freedom: float, *, level: float, method: str) -> Estimate:
    """An interval of few clusters, by Student's quantile.

    >>> e = student_estimate(0.0, 1.0, 9, level=0.95, method="normal")
    >>> round(e.high, 3), e.method
    (2.262, 'normal, Student')
    """
    reach = error * float(student.ppf(0.5 + level / 2, freedom))
    return Estimate(value=value, low=value - reach, high=value + reach, level=level, method=f"{method}, Student")


def quantile_of(values: Floats, q: float, *units: Rows, level: float) -> Estimate:
    """A quantile of numbers in [0, 1], with Woodruff's interval.

    The share of values up to the quantile has a standard error, rows of one cluster summed first. Exact limits
    of that share, at the effective number of rows that the error implies, are read off as quantiles. Where that
    many rows may well hold no value beyond the quantile, the end is 0 or 1.

    Source: Woodruff 1952, doi:10.1080/01621459.1952.10483443; limits by Clopper and Pearson at the
    effective number of rows: Korn and Graubard 1998, Survey Methodology 24:193-201.

    >>> e = quantile_of(np.linspace(0, 1, 1001), 0.5, np.arange(1001), level=0.95)
    >>> round(e.low, 3), e.value, round(e.high, 3)
    (0.469, 0.5, 0.531)
    """
    value = float(np.quantile(values, q))
    hit = np.asarray(values <= value, dtype=np.float64)
    error = clustered_error((hit - hit.mean()) / len(hit), *units)
    even = min(map(effective_sample_size, units))
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


# -- the jackknife ------------------------------------------------------------------------------


def jackknife(whole: float, without: Floats) -> tuple[float, float]:
    """A statistic freed of its O(1/n) bias, and its standard error, by leaving out each of ``g`` groups of rows.

    The pseudo-values ``g · whole - (g - 1) · without`` have the corrected statistic as their mean; their standard
    error is ``sqrt((g - 1) / g · Σ (without - mean)²)``.

    Source: Tukey 1958; Efron and Stein 1981, doi:10.1214/aos/1176345462.

    Args:
        whole: The statistic of all rows.
        without: ``(g,)`` the statistic without each group.

    >>> value, error = jackknife(2.0, np.array([1.0, 3.0]))
    >>> value, error
    (2.0, 1.0)
    """
    count = len(without)
    return float((count * whole - (count - 1) * without).mean()), jackknife_error(without)


def jackknife_error(without: Floats) -> float:
    """The standard error alone."""
    count = len(without)
    return math.sqrt((count - 1) / count * float(((without - without.mean()) ** 2).sum()))


def jackknife_estimate(whole: float, without: Floats, *, level: float) -> Estimate:
    """The corrected statistic with Student's interval: one degree of freedom less than there are groups."""
    value, error = jackknife(whole, without)
    method = f"jackknife over {len(without)} groups, Student's t"
    reach = error * float(student.ppf(0.5 + level / 2, len(without) - 1))
    return Estimate(value=value, low=value - reach, high=value + reach, level=level, method=method)
