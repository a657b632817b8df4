"""Patterns: rows that agree in some columns, and the widest of them that too few rows match.

A pattern gives some columns a value and leaves the others open: ``(F, *, > 60)``. It is uncovered
where fewer rows match it than a threshold, and a maximal uncovered pattern where every pattern
that leaves one column more open is covered. All patterns over some columns are one cube of counts,
an axis per column with the open column as its last place, so that the search is exact.

Source: Asudeh, Jin and Jagadish 2019, arXiv:1810.06742.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.intp]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]
OPEN = -1  # the place of an open column in a pattern
LATTICE = 2**22  # patterns that one search looks at; 13 columns of two values have 1.6 million


@dataclass(frozen=True, eq=False, kw_only=True)
class Cells:
    """The distinct rows over some columns.

    Attributes:
        codes: ``(u, d)`` value of each column, from 0; a code of ``sizes`` is a value that no
            pattern asks for.
        sizes: Values of each column.
    """

    codes: Codes
    sizes: tuple[int, ...]

    def subsets(self, order: int) -> Iterator[tuple[int, ...]]:
        """The columns of each cube: all at once, or every ``order`` of them."""
        yield from combinations(range(len(self.sizes)), min(order, len(self.sizes)))

    def patterns(self, order: int) -> int:
        """How many patterns a search looks at."""
        return sum(prod(self.sizes[c] + 1 for c in columns) for columns in self.subsets(order))


@dataclass(frozen=True, eq=False, kw_only=True)
class Uncovered:
    """Patterns that few rows of a release match.

    Attributes:
        patterns: ``(m, d)`` values by column, ``OPEN`` where a column is open.
        made: ``(m,)`` rows of the release that match.
        real: ``(m,)`` real rows that match.
        maximal: ``(m,)`` whether every wider pattern is covered.
        covered: Patterns that real rows cover, over all cubes.
    """

    patterns: Codes
    made: Counts
    real: Counts
    maximal: Flags
    covered: int

    def __len__(self) -> int:
        return len(self.patterns)

    def some(self, chosen: Flags | Codes) -> Uncovered:
        """Some of the patterns, by flags or by their places."""
        return Uncovered(
            patterns=self.patterns[chosen],
            made=self.made[chosen],
            real=self.real[chosen],
            maximal=self.maximal[chosen],
            covered=self.covered,
        )


def cube_of(codes: Codes, counts: Counts, sizes: Sequence[int]) -> Counts:
    """Rows that match each pattern, an axis per column; its last place leaves the column open.

    Args:
        codes: ``(u, d)`` distinct rows, see :class:`Cells`.
        counts: ``(u,)`` how often each stands in the data.
        sizes: Values of each column.

    >>> cube_of(np.array([[0, 0], [0, 1], [1, 1]]), np.array([5, 2, 1]), (2, 2)).tolist()
    [[5, 2, 7], [0, 1, 1], [5, 3, 8]]
    """
    shape = tuple(size + 1 for size in sizes)
    flat = np.ravel_multi_index(tuple(codes.T), shape)
    cube = np.bincount(flat, weights=counts, minlength=prod(shape)).astype(np.int64).reshape(shape)
    for axis in range(len(shape)):
        # What stands in the last place so far are values that no pattern asks for: open columns match them too.
        np.moveaxis(cube, axis, -1)[..., -1] = cube.sum(axis)
    return cube


def maximal(uncovered: Flags) -> Flags:
    """Which uncovered patterns of a cube have covered parents only."""
    found = uncovered.copy()
    for axis in range(uncovered.ndim):
        inside, parent = np.moveaxis(found, axis, -1), np.moveaxis(uncovered, axis, -1)[..., -1:]
        inside[..., :-1] &= ~parent
    return found


def uncovered_patterns(
    cells: Cells, made: Counts, real: Counts, *, threshold: float, covering: float, asked: float, order: int
) -> Uncovered:
    """The maximal uncovered patterns of a release, and every uncovered one that real rows match.

    Args:
        cells: The distinct rows.
        made: ``(u,)`` rows of the release in each.
        real: ``(u,)`` real rows in each.
        threshold: Rows of the release below which a pattern is uncovered.
        covering: Real rows from which on they cover a pattern.
        asked: Real rows from which on an uncovered pattern is listed even where it is not maximal.
        order: Columns that a pattern gives a value to, at most.
    """
    parts: list[Codes] = []
    covered = 0
    for columns in cells.subsets(order):
        sizes = tuple(cells.sizes[c] for c in columns)
        codes = cells.codes[:, columns]
        of_made, of_real = cube_of(codes, made, sizes), cube_of(codes, real, sizes)
        covered += int(np.count_nonzero(of_real >= covering))
        lacking = of_made < threshold
        widest = maximal(lacking)
        at = np.nonzero(widest | (lacking & (of_real >= asked)))
        part = np.full((len(at[0]), len(cells.sizes) + 3), OPEN, dtype=np.intp)
        for column, size, place in zip(columns, sizes, at, strict=True):
            part[:, column] = np.where(place == size, OPEN, place)
        part[:, -3:] = np.column_stack([of_made[at], of_real[at], widest[at]])
        parts.append(part)
    # A pattern with open columns stands in several cubes, with the same counts.
    found = parts[0] if len(parts) == 1 else np.unique(np.concatenate(parts), axis=0)
    return Uncovered(
        patterns=found[:, :-3],
        made=found[:, -3].astype(np.int64),
        real=found[:, -2].astype(np.int64),
        maximal=found[:, -1].astype(bool),
        covered=covered,
    )


def narrowest(patterns: Codes) -> Flags:
    """``(p,)`` patterns that hold no other, where all between a pattern and one that it holds are given too.

    >>> narrowest(np.array([[OPEN, OPEN], [0, OPEN], [0, 1]])).tolist()
    [False, False, True]
    """
    keys = _keys(patterns)
    found = np.ones(len(patterns), dtype=bool)
    for column in range(patterns.shape[1]):
        wider = patterns.copy()
        wider[:, column] = OPEN
        found &= ~np.isin(keys, _keys(wider[patterns[:, column] != OPEN]))
    return found


def _keys(patterns: Codes) -> NDArray[np.bytes_]:
    """A text per pattern, the same for equal patterns."""
    numbered = np.ascontiguousarray(patterns + 2, dtype=np.uint8)
    return numbered.view(f"S{patterns.shape[1]}")[:, 0]


def matches(patterns: Codes, others: Codes) -> Flags:
    """``(p, q)`` whether every row that matches the ``q``-th other pattern matches the ``p``-th.

    >>> matches(np.array([[0, OPEN], [OPEN, 1]]), np.array([[0, 1], [0, OPEN]])).tolist()
    [[True, True], [True, False]]
    """
    found = np.ones((len(patterns), len(others)), dtype=bool)
    for asked, given in zip(patterns.T, others.T, strict=True):
        found &= (asked[:, None] == OPEN) | (asked[:, None] == given[None, :])
    return found
