"""What stands behind the fidelity of groups: their least realistic rows, and what each group loses."""

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
from counterproof.metrics.subgroups.plan import Cell, Plan, part_in
from counterproof.metrics.subgroups.scores import thinned
from counterproof.metrics.workbench import Workbench

SHOWN = 20  # groups
WORST_ROWS = 3  # of each
PICTURED = 8  # groups with pictures
STRAYS: Work[list[Stray]] = Work("synthetic rows far from their group")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """A synthetic row far from the real rows of its own group: positions in the corpus.

    Attributes:
        cell: The group.
        made: The synthetic row.
        real: The nearest real row of the group.
        distance: Between them.
        times: The distance in radii of the real row: to its own nearest neighbours.
    """

    cell: Cell
    made: int
    real: int
    distance: float
    times: float


def strays(bench: Workbench, plan: Plan, cell: Cell, k: int) -> list[Stray]:
    """The synthetic rows farthest from the real rows of their own group, for the crowding there."""
    return bench.shared(
        STRAYS.about(bench.reference, bench.candidate, group=cell.group, most=plan.most, k=k),
        lambda: _strays(bench, plan, cell, k),
    )


def _strays(bench: Workbench, plan: Plan, cell: Cell, k: int) -> list[Stray]:
    rng = bench.generator(f"evidence of {cell}")
    sides = (part_in(bench, plan, cell, side) for side in (bench.reference, bench.candidate))
    real, made = (thinned(side, plan.most, rng) for side in sides)
    radius = nearest(real.features, real.features, k, own=np.arange(len(real)), memory=bench.memory).distance[:, -1]
    near = nearest(made.features, real.features, 1, own=None, memory=bench.memory)
    smallest = radius[radius > 0].min() if (radius > 0).any() else 1.0
    times = near.distance[:, 0] / np.maximum(radius[near.index[:, 0]], smallest)
    return [
        Stray(
            cell=cell,
            made=int(made.rows[i]),
            real=int(real.rows[near.index[i, 0]]),
            distance=float(near.distance[i, 0]),
            times=float(times[i]),
        )
        for i in np.argsort(-times, kind="stable")[:WORST_ROWS]
    ]


def evidence_of(bench: Workbench, plan: Plan, worst: Sequence[Cell], k: int) -> tuple[Evidence, ...]:
    """The least realistic rows of each group; worst groups first."""
    names = bench.corpus.names
    found = [stray for cell in worst[:SHOWN] for stray in strays(bench, plan, cell, k)]
    made = Evidence(
        title="Least realistic synthetic rows of each group",
        columns=("group", "synthetic row", "distance to the nearest real row of its group, in that row's radii"),
        rows=tuple((str(stray.cell), str(names[stray.made]), stray.times) for stray in found),
        note=f"The {SHOWN} groups that lose most at the most, {WORST_ROWS} rows of each.",
    )
    return (made,)


def panels_of(
    bench: Workbench, plan: Plan, worst: Sequence[Cell], every: Sequence[Losses], k: int, by: str, unit: str
) -> tuple[Panel, ...]:
    """What each group loses; for images, the worst renders of the worst groups beside real ones too."""
    pictures = (_gallery(bench, plan, worst, k),) if bench.corpus.thumbnail is not None else ()
    return (_forest(bench, every, by, unit), *pictures)


def _gallery(bench: Workbench, plan: Plan, worst: Sequence[Cell], k: int) -> Panel:
    """Hidden like every picture of the release: a copy would show the real image."""
    found = [stray for cell in worst[:PICTURED] for stray in strays(bench, plan, cell, k)]
    pairs = [
        Pair(made=stray.made, real=stray.real, distance=stray.distance, exact=stray.distance == 0) for stray in found
    ]
    panel = pair_panel(bench, pairs)
    told = [{**pair, "note": str(stray.cell)} for pair, stray in zip(panel.data["pairs"], found, strict=True)]
    title = "Least realistic images of each group, beside the nearest real image of the group"
    return replace(panel, title=title, data={**panel.data, "pairs": told})


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
