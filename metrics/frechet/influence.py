"""Influence of each row on the Fréchet distance: the gradient at the moments, row by row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from counterproof.metrics.frechet.moments import BLOCK, Moments, congruence, factor_of, moments_of, varying_directions
from counterproof.metrics.sample import Floats

WIDE = 1024  # dimensions from which float32 products are used: three digits of a standard error are enough
STEEP = 1e3  # entries of a map above which float32 would lose digits


@dataclass(frozen=True, eq=False)
class Influence:
    """The plain Fréchet distance of two samples, and what each row adds to it, to first order.

    Leaving row ``i`` of ``n`` out lowers the distance by about ``left[i] / n``.

    Attributes:
        value: The plain distance, not bias-corrected.
        left: ``(n,)`` influence of the rows of the first sample; they sum to 0.
        right: ``(m,)`` the same for the second.
    """

    value: float
    left: Floats
    right: Floats


def influence(left: Floats, right: Floats, *, moments: tuple[Moments, Moments] | None = None) -> Influence:
    """Distance and influences of two arrays of rows.

    With ``T`` the optimal map from the second Gaussian to the first, a row ``y`` of the second
    has the influence ``2 (y - μ2)·(μ2 - μ1) + (y - μ2)ᵀ (I - T) (y - μ2)`` less its mean; a row of the first
    the same with the roles exchanged and ``T⁻¹``.

    Source: the gradient of the Bures distance, Bhatia, Jain and Lim, arXiv:1712.01504.

    Args:
        left: ``(n, d)``.
        right: ``(m, d)``.
        moments: Of the two, where they are known already.
    """
    if min(len(left), len(right)) <= left.shape[1]:
        return _by_rows(left, right)
    one, other = moments or (moments_of(left), moments_of(right))
    gap = one.mean - other.mean
    values, to_left, to_right = transport_maps(one.covariance, other.covariance)
    traces = float(np.trace(one.covariance) + np.trace(other.covariance))
    return Influence(
        value=float(gap @ gap) + traces - 2.0 * float(np.sqrt(values).sum()),
        left=row_influences(left, one, gap, to_right),
        right=row_influences(right, other, -gap, to_left),
    )


def transport_maps(one: Floats, other: Floats) -> tuple[Floats, Floats, Floats]:
    """Eigenvalues of ``S1 S2``, the map ``T`` that takes S2 to S1, and its inverse.

    Each map is 0 in the directions in which its own rows do not vary.
    """
    factor = factor_of(one)
    if factor is None:
        basis = varying_directions(one)
        assert basis is not None, "no factor, so a direction is missing"
        if not basis.shape[1]:  # all rows alike
            return np.zeros(0), np.zeros_like(one), np.zeros_like(one)
        values, to_first, to_second = transport_maps(np.diag(np.diag(basis.T @ one @ basis)), basis.T @ other @ basis)
        return values, basis @ to_first @ basis.T, basis @ to_second @ basis.T
    values, vectors = np.linalg.eigh(congruence(other, factor))
    values = values.clip(min=0.0)
    kept = values > values[-1] * len(values) * np.finfo(float).eps
    strength = np.sqrt(np.sqrt(values[kept]))
    forth = factor @ (vectors[:, kept] / strength)
    back = solve_transposed(factor, vectors[:, kept] * strength)
    return values, forth @ forth.T, back @ back.T


def solve_transposed(factor: Floats, right: Floats) -> Floats:
    """``L⁻ᵀ R``."""
    from scipy.linalg import solve_triangular

    return np.asarray(solve_triangular(factor, right, lower=True, trans="T", check_finite=False))


def row_influences(rows: Floats, own: Moments, gap: Floats, towards: Floats) -> Floats:
    """Influence of each row under ``I - T``, less its mean, block by block.

    Args:
        rows: ``(n, d)``.
        own: Their moments.
        gap: The own mean less the other's.
        towards: ``T``, the map that takes the own covariance to the other's.
    """
    n, d = rows.shape
    inner = np.eye(d) - towards
    exact = d < WIDE or float(np.abs(inner).max()) > STEEP
    light = inner.astype(np.float32)
    scale = float(np.sqrt(np.trace(own.covariance) / d)) or 1.0  # float32 squares must not overflow
    found = np.empty(n)
    for start in range(0, n, BLOCK):
        centred = rows[start : start + BLOCK] - own.mean
        if exact:
            squares = np.einsum("ij,ij->i", centred, centred @ inner)
        else:
            units = (centred / scale).astype(np.float32)
            squares = np.einsum("ij,ij->i", units, units @ light, dtype=np.float64) * scale**2
        found[start : start + BLOCK] = 2.0 * (centred @ gap) + squares
    return np.asarray(found - found.mean())


def _by_rows(left: Floats, right: Floats) -> Influence:
    """The same from the singular values of the product of the rows: exact with no more rows than dimensions."""
    mean = left.mean(0), right.mean(0)
    gap = mean[0] - mean[1]
    rows = (left - mean[0], right - mean[1])
    unit = tuple(side / np.sqrt(len(side) - 1) for side in rows)
    squares = tuple((side * side).sum(1) for side in unit)
    first, values, second = np.linalg.svd(unit[0] @ unit[1].T, full_matrices=False)
    made = []
    for side, square, axes, towards in zip(rows, squares, (first, second.T), (gap, -gap), strict=True):
        n = len(side)
        found = 2.0 * (side @ towards) + (n - 1) * (square - (axes * axes) @ values)
        made.append(np.asarray(found - found.mean()))
    distance = float(gap @ gap) + float(squares[0].sum() + squares[1].sum()) - 2.0 * float(values.sum())
    return Influence(value=distance, left=made[0], right=made[1])
