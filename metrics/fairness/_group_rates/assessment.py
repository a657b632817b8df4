"""One question of fairness put to one view: who is compared with whom, or why nothing can be said.

:func:`assess` prepares everything once and answers with :class:`Ready` or :class:`NotAssessable`; what is
measured then is a function of the tables of rates in :class:`Ready` alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.learners import chosen_learners
from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Better, Group
from counterproof.metrics.fairness._group_rates.rates import (
    Cells,
    Counts,
    Rate,
    RateTable,
    Stratum,
    counted_rows,
    crowded_columns,
    strata,
)
from counterproof.metrics.metric import Value
from counterproof.metrics.sample import Floats
from counterproof.metrics.shared.retraining import REFITS
from counterproof.metrics.statistics.proportions import SURE
from counterproof.metrics.workbench import Workbench

Method = Literal["between_groups", "to_overall"]
Aggregate = Literal["worst_case", "mean"]
ALONE, CROSSED = 20, 8  # groups of a column, and of a crossing, up to which every pair is looked at
LISTED = 20  # groups of a crossing too small to say anything of that are listed one by one
HIGH_POWER: Work[NDArray[np.bool_]] = Work("crossed groups that a faithful release passes")


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a metric asks.

    Attributes:
        rates: Of which rates.
        minimum: Real test rows that a rate of a group is counted over, for it to be decidable.
        limit: The default tolerance of the change; 0 where it is not gated.
        why: The reason for the tolerance.
        paired: Gaps between groups, or the rate of each group.
    """

    rates: tuple[Rate, ...]
    minimum: int
    limit: float = 0.0
    why: str = ""
    paired: bool = True

    @property
    def better(self) -> Better:
        """Gaps may change neither way; a group's accuracy may rise."""
        return "zero" if self.paired else "higher"

    @property
    def of_shares(self) -> bool:
        """Whether the rates are shares, which have ratios."""
        return all(rate.hit != "expected" for rate in self.rates)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How groups are compared.

    Attributes:
        method: Between groups, or each with all rows.
        aggregate: Of several rates: the worst of their gaps, or their mean.
    """

    method: Method = "between_groups"
    aggregate: Aggregate = "worst_case"


PLAIN = Comparison()


@dataclass(frozen=True, kw_only=True)
class NotAssessable:
    """Why the question cannot be answered.

    Attributes:
        reason: In a sentence.
        applicable: Whether the question is defined on these data at all.
        learners: Whose models were asked about.
        sizes: Labelled rows behind them.
    """

    reason: str
    applicable: bool = True
    learners: tuple[str, ...] = ()
    sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def values(self) -> Iterator[Value]:
        """Say so for the whole and for each learner: a gate over cells must not overlook it."""
        if not self.applicable:
            yield Value(field="change", status="not_applicable", reason=self.reason)
            return
        for group in ((), *((("learner", learner),) for learner in self.learners)):
            yield Value(field="change", group=group, status="not_assessable", reason=self.reason, n=self.sizes)


@dataclass(frozen=True, eq=False, kw_only=True)
class Block:
    """The cells of one rate of one learner in one stratum."""

    learner: str
    stratum: Stratum
    rate: Rate
    table: RateTable
    cells: Cells
    several: bool

    def group(self, i: int) -> Group:
        """The name of one cell in records and gates."""
        which = (("rate", self.rate.name),) if self.several else ()
        cell = (self.stratum.name, self.table.named(self.cells, i))
        return (cell, *self.stratum.level, ("learner", self.learner), *which)

    def remark(self, i: int, smallest: int) -> str:
        """How many rows each group brings; small counts are not disclosed exactly."""
        kind = "trial rows" if self.rate.among == "all" else f"{self.rate.among} trial rows"
        kind = f"trial rows {kind.split()[0]} positive" if self.rate.among == "predicted" else kind
        counts = [int(self.table.rows[g]) for g in self.cells.groups(i)]
        return f"{' and '.join(str(n) if n >= smallest else f'fewer than {smallest}' for n in counts)} {kind}"


@dataclass(frozen=True, eq=False, kw_only=True)
class Ready:
    """A question that can be answered for one view: all tables of rates that are compared.

    Attributes:
        bench: The view.
        question: What is asked.
        learners: Whose models have gaps to compare.
        without_gap: Why the models of other learners have none, by learner.
        positive: The positive class; empty for questions that need none.
        how: How groups are compared.
        sizes: Labelled rows behind the models and their test.
        strata: Whose groups are compared.
        blocks: All cells.
        crowded: Group columns of too many values to compare, with their number.
        undecidable: Why no cell of any group column can be decided, or nothing.
    """

    bench: Workbench
    question: Question
    learners: tuple[str, ...]
    without_gap: Mapping[str, str]
    positive: str
    how: Comparison
    sizes: Mapping[str, int]
    strata: tuple[Stratum, ...]
    blocks: tuple[Block, ...]
    crowded: Mapping[str, int]
    undecidable: str

    def table(self, view: Workbench, block: Block) -> RateTable:
        """The rates of a block's groups by the models of another view."""
        return block.rate.tabulate(view, block.learner, block.stratum, block.rate, self.positive)

    def changes(self, view: Workbench) -> Floats:
        """``(m,)`` the change in every cell of all blocks, of the models of another view; NaN without rows."""
        several = [self.table(view, block).changes(block.cells) for block in self.blocks]
        return np.concatenate(several) if several else np.empty(0)


def assess(
    bench: Workbench,
    question: Question,
    *,
    models: tuple[str, ...] | None,
    positive: str | None = None,
    how: Comparison = PLAIN,
    control: tuple[str, ...] = (),
) -> Ready | NotAssessable:
    """Resolve the options of a metric, and prepare what it compares.

    Args:
        bench: The view.
        question: What is asked.
        models: Learners to train; the modality's two without it.
        positive: The positive class; the rarer of two real classes without it.
        how: How groups are compared.
        control: Group columns held fixed.

    Raises:
        MetricError: A model or a control column is unknown, or no real row has the class named positive.
    """
    learners = chosen_learners(bench.corpus, models)
    positive = positive_class(bench, positive) if question.paired else ""
    compared = strata(bench, control)
    classes = len(real_classes(bench))
    if question.paired and not positive and classes > 2:
        why = f"{bench.corpus.label} has {classes} classes: set positive to judge one of them; "
        return NotAssessable(reason=why + "worst_group_accuracy covers all", applicable=False)
    sizes = _sizes(bench)
    reason = _reason_nothing_counts(bench, question, positive)
    if reason:
        return NotAssessable(reason=reason, learners=learners, sizes=sizes)
    without_gap = {name: why for name in learners if (why := reason_no_gap(bench, question, name))}
    learners = tuple(name for name in learners if name not in without_gap)
    blocks = tuple(
        _block(bench, question, stratum, learner, rate, positive, how)
        for stratum in compared
        for learner in learners
        for rate in question.rates
    )
    return Ready(
        bench=bench,
        question=question,
        learners=learners,
        without_gap=without_gap,
        positive=positive,
        how=how,
        sizes=sizes,
        strata=compared,
        blocks=blocks,
        crowded=crowded_columns(bench),
        undecidable=_reason_undecidable(bench, question, compared, blocks),
    )


def _sizes(bench: Workbench) -> dict[str, int]:
    """Labelled rows behind the models and their test."""
    roles = {"learning": bench.learning, "studying": bench.synthetic_train, "trial": bench.test}
    return {role: int((sample.labels != "").sum()) for role, sample in roles.items()}


def positive_class(bench: Workbench, positive: str | None) -> str:
    """The named class, or the rarer of two real ones; nothing where there are more."""
    if positive is None:
        classes = real_classes(bench)
        return classes[0] if len(classes) == 2 else ""
    if not positive or positive not in bench.real.labels:
        few = "" if bench.show_real else f", or fewer than {bench.small_cell} have it"  # rare values are pooled
        raise MetricError(f"option positive: no real row has {bench.corpus.label} = {positive!r}{few}")
    return positive


def real_classes(bench: Workbench) -> list[str]:
    """Real classes, the rarest first.

    A handful of stray labels beside two classes makes no third: one bad row must not switch a
    question off.
    """
    labels = bench.real.labels
    names, counts = np.unique(labels[labels != ""], return_counts=True)
    common = counts >= bench.small_cell
    if common.sum() >= 2:
        names, counts = names[common], counts[common]
    return [str(name) for name in names[np.argsort(counts, kind="stable")]]


# -- why nothing can be said --------------------------------------------------------------------


def _reason_nothing_counts(bench: Workbench, question: Question, positive: str) -> str:
    """Why the question cannot be put to any model, or nothing."""
    label = bench.corpus.label
    if question.paired and not positive:
        return f"the real rows hold fewer than two classes of {label}"
    if not (bench.test.labels != "").any():
        return f"no real test row has a value of {label}"
    clusters = bench.corpus.clusters
    for rate in question.rates if clusters is not None else ():
        assert clusters is not None
        if len(np.unique(clusters[bench.test.rows[counted_rows(bench, rate, positive)]])) == 1:
            return "all real test rows to count come from one source, so how far they stand for others cannot be known"
    return ""


def reason_no_gap(bench: Workbench, question: Question, learner: str) -> str:
    """Why the two models of a learner have no gap that could be compared, or nothing.

    A model that decides the same for every row has gaps of 0 and is no less fair for it; its
    accuracy by group is as good a number as any. Of a re-split only values are wanted, whatever they are.
    """
    if bench.is_null:
        return ""
    for rows, whose in ((bench.learning, "the real rows"), (bench.synthetic_train, "the release")):
        forecast = bench.forecast(learner, rows)
        if forecast.degenerate and (question.paired or rows is bench.learning):
            return f"no model can be trained on {whose}: {forecast.reason}"
        if forecast.constant and question.paired and question.of_shares:
            return f"the {learner} model trained on {whose} decides the same for every row, so it has no gap"
    return ""


def _reason_undecidable(
    bench: Workbench, question: Question, compared: tuple[Stratum, ...], blocks: tuple[Block, ...]
) -> str:
    """Why no cell of any group column can be decided, or nothing."""
    if any((block.cells.decidable & block.table.has(block.cells)).any() for block in blocks):
        return ""
    if not compared:
        return "no group column has few enough values to compare"
    if not any(len(block.cells) for block in blocks):
        return "the real test rows hold fewer than two groups to compare"
    among = sorted({rate.among for rate in question.rates} - {"all"}, reverse=True)
    rows = f"{' and '.join(among)} test rows" if among else "test rows"
    if among == ["predicted"]:
        rows = "test rows predicted positive"
    return f"no group is large enough at this size: {_least_rows(bench, question)} {rows} each are needed"


# -- who is compared with whom ------------------------------------------------------------------


def _block(
    bench: Workbench,
    question: Question,
    stratum: Stratum,
    learner: str,
    rate: Rate,
    positive: str,
    how: Comparison,
) -> Block:
    table = rate.tabulate(bench, learner, stratum, rate, positive)
    least = _least_rows(bench, question)
    cells = (
        groups_alone(table.rows, least)
        if not question.paired
        else groups_to_overall(table.rows, least)
        if how.method == "to_overall"
        else pairs_of_groups(table.rows, least, crossed=stratum.crossed)
    )
    cells = listed(cells, table.rows) if stratum.crossed else cells
    block = Block(
        learner=learner, stratum=stratum, rate=rate, table=table, cells=cells, several=len(question.rates) > 1
    )
    if question.limit and (stratum.crossed or stratum.level):
        high_power = _high_power(bench, question, block, positive, how)
        block = replace(block, cells=replace(cells, decidable=cells.decidable & high_power))
    return block


def _least_rows(bench: Workbench, question: Question) -> int:
    """Test rows of a group that make it decidable.

    Training luck goes by the rows that models learn from: where there are more test rows than
    those, a group must be as large among the training rows.
    """
    spare = 1.0 if bench.train is None else max(1.0, len(bench.test) / len(bench.train))
    return round(question.minimum * spare)


def groups_alone(rows: Counts, minimum: int) -> Cells:
    """Every group, the large ones first."""
    order = np.concatenate([np.flatnonzero(rows >= minimum), np.flatnonzero(rows < minimum)])
    return Cells(kind="group", first=order, second=order, decidable=rows[order] >= minimum)


def groups_to_overall(rows: Counts, minimum: int) -> Cells:
    """Every group against all rows."""
    return replace(groups_alone(rows, minimum), kind="overall")


def pairs_of_groups(rows: Counts, minimum: int, *, crossed: bool = False) -> Cells:
    """All pairs of groups of at least ``minimum`` real test rows, and every smaller group with the largest.

    Of more than :data:`ALONE` large groups (:data:`CROSSED` where columns are crossed), each is paired
    with the largest only: two others then differ by twice as much at most.
    """
    large, small = np.flatnonzero(rows >= minimum), np.flatnonzero(rows < minimum)
    largest = int(rows.argmax()) if len(rows) else 0
    if len(large) > (CROSSED if crossed else ALONE):
        first, second = _with(largest, large[large != largest])
    else:
        above = np.triu_indices(len(large), 1)
        first, second = large[above[0]], large[above[1]]
    idle = small[(small != largest) & ~((rows[small] == 0) & (rows[largest] == 0) & (largest in small))]
    low, high = _with(largest, idle)
    return Cells(
        kind="pair",
        first=np.concatenate([first, low]),
        second=np.concatenate([second, high]),
        decidable=np.arange(len(first) + len(low)) < len(first),
    )


def _with(one: int, others: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.minimum(others, one), np.maximum(others, one)


def listed(cells: Cells, rows: Counts) -> Cells:
    """Without the smallest groups beyond :data:`LISTED`, of which only the number is kept."""
    few = np.flatnonzero(~cells.decidable)
    if len(few) <= LISTED:
        return cells
    smaller = np.minimum(rows[cells.first], rows[cells.second])[few]
    dropped = few[np.argsort(-smaller, kind="stable")[LISTED:]]
    kept = np.setdiff1d(np.arange(len(cells)), dropped)
    return replace(
        cells,
        first=cells.first[kept],
        second=cells.second[kept],
        decidable=cells.decidable[kept],
        unlisted=len(dropped),
    )


def _high_power(
    bench: Workbench, question: Question, block: Block, positive: str, how: Comparison
) -> NDArray[np.bool_]:
    """Which cells of crossings a faithful release would pass: many cells must, all at once.

    Views of halves read what the measurement found.
    """
    where = (block.stratum.name, block.stratum.level, block.learner, block.rate, question.limit, how.method, positive)

    def find() -> NDArray[np.bool_]:
        if bench.is_null:
            return np.ones(len(block.cells), dtype=bool)
        halves = [bench.halves(draw) for draw in range(REFITS)]
        rate = block.rate
        tables = [rate.tabulate(half, block.learner, block.stratum, rate, positive) for half in halves]
        return high_power_cells(tables, block.cells, question.limit)

    return bench.shared(HIGH_POWER.about(bench.real, bench.release, where=where), find)


def high_power_cells(tables: list[RateTable], cells: Cells, limit: float) -> NDArray[np.bool_]:
    """Which cells a faithful release would pass almost surely, from models of the real rows alone.

    Halves of the real rows train models as a faithful release would: their changes tell how far training
    anew moves a cell, and their disagreement how well the test rows know it.

    Args:
        tables: The rates of models of halves of the real rows, a table per split.
        cells: What is compared.
        limit: The tolerance of a change.
    """
    moved = np.stack([table.changes(cells) for table in tables])
    refit = np.where(np.isfinite(moved), moved, np.inf) ** 2
    error = np.sqrt(refit.mean(0) / 2 + tables[0].errors(cells) ** 2)
    passed: NDArray[np.bool_] = abs(limit) >= SURE * error
    return passed
