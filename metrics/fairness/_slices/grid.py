"""Slices of a table: the bins of single columns and of pairs of them, and how rows fall into them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.sample import MISSING_TEXT, Sample
from counterproof.metrics.shared.column_histograms import bin_name, numbers_of

BINS = 5  # of a number: fifths of the rows
CATEGORIES = 12  # of a column: the commonest


@dataclass(frozen=True, eq=False, kw_only=True)
class Column:
    """One column in a few bins.

    Attributes:
        name: Of the column.
        bins: Names of the bins.
        codes: ``(n,)`` bin of each row; ``len(bins)`` for rare values.
        numeric: Whether the bins are ranges.
    """

    name: str
    bins: tuple[str, ...]
    codes: NDArray[np.intp]
    numeric: bool = False

    def __len__(self) -> int:
        return len(self.bins)


@dataclass(frozen=True, eq=False, kw_only=True)
class Grid:
    """Every bin of every column, then every bin of every pair of columns: one slice each, in this order.

    Attributes:
        columns: The columns.
        pairs: Positions of the columns that are crossed.
    """

    columns: tuple[Column, ...]
    pairs: tuple[tuple[int, int], ...] = ()

    def counts(self, states: NDArray[np.intp], width: int) -> NDArray[np.intp]:
        """``(slices, width)`` rows of each slice in each state: one pass over the rows for each pair.

        Args:
            states: ``(n,)`` in ``0 … width - 1``.
            width: How many states there are.
        """
        counts = [_counts((column,), states, width) for column in self.columns]
        counts += [_counts((self.columns[i], self.columns[j]), states, width) for i, j in self.pairs]
        return np.concatenate(counts)

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """Where the slices of each column and then of each pair begin."""
        sizes = [len(c) for c in self.columns] + [len(self.columns[i]) * len(self.columns[j]) for i, j in self.pairs]
        return np.cumsum([0, *sizes]).astype(np.intp)

    @cached_property
    def parents(self) -> NDArray[np.intp]:
        """``(slices, 2)`` for a pair, the slices of its two columns; itself for a single one."""
        single = np.arange(self.starts[len(self.columns)])
        parents = [np.stack([single, single], axis=1)]
        for i, j in self.pairs:
            first, second = self.starts[i] + np.arange(len(self.columns[i])), np.arange(len(self.columns[j]))
            grid = np.meshgrid(first, self.starts[j] + second, indexing="ij")
            parents.append(np.stack([part.ravel() for part in grid], axis=1))
        return np.concatenate(parents).astype(np.intp)

    def inside(self, at: int) -> NDArray[np.bool_]:
        """``(n,)`` which rows are in a slice."""
        inside = np.ones(len(self.columns[0].codes), dtype=bool)
        for column, code in self._conditions(at):
            inside &= column.codes == code
        return inside

    def name(self, at: int) -> str:
        """A slice in words: ``age ≥ 75, sex = F``."""
        conditions = self._conditions(at)
        return ", ".join(f"{one.name} {'' if one.numeric else '= '}{one.bins[code]}" for one, code in conditions)

    def _conditions(self, at: int) -> Iterator[tuple[Column, int]]:
        block = int(np.searchsorted(self.starts, at, side="right")) - 1
        within = int(at - self.starts[block])
        if block < len(self.columns):
            yield self.columns[block], within
            return
        i, j = self.pairs[block - len(self.columns)]
        yield self.columns[i], within // len(self.columns[j])
        yield self.columns[j], within % len(self.columns[j])

    def crossed(self, chosen: Sequence[int]) -> Grid:
        """The same columns, with every pair of the chosen ones."""
        return Grid(columns=self.columns, pairs=tuple(combinations(sorted(chosen), 2)))


def grid_of(sample: Sample, least: int) -> Grid:
    """The columns of a table but the label, and the group columns; of other data the group columns alone.

    Args:
        sample: Real rows; numbers are cut into fifths of them.
        least: Rows below which a category has no bin of its own.
    """
    corpus = sample.corpus
    groups = {name: sample.group(name) for name in corpus.groups if name != corpus.label}
    columns = [_categories(name, values, least) for name, values in groups.items()]
    if corpus.frame is not None and corpus.mixed is not None:
        numbers = set(corpus.mixed.columns[: corpus.mixed.numeric.shape[1]])
        for name in corpus.mixed.columns:
            if name != corpus.label and name not in groups:
                columns.append(_number(sample, name) if name in numbers else _category(sample, name, least))
    return Grid(columns=tuple(column for column in columns if len(column) > 1))


def _counts(columns: tuple[Column, ...], states: NDArray[np.intp], width: int) -> NDArray[np.intp]:
    place = columns[0].codes
    for column in columns[1:]:
        place = place * (len(column) + 1) + column.codes
    shape = tuple(len(column) + 1 for column in columns)
    table = np.bincount(place * width + states, minlength=int(np.prod(shape)) * width)
    kept = table.reshape(*shape, width)[tuple(slice(0, -1) for _ in columns)]
    return kept.reshape(-1, width).astype(np.intp)


def _number(sample: Sample, name: str) -> Column:
    values = numbers_of(sample.frame[name])
    gone = np.isnan(values)
    known = values[~gone]
    edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if len(known) else np.zeros(0)
    edges = edges[edges > known.min()] if len(known) else edges
    is_date = sample.corpus.kinds.get(name) == "datetime"
    names = [bin_name(edges, at, is_date=is_date) for at in range(len(edges) + 1)]
    codes = np.digitize(values, edges)
    codes[gone] = len(names)
    return Column(name=name, bins=(*names, MISSING_TEXT), codes=codes.astype(np.intp), numeric=True)


def _category(sample: Sample, name: str, least: int) -> Column:
    values = sample.frame[name].astype(object)
    return _categories(name, values.where(values.notna(), "").astype(str).to_numpy(dtype=np.str_), least)


def _categories(name: str, values: NDArray[np.str_], least: int) -> Column:
    names, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:CATEGORIES]
    order = order[counts[order] >= least]
    place = np.full(len(names), len(order))
    place[order] = np.arange(len(order))
    bins = tuple(str(names[i]) or MISSING_TEXT for i in order)
    return Column(name=name, bins=bins, codes=place[codes].astype(np.intp))
