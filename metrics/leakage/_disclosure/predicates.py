"""Predicates that describe one release row, and the rows that they match.

Every column is a column of dense ranks, so that every condition (equal, at most, at least, missing)
is a range of ranks and a predicate is a box: no expression is built or evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.sample import Corpus, Rows

Codes = NDArray[np.int32]
OPAQUE = ("identifier", "text")
ROUNDS = 5
MANY = 1000
TOP = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class Coded:
    """Rows of a table as ranks.

    Attributes:
        codes: ``(columns, n)`` rank of each value among all of the column, -1 for missing.
        columns: Their names.
        ordered: Whether a column has an order (numbers and dates).
        order: ``(columns, n)`` rows by rank.
    """

    codes: Codes
    columns: tuple[str, ...]
    ordered: NDArray[np.bool_]
    order: Rows

    @classmethod
    def of(cls, codes: Codes, columns: tuple[str, ...], ordered: NDArray[np.bool_]) -> Coded:
        """Sort every column once."""
        return cls(codes, columns, ordered, np.argsort(codes, axis=1, kind="stable"))

    def take(self, rows: Rows) -> Coded:
        """Some of the rows."""
        return Coded.of(np.ascontiguousarray(self.codes[:, rows]), self.columns, self.ordered)

    def distinct(self) -> Rows:
        """The first row of each that differ."""
        return np.sort(np.unique(self.codes, axis=1, return_index=True)[1])


@dataclass(frozen=True, eq=False)
class Predicates:
    """Conjunctions of ranges of ranks.

    Attributes:
        column: ``(m, w)`` column of each condition, -1 where a predicate has fewer.
        low: ``(m, w)`` least rank.
        high: ``(m, w)`` largest rank.
    """

    column: Rows
    low: Codes
    high: Codes

    def __len__(self) -> int:
        return len(self.column)

    def take(self, at: Rows) -> Predicates:
        """Some of them."""
        return Predicates(self.column[at], self.low[at], self.high[at])


@dataclass(frozen=True, eq=False)
class Hits:
    """Pairs of a predicate and a row (or record) that it matches, by predicate.

    Attributes:
        predicate: ``(m,)``.
        row: ``(m,)``.
        of: How many predicates there are.
    """

    predicate: Rows
    row: Rows
    of: int

    @property
    def counts(self) -> Rows:
        """How many rows each predicate matches."""
        return np.bincount(self.predicate, minlength=self.of)

    def within(self, chosen: NDArray[np.bool_]) -> Rows:
        """How many of the chosen rows each predicate matches."""
        return np.bincount(self.predicate[chosen[self.row]], minlength=self.of)

    def grouped(self, record: Rows) -> Hits:
        """The pairs of predicates and records, each once.

        Args:
            record: ``(rows,)`` the record of each row.
        """
        width = int(record.max(initial=0)) + 1
        pairs = np.sort(self.predicate * width + record[self.row])
        pairs = pairs[np.diff(pairs, prepend=-1) > 0]
        return Hits(pairs // width, pairs % width, self.of)


def coded(corpus: Corpus) -> Coded:
    """All rows of a table as ranks; identifiers, free text and columns of one value tell nothing."""
    import pandas as pd

    assert corpus.frame is not None
    names, columns, ordered = [], [], []
    for name, kind in corpus.kinds.items():
        if kind in OPAQUE:
            continue
        codes, levels = pd.factorize(corpus.frame[name], sort=True, use_na_sentinel=True)
        if len(levels) + bool((codes < 0).any()) < 2:
            continue
        names.append(name)
        columns.append(codes.astype(np.int32))
        ordered.append(kind in ("number", "datetime"))
    stacked = np.stack(columns) if columns else np.zeros((0, len(corpus.names)), dtype=np.int32)
    return Coded.of(stacked, tuple(names), np.array(ordered, dtype=bool))


def matches(predicates: Predicates, table: Coded) -> Hits:
    """The rows that every predicate matches: the rows of its rarest condition, narrowed by the others.

    A predicate that matches more than :data:`MANY` rows describes nobody: none of them is listed.
    """
    start, end = _reached(predicates, table)
    length = np.where(predicates.column < 0, TOP, end - start)
    steps = np.argsort(length, axis=1, kind="stable")
    found: list[Rows] = []
    for at, turn in enumerate(steps):
        first = turn[0]
        rows = table.order[predicates.column[at, first], start[at, first] : end[at, first]]
        for condition in turn[1:]:
            column = predicates.column[at, condition]
            if column < 0 or not len(rows):
                break
            codes = table.codes[column, rows]
            rows = rows[(codes >= predicates.low[at, condition]) & (codes <= predicates.high[at, condition])]
        found.append(rows if len(rows) <= MANY else rows[:0])
    sizes = np.array([len(rows) for rows in found], dtype=np.intp)
    every = np.concatenate(found) if found else np.zeros(0, dtype=np.intp)
    return Hits(np.repeat(np.arange(len(found)), sizes), every, len(found))


def _reached(predicates: Predicates, table: Coded) -> tuple[Rows, Rows]:
    """Where the rows of each condition begin and end in the order of its column."""
    start, end = np.zeros(predicates.column.shape, dtype=np.intp), np.zeros(predicates.column.shape, dtype=np.intp)
    for column in np.unique(predicates.column[predicates.column >= 0]):
        here = predicates.column == column
        ranks = table.codes[column, table.order[column]]
        start[here] = np.searchsorted(ranks, predicates.low[here], side="left")
        end[here] = np.searchsorted(ranks, predicates.high[here], side="right")
    return start, end


# -- making them ------------------------------------------------------------------------------------


def univariate(release: Coded, most: int, rng: np.random.Generator) -> Predicates:
    """Up to ``most`` conditions on one column that match one release row: rare values, extremes, missing."""
    found: list[tuple[int, int, int]] = []
    for column, codes in enumerate(release.codes):
        values, counts = np.unique(codes, return_counts=True)
        alone = values[counts == 1]
        found += [(column, int(value), int(value)) for value in alone]
        known = values[values >= 0]
        if release.ordered[column] and len(known) > 1:
            ends = ((column, 0, int(known[0])), (column, int(known[-1]), TOP))
            found += [end for end, value in zip(ends, known[[0, -1]], strict=True) if value in alone]
    if not found:
        return Predicates(*(np.zeros((0, 1), dtype=kind) for kind in (np.intp, np.int32, np.int32)))
    column, low, high = np.array(found, dtype=np.intp)[rng.permutation(len(found))[:most]].T[:, :, None]
    return Predicates(column, low.astype(np.int32), high.astype(np.int32))


def multivariate(release: Coded, sizes: Sequence[int], most: int, rng: np.random.Generator) -> Predicates:
    """Up to ``most`` conjunctions around release rows, each of which matches that row alone.

    Numbers above the column's median are met by "at least", others by "at most", or, in half of the
    cases, by the value itself; categories and missing by the value. A row gives one at most.
    """
    rows = release.codes.shape[1]
    turns = np.concatenate([rng.permutation(rows) for _ in range(ROUNDS)])
    used = np.zeros(rows, dtype=bool)
    kept: list[Predicates] = []
    while len(turns) and used.sum() < most:
        step = int(min(rows, 2 * (most - used.sum()) + 100))
        chosen = np.unique(turns[:step][~used[turns[:step]]])
        turns = turns[step:]
        made = _around(release, chosen, sizes, rng)
        unique = np.flatnonzero(matches(made, release).counts == 1)[: most - used.sum()]
        used[chosen[unique]] = True
        kept.append(made.take(unique))
    every = [np.concatenate(parts) for parts in zip(*((p.column, p.low, p.high) for p in kept), strict=True)]
    return Predicates(*every)


def _around(release: Coded, rows: Rows, sizes: Sequence[int], rng: np.random.Generator) -> Predicates:
    """One conjunction around each row, which it matches."""
    column = _chosen_columns(len(rows), len(release.columns), sizes, rng)
    value = release.codes[column, rows[:, None]]
    middle = np.array([np.median(known) if len(known := c[c >= 0]) else 0 for c in release.codes])
    ranged = release.ordered[column] & (value >= 0) & rng.integers(0, 2, (len(rows), 1)).astype(bool)
    above = value > middle[column]
    low = np.where(ranged & ~above, 0, value)
    high = np.where(ranged & above, TOP, value)
    return Predicates(column, low.astype(np.int32), high.astype(np.int32))


def _chosen_columns(rows: int, columns: int, sizes: Sequence[int], rng: np.random.Generator) -> Rows:
    """``(rows, w)`` different columns for each row, -1 beyond its number of them."""
    width = min(max(sizes), columns)
    chosen = np.argsort(rng.random((rows, columns)), axis=1)[:, :width]
    count = np.minimum(rng.choice(np.array(sizes), rows), columns)
    return np.where(np.arange(width) < count[:, None], chosen, -1)


def at_random(release: Coded, shape: Predicates, rng: np.random.Generator) -> Predicates:
    """As many conditions on as many columns as ``shape``, with values and comparisons at random: guesses."""
    sizes = (shape.column >= 0).sum(1)
    columns = len(release.columns)
    chosen = np.argsort(rng.random((len(shape), columns)), axis=1)[:, : shape.column.shape[1]]
    column = np.where(np.arange(chosen.shape[1]) < sizes[:, None], chosen, -1)
    top = release.codes.max(1)
    value = (rng.random(column.shape) * (top[column] + 1)).astype(np.int32)
    how = np.where(release.ordered[column], rng.integers(0, 3, column.shape), 0)
    return Predicates(column, np.where(how == 1, 0, value).astype(np.int32), np.where(how == 2, TOP, value))
