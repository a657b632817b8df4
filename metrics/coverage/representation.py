"""Is every group, label and combination there, in its real share?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np

from counterproof.metrics.coverage._shares.quotas import Quota, Target, given_quotas, quotas_of
from counterproof.metrics.coverage._shares.shares import THIN, Cell, cell_panels, cells_of, independent
from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.estimate import Expected, Group, Panel, Status
from counterproof.metrics.metric import Needs, Quantity, Tolerance, Value, metric
from counterproof.metrics.sample import Sample
from counterproof.metrics.statistics.decidability import expected_ratio, largest_decidable_set, pass_probability
from counterproof.metrics.workbench import Workbench

FAITHFUL: Work[Faithful] = Work("what a faithful release shows in cells")
EMPTY = 0.001  # chance that a faithful release leaves any real cell empty, over all cells


@metric(
    id="coverage.representation",
    family="coverage",
    title="representation of groups and labels",
    algo=2,
    better="higher",
    unit="ratio of shares",
    needs=Needs(smallest_n=2),
    reads=("groups", "label"),
    tolerances=(
        Tolerance(
            "value",
            ">=",
            THIN,
            "the four-fifths rule of disparate impact; of 40 cells, those of about 500 of 5,000 rows can be decided",
            cells=True,
            widest=THIN,
        ),
    ),
    quantities={
        "value": Quantity(
            name="Representation of {group}",
            measure="{} times their share in real data",
            finding="Rows with {group} are under-represented",
            means="Models and counts made from the release underrate this group.",
            remedy="Generate more rows with {group}, or weight the release by group.",
            telling="missing",
            remarked=True,
        ),
    },
)
def representation(bench: Workbench, *, target: dict[str, dict[str, float]] | None = None) -> Iterator[Value]:
    """The share of each group, label and pair of them in the release, over its share in real data.

    A column with declared shares (``target``) is held to these instead. Its combinations are judged within its
    values: who declares half of the rows to be women is still held to how old women are. Other columns keep to
    their real shares. With clusters, intervals count the independent rows (Kish's effective number).

    Formula:
        ratio of a cell = (share in the release) / (share in real data, or the declared share)

    How to read it:
        1 is faithful, 0.5 is half as many as there should be, 0 is none. A cell that real data fill and the
        release leaves empty beyond chance is an alarm. Cells too small to be decided at this size are measured,
        listed as "too few rows", and fail only when they are clearly thin.

    Limits:
        It looks at shares alone, not at how well the rows of a group are rendered. Neither ratio nor count is
        printed of a cell with fewer real rows than ``small_cell``, unless ``show_real`` is set.

    Args:
        bench: The samples.
        target: Declared shares by column and value, as ``{"sex": {"F": 0.5, "M": 0.5}}``. Values that a column
            leaves out are not judged.

    Yields:
        value: Ratio of each cell (``[sex=F]``, ``[sex=F,income=">50K"]``, and crossings of more columns where
            ``intersections`` asks for them); the thinnest cell that can be decided without a group.
        target: For columns with declared shares: share over the declared one, with Wilson's interval, for gates
            on both sides.

    Raises:
        MetricError: The target names no column, or its shares are none.

    Source:
        The limit of 0.8 is the four-fifths rule (29 CFR 1607.4 D); intervals of the ratio of two proportions;
        Wilson (1927), doi:10.1080/01621459.1927.10502953, for declared shares.
    """
    real, made = (bench.reference, bench.candidate) if bench.is_null else (bench.real, bench.release)
    target = target or {}
    cells, quotas = _compared(bench, real, made, target)
    if not quotas and not cells:
        yield Value(status="not_applicable", reason="no label and no groups were given")
        return
    declared = tuple((column, tuple(shares.items())) for column, shares in target.items())
    faithful = bench.shared(FAITHFUL.about(bench.real, target=declared), lambda: faithful_cells(bench, target))
    parts = len(cells) + len(quotas)
    thinnest: list[tuple[float, Cell | Quota]] = []
    for cell in cells:
        decidable = cell.n_made > 0 and cell.group in faithful.decidable
        thinnest += [(cell.ratio, cell)] if decidable else []
        yield replace(_of_cell(bench, cell, decidable, parts), expected=faithful.expected(cell.group))
    for quota in quotas:
        decidable, expected = quota.group in faithful.decidable, faithful.expected(quota.group)
        thinnest += [(quota.ratio, quota)] if decidable else []
        yield from (replace(value, expected=expected) for value in _of_quota(bench, quota, decidable, parts))
    sure = [found for _, found in thinnest if isinstance(found, Cell)]
    panels = () if bench.is_null else tuple(cell_panels(bench, [cell for cell in cells if cell.n_made], sure))
    yield _headline(bench, {"real": len(real), "release": len(made)}, thinnest, panels)


def _compared(bench: Workbench, real: Sample, made: Sample, target: Target) -> tuple[list[Cell], list[Quota]]:
    """The cells and the declared values, counted on two sides."""
    quotas = list(quotas_of(bench, target, made))
    cells = [
        cell for part, found in cells_of(bench, real, made) for cell in given_quotas(bench, part, found, target, made)
    ]
    return cells, quotas


@dataclass(frozen=True, slots=True, kw_only=True)
class Faithful:
    """What a faithful release of as many rows as the generator learned from shows in the cells, by real counts alone.

    Attributes:
        errors: Standard deviation of the log ratio, by cell.
        decidable: The cells that it passes all together.
    """

    errors: Mapping[Group, float]
    decidable: frozenset[Group]

    def expected(self, group: Group) -> Expected | None:
        """For the gates."""
        return expected_ratio(self.errors[group], THIN) if group in self.errors else None


def faithful_cells(bench: Workbench, target: Target) -> Faithful:
    """What a faithful release shows in every cell that may be told of."""
    real, n = bench.real, len(bench.real) if bench.train is None else len(bench.train)
    cells, quotas = _compared(bench, real, real, target)
    weight = independent(real)
    errors = {
        cell.group: replace(cell, weights=(weight, weight)).faithful_error(n / len(real))
        for cell in cells
        if not cell.hidden and cell.n_real
    }
    errors |= {quota.group: quota.faithful_error(n * weight) for quota in quotas if not quota.pooled}
    passes = pass_probability(-math.log(THIN), np.array(list(errors.values())), bench.level)
    return Faithful(errors=errors, decidable=frozenset(compress(errors, largest_decidable_set(1 - passes))))


def _of_cell(bench: Workbench, cell: Cell, decidable: bool, parts: int) -> Value:
    if not cell.n_made:
        within = f"the release has no row of the declared values of {cell}"
        return Value(group=cell.group, status="not_assessable", reason=within, decidable=False)
    empty = "" if bench.is_null else _empty(cell, parts, bench.noun)
    if cell.hidden:
        reason = f"fewer than {bench.small_cell} real rows"
        return Value(group=cell.group, status="not_assessable", reason=reason, decidable=False, alarm=empty)
    return Value(
        group=cell.group,
        estimate=cell.estimate(bench.level),
        n={"real": cell.real, "release": cell.n_made},
        decidable=decidable,
        alarm=empty,
    )


def _of_quota(bench: Workbench, quota: Quota, decidable: bool, parts: int) -> Iterator[Value]:
    for field in ("value", "target"):
        if quota.pooled:
            reason = f"{quota} may be among the rare values, which are pooled"
            yield Value(field=field, group=quota.group, status="not_assessable", reason=reason, decidable=False)
            continue
        yield Value(
            field=field,
            group=quota.group,
            estimate=quota.estimate(bench.level),
            n={"release": quota.n_made},
            unit="of the declared share",
            reason=f"against the declared share of {quota.share:.4g}",
            decidable=decidable,
            alarm="" if bench.is_null else _missed(quota, parts, bench.noun),
        )


def _headline(
    bench: Workbench, sizes: dict[str, int], thinnest: list[tuple[float, Cell | Quota]], panels: tuple[Panel, ...]
) -> Value:
    if not thinnest:
        # Who gave groups asked about them; a label of many classes is a matter of course.
        status: Status = "not_assessable" if bench.corpus.groups else "not_applicable"
        return Value(status=status, reason="no cell holds enough real rows to be decided", panels=panels)
    _, found = min(thinnest, key=lambda one: (one[0], one[1].group))
    return Value(estimate=found.estimate(bench.level), n=sizes, reason=f"thinnest: {found}", panels=panels)


def _empty(cell: Cell, parts: int, noun: str) -> str:
    if cell.made or cell.empty_by_chance() > EMPTY / parts:
        return ""
    if cell.hidden:
        return f"No {noun} with {cell}; a faithful release would surely have some"
    expected = cell.n_made * cell.real / cell.n_real
    return f"No {noun} with {cell}; a faithful release of {cell.n_made:,} {noun}s would have about {expected:,.0f}"


def _missed(quota: Quota, parts: int, noun: str) -> str:
    if quota.unheard:
        return quota.unheard
    if quota.made or quota.empty_by_chance() > EMPTY / parts:
        return ""
    return f"No {noun} with {quota}; the declared share asks for about {quota.n_made * quota.share:,.0f}"
