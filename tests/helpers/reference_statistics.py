"""Statistics that no metric computes this way, to hold those that do against."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from counterproof.metrics.estimate import Estimate
from counterproof.metrics.sample import Floats
from counterproof.metrics.statistics.auc import auc_error, auc_parts
from counterproof.metrics.statistics.cvar import worst_weights
from counterproof.metrics.statistics.proportions import _check_counts, two_sided_quantile, wilson_ends


def delong_change(scores: ArrayLike, others: ArrayLike, labels: ArrayLike) -> tuple[float, float]:
    """The paired difference of two areas on the same rows, ``scores`` minus ``others``.

    Args:
        scores: ``(n,)`` scores of the one model.
        others: ``(n,)`` scores of the other.
        labels: ``(n,)``, true for positives.

    Returns:
        The difference and its standard error; source as for :func:`delong_auc`.
    """
    positive = np.asarray(labels, dtype=bool)
    first, parts = auc_parts(scores, positive)
    second, other_parts = auc_parts(others, positive)
    return first - second, auc_error(parts - other_parts, positive)


def tail_mean(means: Floats, mass: Floats, alpha: float) -> float:
    """Mean loss of the worst ``1 - alpha`` of the rows, of known groups.

    >>> round(tail_mean(np.array([0.1, 0.3, 0.2]), np.array([0.5, 0.1, 0.4]), 0.75), 3)
    0.24
    """
    parts, _ = worst_weights(means, mass, alpha)
    return float((parts * mass * means).sum() / (1 - alpha))


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
