"""The nearest release rows on several choices of columns at once, in one blocked pass.

Gower distances of every choice are sums over its columns, so each column's differences are taken
once and added up by a matrix product. Numbers are rounded to multiples of 2⁻¹², so that the sums
are exact in float32: ties are ties, whatever the order of summation, and all of them are found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.distances import gower_matrix
from counterproof.metrics.sample import Floats, Mixed, Rows

GRID = 4096.0
CACHE = 4 * 2**20  # blocks that stay in cache are several times as fast
BATCH = 2**21  # finds that are kept before they are handed on


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest base rows of some queries on one choice of columns, with all that tie.

    Attributes:
        query: ``(m,)`` positions among these queries, ascending; every one occurs.
        base: ``(m,)`` base rows that fewer than ``k`` base rows are nearer than.
        distance: ``(m,)`` mean differences over the columns.
    """

    query: Rows
    base: Rows
    distance: Floats

    @cached_property
    def start(self) -> Rows:
        """``(queries,)`` where the finds of each query begin."""
        return np.flatnonzero(np.diff(self.query, prepend=-1))

    @cached_property
    def closest(self) -> Floats:
        """``(queries,)`` distance of the nearest base row."""
        return np.asarray(np.minimum.reduceat(self.distance, self.start))

    def first(self, order: Rows, k: int) -> Rows:
        """``(queries, k)`` the ``k`` nearest base rows of each query, ties in the order of ``order``.

        Args:
            order: ``(base rows,)`` a permutation: the turn of each base row.
            k: As many as were searched for.
        """
        if k == 1:
            turn = np.minimum.reduceat(order[self.base], self.start)
            return np.asarray(np.argsort(order)[turn])[:, None]
        at = np.lexsort((order[self.base], self.distance, self.query))
        return np.asarray(self.base[at[self.start[:, None] + np.arange(k)]])


def nearest_by_columns(
    mixed: Mixed,
    query: Rows,
    base: Rows,
    choices: Sequence[Sequence[str]],
    *,
    k: int = 1,
    memory: int,
    device: str = "cpu",
) -> Iterator[tuple[slice, list[Nearest]]]:
    """The ``k`` nearest base rows of every query row, with ties, on each choice of columns.

    Args:
        mixed: The table.
        query: Rows of the table to search for.
        base: Rows of the table to search in, at least ``k``.
        choices: Names of the columns of each choice.
        k: How many, before ties.
        memory: Budget in bytes for one block.
        device: Where the sums run.

    Yields:
        Which queries, and what was found for them by choice: in batches, since ties may be many.

    Raises:
        ValueError: There are fewer than ``k`` base rows.
    """
    import torch

    if not 1 <= k <= len(base):
        raise ValueError(f"{k} neighbours were asked for and there are {len(base)} rows: ask for fewer or add rows")
    weight = torch.from_numpy(_weights(mixed, choices)).to(device)
    matrix = _rounded(mixed)
    left = torch.from_numpy(matrix[:, query]).to(device)
    right = torch.from_numpy(matrix[:, base]).to(device)
    widths = [len(names) for names in choices]
    step = max(1, min(memory, CACHE) // (4 * len(base) * (len(matrix) + 2 * len(choices))))
    found: list[tuple[Rows, Rows, Rows, Floats]] = []
    since = 0
    for start in range(0, len(query), step):
        gaps = (left[:, start : start + step, None] - right[:, None, :]).abs_().clamp_(max=1.0)
        sums = (weight @ gaps.flatten(1)).view(len(choices), *gaps.shape[1:])
        last = sums.amin(2) if k == 1 else sums.topk(k, largest=False).values[:, :, -1]
        at = np.flatnonzero((sums <= last[:, :, None]).cpu().numpy())
        total = sums.flatten()[torch.from_numpy(at).to(device)].cpu().numpy().astype(np.float64)
        choice, row, column = np.unravel_index(at, tuple(sums.shape))
        found.append((choice, row + (start - since), column, total))
        stop = min(start + step, len(query))
        if sum(len(part[0]) for part in found) > BATCH or stop == len(query):
            yield slice(since, stop), _split_by_choice(found, widths)
            found, since = [], stop


def _split_by_choice(found: list[tuple[Rows, Rows, Rows, Floats]], widths: list[int]) -> list[Nearest]:
    """The finds of each choice."""
    choice, query, base, total = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.argsort(choice, kind="stable")
    ends = np.searchsorted(choice[order], np.arange(len(widths) + 1))
    parts = [order[low:high] for low, high in pairwise(ends)]
    return [Nearest(query[part], base[part], total[part] / width) for part, width in zip(parts, widths, strict=True)]


def _weights(mixed: Mixed, choices: Sequence[Sequence[str]]) -> NDArray[np.float32]:
    """``(choices, columns)`` 1 where a choice has the column."""
    weight = np.zeros((len(choices), len(mixed.columns)), dtype=np.float32)
    for row, names in zip(weight, choices, strict=True):
        row[[mixed.columns.index(name) for name in names]] = 1.0
    return weight


def _rounded(mixed: Mixed) -> NDArray[np.float32]:
    """``(columns, n)`` values on the grid; codes and the mark of missing numbers are whole already."""
    matrix = gower_matrix(mixed).T
    return np.ascontiguousarray(np.round(matrix * GRID) / GRID, dtype=np.float32)
