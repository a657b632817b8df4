"""Means and covariances, whole and with one group of rows left out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dpstrf, dsygst

from counterproof.metrics.sample import Floats, Rows

LARGE = 512
BLOCK = 512  # rows that stay in the processor's cache
ROUNDING = 4 * np.finfo(float).eps  # of eigenvalues, as a share of the largest
EXACT = 1e-7  # bound of what rounding may do to a sum of roots; what it does is far less
LOST = 1e-12  # a share of the largest variance below which a direction varies by rounding alone


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

    @staticmethod
    def empty(d: int) -> RunningMoments:
        """The moments of no rows yet, to which rows and other machines' moments are added."""
        return RunningMoments(0, np.zeros(d), np.zeros((d, d)))


@dataclass(frozen=True, eq=False)
class RunningMoments:
    """Moments of the rows seen so far, in float64: they merge in any order and grouping but for rounding.

    Source: Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115.

    Attributes:
        n: How many rows.
        mean: ``(d,)``.
        scatter: ``(d, d)`` sum of outer products about the mean.

    >>> whole = Moments.empty(2).add(np.eye(2)).merge(Moments.empty(2).add(np.ones((3, 2)))).finish()
    >>> whole.n, whole.mean.tolist()
    (5, [0.8, 0.8])
    """

    n: int
    mean: Floats
    scatter: Floats

    def add(self, rows: NDArray[np.floating[Any]]) -> RunningMoments:
        """With further rows.

        Args:
            rows: ``(k, d)``, of any floating type, k may be 0.

        Raises:
            ValueError: The rows are not ``(k, d)``, or not finite.
        """
        if rows.ndim != 2 or rows.shape[1] != len(self.mean):
            raise ValueError(f"rows of shape (k, {len(self.mean)}) are needed, not {rows.shape}")
        if not len(rows):
            return self
        wide = rows.astype(np.float64)
        mean = wide.mean(0)
        if not np.isfinite(mean).all():
            raise ValueError("the rows hold NaN or an infinity: leave them out, or mend the encoder")
        wide -= mean
        return self.merge(RunningMoments(len(wide), mean, wide.T @ wide))

    def merge(self, other: RunningMoments) -> RunningMoments:
        """With the rows that another pass has seen.

        Raises:
            ValueError: The other has another dimension.
        """
        if len(other.mean) != len(self.mean):
            raise ValueError(f"moments of {len(self.mean)} and {len(other.mean)} dimensions cannot be merged")
        if not self.n or not other.n:
            return self if not other.n else other
        n = self.n + other.n
        shift = other.mean - self.mean
        between = np.outer(shift, shift * (self.n * other.n / n))
        return RunningMoments(n, self.mean + shift * (other.n / n), self.scatter + other.scatter + between)

    def finish(self) -> Moments:
        """Mean and covariance.

        Raises:
            ValueError: There are fewer than two rows.
        """
        if self.n < 2:
            raise ValueError(f"a covariance needs two rows or more, not {self.n}")
        return Moments(self.n, self.mean, self.scatter / (self.n - 1))


def moments_of(features: NDArray[np.floating[Any]]) -> Moments:
    """Moments in float64 of an array ``(n, d)`` of two rows or more, block by block: no copy of it is made."""
    mean = features.mean(0, dtype=np.float64)
    scatter = _products(features, mean)
    scatter /= len(features) - 1
    return Moments(len(features), mean, scatter)


def _products(features: NDArray[np.floating[Any]], centre: Floats) -> Floats:
    """``(d, d)`` sum of outer products about a centre."""
    n, d = features.shape
    made = np.zeros((d, d), order="F")
    for start in range(0, n, BLOCK):
        rows = features[start : start + BLOCK] - centre
        made = dsyrk(1.0, rows.T, beta=1.0, c=made, overwrite_c=1, lower=1)
    made += np.tril(made, -1).T
    return np.asarray(made.T)  # symmetric, and in C order


@dataclass(frozen=True, eq=False)
class GroupedMoments:
    """Sums over groups of rows, from which a group is left out by subtraction.

    Attributes:
        centre: ``(d,)`` what was subtracted first, so that no digits are lost to cancellation.
        sizes: ``(g,)`` rows of each group.
        sums: ``(g, d)``.
        products: ``(g, d, d)`` sums of outer products.
    """

    centre: Floats
    sizes: Rows
    sums: Floats
    products: Floats

    @cached_property
    def totals(self) -> tuple[int, Floats, Floats]:
        """Rows, sums and products over all groups."""
        return int(self.sizes.sum()), self.sums.sum(0), self.products.sum(0)

    def without(self, group: int | None) -> Moments:
        """Moments of all rows but one group's; of all rows for None."""
        n, total, product = self.totals
        if group is not None:
            n -= int(self.sizes[group])
            total, product = total - self.sums[group], product - self.products[group]
        mean = total / n
        covariance = np.outer(mean, mean)
        covariance *= -n
        covariance += product
        covariance /= n - 1
        return Moments(n, mean + self.centre, covariance)


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
        rows = features[group == number]
        sums[number], products[number] = (rows - centre).sum(0), _products(rows, centre)
    return GroupedMoments(centre, sizes, sums, products)


def random_groups(n: int, count: int, rng: np.random.Generator, clusters: NDArray[np.intp] | None = None) -> Rows:
    """``(n,)`` random groups of equal size; rows of one cluster stay together.

    >>> np.bincount(random_groups(10, 5, np.random.default_rng(0))).tolist()
    [2, 2, 2, 2, 2]
    """
    if clusters is None:
        return rng.permutation(n) % count
    names, inverse, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    order = rng.permutation(len(names))
    before = np.empty(len(names), dtype=np.intp)
    before[order] = np.cumsum(sizes[order]) - sizes[order]
    return np.asarray((before * count // n)[inverse])


def frechet_of_moments(one: Moments, other: Moments) -> float:
    """The plain Fréchet distance between two Gaussians, not bias-corrected."""
    shift = one.mean - other.mean
    traces = float(np.trace(one.covariance) + np.trace(other.covariance))
    return float(shift @ shift) + traces - 2.0 * shared_root(one.covariance, other.covariance)


def shared_root(one: Floats, other: Floats) -> float:
    """``tr (A^½ B A^½)^½`` of two covariances, singular or not.

    ``A = L Lᵀ`` and ``A^½ B A^½`` has the eigenvalues of ``Lᵀ B L``, and nulls: a Cholesky factor and
    symmetric eigenvalues, at a tenth of the cost of a matrix square root. Where A does not vary in
    every direction, L has fewer columns; where B lacks directions of L, too, the singular values of
    a product of roots are taken: roots of eigenvalues would leave the root of their rounding.
    """
    one, other = _where_both_vary(one, other)
    if not one.size:
        return 0.0
    factor = factor_of(one)
    if factor is not None:
        return float(np.sqrt(_eigenvalues(congruence(other, factor)).clip(min=0.0)).sum())
    root = root_of(one)
    values = _eigenvalues(root.T @ other @ root)
    if values[-1] <= 0:
        return 0.0
    rounding = ROUNDING * values[-1]
    found = float(np.sqrt(values.clip(min=0.0)).sum())
    if float((rounding / np.sqrt(values.clip(min=rounding))).sum()) <= EXACT * found:
        return found
    return nuclear_norm(root.T @ root_of(other))


def _where_both_vary(one: Floats, other: Floats) -> tuple[Floats, Floats]:
    """Without the columns that are constant on either side (dead units of a network): they add nothing to the trace."""
    vary = np.ones(len(one), dtype=bool)
    for side in (one, other):
        variances = np.diag(side)
        vary &= variances > variances.max() * np.finfo(float).eps ** 2
    if vary.all():
        return one, other
    kept = np.ix_(vary, vary)
    return one[kept], other[kept]


def nuclear_norm(matrix: Floats) -> float:
    """Sum of the singular values."""
    if min(matrix.shape) < LARGE:
        return float(np.linalg.svd(matrix, compute_uv=False).sum())
    import torch

    return float(torch.linalg.svdvals(torch.from_numpy(np.ascontiguousarray(matrix))).sum())


def _eigenvalues(lower: Floats) -> Floats:
    """Of a symmetric matrix whose lower triangle holds; torch's LAPACK takes half the time where it is large."""
    if len(lower) < LARGE:
        return np.asarray(np.linalg.eigvalsh(lower))
    import torch

    return np.asarray(torch.linalg.eigvalsh(torch.from_numpy(np.ascontiguousarray(lower)), UPLO="L").numpy())


def root_of(covariance: Floats) -> Floats:
    """``(d, r)`` a matrix whose outer product is the covariance: its Cholesky factor with pivots.

    A fifth of the cost of eigenvectors, and as exact. Source: Higham, Accuracy and Stability, section 10.3.
    """
    smallest = float(np.diag(covariance).max()) * len(covariance) * np.finfo(float).eps
    factor, pivots, rank, _ = dpstrf(covariance.T, tol=smallest, lower=1)
    made = np.empty((len(covariance), rank))
    made[pivots - 1] = np.tril(factor)[:, :rank]
    return made


def factor_of(covariance: Floats) -> Floats | None:
    """The Cholesky factor; None where a direction does not vary, or hardly."""
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return None
    pivots = np.diag(factor) ** 2
    # Rounding may let a singular matrix pass: its factor would be noise.
    alive = pivots.min() > pivots.max() * len(pivots) * np.finfo(float).eps
    return np.asarray(factor) if alive else None


def congruence(covariance: Floats, factor: Floats) -> Floats:
    """The congruence ``Lᵀ B L`` with a Cholesky factor L; only the lower triangle is valid."""
    made, info = dsygst(covariance.T, factor.T, itype=2, lower=0)  # transposed, so that LAPACK needs no copies
    assert info == 0, "LAPACK's own arguments"
    return np.asarray(made.T)


def varying_directions(covariance: Floats) -> Floats | None:
    """``(d, r)`` orthonormal basis of the directions that vary; None when all do."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > max(values[-1], 0.0) * LOST
    return None if kept.all() else np.ascontiguousarray(vectors[:, kept])
