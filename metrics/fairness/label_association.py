"""Does the release give groups other labels than real data do?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.estimate import Estimate, Evidence, Expected, Group, Panel
from counterproof.metrics.fairness._label_counts import (
    Classes,
    LabelCounts,
    classes_of,
    faithful_error,
    group_partitions,
    label_counts,
    share_changes,
)
from counterproof.metrics.metric import Needs, Quantity, Tolerance, Value, metric
from counterproof.metrics.sample import Floats
from counterproof.metrics.shared.partitions import Partition
from counterproof.metrics.statistics.decidability import largest_decidable_set, pass_probability
from counterproof.metrics.workbench import Workbench

GROUPS = 12
LABELS = 6


def mosaic(
    bench: Workbench,
    part: Partition,
    classes: Classes,
    real: LabelCounts,
    synthetic: LabelCounts,
    hidden: NDArray[np.bool_],
) -> Panel:
    """Widths are the shares of groups, heights those of labels: the largest groups and commonest labels.

    Args:
        bench: The measurement's view.
        part: The groups.
        classes: The labels.
        real: Real rows, by group and label.
        synthetic: Rows of the release.
        hidden: ``(g, k)`` what must not be disclosed of real rows.
    """
    shown = np.argsort(-real.rows, kind="stable")[:GROUPS]
    labels = np.argsort(-real.hits.sum(0), kind="stable")[:LABELS]
    return Panel(
        kind="mosaic",
        title=f"{bench.corpus.label} by {part.name}: real data and the release",
        data={
            "group_title": part.name,
            "label_title": bench.corpus.label,
            "labels": [classes.names[k] for k in labels],
            "groups": [
                {
                    "name": part.names[g],
                    "real": None if gone else float(real.rows[g] / max(real.rows.sum(), 1)),
                    "synthetic": float(synthetic.rows[g] / max(synthetic.rows.sum(), 1)),
                    "n_real": None if gone else int(real.rows[g]),
                    "n_synthetic": int(synthetic.rows[g]),
                    "real_labels": _disclosed_shares(real.shares[g], real.hits[g], hidden[g], labels),
                    "synthetic_labels": [float(share) for share in np.nan_to_num(synthetic.shares[g, labels])],
                }
                for g, gone in zip(shown, part.hidden(bench)[shown], strict=True)
                if real.rows[g] or synthetic.rows[g]
            ],
        },
        note="Widths are shares of rows, heights shares of the label within a group. Hatched: too few real rows."
        + (f" The {GROUPS} largest of {len(part)} groups." if len(part) > GROUPS else ""),
    )


def _disclosed_shares(
    shares: NDArray[np.float64], hits: NDArray[np.intp], hidden: NDArray[np.bool_], labels: NDArray[np.intp]
) -> list[float | None]:
    """Shares of the shown labels; where one is hidden, the smallest other too, for their sum tells it."""
    gone = hidden.copy()
    if gone.sum() == 1 and len(gone) > 1:
        others = np.flatnonzero(~gone)
        gone[others[hits[others].argmin()]] = True
    return [None if gone[k] or np.isnan(shares[k]) else float(shares[k]) for k in labels]


LIMIT = 0.1
FAITHFUL: Work[list[FaithfulChanges]] = Work("labels of groups in a faithful release")
FEWER = 1.645  # standard deviations: a group of a release is nearly never smaller than that
LEAST = 30  # real rows of a cell below which it has no part in the worst
SHOWN = 20
MOSAICS = 3


@dataclass(frozen=True, eq=False, kw_only=True)
class FaithfulChanges:
    """What a faithful release of as many rows as the generator learned from shows, from real counts alone.

    Attributes:
        spread: ``(g, k)`` standard deviation of the change.
        error: ``(g, k)`` standard error of its interval where the bound meets the limit.
        decidable: ``(g, k)`` cells that it passes all together.
    """

    spread: Floats
    error: Floats
    decidable: NDArray[np.bool_]


@dataclass(frozen=True, eq=False, kw_only=True)
class Table:
    """One partition: real rows, those of the view, and what may be said.

    Attributes:
        part: The partition.
        real: All real rows, by cell and class.
        before: Real rows of the view.
        after: Rows of the candidate.
        hidden: ``(g, k)`` what must not be disclosed.
        faithful: What a faithful release would show.
    """

    part: Partition
    real: LabelCounts
    before: LabelCounts
    after: LabelCounts
    hidden: NDArray[np.bool_]
    faithful: FaithfulChanges

    @property
    def change(self) -> Floats:
        """``(g, k)`` share in the candidate minus share in real data; NaN where either has no row."""
        return self.after.shares - self.before.shares

    @property
    def worst(self) -> NDArray[np.bool_]:
        """``(g, k)`` cells that have a part in the worst."""
        return (self.real.rows >= LEAST)[:, None] & ~self.hidden & ~np.isnan(self.change)


@metric(
    id="fairness.label_association",
    family="fairness",
    title="labels by group",
    algo=2,
    headline="worst",
    unit="share of a group's rows",
    needs=Needs(label=True, groups=True),
    reads=("groups", "label"),
    tolerances=(
        Tolerance(
            field="change",
            operator="<=",
            limit=LIMIT,
            widest=LIMIT,
            cells=True,
            reason="ten points more or fewer of a group's rows with a label make another rule of it; about 750 real "
            "and as many release rows of a group are needed to decide a share of one quarter",
        ),
    ),
    quantities={
        "change": Quantity(
            name="Label share within a group ({group})",
            shown_as="points",
            measure="{} against real data",
            finding="The share of a label within a group has changed ({group})",
            means="Who learns from the release learns another rule for this group.",
            remedy="Condition the generator on group and label together, or resample by both.",
        ),
    },
)
def label_association(bench: Workbench) -> Iterator[Value]:
    """Whether groups get other labels in the release than in real data.

    It looks at every group, every crossing of groups (``intersections``) and every class; of two classes at the
    rarer. A balanced release moves no cell, because shares are within groups.

    Formula:
        change = P(label | group) in the release − P(label | group) in real data

    How to read it:
        +0.1 means that ten more of 100 rows of the group have the label. ``worst`` is the largest change either
        way; above 0 the release has changed a label somewhere.

    Limits:
        A label that fewer than ``small_cell`` real rows of a group have, or all but so few, is listed as "too
        few rows". It sees shares of labels, not which rows carry them; utility.tstr sees that.

    Yields:
        change: Signed change for each group and label (``[sex=Female, income=">50K"]``).
        worst: Largest change either way among cells of 30 real rows or more; its interval holds for all of
            them.

    Source:
        Newcombe (1998), method 10, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I, for
        the interval, of effective rows where rows share a source.
    """
    classes = classes_of(bench)
    parts = group_partitions(bench)
    if len(classes.names) < 2 or not parts:
        what = "the real rows hold fewer than two labels" if parts else "the label is the only group column"
        yield Value(field="worst", status="not_applicable", reason=what)
        return
    faithful = bench.shared(FAITHFUL.about(bench.real), lambda: faithful_changes(bench, parts, classes))
    tables = [table_of(bench, part, changes) for part, changes in zip(parts, faithful, strict=True)]
    for table in tables:
        yield from _cells(bench, table, classes)
    yield _worst(bench, tables, classes)


def table_of(bench: Workbench, part: Partition, faithful: FaithfulChanges) -> Table:
    """Count one partition for a view."""
    before, after = (bench.reference, bench.candidate) if bench.is_null else (bench.real, bench.release)
    real = label_counts(bench, part, bench.real)
    return Table(
        part=part,
        real=real,
        before=label_counts(bench, part, before),
        after=label_counts(bench, part, after),
        hidden=hidden_cells(bench, part, real),
        faithful=faithful,
    )


def faithful_changes(bench: Workbench, parts: Sequence[Partition], classes: Classes) -> list[FaithfulChanges]:
    """What a faithful release would show in the cells of each partition."""
    n = len(bench.train) if bench.train is not None else len(bench.real)
    changes, miss = [], []
    for part in parts:
        real = label_counts(bench, part, bench.real)
        share = (real.hits + 0.5) / (real.rows[:, None] + 1)
        before = np.maximum(real.worth, 0.5)
        after = before * n / len(bench.real)
        after = np.maximum(after - FEWER * np.sqrt(after), 0.5)  # a release may hold fewer rows of a group
        spread = np.sqrt(share * (1 - share) * (1 / before + 1 / after))
        error = faithful_error(share, before, after, LIMIT, bench.level)
        chance = 1 - pass_probability(LIMIT, spread, error=error, sides=2)
        chance[hidden_cells(bench, part, real)] = 1.0
        chance[:, np.setdiff1d(np.arange(chance.shape[1]), classes.asked)] = 1.0
        changes.append((spread, error))
        miss.append(chance)
    kept = largest_decidable_set(np.concatenate([chance.ravel() for chance in miss]))
    ends = np.cumsum([chance.size for chance in miss])[:-1]
    return [
        FaithfulChanges(spread=spread, error=error, decidable=flags.reshape(error.shape))
        for (spread, error), flags in zip(changes, np.split(kept, ends), strict=True)
    ]


def hidden_cells(bench: Workbench, part: Partition, real: LabelCounts) -> NDArray[np.bool_]:
    """``(g, k)`` cells of so few real rows that nothing may be told of them."""
    few: NDArray[np.bool_] = real.few(bench.small_cell) | part.hidden(bench)[:, None]
    return few & (not bench.show_real)


def _cells(bench: Workbench, table: Table, classes: Classes) -> Iterator[Value]:
    change = table.change
    low, high = (change, change) if bench.is_null else share_changes(table.before, table.after, bench.level)
    for g in np.flatnonzero(table.real.rows):
        for k in classes.asked:
            group = cell_group(bench, table.part, int(g), classes.names[k])
            problem = _problem(bench, table, int(g), int(k))
            if problem:
                if not bench.is_null:
                    decidable = bool(table.faithful.decidable[g, k])
                    yield Value(
                        field="change", group=group, status="not_assessable", reason=problem, decidable=decidable
                    )
                continue
            yield Value(
                field="change",
                group=group,
                estimate=Estimate(
                    value=float(change[g, k]),
                    low=float(low[g, k]),
                    high=float(high[g, k]),
                    level=bench.level,
                    method="Newcombe",
                ),
                n={"real": int(table.before.rows[g]), "release": int(table.after.rows[g])},
                better="zero",
                decidable=bool(table.faithful.decidable[g, k]),
                expected=Expected(
                    value=0.0, spread=float(table.faithful.spread[g, k]), error=float(table.faithful.error[g, k])
                ),
            )


def _problem(bench: Workbench, table: Table, g: int, k: int) -> str:
    if table.hidden[g, k]:
        return f"too few rows: fewer than {bench.small_cell} real rows have the label, or have it not"
    return "no row of the release has this group and a label" if np.isnan(table.change[g, k]) else ""


def cell_group(bench: Workbench, part: Partition, g: int, label: str) -> Group:
    """A cell as records and gates name it: ``[sex=F, income=">50K"]``."""
    return (*part.groups[g], (bench.corpus.label, label))


def _worst(bench: Workbench, tables: list[Table], classes: Classes) -> Value:
    asked = classes.asked
    kept = [table.worst[:, asked] for table in tables]
    sizes = {"real": len(bench.real), "release": len(bench.release)}
    cells = sum(int(keep.sum()) for keep in kept)
    panels = () if bench.is_null else tuple(_mosaics(bench, tables, classes))
    if not cells:
        reason = f"too few rows: no group has {LEAST} real rows with enough of each label, and rows in the release"
        return Value(field="worst", n=sizes, status="not_assessable", reason=reason, panels=panels)
    changes = np.concatenate([table.change[:, asked][keep] for table, keep in zip(tables, kept, strict=True)])
    value = float(np.abs(changes).max())
    if bench.is_null:
        return Value(field="worst", estimate=Estimate.point(value, level=bench.level))
    level = bench.level ** (1 / cells)
    ends = [share_changes(table.before, table.after, level) for table in tables]
    low, high = (
        np.concatenate([end[side][:, asked][keep] for end, keep in zip(ends, kept, strict=True)]) for side in (0, 1)
    )
    evidence = _largest(bench, tables, classes, ends)
    left = f"; the {len(classes.names)} commonest of {len(classes.names) + classes.left_out} labels are compared"
    return Value(
        field="worst",
        estimate=Estimate(
            value=value,
            low=max(0.0, float(np.maximum(low, -high).max())),
            high=float(np.maximum(high, -low).max()),
            level=bench.level,
            method=f"Newcombe, Šidák over {cells} cells",
        ),
        n=sizes,
        reason=f"surest change: {evidence.rows[0][0]}, {evidence.rows[0][1]}{left if classes.left_out else ''}",
        evidence=(evidence,),
        panels=panels,
    )


def _largest(bench: Workbench, tables: list[Table], classes: Classes, ends: list[tuple[Floats, Floats]]) -> Evidence:
    """The cells of the worst, the one whose interval is farthest from no change first: noise is large in small ones."""
    rows = [
        (
            max(float(low[g, k]), -float(high[g, k])),
            ", ".join(f"{column} = {value}" for column, value in table.part.groups[g]),
            classes.names[k],
            int(table.before.rows[g]),
            int(table.after.rows[g]),
            float(table.before.shares[g, k]),
            float(table.after.shares[g, k]),
            float(table.change[g, k]),
        )
        for table, (low, high) in zip(tables, ends, strict=True)
        for g, k in np.argwhere(table.worst)
        if k in classes.asked
    ]
    rows.sort(key=lambda row: -row[0])
    return Evidence(
        title=f"Where {bench.corpus.label} changes within a group",
        columns=("group", bench.corpus.label, "real rows", "release rows", "share, real", "share, release", "change"),
        rows=tuple(row[1:] for row in rows[:SHOWN]),
        note=f"Groups of {LEAST} real rows or more; the surest change first.",
    )


def _mosaics(bench: Workbench, tables: list[Table], classes: Classes) -> Iterator[Panel]:
    for table in tables[:MOSAICS]:
        yield mosaic(bench, table.part, classes, table.before, table.after, table.hidden)
