"""The nearest release rows on several choices of columns at once, in one blocked pass.

Gower distances of every choice are sums over its columns, so each column's differences are taken
once and added up by a matrix product. Numbers are rounded to multiples of 2⁻¹², so that the sums
are exact in float32: ties are ties, whatever the order of summation, and all of them are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.distances import gower_matrix
from counterproof.metrics.sample import Floats, Mixed, Rows

GRID = 4096.0


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest base rows of each query on one choice of columns, with all that tie.

    Attributes:
        query: ``(m,)`` positions of queries, ascending; every query occurs.
        base: ``(m,)`` positions of base rows that no other base row is nearer than, but for ``k - 1``.
        distance: ``(m,)`` mean differences over the columns.
    """

    query: Rows
    base: Rows
    distance: Floats

    def first(self, order: Rows, k: int, queries: int) -> Rows:
        """``(queries, k)`` the ``k`` nearest base rows of each query, ties in the order of ``order``.

        Args:
            order: ``(base rows,)`` a number for each base row; lower goes first.
            k: How many; every query has as many.
            queries: How many queries there are.
        """
        at = np.lexsort((order[self.base], self.distance, self.query))
        start = np.searchsorted(self.query[at], np.arange(queries))
        return self.base[at[start[:, None] + np.arange(k)]]


def nearest_by_columns(
    mixed: Mixed,
    query: Rows,
    base: Rows,
    choices: Sequence[Sequence[str]],
    *,
    k: int = 1,
    memory: int,
    device: str = "cpu",
) -> list[Nearest]:
    """The ``k`` nearest base rows of every query row, with ties, on each choice of columns.

    Args:
        mixed: The table.
        query: Rows of the table to search for.
        base: Rows of the table to search in, at least ``k``.
        choices: Names of the columns of each choice.
        k: How many, before ties.
        memory: Budget in bytes for one block.
        device: Where the sums run.

    Raises:
        ValueError: There are fewer than ``k`` base rows.
    """
    import torch

    if not 1 <= k <= len(base):
        raise ValueError(f"{k} neighbours were asked for and there are {len(base)} rows: ask for fewer or add rows")
    place = {name: at for at, name in enumerate(mixed.columns)}
    weight = torch.zeros(len(choices), len(place))
    for row, names in enumerate(choices):
        weight[row, [place[name] for name in names]] = 1.0
    weight = weight.to(device)
    matrix = _rounded(mixed)
    left = torch.from_numpy(matrix[:, query]).to(device)
    right = torch.from_numpy(matrix[:, base]).to(device)
    step = max(1, memory // (4 * len(base) * (len(place) + 3 * len(choices))))
    found: list[list[tuple[Rows, Rows, Floats]]] = [[] for _ in choices]
    for start in range(0, len(query), step):
        gaps = (left[:, start : start + step, None] - right[:, None, :]).abs_().clamp_(max=1.0)
        sums = (weight @ gaps.flatten(1)).view(len(choices), *gaps.shape[1:])
        for total, parts, names in zip(sums, found, choices, strict=True):
            last = total.min(1).values if k == 1 else total.topk(k, largest=False).values[:, -1]
            at, row = (total <= last[:, None]).nonzero(as_tuple=True)
            distance = total[at, row].double().cpu().numpy() / len(names)
            parts.append((at.cpu().numpy() + start, row.cpu().numpy(), distance))
    return [Nearest(*(np.concatenate(part) for part in zip(*parts, strict=True))) for parts in found]


def _rounded(mixed: Mixed) -> NDArray[np.float32]:
    """``(columns, n)`` values on the grid; codes and the mark of missing numbers are whole already."""
    matrix = gower_matrix(mixed).T
    return np.ascontiguousarray(np.round(matrix * GRID) / GRID, dtype=np.float32)
