"""Evidence for the fidelity of groups: their least realistic rows, and the loss of each group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from counterproof.metrics.engine.nearest_neighbours import nearest
from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.estimate import Estimate, Evidence, Panel
from counterproof.metrics.shared.closest_pairs import Pair, pair_panel
from counterproof.metrics.subgroups.losses import Losses
from counterproof.metrics.subgroups.plan import Cell, ComparisonPlan, part_in
from counterproof.metrics.subgroups.scores import subsample
from counterproof.metrics.workbench import Workbench

SHOWN = 20  # groups
WORST_ROWS = 3  # of each
PICTURED = 8  # groups with pictures
STRAYS: Work[list[FarRow]] = Work("synthetic rows far from their group")


@dataclass(frozen=True, slots=True, kw_only=True)
class FarRow:
    """A synthetic row far from the real rows of its own group: positions in the corpus.

    Attributes:
        cell: The group.
        made: The synthetic row.
        real: The nearest real row of the group.
        distance: Between them.
        times: The distance over the real row's own distance to its k-th neighbour.
    """

    cell: Cell
    made: int
    real: int
    distance: float
    times: float


def far_rows(bench: Workbench, plan: ComparisonPlan, cell: Cell, k: int) -> list[FarRow]:
    """The synthetic rows farthest from the real rows of their own group, in radii of the nearest real row."""
    return bench.shared(
        STRAYS.about(bench.reference, bench.candidate, group=cell.group, most=plan.most, k=k),
        lambda: _far_rows(bench, plan, cell, k),
    )


def _far_rows(bench: Workbench, plan: ComparisonPlan, cell: Cell, k: int) -> list[FarRow]:
    rng = bench.generator(f"evidence of {cell}")
    sides = (part_in(bench, plan, cell, side) for side in (bench.reference, bench.candidate))
    real, made = (subsample(side, plan.most, rng) for side in sides)
    radius = nearest(real.features, real.features, k, own=np.arange(len(real)), memory=bench.memory).distance[:, -1]
    near = nearest(made.features, real.features, 1, own=None, memory=bench.memory)
    smallest = radius[radius > 0].min() if (radius > 0).any() else 1.0
    times = near.distance[:, 0] / np.maximum(radius[near.index[:, 0]], smallest)
    return [
        FarRow(
            cell=cell,
            made=int(made.rows[i]),
            real=int(real.rows[near.index[i, 0]]),
            distance=float(near.distance[i, 0]),
            times=float(times[i]),
        )
        for i in np.argsort(-times, kind="stable")[:WORST_ROWS]
    ]


def evidence_of(bench: Workbench, plan: ComparisonPlan, worst: Sequence[Cell], k: int) -> tuple[Evidence, ...]:
    """The least realistic rows of each group; worst groups first."""
    names = bench.corpus.names
    found = [far for cell in worst[:SHOWN] for far in far_rows(bench, plan, cell, k)]
    made = Evidence(
        title="Least realistic synthetic rows of each group",
        columns=("group", "synthetic row", "distance to the nearest real row of its group, in that row's radii"),
        rows=tuple((str(far.cell), str(names[far.made]), far.times) for far in found),
        note=f"The {SHOWN} groups that lose most at the most, {WORST_ROWS} rows of each.",
    )
    return (made,)


def panels_of(
    bench: Workbench, plan: ComparisonPlan, worst: Sequence[Cell], every: Sequence[Losses], k: int, by: str, unit: str
) -> tuple[Panel, ...]:
    """What each group loses; for images, the worst renders of the worst groups beside real ones too."""
    pictures = (_gallery(bench, plan, worst, k),) if bench.corpus.thumbnail is not None else ()
    return (_forest(bench, every, by, unit), *pictures)


def _gallery(bench: Workbench, plan: ComparisonPlan, worst: Sequence[Cell], k: int) -> Panel:
    """Hidden like every picture of the release: a copy would show the real image."""
    found = [far for cell in worst[:PICTURED] for far in far_rows(bench, plan, cell, k)]
    pairs = [Pair(made=far.made, real=far.real, distance=far.distance, exact=far.distance == 0) for far in found]
    panel = pair_panel(bench, pairs)
    label = [{**pair, "note": str(far.cell)} for pair, far in zip(panel.data["pairs"], found, strict=True)]
    title = "Least realistic images of each group, beside the nearest real image of the group"
    return replace(panel, title=title, data={**panel.data, "pairs": label})


def _forest(bench: Workbench, every: Sequence[Losses], by: str, unit: str) -> Panel:
    entries: list[dict[str, Any]] = []
    for losses in every:
        for name, value, error in zip(losses.names, losses.values, losses.errors, strict=True):
            e = Estimate.normal(float(value), float(error), level=bench.level)
            reach = {"value": e.value, "low": e.low, "high": e.high}
            entries.append({"label": name, "real": None, "synthetic": reach, "change": None})
    entries.sort(key=lambda entry: -entry["synthetic"]["value"])
    return Panel(
        kind="forest",
        title=f"What each group loses: {by.replace('_', ' ')}",
        data={"limit": None, "unit": unit, "titles": ["real rows", "the release"], "entries": entries[: 2 * SHOWN]},
        note="0 is what real rows of the group reach against real rows of it.",
    )
