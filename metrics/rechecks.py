"""Exact distances of chosen pairs of rows in float64: what float32 found is decided here.

Narrow rows are subtracted pair by pair. Wide rows would cost six passes over memory that way: their
inner products are formed at the chosen places alone (a sampled product, one pass), with
``|x - y|² = |x|² + |y|² - 2 x·y``, whose relative error is at most ``2 (d + 4) 2⁻⁵³ (|x|² + |y|²) /
|x - y|²``; pairs so near that it could reach ``10⁻⁹`` are subtracted after all. So identical rows
are at distance 0 however wide they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.sample import Floats, Rows

WIDE = 128
NEAR = 2.0**-9
PIECE = 2**22  # numbers of the rows that are held in float64 at once

Features = NDArray[np.floating[Any]]


def distances(one: Features, left: Rows, other: Features, right: Rows, *, unit: float = 1.0) -> Floats:
    """Distances of the pairs ``one[left[p]]``, ``other[right[p]]``.

    Args:
        one: ``(n, d)``.
        left: ``(p,)`` rows of it.
        other: ``(m, d)``.
        right: ``(p,)`` rows of it; pairs with the same row stand together.
        unit: A power of two that keeps squares from overflowing or vanishing.

    >>> x = np.eye(200)
    >>> distances(x, np.array([0, 0]), x, np.array([0, 1])).round(6).tolist()
    [0.0, 1.414214]
    """
    if one.shape[1] < WIDE or unit != 1.0 or not len(left):
        return _subtracted(one, left, other, right, unit)
    out, near = _multiplied(one, left, other, right)
    out[near] = _subtracted(one, left[near], other, right[near], unit)
    return out


def _subtracted(one: Features, left: Rows, other: Features, right: Rows, unit: float) -> Floats:
    out = np.empty(len(left))
    step = max(1, 2**16 // max(1, one.shape[1]))  # the differences stay in cache
    gap = np.empty((min(step, len(left)), one.shape[1]))
    for start in range(0, len(left), step):
        part = slice(start, min(start + step, len(left)))
        made = gap[: part.stop - start]
        np.subtract(one[left[part]], other[right[part]], out=made, dtype=np.float64)
        if unit != 1.0:
            made /= unit
        np.einsum("ij,ij->i", made, made, out=out[part])
    return np.asarray(np.sqrt(out) * unit)


def _multiplied(one: Features, left: Rows, other: Features, right: Rows) -> tuple[Floats, Rows]:
    """Distances by inner products, and the pairs too near for them."""
    rows, row = np.unique(left, return_inverse=True)
    out, near = np.empty(len(left)), []
    x, xx = _squared(one, rows)
    for pairs, columns, column in _pieces(right, max(1, PIECE // one.shape[1])):
        y, yy = _squared(other, columns)
        order = np.argsort(row[pairs], kind="stable")
        at, there = row[pairs][order], column[order]
        both = xx[at] + yy[there]
        square = both - 2.0 * _sampled(x, y, at, there)
        made = pairs.start + order
        out[made] = np.sqrt(np.maximum(square, 0.0))
        near.append(made[square < NEAR * both])
    return out, np.concatenate(near)


def _squared(features: Features, rows: Rows) -> tuple[Floats, Floats]:
    """Rows in float64 and their squared norms."""
    made = np.asarray(features[rows], dtype=np.float64)
    return made, np.einsum("ij,ij->i", made, made)


def _pieces(right: Rows, limit: int) -> Iterator[tuple[slice, Rows, Rows]]:
    """Runs of pairs with up to ``limit`` different rows: the pairs, those rows, and which of them each pair has."""
    new = np.ones(len(right), dtype=bool)
    new[1:] = right[1:] != right[:-1]
    rank = np.cumsum(new) - 1
    edges = np.searchsorted(rank, np.arange(0, int(rank[-1]) + limit + 1, limit))
    for low, high in pairwise(edges.tolist()):
        if low < high:
            yield slice(low, high), right[low:high][new[low:high]], rank[low:high] - rank[low]


def _sampled(x: Floats, y: Floats, row: Rows, column: Rows) -> Floats:
    """Inner products at the given places, sorted by row."""
    import torch

    start = torch.from_numpy(np.searchsorted(row, np.arange(len(x) + 1)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "sparse CSR tensor support is in beta state"
        places = torch.sparse_csr_tensor(
            start, torch.from_numpy(column), torch.zeros(len(row), dtype=torch.float64), size=(len(x), len(y))
        )
        made = torch.sparse.sampled_addmm(places, torch.from_numpy(x), torch.from_numpy(y).T, beta=0.0)
    return np.asarray(made.values().numpy())
