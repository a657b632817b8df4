"""Is every group, label and combination there, in its real share?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.estimate import Estimate, Group, Panel, Status
from counterproof.metrics.intervals import poisson_upper
from counterproof.metrics.metric import Needs, Tolerance, Value, metric
from counterproof.metrics.sample import Sample
from counterproof.metrics.workbench import Workbench

THIN = 0.8
# A faithful release passes a decidable cell with probability 0.997: 1.645 standard errors of the
# bound plus 2.8 of luck fit between a ratio of 1 and the limit.
SURE = 4.45
HALF = 0.5
EMPTY = 0.001  # chance that a faithful release leaves any real cell empty, over all cells


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One group, label or combination: rows in real data and in the candidate."""

    group: Group
    real: int
    made: int
    n_real: int
    n_made: int

    @property
    def ratio(self) -> float:
        """Share in the candidate over share in real data."""
        return (self.made / self.n_made) / (self.real / self.n_real)

    def decidable(self, n: int) -> bool:
        """Whether a faithful release of ``n`` rows would surely pass, from real counts alone."""
        odds = (self.n_real - self.real + HALF) / (self.real + HALF)
        return -math.log(THIN) >= SURE * math.sqrt(odds * (1 / n + 1 / self.n_real))

    def estimate(self, level: float) -> Estimate:
        """The ratio with a normal interval of its logarithm; an empty cell with a Poisson bound."""
        if self.made == 0:
            expected = self.n_made * self.real / self.n_real
            high = poisson_upper(0, 0.5 + level / 2) / expected
            return Estimate(value=0.0, low=0.0, high=high, level=level, method="Poisson bound of an empty cell")
        error = math.sqrt(_variance(self.real, self.n_real) + _variance(self.made, self.n_made))
        return Estimate.normal(self.ratio, error, level=level, method="normal, of the log ratio", scale="log")

    def empty_by_chance(self) -> float:
        """Probability that a faithful release has no row here."""
        return (1 - self.real / self.n_real) ** self.n_made


def _variance(k: int, n: int) -> float:
    """Of the logarithm of a share; half a row more on each side keeps it positive where all rows are here."""
    return (n - k + HALF) / ((n + 2 * HALF) * (k + HALF))


@metric(
    id="coverage.representation",
    family="coverage",
    title="representation of groups and labels",
    better="higher",
    unit="ratio of shares",
    needs=Needs(smallest_n=2),
    tolerances=(
        Tolerance(
            "value",
            ">=",
            THIN,
            "the four-fifths rule of disparate impact; 530 of 5,000 rows in a cell are needed to decide it",
            cells=True,
        ),
    ),
)
def representation(bench: Workbench) -> Iterator[Value]:
    """The share of each group, label and pair of them, over its share in real data.

    1 is faithful, 0.5 means half as many as there should be. Cells too small to be decided at this
    size are measured, listed as "too few to say", and fail only when they are clearly thin. A cell
    that real data fill and the release leaves empty beyond chance is an alarm. Of a cell with fewer
    real rows than ``small_cell`` neither ratio nor count is told, unless ``show_real``.

    Yields:
        A value per cell (``[sex=F]``, ``[sex=F,income=">50K"]``), the thinnest decidable cell as
        the headline.
    """
    columns = bench.shared(("cell codes",), lambda: code_columns(bench))
    if not columns:
        yield Value(status="not_applicable", reason="no label and no groups were given")
        return
    real, made = (bench.reference, bench.candidate) if bench.is_null else (bench.real, bench.release)
    n = len(bench.train) if bench.train is not None else len(real)
    cells = list(count_cells(columns, real, made))
    hidden = bench.shared(("hidden cells",), lambda: hidden_cells(bench, columns))
    decidable = [cell for cell in cells if cell.decidable(n) and cell.group not in hidden]
    for cell in cells:
        empty = "" if bench.is_null else _empty(cell, len(cells), told=cell.group not in hidden)
        if cell.group in hidden:
            reason = f"fewer than {bench.small_cell} real rows"
            yield Value(group=cell.group, status="not_assessable", reason=reason, decidable=False, alarm=empty)
            continue
        yield Value(
            group=cell.group,
            estimate=cell.estimate(bench.level),
            n={"real": cell.real, "release": len(made)},
            decidable=cell in decidable,
            alarm=empty,
        )
    panels = () if bench.is_null else tuple(cell_panels(bench, cells, decidable))
    if not decidable:
        # Who gave groups asked about them; a label of many classes is a matter of course.
        status: Status = "not_assessable" if bench.corpus.groups else "not_applicable"
        yield Value(status=status, reason="no cell holds enough real rows to be decided", panels=panels)
        return
    thinnest = min(decidable, key=lambda cell: (cell.ratio, cell.group))
    sizes = {"real": len(real), "release": len(made)}
    yield Value(estimate=thinnest.estimate(bench.level), n=sizes, reason=f"thinnest: {_text(thinnest)}", panels=panels)


@dataclass(frozen=True, eq=False)
class Codes:
    """One column as integers."""

    values: NDArray[np.str_]
    codes: NDArray[np.intp]


def code_columns(bench: Workbench) -> dict[str, Codes]:
    """Groups and label, coded once for all views."""
    columns = dict(bench.corpus.groups)
    if bench.corpus.labels is not None:
        columns[bench.corpus.label] = bench.corpus.labels
    return {name: Codes(*np.unique(values, return_inverse=True)) for name, values in columns.items()}


def count_cells(columns: Mapping[str, Codes], real: Sample, made: Sample) -> Iterator[Cell]:
    """Every value of every column and of every pair of columns that real data fill."""
    for names in (*((name,) for name in columns), *combinations(columns, 2)):
        coded = [columns[name] for name in names]
        shape = tuple(len(c.values) for c in coded)
        counts = [
            np.bincount(np.ravel_multi_index([c.codes[s.rows] for c in coded], shape), minlength=math.prod(shape))
            for s in (real, made)
        ]
        for at in np.flatnonzero(counts[0]):
            places = zip(names, coded, np.unravel_index(at, shape), strict=True)
            group = tuple((name, str(c.values[i]) or "(missing)") for name, c, i in places)
            k_real, k_made = (int(count[at]) for count in counts)
            yield Cell(group=group, real=k_real, made=k_made, n_real=len(real), n_made=len(made))


def hidden_cells(bench: Workbench, columns: Mapping[str, Codes]) -> frozenset[Group]:
    """Cells of so few real rows that even their number would tell of single persons."""
    if bench.show_real:
        return frozenset()
    cells = count_cells(columns, bench.real, bench.release)
    return frozenset(cell.group for cell in cells if cell.real < bench.small_cell)


def _empty(cell: Cell, cells: int, *, told: bool) -> str:
    if cell.made or cell.empty_by_chance() > EMPTY / cells:
        return ""
    if not told:
        return f"no row of {_text(cell)}, where a faithful release would surely have some"
    expected = cell.n_made * cell.real / cell.n_real
    return f"no row of {_text(cell)}, where a faithful release would have about {expected:.0f}"


def _text(cell: Cell) -> str:
    return ", ".join(f"{column}={value}" for column, value in cell.group)


def cell_panels(bench: Workbench, cells: list[Cell], decidable: list[Cell]) -> Iterator[Panel]:
    """A heat map of each pair of columns that ends in the label, else of the first pair."""
    pairs = sorted({tuple(column for column, _ in cell.group) for cell in cells if len(cell.group) == 2})
    with_label = [pair for pair in pairs if bench.corpus.label in pair]
    for first, second in with_label or pairs[:3]:
        inside = [cell for cell in cells if tuple(column for column, _ in cell.group) == (first, second)]
        rows = sorted({cell.group[0][1] or "" for cell in inside})
        across = sorted({cell.group[1][1] or "" for cell in inside})
        yield Panel(
            kind="cells",
            title=f"{first} by {second}: share in the release over share in real data",
            data={
                "row_title": first,
                "column_title": second,
                "rows": rows,
                "columns": across,
                "cells": [_drawn(bench, cell, cell in decidable, rows, across) for cell in inside],
            },
        )


def _drawn(bench: Workbench, cell: Cell, decidable: bool, rows: list[str], across: list[str]) -> dict[str, Any]:
    e = cell.estimate(bench.level)
    few = cell.real < bench.small_cell
    adjusted = e.bound("high", 1 - (1 - bench.level) / 20) if cell.made else e.high
    thin = adjusted < THIN
    state = "empty" if cell.made == 0 and not few else "thin" if thin else "ok" if decidable else "too few"
    return {
        "row": rows.index(cell.group[0][1] or ""),
        "column": across.index(cell.group[1][1] or ""),
        "value": None if few else e.value,
        "low": None if few else e.low,
        "high": None if few else e.high,
        "n_real": None if few else cell.real,
        "n_synthetic": cell.made,
        "state": "too few" if few else state,
    }
