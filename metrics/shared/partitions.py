"""Partitions: the rows by the values of one column, or of several columns at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.estimate import Group
from counterproof.metrics.sample import MISSING_TEXT, Rows, Sample
from counterproof.metrics.workbench import Workbench

CROWD = 100  # values of a column in real data above which it is crossed with no other
PARTITIONS: Work[tuple[Partition, ...]] = Work("partitions by groups and crossings")
PARTITION: Work[Partition] = Work("partition by columns")


@dataclass(frozen=True, eq=False, kw_only=True)
class Partition:
    """All rows of an audit by the values of some columns; only combinations that some row has.

    Attributes:
        columns: Names of the columns.
        values: ``(g, len(columns))`` the combinations, sorted; missing is the empty string.
        codes: ``(n,)`` combination of each row of the corpus.
    """

    columns: tuple[str, ...]
    values: NDArray[np.str_]
    codes: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def name(self) -> str:
        """The columns as one name.

        >>> Partition(columns=("sex", "race"), values=np.array([["F", ""]]), codes=np.zeros(1, np.intp)).name
        'sex, race'
        """
        return ", ".join(self.columns)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The combinations as records and gates name them: ``(("sex", "F"), ("race", "(missing)"))``."""
        return tuple(
            tuple(zip(self.columns, (value or MISSING_TEXT for value in map(str, row)), strict=True))
            for row in self.values
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The combinations as one name each: ``F, (missing)``."""
        return tuple(", ".join(value or "" for _, value in group) for group in self.groups)

    def counts(self, sample: Sample) -> NDArray[np.intp]:
        """``(g,)`` rows of a sample in each combination."""
        return np.bincount(self.codes[sample.rows], minlength=len(self)).astype(np.intp)

    def inside(self, code: int, sample: Sample) -> Rows:
        """Positions of a sample's rows in one combination."""
        return np.flatnonzero(self.codes[sample.rows] == code)

    def hidden(self, bench: Workbench) -> NDArray[np.bool_]:
        """``(g,)`` combinations of so few real rows that even their number would disclose single persons."""
        real = self.counts(bench.real)
        return (real > 0) & (real < bench.small_cell) & (not bench.show_real)


def partitions(bench: Workbench, *, order: int | None = None, label: bool = False) -> tuple[Partition, ...]:
    """Every group column alone, then every combination of up to ``order`` columns.

    Columns of more than :data:`CROWD` real values are not crossed: their cells would be too small.

    Args:
        bench: The view; all views of an audit share the partitions.
        order: Columns at once; what the audit was asked for (``intersections``) by default.
        label: Whether the label is a column like the groups; it then stands last.
    """
    order = bench.intersections if order is None else order
    return bench.shared(PARTITIONS.about(order=order, label=label), lambda: _partitions(bench, order, label))


def partition_by(bench: Workbench, columns: tuple[str, ...]) -> Partition:
    """The rows by the values of these columns: groups, or the label."""
    return bench.shared(PARTITION.about(columns=columns), lambda: _crossed(bench, columns))


def _partitions(bench: Workbench, order: int, label: bool) -> tuple[Partition, ...]:
    corpus = bench.corpus
    columns = list(corpus.groups)
    if label and corpus.labels is not None and corpus.label not in columns:
        columns.append(corpus.label)
    alone = [partition_by(bench, (column,)) for column in columns]
    crossed = [part.columns[0] for part in alone if np.count_nonzero(part.counts(bench.real)) <= CROWD]
    several = [names for size in range(2, order + 1) for names in combinations(crossed, size)]
    return (*alone, *(partition_by(bench, names) for names in several))


def _crossed(bench: Workbench, columns: tuple[str, ...]) -> Partition:
    if len(columns) == 1:
        corpus = bench.corpus
        strings = corpus.groups.get(columns[0], corpus.labels)
        assert strings is not None
        values, codes = np.unique(strings, return_inverse=True)
        return Partition(columns=columns, values=values[:, None], codes=codes.astype(np.intp))
    left, right = partition_by(bench, columns[:-1]), partition_by(bench, columns[-1:])
    joint = left.codes * len(right) + right.codes
    filled = np.bincount(joint, minlength=len(left) * len(right)) > 0
    at = np.flatnonzero(filled)
    values = np.hstack([left.values[at // len(right)], right.values[at % len(right)]])
    return Partition(columns=columns, values=values, codes=(np.cumsum(filled) - 1)[joint])
