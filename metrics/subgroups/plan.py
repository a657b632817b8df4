"""Groups as cells: which are large enough to be compared, and at how many rows each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.estimate import Group
from counterproof.metrics.sample import Rows, Sample
from counterproof.metrics.shared.partitions import Partition
from counterproof.metrics.workbench import Workbench

LEAST = 60  # rows a side below which the coverage of the intervals was not simulated
MOST = 400  # equal n: neighbour work grows with its square, and more rows are used by more draws
VALUES = 100  # cells of one partition
MOST_KERNEL, LEAST_KERNEL = 2000, 500  # rows a side of the kernel distance, which is unbiased at any number
CELLS = 16  # of which each may take the most
PLAN: Work[ComparisonPlan] = Work("plan of groups")
ROWS_BY_CELL: Work[list[Rows]] = Work("rows by cell")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One group: a value of one column, or of several at once.

    Attributes:
        group: Its name.
        column: Name of the partition.
        code: Its number among the cells of the partition.
        real: Real rows in it.
        rows: Rows a side at which it can be compared in the measurement and in every re-split.
        reason: Why it is too small; empty where it can be compared.
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
class ComparisonPlan:
    """The cells of some partitions, and the number of rows at which the cells of each are compared.

    Attributes:
        cells: All of them, in the order of partitions and values.
        equal: Rows a side in each draw, by partition: those of its smallest cell that can be
            compared, at most ``MOST``.
        too_many_values: Partitions of too many cells, with their number.
        parts: The partitions by name.
        most: Rows a side of the kernel distance; fewer for each where many cells are compared.
    """

    cells: tuple[Cell, ...]
    equal: dict[str, int]
    too_many_values: dict[str, int]
    parts: dict[str, Partition]
    most: int

    @property
    def compared(self) -> list[Cell]:
        """Cells that can be compared."""
        return [cell for cell in self.cells if not cell.reason]


def plan_cells(bench: Workbench, parts: Sequence[Partition]) -> ComparisonPlan:
    """The plan of the measurement, which all views share."""
    return bench.shared(
        PLAN.about(bench.real, bench.release, columns=tuple(part.columns for part in parts)),
        lambda: _plan(bench, parts),
    )


def rows_in(bench: Workbench, plan: ComparisonPlan, cell: Cell, sample: Sample) -> Rows:
    """Positions of the sample's rows that are in the cell; the rows of all cells are sorted at once."""
    part = plan.parts[cell.column]

    def sort() -> list[Rows]:
        codes = part.codes[sample.rows]
        ends = np.cumsum(np.bincount(codes, minlength=len(part)))
        return np.split(np.argsort(codes, kind="stable"), ends[:-1])

    return bench.shared(ROWS_BY_CELL.about(sample, columns=part.columns), sort)[cell.code]


def part_in(bench: Workbench, plan: ComparisonPlan, cell: Cell, sample: Sample) -> Sample:
    """The sample's rows that are in the cell."""
    return sample.take(rows_in(bench, plan, cell, sample), f"{sample.name} in {cell}")


def _plan(bench: Workbench, parts: Sequence[Partition]) -> ComparisonPlan:
    too_many_values: dict[str, int] = {}
    equal: dict[str, int] = {}
    cells: list[Cell] = []
    for part in parts:
        filled = int(np.count_nonzero(part.counts(bench.real)))
        if filled > VALUES:
            too_many_values[part.name] = filled
            continue
        own = _cells(bench, part)
        equal[part.name] = min([MOST, *(cell.rows for cell in own if not cell.reason)])
        cells += own
    compared = sum(not cell.reason for cell in cells)
    most = max(LEAST_KERNEL, round(MOST_KERNEL * min(1.0, math.sqrt(CELLS / max(1, compared)))))
    return ComparisonPlan(
        cells=tuple(cells),
        equal=equal,
        too_many_values=too_many_values,
        parts={part.name: part for part in parts},
        most=most,
    )


def _cells(bench: Workbench, part: Partition) -> list[Cell]:
    counts = [part.counts(side) for side in (bench.real, bench.reference, bench.candidate)]
    made = []
    for code in np.flatnonzero(counts[0]):
        real, reference, candidate = (int(count[code]) for count in counts)
        share = real / len(bench.real)
        likely = min(_likely_rows(share * len(bench.reference)), _likely_rows(share * len(bench.candidate)))
        rows = min(likely, reference, candidate)
        group, reason = part.groups[code], _too_few(bench, real, candidate, rows)
        made.append(Cell(group=group, column=part.name, code=int(code), real=real, rows=rows, reason=reason))
    return made


def _likely_rows(expected: float) -> int:
    """Rows that nearly every re-split has, given their expected number; others are left out of the floor."""
    return max(0, math.floor(expected - 2 * math.sqrt(expected)))


def _too_few(bench: Workbench, real: int, candidate: int, rows: int) -> str:
    if real < bench.small_cell and not bench.show_real:
        return f"too few rows: fewer than {bench.small_cell} real rows"
    if rows >= LEAST:
        return ""
    if candidate < LEAST:
        return f"too few rows: {candidate} synthetic rows, and {LEAST} on each side are needed"
    return f"too few rows: {LEAST} real rows are needed on each side, in every re-split too"
