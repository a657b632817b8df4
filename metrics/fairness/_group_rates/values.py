"""The values that answer a question of fairness: pure functions of the tables of rates.

Changes of gaps come first, with both halves of their intervals; then the gaps of each model by themselves.
Names and conventions of the latter are Fairlearn's (https://fairlearn.org, ``MetricFrame.difference`` and
``.ratio``): between the highest and the lowest group, or from each group to all rows. Their intervals are
simultaneous over what is compared, and hold the test rows alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from counterproof.metrics.engine.learners import LEARNED
from counterproof.metrics.estimate import Estimate, Evidence, Group, Panel
from counterproof.metrics.fairness._group_rates.assessment import Block, Comparison, NotAssessable, Ready
from counterproof.metrics.fairness._group_rates.rates import SIDES, Cells, Rates, RateTable, Side, Stratum
from counterproof.metrics.metric import Value
from counterproof.metrics.sample import Floats
from counterproof.metrics.shared.partitions import CROWD
from counterproof.metrics.shared.retraining import Change, refit_spreads, worst_change
from counterproof.metrics.statistics.decidability import WIDEST, rows_to_decide
from counterproof.metrics.statistics.proportions import difference_ends
from counterproof.metrics.statistics.ratios import mover_ratio

SHOWN = 24
Ends = tuple[float, float, float]
"""Value, low, high."""
MoreValues = Callable[[Ready, list[Change]], Iterator[Value]]
MoreEvidence = Callable[[Ready], tuple[Evidence, ...]]


def gap_values(
    assessed: Ready | NotAssessable, *, more: MoreValues | None = None, evidence: MoreEvidence | None = None
) -> Iterator[Value]:
    """All values of one question for one view.

    Args:
        assessed: The question, prepared.
        more: Further values, from the measured changes.
        evidence: Further evidence of the answer as a whole.
    """
    if isinstance(assessed, NotAssessable):
        yield from assessed.values()
    elif assessed.bench.is_null:
        yield from null_values(assessed)
    else:
        yield from _measured(assessed, more, evidence)


def _measured(ready: Ready, more: MoreValues | None, evidence: MoreEvidence | None) -> Iterator[Value]:
    changes = measured_changes(ready)
    yield from change_values(ready, changes)
    yield from level_values(ready)
    yield from () if more is None else more(ready, changes)
    for column, size in ready.crowded.items():
        reason = f"{column} has {size} values, and {CROWD} can be compared at most: group them more coarsely"
        yield Value(field="change", group=((column, None),), n=ready.sizes, status="not_assessable", reason=reason)
    if ready.without_gap:
        learners, reason = tuple(ready.without_gap), next(iter(ready.without_gap.values()))
        yield from NotAssessable(reason=reason, learners=learners, sizes=ready.sizes).values()
        return
    shown = () if evidence is None else evidence(ready)
    for value in whole_values(ready, changes):
        if value.group:
            yield value
        else:
            yield replace(value, panels=(forest(ready, changes),), evidence=(most_changed_groups(ready), *shown))


# -- changes ------------------------------------------------------------------------------------


def null_values(ready: Ready) -> Iterator[Value]:
    """The changes between models of two halves of the real rows; no intervals."""
    changes = [
        Change(group=block.group(i), value=value, decidable=decidable)
        for block in ready.blocks
        for i, value, decidable in _disclosed(block)
    ]
    for change in changes:
        yield Value(estimate=Estimate.point(change.value, method="one re-split"), field="change", group=change.group)
    for where, several in wholes(ready, changes):
        value = worst_change(several, ready.question.better, ready.bench.level).value
        if where or several[0].decidable:
            yield Value(estimate=Estimate.point(value, method="one re-split"), field="change", group=where)


def _disclosed(block: Block) -> Iterator[tuple[int, float, bool]]:
    """Cells with rows that may be disclosed: position, change, whether it is decidable."""
    cells, values = block.cells, block.table.changes(block.cells)
    for i in np.flatnonzero(block.table.has(cells) & block.table.disclosable(cells)):
        yield int(i), float(values[i]), bool(cells.decidable[i])


def measured_changes(ready: Ready) -> list[Change]:
    """Every cell with rows, with both halves of its interval."""
    spread, freedom = refit_spreads(ready.bench, ready.changes)
    changes, start = [], 0
    for block in ready.blocks:
        errors = block.table.errors(block.cells)
        for i, value, decidable in _disclosed(block):
            if np.isfinite(spread[start + i]):
                changes.append(
                    Change(
                        group=block.group(i),
                        value=value,
                        sampling=float(errors[i]),
                        refit=float(spread[start + i]),
                        draws=float(freedom[start + i]),
                        decidable=decidable,
                        remark=block.remark(i, ready.bench.small_cell),
                    )
                )
        start += len(block.cells)
    return changes


def change_values(ready: Ready, changes: list[Change]) -> Iterator[Value]:
    """A value for every cell; the ones of which nothing can be said say so."""
    expected = {block.group(i): block.compared.expected(i) for block in ready.blocks for i in range(len(block.cells))}
    for change in changes:
        yield Value(
            estimate=change.estimate(ready.bench.level),
            field="change",
            group=change.group,
            n=ready.sizes,
            decidable=change.decidable,
            expected=expected[change.group],
            reason=change.remark,
        )
    measured = {change.group for change in changes}
    for block in ready.blocks:
        yield from _unmeasured_cells(ready, block, measured)


def _unmeasured_cells(ready: Ready, block: Block, measured: set[Group]) -> Iterator[Value]:
    disclosable, filled = block.table.disclosable(block.cells), block.table.has(block.cells)
    for i in range(len(block.cells)):
        if block.group(i) in measured:
            continue
        # A model of the release that leaves a decidable cell without rows is not let pass by.
        decidable = bool(block.cells.decidable[i])
        name = block.rate.name
        reason = f"no real test row to count a{'n' * (name == 'accuracy')} {name} over"
        if not disclosable[i]:
            reason = f"too few rows: fewer than {ready.bench.small_cell} real rows"
        elif filled[i]:
            reason = f"models trained on halves of the rows mostly leave no row to count a {name} over"
        elif block.rate.among == "predicted":
            reason = "a model predicts the positive class for no real test row of the group"
        yield Value(
            field="change",
            group=block.group(i),
            n=ready.sizes,
            status="not_assessable",
            reason=reason,
            decidable=decidable,
        )


def whole_values(ready: Ready, changes: list[Change]) -> Iterator[Value]:
    """The worst change of each group column, and of all; where no cell can be decided, it says so."""
    if ready.nothing_to_compare:
        yield Value(field="change", n=ready.sizes, status="not_assessable", reason=ready.nothing_to_compare)
        return
    if not changes:
        why = too_few(ready, ready.blocks)
        yield Value(field="change", n=ready.sizes, status="not_assessable", reason=why, decidable=False)
    for where, several in wholes(ready, changes):
        chosen = [block for block in ready.blocks if not where or block.stratum.name == where[0][0]]
        few = "" if several[0].decidable else too_few(ready, chosen)
        yield Value(
            estimate=worst_change(several, ready.question.better, ready.bench.level),
            field="change",
            group=where,
            n=ready.sizes,
            decidable=several[0].decidable,
            reason="; ".join(part for part in (few, _unlisted(chosen) if where else "") if part),
        )


def too_few(ready: Ready, blocks: Sequence[Block]) -> str:
    """That no cell of these can be decided at this size, and the rows of either side that would decide the first."""
    n = min(ready.sizes["learning"], ready.sizes["trial"])
    reach = WIDEST * abs(ready.question.limit)
    needed = [
        rows
        for block in blocks
        for sigma in block.compared.error
        if (rows := rows_to_decide(reach, float(sigma), n)) is not None
    ]
    if not needed:
        return "too few rows"
    digits = 10 ** max(0, len(str(min(needed))) - 2)
    return f"too few rows: about {-(-min(needed) // digits) * digits} rows a side would decide it"


def _unlisted(blocks: Sequence[Block]) -> str:
    """How many undecidable cells are counted only."""
    dropped = max((block.cells.unlisted for block in blocks), default=0)
    return f"{dropped} more cells have too few rows" if dropped else ""


def wholes(ready: Ready, changes: list[Change]) -> Iterator[tuple[Group, list[Change]]]:
    """The cells behind all columns together, then behind each.

    Decidable cells only, where there are any: one tiny group would drown the others.
    """
    several: list[tuple[Group, list[Change]]] = [((), changes)]
    by_column: dict[str, list[Change]] = {stratum.name: [] for stratum in ready.strata}
    for change in changes:
        by_column[change.group[0][0]].append(change)
    several += [(((column, None),), cells) for column, cells in by_column.items()]
    for where, cells in several:
        chosen = [change for change in cells if change.decidable] or cells
        if chosen:
            yield where, chosen


# -- the gaps of each model ---------------------------------------------------------------------


def level_values(ready: Ready) -> Iterator[Value]:
    """The gaps themselves, or the worst group's accuracy, of both models; test rows alone."""
    for stratum in ready.strata:
        by_learner = {
            learner: [block.table for block in ready.blocks if block.stratum is stratum and block.learner == learner]
            for learner in ready.learners
        }
        for learner, tables in by_learner.items():
            yield from _levels(ready, stratum, learner, tables)
        if ready.question.paired and by_learner:
            where: Group = ((stratum.name, None), *stratum.level)
            yield from _named_gaps(ready, where, list(by_learner.values()), "synthetic")


def _levels(ready: Ready, stratum: Stratum, learner: str, tables: list[RateTable]) -> Iterator[Value]:
    """One learner's models: ``real`` and ``synthetic``, and the same by Fairlearn's names."""
    level, paired = ready.bench.level, ready.question.paired
    where: Group = ((stratum.name, None), *stratum.level, ("learner", learner))
    for side in SIDES:
        whole = gap_difference(tables, side, level, ready.how) if paired else least_rate(tables[0], side, level)
        if whole is not None:
            yield Value(estimate=whole, field=side, group=where, n=ready.sizes, better="lower" if paired else "higher")
    if paired:
        for side in SIDES:
            yield from _named_gaps(ready, (*where, ("model", side)), [tables], side)


def _named_gaps(ready: Ready, where: Group, learners: list[list[RateTable]], side: Side) -> Iterator[Value]:
    """Fairlearn's ``difference`` and ``ratio``, the worst over learners."""
    level, how, k = ready.bench.level, ready.how, len(learners)
    apart = [gap_difference(tables, side, level, how, shared_by=k) for tables in learners]
    if all(gap is not None for gap in apart):
        worst = _worst([gap for gap in apart if gap is not None], max)
        yield Value(estimate=worst, field="difference", group=where, n=ready.sizes, better="lower")
    if not ready.question.of_shares or any(gap is None for gap in apart):
        return
    ratios = [gap_ratio(tables, side, level, how, shared_by=k) for tables in learners]
    least = _worst([ratio for ratio in ratios if ratio is not None], min) if None not in ratios else None
    reason = "" if least else "the rate is 0 in every group: 0/0 is no ratio"
    yield Value(
        estimate=least,
        field="ratio",
        group=where,
        n=ready.sizes,
        better="higher",
        unit="ratio",
        status="measured" if least else "not_assessable",
        reason=reason,
    )


def _worst(several: list[Estimate], pick: Callable[..., float]) -> Estimate:
    value, low, high = (pick(getattr(e, name) for e in several) for name in ("value", "low", "high"))
    return replace(several[0], value=value, low=low, high=high)


def gap_difference(
    tables: Sequence[RateTable], side: Side, level: float, how: Comparison, *, shared_by: int = 1
) -> Estimate | None:
    """The largest difference between groups, or of a group from all rows; of several rates at once.

    Fairlearn's ``demographic_parity_difference`` and ``equal_opportunity_difference`` for one
    rate, ``equalized_odds_difference`` for two. The interval is Newcombe's of every difference at
    the Šidák level of all of them.

    Args:
        tables: One per rate, of the same stratum.
        side: Which model.
        level: Confidence of the two-sided interval.
        how: How groups are compared.
        shared_by: How many such gaps are looked at, where these are a part of them.

    Returns:
        None with fewer than two groups to compare.
    """
    return _gap(tables, side, level, how, shared_by, _widest, _farthest)


def gap_ratio(
    tables: Sequence[RateTable], side: Side, level: float, how: Comparison, *, shared_by: int = 1
) -> Estimate | None:
    """The smallest ratio between groups, or of a group and all rows, put so that it is 1 at most.

    Fairlearn's ``demographic_parity_ratio``, ``equal_opportunity_ratio`` and
    ``equalized_odds_ratio``. The interval is MOVER-R of every ratio (Newcombe 2016,
    doi:10.1177/0962280213502144) of Wilson's ends, at the Šidák level of all of them.

    Args:
        tables: One per rate, of the same stratum; shares only.
        side: Which model.
        level: Confidence of the two-sided interval.
        how: How groups are compared.
        shared_by: How many such gaps are looked at, where these are a part of them.

    Returns:
        None with fewer than two groups to compare, and where the rate is 0 in every group: 0/0.
    """
    ratio = _gap(tables, side, level, how, shared_by, _least_ratio, _least_ratio_to_overall)
    return None if ratio is None else replace(ratio, method=ratio.method.replace("Newcombe", "MOVER-R"), scale="log")


Between = Callable[[Rates, float], Ends | None]
ToOverall = Callable[[Rates, Rates, Floats, float], Ends | None]


def _gap(
    tables: Sequence[RateTable],
    side: Side,
    level: float,
    how: Comparison,
    shared_by: int,
    between: Between,
    to_overall: ToOverall,
) -> Estimate | None:
    kept = [np.flatnonzero((table.rates[side].rows > 0) & ~table.stratum.hidden) for table in tables]
    if any(len(groups) < 2 for groups in kept):
        return None
    pairwise = how.method == "between_groups"
    comparisons = sum(len(groups) * (len(groups) - 1) // 2 if pairwise else len(groups) for groups in kept)
    sure = level ** (1 / (comparisons * shared_by))
    gaps = [
        between(table.rates[side].take(groups), sure)
        if pairwise
        else to_overall(
            table.rates[side].take(groups), table.rest[side].take(groups), table.other_share(side)[groups], sure
        )
        for table, groups in zip(tables, kept, strict=True)
    ]
    defined = [ends for ends in gaps if ends is not None]
    if not defined:
        return None
    value, low, high = (_put_together(part, how, between is _least_ratio) for part in zip(*defined, strict=True))
    what = "pairs" if pairwise else "groups"
    return Estimate(
        value=value, low=low, high=high, level=level, method=f"Newcombe, Šidák over {comparisons * shared_by} {what}"
    )


def _put_together(parts: Sequence[float], how: Comparison, least: bool) -> float:
    if how.aggregate == "mean":
        return float(np.mean(parts))
    return float(min(parts) if least else max(parts))


def _widest(rates: Rates, level: float) -> Ends:
    value, (low, high) = rates.values, rates.ends(level)
    gaps = value[:, None] - value[None, :]
    down, up = difference_ends(value[:, None], low[:, None], high[:, None], value[None], low[None], high[None])
    np.fill_diagonal(down, -1.0)
    np.fill_diagonal(up, -1.0)
    return float(gaps.max()), float(max(0.0, down.max())), float(min(1.0, up.max()))


def _farthest(rates: Rates, rest: Rates, share: Floats, level: float) -> Ends:
    gaps, down, up = _apart(rates, rest, share, level)
    least = np.maximum(np.maximum(down, -up), 0.0)
    return float(np.abs(gaps).max()), float(least.max()), float(min(1.0, np.maximum(up, -down).max()))


def _apart(first: Rates, second: Rates, scale: Floats, level: float) -> tuple[Floats, Floats, Floats]:
    """Newcombe's interval of each difference, times a factor."""
    (low, high), (other_low, other_high) = first.ends(level), second.ends(level)
    gaps = first.values - second.values
    down, up = difference_ends(first.values, low, high, second.values, other_low, other_high)
    return scale * gaps, scale * down, scale * up


def level_at(table: RateTable, cells: Cells, i: int, side: Side, level: float) -> Estimate:
    """The rate of a group, or one signed difference, of one model; trial rows alone."""
    rates, first = table.rates[side], cells.first[i : i + 1]
    if cells.kind == "group":
        low, high = rates.ends(level)
        ends = rates.values[first], low[first], high[first]
    else:
        other = rates.take(cells.second[i : i + 1]) if cells.kind == "pair" else table.rest[side].take(first)
        scale = np.ones(1) if cells.kind == "pair" else table.other_share(side)[first]
        ends = _apart(rates.take(first), other, scale, level)
    value, low_end, high_end = (float(end[0]) for end in ends)
    method = "Wilson score" if cells.kind == "group" else "Newcombe"
    return Estimate(value=value, low=low_end, high=high_end, level=level, method=method)


def least_rate(table: RateTable, side: Side, level: float) -> Estimate | None:
    """The lowest rate of any group, simultaneous over the groups; None without rows."""
    rates = table.rates[side]
    groups = np.flatnonzero((rates.rows > 0) & ~table.stratum.hidden)
    if not len(groups):
        return None
    low, high = rates.take(groups).ends(level ** (1 / len(groups)))
    return Estimate(
        value=float(rates.values[groups].min()),
        low=float(low.min()),
        high=float(high.min()),
        level=level,
        method=f"Wilson, Šidák over {len(groups)} groups",
    )


def _least_ratio(rates: Rates, level: float) -> Ends | None:
    value, (low, high) = rates.values, rates.ends(level)
    if value.max() == 0:
        return None
    down, up = mover_ratio(value[:, None], low[:, None], high[:, None], value[None], low[None], high[None])
    np.fill_diagonal(down, 1.0)
    np.fill_diagonal(up, 1.0)
    return float(value.min() / value.max()), float(down.min()), float(up.min())


def _least_ratio_to_overall(rates: Rates, rest: Rates, share: Floats, level: float) -> Ends | None:
    overall = (1 - share) * rates.values + share * rest.values
    if overall.max() == 0:
        return None
    ends = mover_ratio(rates.values, *rates.ends(level), rest.values, *rest.ends(level))
    down, up = (_to_overall(end, share) for end in ends)
    value = rates.values / overall
    with np.errstate(divide="ignore"):
        low = np.minimum(down, 1 / up)
        high = np.where((down <= 1) & (up >= 1), 1.0, np.where(up < 1, up, 1 / down))
        folded = np.where(value > 1, 1 / value, value)
    return float(folded.min()), float(low.min()), float(high.min())


def _to_overall(ratio: Floats, share: Floats) -> Floats:
    """Ratio of a group to all rows, from that to the rest, which has this share of them."""
    with np.errstate(invalid="ignore"):
        folded: Floats = np.where(np.isinf(ratio), 1 / (1 - share), ratio / ((1 - share) * ratio + share))
    return folded


# -- what a reader sees -------------------------------------------------------------------------


def forest(ready: Ready, changes: list[Change]) -> Panel:
    """The decidable cells of both models, the largest change first."""
    level = ready.bench.level
    where = {block.group(i): (block, i) for block in ready.blocks for i in range(len(block.cells))}
    shown = sorted((change for change in changes if change.decidable), key=lambda change: -abs(change.value))
    entries = []
    for change in shown[:SHOWN]:
        block, i = where[change.group]
        real, synthetic = (_ends(level_at(block.table, block.cells, i, side, level)) for side in SIDES)
        entries.append(
            {
                "label": _label(change.group),
                "real": real,
                "synthetic": synthetic,
                "change": _ends(change.estimate(level)),
            }
        )
    most = ready.sizes["learning"] >= LEARNED
    capped = f" Models learn from {LEARNED:,} rows of each side, drawn by the seed." if most else ""
    what = "Gaps between groups" if ready.question.paired else "Accuracy of each group"
    return Panel(
        kind="forest",
        title=f"{what}, of models trained on real rows and on the release",
        data={"limit": ready.question.limit if ready.question.gated else None, "unit": "share", "entries": entries},
        note=f"The change is what the release makes of it; its interval holds the luck of training.{capped}",
    )


def _label(group: Group) -> str:
    (column, cell), *rest = group
    return " · ".join([f"{column}: {cell}", *(str(value) for _, value in rest)])


def _ends(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def most_changed_groups(ready: Ready) -> Evidence:
    """The groups whose own rate changes most."""
    smallest = max(ready.bench.small_cell, 1)
    rows = [row for block in ready.blocks for row in _groups(block, smallest)]
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
    real, synthetic = (table.rates[side].values for side in SIDES)
    return [
        (
            *(column, stratum.groups[g], block.learner, block.rate.name, int(table.rows[g])),
            float(real[g]),
            float(synthetic[g]),
            float(table.change[g]),
        )
        for g in np.flatnonzero(table.filled & ~stratum.hidden & (table.rows >= smallest))
    ]
