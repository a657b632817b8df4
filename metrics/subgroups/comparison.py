"""Fidelity of each class and each group, at equal numbers of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Better, Estimate, Expected, Group
from counterproof.metrics.metric import Value
from counterproof.metrics.shared.partitions import Partition
from counterproof.metrics.subgroups.evidence import evidence_of, panels_of
from counterproof.metrics.subgroups.losses import (
    By,
    Losses,
    gap_beyond,
    loss_gap,
    losses_of,
    real_gaps,
    size_slope,
    worst_loss,
)
from counterproof.metrics.subgroups.plan import LEAST, VALUES, Cell, ComparisonPlan, plan_cells
from counterproof.metrics.subgroups.scores import FIELDS, GroupScores, group_scores
from counterproof.metrics.workbench import Workbench

# What a group may lose beyond real rows: fifteen of 100 rows out of place; of the kernel distance less than a class of
# small pictures loses by a blur of less than a pixel (0.1).
GATED: dict[By, float] = {"density": 0.15, "kernel_distance": 0.05}
UNITS = {
    "kernel_distance": "squared kernel distance, in units of the group's own spread",
    "precision": "share of synthetic rows",
    "recall": "share of real rows",
    "density": "synthetic rows in real neighbourhoods, 1 expected",
    "coverage": "share of real rows",
}


@dataclass(frozen=True, eq=False)
class GroupComparison:
    """Which partitions are compared, by what."""

    bench: Workbench
    partitions: Sequence[Partition]
    k: int
    by: By

    def values(self, headline: str) -> Iterator[Value]:
        """All values, the headline with its evidence."""
        if not 1 <= self.k <= LEAST // 2 - 2:
            raise MetricError(
                f"k = {self.k} neighbours: give 1 to {LEAST // 2 - 2}, so that halves of small groups have them"
            )
        plan = plan_cells(self.bench, self.partitions)
        yield from _too_many_values(plan, headline)
        found: dict[str, list[GroupScores]] = {name: [] for name in plan.equal}
        for cell in plan.cells:
            made = None if cell.reason else group_scores(self.bench, plan, cell, self.k)
            if made is not None:
                found[cell.column].append(made)
            yield from _cell_values(plan, cell, made, self.by, self.bench.level)
        losses = {name: losses_of(self.bench, plan, made, self.k, self.by) for name, made in found.items() if made}
        if headline == "gap":
            for name in plan.equal:
                own = [losses[name]] if name in losses else []
                yield from self._summary(own, _whole_partition(plan.parts[name]), ("worst", "gap", "slope"))
            if not self.bench.is_null:
                yield from self._beyond(plan, found)
        fields = ("worst", "gap", "slope") if headline == "worst" else ("gap", "worst")
        for value in self._summary(list(losses.values()), (), fields):
            shown = value.field == headline and value.estimate is not None and not self.bench.is_null
            yield self._with_evidence(value, plan, found, losses) if shown else value

    def _summary(self, every: list[Losses], group: Group, fields: tuple[str, ...]) -> Iterator[Value]:
        """Worst, gap and slope of one column, or the worst over columns."""
        groups = sum(len(x.names) for x in every)
        pairs = sum(len(x.names) * (len(x.names) - 1) // 2 for x in every)
        for field in fields:
            estimate, reason = _estimate(field, every, groups, pairs, self.bench.level)
            yield Value(
                field=field,
                group=group,
                estimate=estimate,
                status="measured" if estimate else "not_applicable" if field == "slope" else "not_assessable",
                reason=reason,
                better="zero" if field == "slope" else "lower",
                unit=f"{UNITS[self.by]}, lost" + (" for a tenfold larger group" if field == "slope" else ""),
                n=self.bench.sizes,
            )

    def _beyond(self, plan: ComparisonPlan, found: dict[str, list[GroupScores]]) -> Iterator[Value]:
        """The gap beyond that of real rows, per column, in each quantity that a gate looks at."""
        # In tables the error of these gaps is known to be a third too wide, and the kernel distance sees crowded groups
        # alone: there they may fail, and block no PASS.
        decides = self.bench.corpus.modality != "table"
        for by in GATED:
            field, unit, told = f"{by}_gap", f"{UNITS[by]}, lost", False
            for name, scores in found.items():
                cells = [one.cell for one in scores]
                real = real_gaps(self.bench, plan, cells, self.k, by) if len(cells) > 1 else None
                if real is None:
                    continue
                losses, told = losses_of(self.bench, plan, scores, self.k, by), True
                pair = f"worst: {losses.names[losses.worst]}, best: {losses.names[losses.best]}"
                yield Value(
                    field=field,
                    group=(("column", name),),
                    estimate=gap_beyond(losses, real, level=self.bench.level),
                    better="lower",
                    unit=unit,
                    n=self.bench.sizes,
                    reason=f"{pair}; real rows differ by {real.mean:.3g}",
                    expected=Expected(value=0.0, spread=real.luck, error=real.error),
                    decidable=decides,
                )
            if not told:
                reason = f"too few rows: fewer than two groups have {LEAST} rows on each side"
                yield Value(
                    field=field, status="not_assessable", better="lower", unit=unit, reason=reason, decidable=False
                )

    def _with_evidence(
        self, value: Value, plan: ComparisonPlan, found: dict[str, list[GroupScores]], losses: dict[str, Losses]
    ) -> Value:
        """The headline with the rows and groups behind it."""
        cells = [
            (one.cell, loss) for name in losses for one, loss in zip(found[name], losses[name].values, strict=True)
        ]
        cells.sort(key=lambda pair: -pair[1])
        worst = [cell for cell, _ in cells]
        return replace(
            value,
            evidence=evidence_of(self.bench, plan, worst, self.k),
            panels=panels_of(
                self.bench, plan, worst, list(losses.values()), self.k, self.by, f"{UNITS[self.by]}, lost"
            ),
        )


def _whole_partition(part: Partition) -> Group:
    """The name of a whole partition: its columns without values."""
    return tuple((column, None) for column in part.columns)


def _too_many_values(plan: ComparisonPlan, headline: str) -> Iterator[Value]:
    for name, values in plan.too_many_values.items():
        reason = f"{name} has {values} values, more than the {VALUES} that are compared: join some of them"
        group = _whole_partition(plan.parts[name])
        yield Value(field=headline, group=group, status="not_assessable", reason=reason, decidable=False)


def _cell_values(plan: ComparisonPlan, cell: Cell, made: GroupScores | None, by: By, level: float) -> Iterator[Value]:
    """The five quantities of a cell, beginning with the one compared; of a small crossed cell only that one."""
    crossed = len(cell.group) > 1
    for at, field in sorted(enumerate(FIELDS), key=lambda pair: pair[1] != by):
        better: Better = "lower" if field == "kernel_distance" else "higher"
        if made is not None:
            yield _cell_value(plan, made, at, better, level)
        elif not crossed or field == by:
            reason = cell.reason or "too few rows on this re-split"
            yield Value(
                field=field,
                group=cell.group,
                better=better,
                unit=UNITS[field],
                status="not_assessable",
                reason=reason,
                decidable=False,
            )


def _cell_value(plan: ComparisonPlan, made: GroupScores, at: int, better: Better, level: float) -> Value:
    rows, equal = {"reference": made.reference, "candidate": made.candidate}, plan.equal[made.cell.column]
    if FIELDS[at] == "kernel_distance":
        method, n = "Hájek normal", {side: min(count, plan.most) for side, count in rows.items()}
        reason = f"{plan.most} rows a side at most, drawn by the seed" if n != rows else ""
    else:
        method, n = "normal, spread of half-samples", dict.fromkeys(rows, equal)
        reason = f"mean over {made.draws} draws of {equal} rows a side"
    return Value(
        field=FIELDS[at],
        group=made.cell.group,
        better=better,
        unit=UNITS[FIELDS[at]],
        estimate=Estimate.normal(made.values[at], made.errors[at], level=level, method=method),
        n=n,
        reason=reason,
    )


def _estimate(field: str, every: list[Losses], groups: int, pairs: int, level: float) -> tuple[Estimate | None, str]:
    if not groups or (field != "worst" and not pairs):
        many = "no group has" if not groups else "fewer than two groups have"
        return None, f"too few rows: {many} {LEAST} rows on each side"
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
    top, label = max(made, key=lambda pair: pair[0].value)
    low, high = max(e.low for e, _ in made), max(e.high for e, _ in made)
    return Estimate(value=top.value, low=low, high=high, level=level, method=top.method), label
