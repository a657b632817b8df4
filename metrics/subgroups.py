"""Fidelity of each class and each group, at equal numbers of rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np

from counterproof.metrics.cell_likeness import FIELDS, KERNEL_ROWS, Likeness, likeness, thinned
from counterproof.metrics.estimate import Better, Estimate, Evidence, Group, Panel
from counterproof.metrics.group_cells import LEAST, VALUES, Plan, plan_cells
from counterproof.metrics.group_spread import Losses, loss_gap, size_slope, worst_loss
from counterproof.metrics.metric import MetricError, Needs, Value, metric
from counterproof.metrics.neighbours import nearest
from counterproof.metrics.workbench import Workbench

By = Literal["kernel_distance", "density", "coverage"]
UNITS = {
    "kernel_distance": "squared kernel distance, in units of the group's own spread",
    "precision": "share of synthetic rows",
    "recall": "share of real rows",
    "density": "synthetic rows in real neighbourhoods, 1 expected",
    "coverage": "share of real rows",
}
SHOWN = 20
WORST_ROWS = 3


@metric(
    id="fidelity.by_class",
    family="fidelity",
    title="fidelity by class",
    headline="worst",
    unit="loss of the worst class",
    draws=10,
    needs=Needs(label=True, smallest_n=200),
)
def by_class(bench: Workbench, *, k: int = 5, by: By = "kernel_distance") -> Iterator[Value]:
    """How like real rows the synthetic rows of each class are, at the same number of rows for all.

    Few rows look worse by bias alone: precision, recall, density and coverage of every class are means
    over draws of as many rows as the smallest comparable class has (400 at most). The kernel distance
    is unbiased at any number, and takes all rows (2,000 a side at most), about the mean and in units of the
    spread of the class's real rows. ``by`` is what classes are compared in, as a loss:
    the kernel distance, or how far density or coverage fall short of what real rows reach exactly.

    Neighbour intervals are normal, by half-samples; ``worst`` and ``gap`` are simultaneous. Sources:
    Kynkäänniemi et al., arXiv:1904.06991; Naeem et al., arXiv:2002.09797.

    Yields:
        Five fields per class (``precision[income=">50K"]``), then ``worst``, ``gap`` (worst less best)
        and ``slope`` (loss for a tenfold larger class: below 0, small classes are rendered worse).
    """
    yield from _values(bench, (bench.corpus.label,), "worst", k, by)


@metric(
    id="fairness.subgroup_fidelity",
    family="fairness",
    title="fidelity by group",
    headline="gap",
    unit="loss of the worst less that of the best group",
    draws=10,
    needs=Needs(groups=True, smallest_n=200),
)
def subgroup_fidelity(bench: Workbench, *, k: int = 5, by: By = "kernel_distance") -> Iterator[Value]:
    """Whether some groups are rendered worse than others, at the same number of rows for all.

    Measured as ``fidelity.by_class`` is, for every group of every group column. Groups of too few rows
    are listed as "too few to say". The gap of faithful data is above 0 by luck: read it against its floor.

    Yields:
        Five fields per group, ``worst``, ``gap`` and ``slope`` per column, ``gap`` and ``worst`` over all.
    """
    yield from _values(bench, tuple(bench.corpus.groups), "gap", k, by)


def _values(bench: Workbench, columns: tuple[str, ...], headline: str, k: int, by: By) -> Iterator[Value]:
    if not 1 <= k <= LEAST // 2 - 2:
        raise MetricError(f"k = {k} neighbours: give 1 to {LEAST // 2 - 2}, so that halves of small groups have them")
    plan = plan_cells(bench, columns)
    for column, values in plan.crowded.items():
        reason = f"{column} has {values} values, more than the {VALUES} that are compared: join some of them"
        yield Value(field=headline, group=((column, None),), status="not_assessable", reason=reason, decidable=False)
    found: list[Likeness] = []
    for cell in plan.cells:
        made = None if cell.reason else likeness(bench, plan, cell, k)
        if made is not None:
            found.append(made)
        yield from _cell_values(bench, plan, made, cell.group, cell.reason or "too few to say on this re-split")
    if len(columns) > 1 or headline == "gap":
        for column in columns:
            inside = [one for one in found if one.cell.column == column]
            if column not in plan.crowded:
                yield from _summary(bench, plan, {column: inside}, ((column, None),), k, by, ("worst", "gap", "slope"))
    parts = {column: [one for one in found if one.cell.column == column] for column in columns}
    fields = ("worst", "gap", "slope") if headline == "worst" else ("gap", "worst")
    yield from _summary(bench, plan, parts, (), k, by, fields, headline)


def _cell_values(bench: Workbench, plan: Plan, made: Likeness | None, group: Group, reason: str) -> Iterator[Value]:
    for at, field in enumerate(FIELDS):
        better: Better = "lower" if field == "kernel_distance" else "higher"
        if made is None:
            yield Value(
                field=field, group=group, better=better, status="not_assessable", reason=reason, decidable=False
            )
            continue
        by_kernel = field == "kernel_distance"
        method = "Hájek normal" if by_kernel else "normal, spread of half-samples"
        rows = {"reference": made.reference, "candidate": made.candidate}
        yield Value(
            field=field,
            group=group,
            better=better,
            unit=UNITS[field],
            estimate=Estimate.normal(made.values[at], made.errors[at], level=bench.level, method=method),
            n={side: min(n, KERNEL_ROWS) for side, n in rows.items()} if by_kernel else dict.fromkeys(rows, plan.equal),
            reason="" if by_kernel else f"mean over {made.draws} draws of {plan.equal} rows a side",
        )


def losses_of(found: Sequence[Likeness], equal: int, k: int, by: By) -> Losses:
    """What each group loses against real rows of its own, in the quantity they are compared in."""
    at = FIELDS.index(by)
    values = np.array([one.values[at] for one in found])
    if by != "kernel_distance":
        values = (1.0 if by == "density" else coverage_of_real_rows(equal, k)) - values
    return Losses(
        names=[str(one.cell) for one in found],
        values=values,
        errors=np.array([one.errors[at] for one in found]),
        sizes=np.array([one.cell.real for one in found], dtype=np.float64),
    )


def coverage_of_real_rows(n: int, k: int) -> float:
    """Expected coverage of ``n`` real rows by ``n`` others, whatever their distribution (without ties).

    >>> round(coverage_of_real_rows(1000, 5), 5)
    0.96898
    """
    return 1 - float(np.prod([(n - j) / (2 * n - j) for j in range(1, k + 1)]))


def _summary(
    bench: Workbench,
    plan: Plan,
    parts: dict[str, list[Likeness]],
    group: Group,
    k: int,
    by: By,
    fields: tuple[str, ...],
    headline: str = "",
) -> Iterator[Value]:
    """Worst, gap and slope of one column, or the worst over columns."""
    every = [losses_of(found, plan.equal, k, by) for found in parts.values() if found]
    groups = sum(len(x.names) for x in every)
    pairs = sum(len(x.names) * (len(x.names) - 1) // 2 for x in every)
    for field in fields:
        shown = field == headline and not bench.is_null and bool(groups)
        estimate, reason = _estimate(field, every, groups, pairs, bench.level)
        yield Value(
            field=field,
            group=group,
            estimate=estimate,
            status="measured" if estimate else "not_applicable" if field == "slope" else "not_assessable",
            reason=reason,
            better="zero" if field == "slope" else "lower",
            unit=f"{UNITS[by]}, lost" + (" for a tenfold larger group" if field == "slope" else ""),
            n={"groups": groups, "rows a side": plan.equal},
            evidence=(least_realistic(bench, plan, parts, k, by),) if shown else (),
            panels=(_forest(bench, every, by),) if shown else (),
        )


def _estimate(field: str, every: list[Losses], groups: int, pairs: int, level: float) -> tuple[Estimate | None, str]:
    if not groups or (field != "worst" and not pairs):
        many = "no group has" if not groups else "fewer than two groups have"
        return None, f"too few to say: {many} {LEAST} rows on each side"
    if field == "worst":
        made = [(worst_loss(x, level=level, comparisons=groups), f"worst: {x.names[x.worst]}") for x in every]
    elif field == "gap":
        made = [
            (loss_gap(x, level=level, comparisons=pairs), f"worst: {x.names[x.worst]}, best: {x.names[x.best]}")
            for x in every
            if len(x.names) > 1
        ]
    else:
        slope = size_slope(every[0], level=level)
        return slope, "" if slope else "all groups are of about one size"
    top, told = max(made, key=lambda pair: pair[0].value)
    low, high = max(e.low for e, _ in made), max(e.high for e, _ in made)
    return Estimate(value=top.value, low=low, high=high, level=level, method=top.method), told


def least_realistic(bench: Workbench, plan: Plan, parts: dict[str, list[Likeness]], k: int, by: By) -> Evidence:
    """Synthetic rows farthest from the real rows of their own group, for the crowding there; worst groups first."""
    rows = []
    found = list(itertools.chain.from_iterable(parts.values()))
    for at in np.argsort(-losses_of(found, plan.equal, k, by).values, kind="stable")[:SHOWN]:
        cell = found[at].cell
        rng = bench.generator(f"evidence of {cell}")
        real, made = (thinned(plan.part(cell, side), KERNEL_ROWS, rng) for side in (bench.reference, bench.candidate))
        radius = nearest(real.features, real.features, k, own=np.arange(len(real)), memory=bench.memory).distance[:, -1]
        near = nearest(made.features, real.features, 1, own=None, memory=bench.memory)
        smallest = radius[radius > 0].min() if (radius > 0).any() else 1.0
        times = near.distance[:, 0] / np.maximum(radius[near.index[:, 0]], smallest)
        worst = np.argsort(-times, kind="stable")[:WORST_ROWS]
        rows += [(str(cell), str(made.names[i]), float(times[i])) for i in worst]
    return Evidence(
        title="Least realistic synthetic rows of each group",
        columns=("group", "synthetic row", "distance to the nearest real row of its group, in that row's radii"),
        rows=tuple(rows),
        note=f"The {SHOWN} groups that lose most at the most, {WORST_ROWS} rows of each.",
    )


def _forest(bench: Workbench, every: list[Losses], by: By) -> Panel:
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
        data={"limit": None, "unit": UNITS[by], "entries": entries[: 2 * SHOWN]},
        note="0 is what real rows of the group reach against real rows of it.",
    )
