"""Which groups are compared with which, and which comparisons a faithful release would surely pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.fairness._group_rates.rates import Cells, Table
from counterproof.metrics.fairness._group_rates.strata import Counts
from counterproof.metrics.shared.retraining import REFITS
from counterproof.metrics.statistics.proportions import SURE
from counterproof.metrics.workbench import Workbench

ALONE, CROSSED = 20, 8  # groups of a column, and of a crossing, up to which every pair is looked at
LISTED = 20  # groups of a crossing too small to say anything of that are listed one by one


def groups_alone(rows: Counts, minimum: int) -> Cells:
    """Every group, the large ones first."""
    order = np.concatenate([np.flatnonzero(rows >= minimum), np.flatnonzero(rows < minimum)])
    return Cells(kind="group", first=order, second=order, decidable=rows[order] >= minimum)


def groups_to_overall(rows: Counts, minimum: int) -> Cells:
    """Every group against all rows."""
    return replace(groups_alone(rows, minimum), kind="overall")


def pairs_of_groups(rows: Counts, minimum: int, *, crossed: bool = False) -> Cells:
    """All pairs of groups of at least ``minimum`` real trial rows, and every smaller group with the largest.

    Of more than :data:`ALONE` large groups (:data:`CROSSED` where columns are crossed), each is paired
    with the largest only: two others then differ by twice as much at most.
    """
    large, small = np.flatnonzero(rows >= minimum), np.flatnonzero(rows < minimum)
    largest = int(rows.argmax()) if len(rows) else 0
    if len(large) > (CROSSED if crossed else ALONE):
        first, second = _with(largest, large[large != largest])
    else:
        above = np.triu_indices(len(large), 1)
        first, second = large[above[0]], large[above[1]]
    idle = small[(small != largest) & ~((rows[small] == 0) & (rows[largest] == 0) & (largest in small))]
    low, high = _with(largest, idle)
    return Cells(
        kind="pair",
        first=np.concatenate([first, low]),
        second=np.concatenate([second, high]),
        decidable=np.arange(len(first) + len(low)) < len(first),
    )


def _with(one: int, others: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.minimum(others, one), np.maximum(others, one)


def listed(cells: Cells, rows: Counts) -> Cells:
    """Without the smallest groups beyond :data:`LISTED`; how many they are is told."""
    few = np.flatnonzero(~cells.decidable)
    if len(few) <= LISTED:
        return cells
    smaller = np.minimum(rows[cells.first], rows[cells.second])[few]
    dropped = few[np.argsort(-smaller, kind="stable")[LISTED:]]
    kept = np.setdiff1d(np.arange(len(cells)), dropped)
    return replace(
        cells,
        first=cells.first[kept],
        second=cells.second[kept],
        decidable=cells.decidable[kept],
        unlisted=len(dropped),
    )


def surely(bench: Workbench, table_of: Callable[[Workbench], Table], cells: Cells, limit: float) -> NDArray[np.bool_]:
    """Which cells a faithful release would surely pass, from models of the real rows alone.

    Halves of the real rows train models as a faithful release would: their changes tell how far training
    anew moves a cell, and their disagreement how well the trial rows know it.

    Args:
        bench: The measurement's view.
        table_of: The rates of the models of a view.
        cells: What is compared.
        limit: The tolerance of a change.
    """
    tables = [table_of(bench.halves(draw)) for draw in range(REFITS)]
    moved = np.stack([table.changes(cells) for table in tables])
    refit = np.where(np.isfinite(moved), moved, np.inf) ** 2
    error = np.sqrt(refit.mean(0) / 2 + tables[0].errors(cells) ** 2)
    found: NDArray[np.bool_] = abs(limit) >= SURE * error
    return found
