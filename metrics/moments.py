"""Means and covariances, whole and with one group of rows left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.sample import Floats, Rows


@dataclass(frozen=True, eq=False)
class Moments:
    """First two moments of rows.

    Attributes:
        n: How many rows.
        mean: ``(d,)``.
        covariance: ``(d, d)``, with ``n - 1`` below.
    """

    n: int
    mean: Floats
    covariance: Floats


def moments_of(features: Floats) -> Moments:
    """Moments of an array ``(n, d)`` of two rows or more."""
    mean = features.mean(0)
    centred = features - mean
    return Moments(len(features), mean, centred.T @ centred / (len(features) - 1))


@dataclass(frozen=True, eq=False)
class GroupedMoments:
    """Sums over groups of rows, from which a group is left out by subtraction.

    Attributes:
        centre: ``(d,)`` what was subtracted first, so that nothing is lost to cancellation.
        sizes: ``(g,)`` rows of each group.
        sums: ``(g, d)``.
        products: ``(g, d, d)`` sums of outer products.
    """

    centre: Floats
    sizes: Rows
    sums: Floats
    products: Floats

    def without(self, group: int | None) -> Moments:
        """Moments of all rows but one group's; of all rows for None."""
        n, total, product = int(self.sizes.sum()), self.sums.sum(0), self.products.sum(0)
        if group is not None:
            n -= int(self.sizes[group])
            total, product = total - self.sums[group], product - self.products[group]
        mean = total / n
        return Moments(n, mean + self.centre, (product - n * np.outer(mean, mean)) / (n - 1))


def grouped_moments(features: Floats, group: Rows, count: int) -> GroupedMoments:
    """Sums over ``count`` groups.

    Args:
        features: ``(n, d)``.
        group: ``(n,)`` group of each row, below ``count``.
        count: How many groups.
    """
    centre = features.mean(0)
    d = features.shape[1]
    sizes, sums, products = np.bincount(group, minlength=count), np.empty((count, d)), np.empty((count, d, d))
    for number in range(count):
        rows = features[group == number] - centre
        sums[number], products[number] = rows.sum(0), rows.T @ rows
    return GroupedMoments(centre, sizes, sums, products)


def deal(n: int, count: int, rng: np.random.Generator, clusters: NDArray[np.intp] | None = None) -> Rows:
    """``(n,)`` random groups of equal size; rows of one cluster stay together.

    >>> np.bincount(deal(10, 5, np.random.default_rng(0))).tolist()
    [2, 2, 2, 2, 2]
    """
    if clusters is None:
        return rng.permutation(n) % count
    names, inverse, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    order = rng.permutation(len(names))
    before = np.empty(len(names), dtype=np.intp)
    before[order] = np.cumsum(sizes[order]) - sizes[order]
    return np.asarray((before * count // n)[inverse])


def shared_root(one: Floats, other: Floats) -> float:
    """``tr (A^½ B A^½)^½`` of two covariances, singular or not.

    ``A = L Lᵀ`` and ``A^½ B A^½`` has the eigenvalues of ``Lᵀ B L``: a Cholesky factor and symmetric
    eigenvalues, a tenth of the cost of a matrix square root. Eigenvalues that rounding made
    negative count as 0.
    """
    try:
        factor = np.linalg.cholesky(one)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(one)
        kept = values > values[-1] * len(values) * np.finfo(float).eps
        factor = vectors[:, kept] * np.sqrt(values[kept])
    if not factor.size:
        return 0.0
    return float(np.sqrt(np.linalg.eigvalsh(factor.T @ other @ factor).clip(min=0.0)).sum())


def span(covariance: Floats) -> Floats | None:
    """``(d, r)`` orthonormal basis of the directions that vary; None when all do."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > max(values[-1], 0.0) * 1e-12
    return None if kept.all() else np.ascontiguousarray(vectors[:, kept])
