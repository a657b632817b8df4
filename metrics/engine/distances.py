"""Distances: Euclidean and cityblock on encoded rows; a table's columns as numbers for Gower's distance.

Each space gives fast float32 *values* that order rows almost right, a *reach* (an upper bound of the
values of all rows that belong to the answer) and exact float64 distances. Searches pick by value within the reach
and decide by the exact distance, so their answers do not depend on float32, threads or device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.sample import Floats, Mixed, Rows

if TYPE_CHECKING:
    import torch


def directions(features: Floats) -> Floats:
    """Rows brought to length 1; rows of zeros have no direction and stay."""
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.where(length > 0, length, 1.0))


def squared_distances(left: Floats, right: Floats) -> Floats:
    """``(n, m)`` squared Euclidean distances of few rows near the origin, by one product; rounding may go below 0."""
    norms = (np.einsum("ij,ij->i", rows, rows) for rows in (left, right))
    return np.asarray(np.add.outer(*norms) - 2 * left @ right.T)


ALL = slice(None)
UNIT = 2.0**-24  # half the spacing of float32 around 1
MISSING = 1e6  # at clipped distance 1 from every value and 0 from another missing one


class Space(Protocol):
    """Query rows against base rows under one distance."""

    shape: tuple[int, int]

    def values(self, rows: slice, columns: slice = ALL) -> torch.Tensor:
        """``(b, c)`` float32 values that order base rows for a block of queries; good until the next call."""
        ...

    def reach(self, rows: slice, upper: Floats) -> NDArray[np.float32]:
        """A value that no base row exceeds which is as near as the base row of value ``upper``."""
        ...

    def exact(self, query: Rows, base: Rows) -> Floats:
        """Distances of pairs in float64."""
        ...


class Euclid:
    """Squared Euclidean distances by one matrix product of ``[-2x, |x|², 1]`` and ``[y, 1, |y|²]``.

    The product of length ``d + 2`` is off by at most ``c (|x| + |y|)²`` with ``c = (d + 8) 2⁻²⁴``
    (Higham, Accuracy and Stability, section 3.1). Since ``(|x| + |y|)² <= 16 |x|² + 4 dist²`` for
    any y (either ``|y| < 3|x|``, or the distance is at least ``(|x| + |y|) / 2``), the bound needs
    the query's norm alone: one far outlier does not spoil it.

    Raises:
        ValueError: The features are not finite.
    """

    def __init__(self, query: Floats, base: Floats, *, device: str = "cpu") -> None:
        import torch

        self.shape = (len(query), len(base))
        centre = base.mean(0)
        largest = max(float(abs(part - centre).max(initial=0.0)) for part in (query, base))
        if not np.isfinite(largest):
            raise ValueError("features hold NaN or infinity: encode missing values before searching neighbours")
        self._scale = float(2.0 ** np.ceil(np.log2(largest))) if largest > 0 else 1.0
        # Squares must neither overflow nor vanish; a power of two scales without rounding.
        self._unit = 1.0 if 1e-100 < self._scale < 1e100 else self._scale
        self._query, self._base = (query, base) if self._unit == 1.0 else (query / self._unit, base / self._unit)
        right = _augmented(base, centre, self._scale)
        left = right if query is base else _augmented(query, centre, self._scale)
        self._norms = left[:, -1].astype(np.float64)
        self._left = torch.from_numpy(_turned(left) if left is not right else _turned(left.copy())).to(device)
        self._right = torch.from_numpy(right).to(device).T
        self._block = self._left.new_empty(0)
        self._slack = (query.shape[1] + 8) * UNIT * 1.01

    def values(self, rows: slice, columns: slice = ALL) -> torch.Tensor:
        """Squared distances in units of the scale."""
        import torch

        left, right = self._left[rows], self._right[:, columns]
        size = len(left) * right.shape[1]
        if len(self._block) < size:
            self._block = self._left.new_empty(size)
        return torch.mm(left, right, out=self._block[:size].view(len(left), -1))

    def reach(self, rows: slice, upper: Floats) -> NDArray[np.float32]:
        """See :class:`Space`."""
        tiny = self._slack * 2.0**-100  # products below the smallest float32 are lost
        error = 16 * self._slack * self._norms[rows] * (1 + 1e-6) + tiny
        most = (upper + error) / (1 - 4 * self._slack)
        return np.asarray((most * (1 + 4 * self._slack) + error) * (1 + 1e-6), dtype=np.float32)

    def exact(self, query: Rows, base: Rows) -> Floats:
        """See :class:`Space`."""
        out = np.empty(len(query))
        step = max(1, 2**16 // max(1, self._query.shape[1]))  # the differences stay in cache
        left, right = (np.empty((min(step, len(query)), self._query.shape[1])) for _ in range(2))
        for start in range(0, len(query), step):
            part = slice(start, min(start + step, len(query)))
            gap, other = left[: part.stop - start], right[: part.stop - start]
            np.take(self._query, query[part], axis=0, out=gap, mode="clip")  # the other modes copy
            gap -= np.take(self._base, base[part], axis=0, out=other, mode="clip")
            np.einsum("ij,ij->i", gap, gap, out=out[part])
        return np.asarray(np.sqrt(out) * self._unit)


def _augmented(features: Floats, centre: Floats, scale: float) -> NDArray[np.float32]:
    """``[y, 1, |y|²]`` in float32, centred and scaled, made in pieces."""
    n, d = features.shape
    made = np.empty((n, d + 2), dtype=np.float32)
    made[:, d] = 1.0
    for start in range(0, n, 1024):
        part = slice(start, start + 1024)
        piece = (features[part] - centre) / scale
        made[part, :d] = piece
        made[part, d + 1] = np.einsum("ij,ij->i", piece, piece)
    return made


def _turned(made: NDArray[np.float32]) -> NDArray[np.float32]:
    """``[y, 1, |y|²]`` to ``[-2y, |y|², 1]``, in place."""
    made[:, :-2] *= -2.0
    made[:, -2] = made[:, -1]
    made[:, -1] = 1.0
    return made


class Cityblock:
    """Sums of absolute differences, in float32 on centred and scaled rows.

    Rounding the rows costs at most ``u (|x| + |y|) <= u (2|x| + dist)`` in the sum of absolute
    values, with ``u = 2⁻²⁴``, and adding ``d`` terms ``(d + 1) u dist``.

    Raises:
        ValueError: The features are not finite.
    """

    def __init__(self, query: Floats, base: Floats, *, device: str = "cpu") -> None:
        import torch

        self.shape = (len(query), len(base))
        with np.errstate(invalid="ignore"):
            centre = np.median(base, axis=0)
            largest = float(np.max([abs(part - centre).max(initial=0.0) for part in (query, base)]))
        if not np.isfinite(largest):
            raise ValueError("features hold NaN or infinity: encode missing values before searching neighbours")
        self._scale = float(2.0 ** np.ceil(np.log2(largest))) if largest > 0 else 1.0
        self._query, self._base = query, base
        left, right = (((part - centre) / self._scale).astype(np.float32) for part in (query, base))
        self._norms = abs(left).sum(1, dtype=np.float64)
        self._left, self._right = torch.from_numpy(left).to(device), torch.from_numpy(right).to(device)
        self._slack = (query.shape[1] + 4) * UNIT * 1.01

    def values(self, rows: slice, columns: slice = ALL) -> torch.Tensor:
        """Distances in units of the scale."""
        import torch

        return torch.cdist(self._left[rows], self._right[columns], p=1.0)

    def reach(self, rows: slice, upper: Floats) -> NDArray[np.float32]:
        """See :class:`Space`."""
        error = 2 * UNIT * self._norms[rows] * (1 + 1e-6) + self._slack * 2.0**-100
        most = (upper + error) / (1 - self._slack)
        return np.asarray((most * (1 + self._slack) + error) * (1 + 1e-6), dtype=np.float32)

    def exact(self, query: Rows, base: Rows) -> Floats:
        """See :class:`Space`."""
        out = np.empty(len(query))
        step = max(1, 2**16 // max(1, self._query.shape[1]))
        for start in range(0, len(query), step):
            part = slice(start, start + step)
            out[part] = abs(self._query[query[part]] - self._base[base[part]]).sum(1)
        return out


def gower_matrix(mixed: Mixed) -> NDArray[np.float32]:
    """All columns of a table as numbers for :class:`~counterproof.metrics.engine.gower.Gower`.

    Raises:
        ValueError: A column has too many categories to be distinct in float32.
    """
    if mixed.codes.size and int(np.abs(mixed.codes).max()) >= 2**24:
        raise ValueError("a column has 2**24 categories or more: drop it, it cannot be compared")
    numeric = np.nan_to_num(mixed.numeric.astype(np.float32), nan=MISSING, posinf=MISSING / 2, neginf=-MISSING / 2)
    return np.ascontiguousarray(np.hstack([numeric, mixed.codes.astype(np.float32)]))


def distinct(rows: NDArray[Any], chosen: Rows | None = None) -> tuple[Rows, Rows]:
    """Which rows are the same: one representative per distinct row, and the distinct row of each.

    Rows are sorted by one irrational combination of their columns and compared with the row
    before; a collision can leave twins apart, which costs time and changes no answer.

    Args:
        rows: ``(n, d)``.
        chosen: Only these of them; positions are then positions in ``chosen``.

    >>> first, node = distinct(np.array([[1.0, 2.0], [0.0, 0.0], [1.0, 2.0]]))
    >>> bool(node[0] == node[2]), len(first)
    (True, 2)
    """
    chosen = np.arange(len(rows)) if chosen is None else chosen
    weights = np.cos(np.arange(1, rows.shape[1] + 1))
    key = np.empty(len(chosen))
    step = max(1, 2**18 // max(1, rows.shape[1]))
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(chosen), step):
            part = slice(start, start + step)
            key[part] = np.einsum("ij,j->i", rows[chosen[part]], weights, dtype=np.float64)
    order = np.argsort(key, kind="stable")
    new = np.ones(len(chosen), dtype=bool)
    close = 1 + np.flatnonzero(key[order[1:]] == key[order[:-1]])
    for start in range(0, len(close), step):
        at = close[start : start + step]
        new[at] = (rows[chosen[order[at]]] != rows[chosen[order[at - 1]]]).any(1)
    node = np.empty(len(chosen), dtype=np.intp)
    node[order] = np.cumsum(new) - 1
    return order[new], node
