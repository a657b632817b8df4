"""Shares: how often the release has each group, label or combination, over how often real data have it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from counterproof.metrics.estimate import Estimate, Group, Panel
from counterproof.metrics.sample import Sample
from counterproof.metrics.shared.partitions import Partition, partitions
from counterproof.metrics.statistics.proportions import poisson_upper
from counterproof.metrics.workbench import Workbench


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


THIN = 0.8
HALF = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One group, label or combination: rows in real data and in the candidate.

    Attributes:
        group: Where.
        real: Real rows here.
        made: Rows of the candidate here.
        n_real: Real rows that could be here: all, or those of a group with a declared share.
        n_made: The candidate's.
        weights: Independent rows in a real row and in a row of the candidate.
        hidden: Not even the number of real rows may be told.
    """

    group: Group
    real: int
    made: int
    n_real: int
    n_made: int
    weights: tuple[float, float] = (1.0, 1.0)
    hidden: bool = False

    def __str__(self) -> str:
        return ", ".join(f"{column} = {value}" for column, value in self.group)

    @property
    def ratio(self) -> float:
        """Share in the candidate over share in real data."""
        return (self.made / self.n_made) / (self.real / self.n_real)

    def faithful_error(self, n: float) -> float:
        """Standard deviation of the log ratio of a faithful release that has ``n`` rows for each real row."""
        odds = (self.n_real - self.real + HALF) / (self.real + HALF)
        return math.sqrt(odds * (1 + 1 / n) / self.n_real / self.weights[0])

    def estimate(self, level: float) -> Estimate:
        """The ratio with a normal interval of its logarithm; an empty cell with a Poisson bound."""
        real, made = self.weights
        if self.made == 0:
            expected = self.n_made * self.real / self.n_real * made
            high = poisson_upper(0, 0.5 + level / 2) / expected
            return Estimate(value=0.0, low=0.0, high=high, level=level, method="Poisson bound of an empty cell")
        error = math.sqrt(_variance(self.real, self.n_real) / real + _variance(self.made, self.n_made) / made)
        return Estimate.normal(self.ratio, error, level=level, method="normal, of the log ratio", scale="log")

    def empty_by_chance(self) -> float:
        """Probability that a faithful release has no row here."""
        return float((1 - self.real / self.n_real) ** (self.n_made * self.weights[1]))


def _variance(k: int, n: int) -> float:
    """Of the logarithm of a share; half a row more on each side keeps it positive where all rows are here."""
    return (n - k + HALF) / ((n + 2 * HALF) * (k + HALF))


def independent(sample: Sample) -> float:
    """How many independent rows tell as much as one row of a sample: 1 without clusters.

    Rows of one source are taken to agree in their groups, so that sources of ``m`` rows leave
    ``(sum m)² / sum m²`` independent rows.

    Source: Kish 1965, Survey Sampling (Wiley), the effective size under unequal weights.
    """
    if sample.corpus.clusters is None or not len(sample):
        return 1.0
    sizes = np.bincount(sample.units).astype(np.float64)
    return float(sizes.sum() / (sizes @ sizes))


def cells_of(bench: Workbench, real: Sample, made: Sample) -> Iterator[tuple[Partition, list[Cell]]]:
    """The cells that real data fill: of each column, each pair, and as many more as were asked for."""
    weights = (1.0, 1.0) if bench.is_null else (independent(real), independent(made))
    for part in partitions(bench, order=max(2, bench.intersections), label=True):
        hidden = part.hidden(bench)
        filled, candidate = part.counts(real), part.counts(made)
        yield (
            part,
            [
                Cell(
                    group=part.groups[at],
                    real=int(filled[at]),
                    made=int(candidate[at]),
                    n_real=len(real),
                    n_made=len(made),
                    weights=weights,
                    hidden=bool(hidden[at]),
                )
                for at in np.flatnonzero(filled)
            ],
        )
