"""What a reader sees of fairness: the forest of changes and the groups behind it."""

from __future__ import annotations

import numpy as np

from counterproof.metrics.estimate import Estimate, Evidence, Panel
from counterproof.metrics.inquiry import SIDES, Inquiry, Spot
from counterproof.metrics.refits import Change

SHOWN = 24


def forest(inquiry: Inquiry, changes: list[Change]) -> Panel:
    """The decidable cells of both models, the largest change first."""
    level = inquiry.bench.level
    spots = {spot.group: spot for spot in inquiry.spots()}
    shown = sorted((change for change in changes if change.decidable), key=lambda change: -abs(change.value))
    entries = []
    for change in shown[:SHOWN]:
        spot = spots[change.group]
        real, synthetic = (_ends(spot.table.level_at(spot.cell, side, level)) for side in SIDES)
        entries.append(
            {"label": _label(spot), "real": real, "synthetic": synthetic, "change": _ends(change.estimate(level))}
        )
    what = "Gaps between groups" if inquiry.question.paired else "Accuracy of each group"
    return Panel(
        kind="forest",
        title=f"{what}, of models trained on real rows and on the release",
        data={"limit": inquiry.question.limit, "unit": "share", "entries": entries},
        note="The change is what the release makes of it; its interval holds the luck of training.",
    )


def _label(spot: Spot) -> str:
    (column, cell), *rest = spot.group
    return " · ".join([f"{column}: {cell}", *(str(value) for _, value in rest)])


def _ends(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def most_changed_groups(inquiry: Inquiry) -> Evidence:
    """The groups whose own rate changes most."""
    smallest = max(inquiry.bench.small_cell, 1)
    tables = {(spot.learner, spot.column, spot.rate.name): spot.table for spot in inquiry.spots()}
    rows = [
        (
            *(column, table.named((int(g), None)), learner, rate, int(table.rows[g])),
            float(table.real_hits[g] / table.rows[g]),
            float(table.synthetic_hits[g] / table.rows[g]),
            float(table.change[g]),
        )
        for (learner, column, rate), table in tables.items()
        for g in np.flatnonzero(table.rows >= smallest)
    ]
    rows.sort(key=lambda row: -abs(row[-1]))
    return Evidence(
        title="The groups whose treatment the release changes most",
        columns=("column", "group", "model", "rate", "trial rows", "trained on real", "on the release", "change"),
        rows=tuple(rows[:SHOWN]),
        note=f"Groups of fewer than {smallest} trial rows are not shown.",
    )
