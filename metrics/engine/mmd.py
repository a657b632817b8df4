"""The squared maximum mean discrepancy with the cubic kernel: unbiased value and Hájek standard error."""

from __future__ import annotations

import numpy as np

from counterproof.metrics.engine.kernel_sums import MEMORY, KernelSums, kernel_sums
from counterproof.metrics.estimate import Estimate
from counterproof.metrics.sample import Floats, Rows


def discrepancy(sums: KernelSums) -> float:
    """Unbiased squared distance: within the two sides, less twice across."""
    return float(sums.reference_within.mean() + sums.candidate_within.mean() - 2 * sums.reference_across.mean())


def standard_error(sums: KernelSums, reference: Rows | None = None, candidate: Rows | None = None) -> float:
    """Hájek standard error; rows of one cluster are summed before they are compared.

    Args:
        sums: Of the two samples.
        reference: ``(n,)`` source record of each reference row.
        candidate: ``(m,)`` the same for the candidate.
    """
    left = _spread(sums.reference_within - sums.reference_across, reference)
    right = _spread(sums.candidate_within - sums.candidate_across, candidate)
    return float(2 * np.sqrt(left + right))


def _spread(influence: Floats, clusters: Rows | None) -> float:
    """Variance of the mean."""
    n = len(influence)
    if clusters is None:
        return float(influence.var(ddof=1) / n)
    _, inverse = np.unique(clusters, return_inverse=True)
    totals = np.bincount(inverse, weights=influence - influence.mean())
    groups = len(totals)
    return float((totals**2).sum() / n**2 * groups / max(1, groups - 1))


def kernel_distance_between(left: Floats, right: Floats, *, memory: int = MEMORY, level: float = 0.95) -> Estimate:
    """Kernel distance of two arrays of rows, with its interval.

    Args:
        left: ``(n, d)``.
        right: ``(m, d)``.
        memory: Budget in bytes for one block.
        level: Confidence of the interval.

    Raises:
        ValueError: The arrays are not two-dimensional with the same columns and two rows each.

    >>> x = np.random.default_rng(0).normal(size=(50, 3))
    >>> e = kernel_distance_between(x, x + 2)
    >>> e.low > 0
    True
    """
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[1] or min(len(left), len(right)) < 2:
        raise ValueError(
            f"two arrays (n, d) and (m, d) of two rows or more are needed, not {left.shape}, {right.shape}"
        )
    sums = kernel_sums(left.astype(np.float64), right.astype(np.float64), memory=memory)
    return Estimate.normal(discrepancy(sums), standard_error(sums), level=level, method="Hájek normal")
