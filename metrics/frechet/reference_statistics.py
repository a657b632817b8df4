"""Fréchet distance to reference statistics alone: a mean and a covariance, without the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.estimate import Estimate
from counterproof.metrics.frechet.influence import row_influences, transport_maps
from counterproof.metrics.frechet.moments import Moments, moments_of
from counterproof.metrics.sample import Floats, Rows
from counterproof.metrics.statistics.variance import parts_error

BIAS = "the bias of samples of this size is not removed"


def frechet_distance_from_statistics(
    rows: NDArray[np.floating[Any]],
    reference: Moments,
    *,
    reference_known: bool = True,
    clusters: Rows | None = None,
    level: float = 0.95,
) -> Estimate:
    """The plain Fréchet distance between rows and a reference of which only the moments are known.

    It is the number that clean-fid and pytorch-fid print for the same features, with an interval:
    the sampling error of the rows by their influence, and that of the reference as if its rows were
    Gaussian. Compare it with numbers of the same protocol and sizes only.

    Args:
        rows: ``(n, d)`` features of the release.
        reference: Mean, covariance and number of rows of the reference.
        reference_known: Whether that number is known; if not, the reference counts as exact.
        clusters: ``(n,)`` source record of each row.
        level: Confidence of the interval.

    Raises:
        ValueError: The rows are not ``(n, d)`` with the reference's d, or fewer than two.

    >>> x = np.random.default_rng(0).normal(size=(500, 2))
    >>> e = frechet_distance_from_statistics(x, Moments(1000, np.full(2, 2.0), np.eye(2)))
    >>> e.low < 8 < e.high
    True
    """
    d = len(reference.mean)
    if rows.ndim != 2 or rows.shape[1] != d or len(rows) < 2:
        raise ValueError(f"two rows or more of {d} features are needed, not an array of shape {rows.shape}")
    features = rows.astype(np.float64)
    own = moments_of(features)
    gap = own.mean - reference.mean
    values, to_reference, to_own = transport_maps(reference.covariance, own.covariance)
    traces = float(np.trace(reference.covariance) + np.trace(own.covariance))
    value = float(gap @ gap) + traces - 2.0 * float(np.sqrt(values).sum())
    parts = row_influences(features, own, gap, to_reference) / len(features)
    error, method = parts_error(parts, clusters), "influence of the release's rows"
    if reference_known:
        error = float(np.hypot(error, _gaussian_error(reference, gap, to_own)))
        method += " and a Gaussian reference of the stated size"
    else:
        method += "; the reference counts as exact, its number of rows is not known"
    return Estimate.normal(value, error, level=level, method=f"{method}, normal; {BIAS}")


def _gaussian_error(reference: Moments, gap: Floats, to_own: Floats) -> float:
    """Standard error that ``n`` Gaussian rows of the reference bring."""
    moved = reference.covariance - to_own @ reference.covariance
    variance = 4.0 * float(gap @ reference.covariance @ gap) + 2.0 * float((moved * moved.T).sum())
    return float(np.sqrt(max(variance, 0.0) / reference.n))
