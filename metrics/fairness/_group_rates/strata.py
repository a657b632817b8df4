"""Who is compared with whom: the groups of a partition, at each level of the columns held fixed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Group
from counterproof.metrics.sample import Sample
from counterproof.metrics.shared.partitions import CROWD, Partition, partition_by, partitions
from counterproof.metrics.workbench import Workbench

Counts = NDArray[np.intp]
CROWDED: Work[dict[str, int]] = Work("group columns of too many values")
STRATA: Work[tuple[Stratum, ...]] = Work("strata")


@dataclass(frozen=True, eq=False, kw_only=True)
class Stratum:
    """The groups of one partition among the rows of one level of the control columns.

    Attributes:
        name: The partition's columns as one name.
        level: What is held fixed; ``()`` without control columns.
        groups: ``(g,)`` names of the groups that real rows have here, sorted.
        hidden: ``(g,)`` groups of so few real rows that nothing of them may be told.
        at: ``(cells,)`` which group each finest cell belongs to; -1 elsewhere.
        crossed: Whether the groups are crossings of several columns.
    """

    name: str
    level: Group
    groups: tuple[str, ...]
    hidden: NDArray[np.bool_]
    at: NDArray[np.intp]
    crossed: bool

    def __len__(self) -> int:
        return len(self.groups)

    def summed(self, counts: NDArray[np.generic]) -> NDArray[np.float64]:
        """``(g, k)`` sums over the groups, of ``(cells, k)`` numbers by finest cell."""
        inside = self.at >= 0
        codes, chosen = self.at[inside], counts[inside].astype(np.float64)
        columns = [np.bincount(codes, weights=column, minlength=len(self)) for column in chosen.T]
        return np.stack(columns, axis=1)

    def members(self, bench: Workbench) -> NDArray[np.intp]:
        """``(n,)`` group of each trial row; -1 for rows of another level."""
        found: NDArray[np.intp] = self.at[finest_cells(bench).codes[bench.test.rows]]
        return found


def crowded_columns(bench: Workbench) -> dict[str, int]:
    """Group columns of more values in real data than can be compared, with their number."""

    def count() -> dict[str, int]:
        sizes = {name: len(np.unique(bench.real.group(name))) for name in bench.corpus.groups}
        return {name: size for name, size in sizes.items() if size > CROWD}

    return bench.shared(CROWDED.about(bench.real), count)


def finest_cells(bench: Workbench) -> Partition:
    """All group columns crossed, without the crowded ones: every other partition is a sum of its cells."""
    columns = tuple(name for name in bench.corpus.groups if name not in crowded_columns(bench))
    return partition_by(bench, columns)


def strata(bench: Workbench, control: tuple[str, ...] = ()) -> tuple[Stratum, ...]:
    """Every partition of the columns that are not held fixed, at every level of those that are.

    Args:
        bench: The view; all views of an audit share the strata.
        control: Group columns held fixed.

    Raises:
        MetricError: A control column is no group column, has too many values, or leaves none to compare.
    """
    key = STRATA.about(bench.real, bench.test, control=control, small_cell=bench.small_cell, show_real=bench.show_real)
    return bench.shared(key, lambda: _strata(bench, control))


def _strata(bench: Workbench, control: tuple[str, ...]) -> tuple[Stratum, ...]:
    columns, crowded = list(bench.corpus.groups), crowded_columns(bench)
    for name in control:
        if name not in columns:
            raise MetricError(f"option control: {name!r} is no group column; choose from {', '.join(columns)}")
        if name in crowded:
            raise MetricError(f"option control: {name} has {crowded[name]} values; {CROWD} can be held fixed at most")
    taken = {*control, *crowded}
    if set(columns) <= set(control):
        raise MetricError("option control: every group column is held fixed, so none is left to compare")
    parts = [part for part in partitions(bench) if not taken & set(part.columns)]
    return tuple(stratum for part in parts for stratum in _levels(bench, part, control))


def _levels(bench: Workbench, part: Partition, control: tuple[str, ...]) -> list[Stratum]:
    finest = finest_cells(bench)
    rows = np.zeros(len(finest), dtype=np.intp)
    rows[finest.codes] = np.arange(len(finest.codes))  # any row of a cell tells of its groups
    groups = part.codes[rows]
    fixed = partition_by(bench, control) if control else None
    levels = np.zeros(len(rows), dtype=np.intp) if fixed is None else fixed.codes[rows]
    places: tuple[Group, ...] = ((),) if fixed is None else fixed.groups
    made = [
        _stratum(bench, part, np.where(levels == at, groups, -1), level, rows=(bench.real, bench.test))
        for at, level in enumerate(places)
    ]
    return [stratum for stratum in made if len(stratum)]


def _stratum(
    bench: Workbench, part: Partition, codes: NDArray[np.intp], level: Group, *, rows: tuple[Sample, Sample]
) -> Stratum:
    finest, inside = finest_cells(bench), codes >= 0
    real, test = (
        np.bincount(codes[inside], weights=finest.counts(sample)[inside], minlength=len(part)) for sample in rows
    )
    kept = np.flatnonzero(real + test > 0)
    place = np.full(len(part) + 1, -1, dtype=np.intp)
    place[kept] = np.arange(len(kept))
    few = (np.maximum(real, test)[kept] < bench.small_cell) & (not bench.show_real)
    return Stratum(
        name=part.name,
        level=level,
        groups=tuple(part.names[g] for g in kept),
        hidden=np.asarray(few, dtype=np.bool_),
        at=place[codes],
        crossed=len(part.columns) > 1,
    )
