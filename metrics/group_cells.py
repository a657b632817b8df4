"""Groups as cells: which are large enough to be compared, and at how many rows each."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from counterproof.metrics.estimate import Group
from counterproof.metrics.partitions import Partition, partition_by
from counterproof.metrics.sample import Rows, Sample
from counterproof.metrics.workbench import Workbench

LEAST = 60  # rows a side below which the intervals were not shown to hold
MOST = 400  # equal n: neighbour work grows with its square, and more rows are used by more draws
VALUES = 100  # of one column


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One value of one column.

    Attributes:
        group: Its name.
        column: The column.
        code: Its number among the column's values.
        real: Real rows in it.
        rows: Rows a side at which it can be compared in the measurement and in every re-split.
        reason: Why it says too little; empty where it can be compared.
    """

    group: Group
    column: str
    code: int
    real: int
    rows: int
    reason: str

    def __str__(self) -> str:
        return ", ".join(f"{column}={value}" for column, value in self.group)


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """The cells of some columns, and the number of rows at which all are compared.

    Attributes:
        cells: All of them, in the order of columns and values.
        equal: Rows a side in each draw: those of the smallest cell that can be compared, at most ``MOST``.
        crowded: Columns of too many values, with their number.
        parts: The rows by the values of each column.
    """

    cells: tuple[Cell, ...]
    equal: int
    crowded: dict[str, int]
    parts: dict[str, Partition]

    @property
    def compared(self) -> list[Cell]:
        """Cells that can be compared."""
        return [cell for cell in self.cells if not cell.reason]

    def inside(self, cell: Cell, sample: Sample) -> Rows:
        """Positions of the sample's rows that are in the cell."""
        return self.parts[cell.column].inside(cell.code, sample)

    def part(self, cell: Cell, sample: Sample) -> Sample:
        """The sample's rows that are in the cell."""
        return sample.take(self.inside(cell, sample), f"{sample.name} in {cell}")


def plan_cells(bench: Workbench, columns: tuple[str, ...]) -> Plan:
    """The plan of the measurement, which all views share."""
    return bench.shared(("group cells", columns), lambda: _plan(bench, columns))


def _plan(bench: Workbench, columns: tuple[str, ...]) -> Plan:
    parts = {name: partition_by(bench, (name,)) for name in columns}
    crowded: dict[str, int] = {}
    cells: list[Cell] = []
    for name, part in parts.items():
        filled = int(np.count_nonzero(part.counts(bench.real)))
        if filled > VALUES:
            crowded[name] = filled
        else:
            cells += _cells(bench, part)
    equal = min((cell.rows for cell in cells if not cell.reason), default=0)
    return Plan(cells=tuple(cells), equal=min(equal, MOST), crowded=crowded, parts=parts)


def _cells(bench: Workbench, part: Partition) -> list[Cell]:
    counts = [part.counts(side) for side in (bench.real, bench.reference, bench.candidate)]
    made = []
    for code in np.flatnonzero(counts[0]):
        real, reference, candidate = (int(count[code]) for count in counts)
        share = real / len(bench.real)
        surely = min(_surely(share * len(bench.reference)), _surely(share * len(bench.candidate)))
        rows = min(surely, reference, candidate)
        group, reason = part.groups[code], _too_few(bench, real, candidate, rows)
        made.append(Cell(group=group, column=part.name, code=int(code), real=real, rows=rows, reason=reason))
    return made


def _surely(expected: float) -> int:
    """Rows that all but the unluckiest re-split has where it expects so many."""
    return max(0, math.floor(expected - 3 * math.sqrt(expected)))


def _too_few(bench: Workbench, real: int, candidate: int, rows: int) -> str:
    if real < bench.small_cell and not bench.show_real:
        return f"too few to say: fewer than {bench.small_cell} real rows"
    if rows >= LEAST:
        return ""
    if candidate < LEAST:
        return f"too few to say: {candidate} synthetic rows, and {LEAST} on each side are needed"
    return f"too few to say: {LEAST} real rows are needed on each side, in every re-split too"
