"""Which columns of a table are a group column under another name, so that no model may see them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.sample import Mixed
from counterproof.metrics.shared.partitions import partition_by
from counterproof.metrics.workbench import Workbench

ALIKE = 0.9999  # correlation of ranks from which a number is another in other units
KNOWN = 0.99  # share of real rows that a renaming must hold for
COPIES: Work[tuple[str, ...]] = Work("columns that rename a group")


def copies_of(bench: Workbench, column: str) -> tuple[str, ...]:
    """Columns that real rows show to be the group column renamed, itself and the label among them.

    A category is one if the two tell each other in all but 1 % of the real rows; a number, where the
    group column is a number in steps, if their ranks agree but for rounding.

    Args:
        bench: The samples.
        column: A group column.
    """
    return bench.shared(COPIES.about(bench.real, column=column), lambda: _copies(bench, column))


def _copies(bench: Workbench, column: str) -> tuple[str, ...]:
    mixed, found = bench.corpus.mixed, {column, bench.corpus.label}
    if mixed is None:
        return (column,)
    rows, numbers = bench.real.rows, mixed.numeric.shape[1]
    codes = partition_by(bench, (column,)).codes[rows]
    found |= {
        name for at, name in enumerate(mixed.columns[numbers:]) if renamed(codes, mixed.codes[rows, at].astype(np.intp))
    }
    if column in mixed.columns[:numbers]:
        found |= _rescaled(mixed, column, rows)
    return tuple(name for name in mixed.columns if name in found)


def renamed(one: NDArray[np.intp], other: NDArray[np.intp]) -> bool:
    """Whether two columns of codes tell each other, but for 1 % of the rows.

    >>> renamed(np.array([0, 0, 1]), np.array([5, 5, 2])), renamed(np.array([0, 0, 1]), np.array([5, 4, 2]))
    (True, False)
    """
    pairs, counts = np.unique(np.stack([one, other]), axis=1, return_counts=True)
    if len(np.unique(one)) < 2:
        return False
    for side in pairs:
        best = np.zeros(int(side.max()) + 1)
        np.maximum.at(best, side, counts)
        if best.sum() < KNOWN * len(one):
            return False
    return True


def _rescaled(mixed: Mixed, column: str, rows: NDArray[np.intp]) -> set[str]:
    values = mixed.numeric[rows].astype(np.float64)
    own = values[:, mixed.columns.index(column)]
    found = set()
    for at, name in enumerate(mixed.columns[: values.shape[1]]):
        both = ~np.isnan(own) & ~np.isnan(values[:, at])
        if both.sum() > 2 and own[both].std() > 0 and values[both, at].std() > 0:
            alike = np.corrcoef(own[both], values[both, at])[0, 1]
            if abs(alike) >= ALIKE:
                found.add(name)
    return found
