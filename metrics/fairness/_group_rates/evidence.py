"""What a reader sees of fairness: the forest of changes and the groups behind it."""

from __future__ import annotations

import numpy as np

from counterproof.metrics.engine.learners import LEARNED
from counterproof.metrics.estimate import Estimate, Evidence, Group, Panel
from counterproof.metrics.fairness._group_rates.assessment import Block, Inquiry
from counterproof.metrics.fairness._group_rates.calibration import binned_error, scores_of
from counterproof.metrics.fairness._group_rates.gaps import level_at
from counterproof.metrics.fairness._group_rates.rates import SIDES
from counterproof.metrics.shared.retraining import Change

SHOWN = 24


def forest(inquiry: Inquiry, changes: list[Change]) -> Panel:
    """The decidable cells of both models, the largest change first."""
    level = inquiry.bench.level
    places = {block.group(i): (block, i) for block in inquiry.blocks for i in range(len(block.cells))}
    shown = sorted((change for change in changes if change.decidable), key=lambda change: -abs(change.value))
    entries = []
    for change in shown[:SHOWN]:
        block, i = places[change.group]
        real, synthetic = (_ends(level_at(block.table, block.cells, i, side, level)) for side in SIDES)
        entries.append(
            {
                "label": _label(change.group),
                "real": real,
                "synthetic": synthetic,
                "change": _ends(change.estimate(level)),
            }
        )
    most = inquiry.sizes["learning"] >= LEARNED
    capped = f" Models learn from {LEARNED:,} rows of each side, drawn by the seed." if most else ""
    what = "Gaps between groups" if inquiry.question.paired else "Accuracy of each group"
    return Panel(
        kind="forest",
        title=f"{what}, of models trained on real rows and on the release",
        data={"limit": inquiry.question.limit or None, "unit": "share", "entries": entries},
        note=f"The change is what the release makes of it; its interval holds the luck of training.{capped}",
    )


def _label(group: Group) -> str:
    (column, cell), *rest = group
    return " · ".join([f"{column}: {cell}", *(str(value) for _, value in rest)])


def _ends(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def most_changed_groups(inquiry: Inquiry) -> Evidence:
    """The groups whose own rate changes most."""
    smallest = max(inquiry.bench.small_cell, 1)
    rows = [row for block in inquiry.blocks for row in _groups(block, smallest)]
    rows.sort(key=lambda row: -abs(row[-1]))
    return Evidence(
        title="The groups whose treatment the release changes most",
        columns=("column", "group", "model", "rate", "trial rows", "trained on real", "on the release", "change"),
        rows=tuple(rows[:SHOWN]),
        note=f"Groups of fewer than {smallest} trial rows are not shown.",
    )


def _groups(block: Block, smallest: int) -> list[tuple[str, str, str, str, int, float, float, float]]:
    table, stratum = block.table, block.stratum
    column = ", ".join([stratum.name, *(f"{name}={value}" for name, value in stratum.level)])
    real, synthetic = (table.rates(side).values for side in SIDES)
    return [
        (
            *(column, stratum.groups[g], block.learner, block.rate.name, int(table.rows[g])),
            float(real[g]),
            float(synthetic[g]),
            float(table.change[g]),
        )
        for g in np.flatnonzero(table.filled & ~stratum.hidden & (table.rows >= smallest))
    ]


def calibration_errors(inquiry: Inquiry) -> tuple[Evidence, ...]:
    """The expected calibration error of each group, beside that of scores that are all right."""
    few = max(inquiry.bench.small_cell, 1)
    rows = []
    for stratum in inquiry.strata:
        for learner in inquiry.learners:
            scores = scores_of(inquiry.bench, learner, inquiry.positive)
            members = stratum.members(inquiry.bench)[scores.rows]
            for g in np.flatnonzero(~stratum.hidden):
                inside = members == g
                if inside.sum() >= few:
                    ends = [
                        binned_error(part[inside], scores.truth[inside]) for part in (scores.real, scores.synthetic)
                    ]
                    place = ", ".join([stratum.name, *(f"{name}={value}" for name, value in stratum.level)])
                    rows.append((place, stratum.groups[g], learner, int(inside.sum()), *ends[0], *ends[1]))
    return (
        Evidence(
            title="Expected calibration error by group",
            columns=(
                *("column", "group", "model", "trial rows"),
                *("trained on real", "if all scores were right", "on the release", "if all scores were right"),
            ),
            rows=tuple(rows),
            note=f"Ten bins of equally many rows. Groups of fewer than {few} trial rows are not shown.",
        ),
    )
