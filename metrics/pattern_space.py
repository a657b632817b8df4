"""The rows of an audit as points of a space of a few columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.categories import Category, categories
from counterproof.metrics.patterns import OPEN, Cells, Counts
from counterproof.metrics.sample import Sample
from counterproof.metrics.workbench import Workbench


@dataclass(frozen=True, eq=False, kw_only=True)
class Space:
    """The distinct rows of an audit over some columns.

    Attributes:
        columns: The columns.
        crowded: Columns of too many values, with their number.
        cells: Their distinct rows.
        of_row: ``(n,)`` the distinct row of each row of the corpus.
    """

    columns: tuple[Category, ...]
    crowded: dict[str, int]
    cells: Cells
    of_row: NDArray[np.intp]

    @property
    def remark(self) -> str:
        """Which columns were left out."""
        return "; ".join(f"{name} has {n} values and was left out: join some" for name, n in self.crowded.items())

    def counts(self, sample: Sample) -> Counts:
        """``(u,)`` rows of a sample by distinct row."""
        return np.bincount(self.of_row[sample.rows], minlength=len(self.cells.codes)).astype(np.int64)

    def text(self, pattern: Sequence[int]) -> str:
        """A pattern as readers see it."""
        given = [
            f"{column.name}={column.values[at]}" for column, at in zip(self.columns, pattern, strict=True) if at != OPEN
        ]
        return ", ".join(given) or "any kind"


def space_of(bench: Workbench, names: tuple[str, ...] | None) -> Space:
    """The distinct rows over the columns that were asked for."""
    columns, crowded = categories(bench, names)
    of_row = np.zeros(len(bench.corpus.names), dtype=np.intp)
    for column in columns:  # numbered anew at each column: the number of a row's values never overflows
        both = of_row * (len(column.values) + 1) + column.codes
        of_row = np.unique(both, return_inverse=True)[1].astype(np.intp)
    first = np.unique(of_row, return_index=True)[1]
    codes = np.array([column.codes[first] for column in columns], dtype=np.intp).reshape(len(columns), len(first)).T
    cells = Cells(codes=codes, sizes=tuple(len(column.values) for column in columns))
    return Space(columns=columns, crowded=crowded, cells=cells, of_row=of_row)
