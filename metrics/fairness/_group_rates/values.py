"""The values that answer a question of fairness, for one view."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.estimate import Estimate, Evidence, Group
from counterproof.metrics.fairness._group_rates.assessment import (
    Block,
    Inquiry,
    blindness,
    crowding,
    inapplicable,
    of_learners,
    refusal,
    smallness,
)
from counterproof.metrics.fairness._group_rates.evidence import forest, most_changed_groups
from counterproof.metrics.fairness._group_rates.gaps import gap_difference, gap_ratio, least_rate
from counterproof.metrics.fairness._group_rates.rates import SIDES, Side, Table
from counterproof.metrics.fairness._group_rates.strata import Stratum
from counterproof.metrics.metric import Value
from counterproof.metrics.shared.retraining import Change, refit_spreads, worst_change

Extra = Callable[[Inquiry, list[Change]], Iterator[Value]]
Exhibit = Callable[[Inquiry], tuple[Evidence, ...]]


def answers(inquiry: Inquiry, *, extra: Extra | None = None, exhibit: Exhibit | None = None) -> Iterator[Value]:
    """All values of one question for one view.

    Args:
        inquiry: The question, with its options.
        extra: Further values, from the measured changes.
        exhibit: Further evidence of the answer as a whole.
    """
    undefined = inapplicable(inquiry)
    refused = refusal(inquiry)
    if undefined:
        yield Value(field="change", status="not_applicable", reason=undefined)
    elif refused:
        yield from unassessed(inquiry, inquiry.learners, refused)
    elif inquiry.bench.is_null:
        yield from null_values(inquiry)
    else:
        yield from _measured(inquiry, extra, exhibit)


def _measured(inquiry: Inquiry, extra: Extra | None, exhibit: Exhibit | None) -> Iterator[Value]:
    blind = {learner: reason for learner in inquiry.learners if (reason := blindness(inquiry, learner))}
    seeing = of_learners(inquiry, tuple(name for name in inquiry.learners if name not in blind))
    changes: list[Change] = []
    if seeing.learners:
        changes = measured_changes(seeing)
        yield from change_values(seeing, changes)
        yield from level_values(seeing)
        yield from () if extra is None else extra(seeing, changes)
    for group, reason in crowding(inquiry):
        yield Value(field="change", group=group, n=inquiry.sizes, status="not_assessable", reason=reason)
    if blind:
        yield from unassessed(inquiry, tuple(blind), next(iter(blind.values())))
        return
    shown = () if exhibit is None else exhibit(seeing)
    for value in whole_values(seeing, changes):
        if value.group:
            yield value
        else:
            yield replace(value, panels=(forest(seeing, changes),), evidence=(most_changed_groups(seeing), *shown))


def unassessed(inquiry: Inquiry, learners: tuple[str, ...], reason: str) -> Iterator[Value]:
    """Say so for the whole and for each learner: a gate over cells must not overlook it."""
    for group in ((), *((("learner", learner),) for learner in learners)):
        yield Value(field="change", group=group, status="not_assessable", reason=reason, n=inquiry.sizes)


def null_values(inquiry: Inquiry) -> Iterator[Value]:
    """The changes between models of two halves of the real rows; no intervals."""
    changes = [
        Change(group=block.group(i), value=value, decidable=decidable)
        for block in inquiry.blocks
        for i, value, decidable in _told(block)
    ]
    for change in changes:
        yield Value(estimate=Estimate.point(change.value, method="one re-split"), field="change", group=change.group)
    for where, several in wholes(inquiry, changes):
        value = worst_change(several, inquiry.question.better, inquiry.bench.level).value
        if where or several[0].decidable:
            yield Value(estimate=Estimate.point(value, method="one re-split"), field="change", group=where)


def _told(block: Block) -> Iterator[tuple[int, float, bool]]:
    """Cells with rows that may be told of: position, change, whether it is decidable."""
    cells, values = block.cells, block.table.changes(block.cells)
    for i in np.flatnonzero(block.table.has(cells) & block.table.told(cells)):
        yield int(i), float(values[i]), bool(cells.decidable[i])


def measured_changes(inquiry: Inquiry) -> list[Change]:
    """Every cell with rows, with both halves of its interval."""
    spread, freedom = refit_spreads(inquiry.bench, inquiry.changes)
    made, start = [], 0
    for block in inquiry.blocks:
        errors = block.table.errors(block.cells)
        for i, value, decidable in _told(block):
            if np.isfinite(spread[start + i]):
                made.append(
                    Change(
                        group=block.group(i),
                        value=value,
                        sampling=float(errors[i]),
                        refit=float(spread[start + i]),
                        draws=float(freedom[start + i]),
                        decidable=decidable,
                        remark=block.remark(i, inquiry.bench.small_cell),
                    )
                )
        start += len(block.cells)
    return made


def change_values(inquiry: Inquiry, changes: list[Change]) -> Iterator[Value]:
    """A value for every cell; the ones of which nothing can be said say so."""
    for change in changes:
        yield Value(
            estimate=change.estimate(inquiry.bench.level),
            field="change",
            group=change.group,
            n=inquiry.sizes,
            decidable=change.decidable,
            reason=change.remark,
        )
    measured = {change.group for change in changes}
    for block in inquiry.blocks:
        yield from _speechless(inquiry, block, measured)


def _speechless(inquiry: Inquiry, block: Block, measured: set[Group]) -> Iterator[Value]:
    told, filled = block.table.told(block.cells), block.table.has(block.cells)
    for i in range(len(block.cells)):
        if block.group(i) in measured:
            continue
        # A model of the release that leaves a decidable cell without rows is not let pass by.
        decidable = bool(block.cells.decidable[i] and told[i])
        name = block.rate.name
        reason = f"no real test row to count a{'n' * (name == 'accuracy')} {name} over"
        if not told[i]:
            reason = f"too few to say: fewer than {inquiry.bench.small_cell} real rows"
        elif filled[i]:
            reason = f"models trained on halves of the rows mostly leave no row to count a {name} over"
        elif block.rate.among == "predicted":
            reason = "a model predicts the positive class for no real test row of the group"
        yield Value(
            field="change",
            group=block.group(i),
            n=inquiry.sizes,
            status="not_assessable",
            reason=reason,
            decidable=decidable,
        )


def whole_values(inquiry: Inquiry, changes: list[Change]) -> Iterator[Value]:
    """The worst change of each group column, and of all; the latter says so where no cell can be decided."""
    small = smallness(inquiry)
    if small:
        yield Value(field="change", n=inquiry.sizes, status="not_assessable", reason=small)
    for where, several in wholes(inquiry, changes):
        if small and not where:
            continue
        worst = worst_change(several, inquiry.question.better, inquiry.bench.level)
        yield Value(
            estimate=worst,
            field="change",
            group=where,
            n=inquiry.sizes,
            decidable=several[0].decidable,
            reason=_unlisted(inquiry, where),
        )


def _unlisted(inquiry: Inquiry, where: Group) -> str:
    """How many small groups are counted only."""
    chosen = [block for block in inquiry.blocks if where and block.stratum.name == where[0][0]]
    dropped = max((block.cells.unlisted for block in chosen), default=0)
    return f"{dropped} more groups are too small to say" if dropped else ""


def wholes(inquiry: Inquiry, changes: list[Change]) -> Iterator[tuple[Group, list[Change]]]:
    """The cells behind all columns together, then behind each.

    Decidable cells only, where there are any: one tiny group would drown the others.
    """
    several: list[tuple[Group, list[Change]]] = [((), changes)]
    by_column: dict[str, list[Change]] = {stratum.name: [] for stratum in inquiry.strata}
    for change in changes:
        by_column[change.group[0][0]].append(change)
    several += [(((column, None),), cells) for column, cells in by_column.items()]
    for where, cells in several:
        chosen = [change for change in cells if change.decidable] or cells
        if chosen:
            yield where, chosen


def minimax_values(inquiry: Inquiry, changes: list[Change]) -> Iterator[Value]:
    """By how much the release moves the worst rate of any group that is large enough, whichever that is."""
    found = {change.group: change for change in changes}
    for block in inquiry.blocks:
        here = [(i, found[group]) for i in range(len(block.cells)) if (group := block.group(i)) in found]
        large = [(i, change) for i, change in here if change.decidable]
        if large:
            groups = block.cells.first[[i for i, _ in large]]
            several = [change for _, change in large]
            estimate = minimax_change(block.table, groups, several, inquiry.bench.level)
            where: Group = ((block.stratum.name, None), *block.stratum.level, ("learner", block.learner))
            few = f"without {len(here) - len(large)} smaller groups" if len(large) < len(here) else ""
            yield Value(estimate=estimate, field="minimax", group=where, n=inquiry.sizes, better="higher", reason=few)


def minimax_change(table: Table, groups: NDArray[np.intp], several: Sequence[Change], level: float) -> Estimate:
    """The lowest rate of the candidate's model over these groups minus that of the real one.

    The true move lies between the changes of the groups that may be the worst: below that of the
    real model's worst group, above that of the candidate's. Each of the three statements has a third
    of the doubt: the changes of all groups, and which groups may be the worst of either model.

    Args:
        table: The rates of both models.
        groups: ``(g,)`` the groups to look at.
        several: Their changes.
        level: Confidence of the two-sided interval.
    """
    sure = (1 - (1 - level) / 3) ** (1 / len(groups))
    ends = {side: table.rates(side).take(groups).ends(sure) for side in SIDES}
    worst = {side: lows <= highs.min() for side, (lows, highs) in ends.items()}
    reach = [change.estimate(sure) for change in several]
    low = min(e.low for e, may in zip(reach, worst["synthetic"], strict=True) if may)
    high = max(e.high for e, may in zip(reach, worst["real"], strict=True) if may)
    value = float(table.rates("synthetic").values[groups].min() - table.rates("real").values[groups].min())
    method = f"changes of the groups that may be worst, Šidák over {len(groups)}"
    return Estimate(value=value, low=min(low, value), high=max(high, value), level=level, method=method)


# -- one model at a time ------------------------------------------------------------------------


def level_values(inquiry: Inquiry) -> Iterator[Value]:
    """The gaps themselves, or the worst group's accuracy, of both models; trial rows alone."""
    for stratum in inquiry.strata:
        by_learner = {
            learner: [inquiry.table(inquiry.bench, stratum, learner, rate) for rate in inquiry.question.rates]
            for learner in inquiry.learners
        }
        for learner, tables in by_learner.items():
            yield from _levels(inquiry, stratum, learner, tables)
        if inquiry.question.paired:
            yield from _released(inquiry, stratum, list(by_learner.values()))


def _levels(inquiry: Inquiry, stratum: Stratum, learner: str, tables: list[Table]) -> Iterator[Value]:
    """One learner's models: ``real`` and ``synthetic``, and the same by Fairlearn's names."""
    level, paired = inquiry.bench.level, inquiry.question.paired
    where: Group = ((stratum.name, None), *stratum.level, ("learner", learner))
    for side in SIDES:
        whole = gap_difference(tables, side, level, inquiry.how) if paired else least_rate(tables[0], side, level)
        if whole is not None:
            yield Value(
                estimate=whole, field=side, group=where, n=inquiry.sizes, better="lower" if paired else "higher"
            )
    if paired:
        for side in SIDES:
            yield from _named_gaps(inquiry, (*where, ("model", side)), [tables], side)


def _released(inquiry: Inquiry, stratum: Stratum, learners: list[list[Table]]) -> Iterator[Value]:
    """The worst gap of any model of the release."""
    yield from _named_gaps(inquiry, ((stratum.name, None), *stratum.level), learners, "synthetic")


def _named_gaps(inquiry: Inquiry, where: Group, learners: list[list[Table]], side: Side) -> Iterator[Value]:
    """Fairlearn's ``difference`` and ``ratio``, the worst over learners."""
    level, how, k = inquiry.bench.level, inquiry.how, len(learners)
    apart = [gap_difference(tables, side, level, how, shared_by=k) for tables in learners]
    if all(gap is not None for gap in apart):
        worst = _worst([gap for gap in apart if gap is not None], max)
        yield Value(estimate=worst, field="difference", group=where, n=inquiry.sizes, better="lower")
    if not inquiry.question.of_shares or any(gap is None for gap in apart):
        return
    ratios = [gap_ratio(tables, side, level, how, shared_by=k) for tables in learners]
    least = _worst([ratio for ratio in ratios if ratio is not None], min) if None not in ratios else None
    reason = "" if least else "the rate is 0 in every group: 0/0 is no ratio"
    yield Value(
        estimate=least,
        field="ratio",
        group=where,
        n=inquiry.sizes,
        better="higher",
        unit="ratio",
        status="measured" if least else "not_assessable",
        reason=reason,
    )


def _worst(several: list[Estimate], pick: Callable[..., float]) -> Estimate:
    value, low, high = (pick(getattr(e, name) for e in several) for name in ("value", "low", "high"))
    return replace(several[0], value=value, low=low, high=high)
