"""Kernel distances of the same rows in several states, whose errors are not independent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from counterproof.metrics.engine.kernel_sums import MEMORY, KernelSums, kernel_sums
from counterproof.metrics.engine.mmd import discrepancy
from counterproof.metrics.estimate import Estimate, normal_quantile
from counterproof.metrics.sample import Floats, Rows


def joint_distances(
    sums: Sequence[KernelSums], reference: Rows | None = None, candidate: Rows | None = None
) -> tuple[Floats, Floats]:
    """Kernel distances of the same rows seen in several ways, and their covariance (Hájek).

    Args:
        sums: ``k`` views of the same two samples.
        reference: ``(n,)`` source record of each reference row.
        candidate: ``(m,)`` the same for the candidate.

    Returns:
        ``(k,)`` distances and ``(k, k)`` covariances.
    """
    left = np.stack([part.reference_within - part.reference_across for part in sums], axis=1)
    right = np.stack([part.candidate_within - part.candidate_across for part in sums], axis=1)
    values = np.array([discrepancy(part) for part in sums])
    return values, 4 * (_spread(left, reference) + _spread(right, candidate))


def paired_distance(
    left: Floats, right: Floats, sources: Rows | None = None, *, memory: int = MEMORY
) -> tuple[float, float]:
    """Kernel distance of the same rows in two states, unbiased, and its variance.

    What the rows show cancels row by row; a row is not held against its own other state.

    Args:
        left: ``(n, d)`` in the one state.
        right: ``(n, d)`` in the other.
        sources: ``(n,)`` source record of each row.
        memory: Budget in bytes for one block.

    >>> x = np.random.default_rng(0).normal(size=(30, 4))
    >>> value, variance = paired_distance(x, x)
    >>> abs(value) < 1e-12, variance < 1e-12
    (True, True)
    """
    n, sums = len(left), kernel_sums(left, right, memory=memory)
    own = ((left * right).sum(1) / left.shape[1] + 1) ** 3
    across = (n * (sums.reference_across + sums.candidate_across) - 2 * own) / (n - 1)
    influence = sums.reference_within + sums.candidate_within - across
    return float(influence.mean()), float(4 * _spread(influence[:, None], sources)[0, 0])


def _spread(influence: Floats, clusters: Rows | None) -> Floats:
    """``(k, k)`` covariance of the means; rows of one cluster are summed first."""
    n = len(influence)
    centred = influence - influence.mean(0)
    if clusters is not None:
        _, inverse = np.unique(clusters, return_inverse=True)
        centred = np.stack([np.bincount(inverse, weights=column) for column in centred.T], axis=1)
    groups = len(centred)
    return np.asarray(centred.T @ centred / n**2 * groups / max(1, groups - 1))


def share_gone(distances: Floats, spread: Floats, *, level: float = 0.95) -> Estimate | None:
    """The share of the first distance that the second lacks, with Fieller's interval.

    None where the first is not clear of 0 at this level: then any share would do.

    Args:
        distances: As stored, and stored alike.
        spread: ``(2, 2)`` their covariance.
        level: Of the two-sided interval.

    >>> e = share_gone(np.array([2.0, 0.5]), np.diag([0.01, 0.01]))
    >>> round(e.value, 2), round(e.low, 2), round(e.high, 2)
    (0.75, 0.65, 0.85)
    """
    stored, alike = distances
    z = normal_quantile(0.5 + level / 2)
    a = stored**2 - z**2 * spread[0, 0]
    if stored <= 0 or a <= 0:
        return None
    b = stored * alike - z**2 * spread[0, 1]
    c = alike**2 - z**2 * spread[1, 1]
    reach = np.sqrt(max(b * b - a * c, 0.0))
    return Estimate(
        value=float(1 - alike / stored),
        low=float(1 - (b + reach) / a),
        high=float(1 - (b - reach) / a),
        level=level,
        method="Fieller",
    )
