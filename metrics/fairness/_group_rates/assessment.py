"""One question of fairness put to one view: which cells it looks at, and what is too little to say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.learners import chosen_learners
from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Better, Group
from counterproof.metrics.fairness._group_rates.calibration import expected
from counterproof.metrics.fairness._group_rates.confusion_counts import Rate, counted_rows, decided
from counterproof.metrics.fairness._group_rates.gaps import Comparison
from counterproof.metrics.fairness._group_rates.group_pairs import (
    groups_alone,
    groups_to_overall,
    listed,
    pairs_of_groups,
    surely,
)
from counterproof.metrics.fairness._group_rates.rates import Cells, Table
from counterproof.metrics.fairness._group_rates.strata import Stratum, crowded_columns, strata
from counterproof.metrics.sample import Floats
from counterproof.metrics.workbench import Workbench

PLAIN = Comparison()
SURE: Work[NDArray[np.bool_]] = Work("crossed groups that a faithful release passes")


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a metric asks.

    Attributes:
        rates: Of which rates.
        minimum: Real trial rows that a rate of a group is counted over, for it to be decidable.
        limit: The default tolerance of the change; 0 where it is not gated.
        paired: Gaps between groups, or the rate of each group.
    """

    rates: tuple[Rate, ...]
    minimum: int
    limit: float = 0.0
    paired: bool = True

    @property
    def better(self) -> Better:
        """Gaps may change neither way; a group's accuracy may rise."""
        return "zero" if self.paired else "higher"

    @property
    def of_shares(self) -> bool:
        """Whether the rates are shares, which have ratios."""
        return all(rate.hit != "expected" for rate in self.rates)


@dataclass(frozen=True, eq=False, kw_only=True)
class Block:
    """The cells of one rate of one learner in one stratum."""

    learner: str
    stratum: Stratum
    rate: Rate
    table: Table
    cells: Cells
    several: bool

    def group(self, i: int) -> Group:
        """The name of one cell in records and gates."""
        which = (("rate", self.rate.name),) if self.several else ()
        cell = (self.stratum.name, self.table.named(self.cells, i))
        return (cell, *self.stratum.level, ("learner", self.learner), *which)

    def remark(self, i: int, smallest: int) -> str:
        """How many rows each group brings; small counts are not told exactly."""
        kind = "trial rows" if self.rate.among == "all" else f"{self.rate.among} trial rows"
        kind = f"trial rows {kind.split()[0]} positive" if self.rate.among == "predicted" else kind
        counts = [int(self.table.rows[g]) for g in self.cells.groups(i)]
        return f"{' and '.join(str(n) if n >= smallest else f'fewer than {smallest}' for n in counts)} {kind}"


@dataclass(frozen=True, eq=False, kw_only=True)
class Inquiry:
    """A question put to one view, with its options resolved."""

    bench: Workbench
    question: Question
    learners: tuple[str, ...]
    positive: str
    how: Comparison = PLAIN
    control: tuple[str, ...] = ()

    @property
    def least(self) -> int:
        """Trial rows of a group that make it decidable.

        Training luck goes by the rows that models learn from: where there are more trial rows than
        those, a group must be as large among the training rows.
        """
        train = self.bench.train
        spare = 1.0 if train is None else max(1.0, len(self.bench.test) / len(train))
        return round(self.question.minimum * spare)

    @cached_property
    def strata(self) -> tuple[Stratum, ...]:
        """Whose groups are compared."""
        if set(self.bench.corpus.groups) == set(crowded_columns(self.bench)):
            return ()
        return strata(self.bench, self.control)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """All cells."""
        return tuple(
            self._block(stratum, learner, rate)
            for stratum in self.strata
            for learner in self.learners
            for rate in self.question.rates
        )

    def _block(self, stratum: Stratum, learner: str, rate: Rate) -> Block:
        table = self.table(self.bench, stratum, learner, rate)
        against = not self.question.paired
        cells = (
            groups_alone(table.rows, self.least)
            if against
            else groups_to_overall(table.rows, self.least)
            if self.how.method == "to_overall"
            else pairs_of_groups(table.rows, self.least, crossed=stratum.crossed)
        )
        cells = listed(cells, table.rows) if stratum.crossed else cells
        if stratum.crossed or stratum.level:
            cells = replace(cells, decidable=cells.decidable & self._sure(stratum, learner, rate, cells))
        several = len(self.question.rates) > 1
        return Block(learner=learner, stratum=stratum, rate=rate, table=table, cells=cells, several=several)

    def _sure(self, stratum: Stratum, learner: str, rate: Rate, cells: Cells) -> NDArray[np.bool_]:
        """Which cells of crossings a faithful release would surely pass: many cells must, all at once.

        Views of halves read what the measurement found.
        """
        everything = np.ones(len(cells), dtype=bool)
        if not self.question.limit:
            return everything
        where = (stratum.name, stratum.level, learner, rate, self.question.limit, self.how.method, self.positive)

        def find() -> NDArray[np.bool_]:
            if self.bench.is_null:
                return everything
            return surely(self.bench, lambda view: self.table(view, stratum, learner, rate), cells, self.question.limit)

        return self.bench.shared(SURE.about(self.bench.real, self.bench.release, where=where), find)

    def table(self, bench: Workbench, stratum: Stratum, learner: str, rate: Rate) -> Table:
        """One rate of the models of a view."""
        make = expected if rate.hit == "expected" else decided
        return make(bench, learner, stratum, rate, self.positive)

    def changes(self, bench: Workbench) -> Floats:
        """``(m,)`` the change in every cell of all blocks, of the models of another view; NaN without rows."""
        several = [
            self.table(bench, block.stratum, block.learner, block.rate).changes(block.cells) for block in self.blocks
        ]
        return np.concatenate(several) if several else np.empty(0)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Labelled rows behind the models and their trial."""
        roles = {"learning": self.bench.learning, "studying": self.bench.synthetic_train, "trial": self.bench.test}
        return {role: int((sample.labels != "").sum()) for role, sample in roles.items()}


def inquire(
    bench: Workbench,
    question: Question,
    *,
    models: tuple[str, ...] | None,
    positive: str | None = None,
    how: Comparison = PLAIN,
    control: tuple[str, ...] = (),
) -> Inquiry:
    """Resolve the options of a metric.

    Raises:
        MetricError: A model or a control column is unknown, or no real row has the class named positive.
    """
    inquiry = Inquiry(
        bench=bench,
        question=question,
        learners=chosen_learners(bench.corpus, models),
        positive=positive_class(bench, positive) if question.paired else "",
        how=how,
        control=control,
    )
    if control:
        strata(bench, control)
    return inquiry


def of_learners(inquiry: Inquiry, learners: tuple[str, ...]) -> Inquiry:
    """The same question to fewer learners."""
    return replace(inquiry, learners=learners)


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


# -- what cannot be assessed --------------------------------------------------------------------


def inapplicable(inquiry: Inquiry) -> str:
    """Why the question is not defined on these data, or nothing."""
    classes = len(real_classes(inquiry.bench))
    if not inquiry.question.paired or inquiry.positive or classes < 3:
        return ""
    label = inquiry.bench.corpus.label
    return f"{label} has {classes} classes: set positive to judge one of them; worst_group_accuracy covers all"


def refusal(inquiry: Inquiry) -> str:
    """Why the question cannot be put to any model, or nothing."""
    bench, label = inquiry.bench, inquiry.bench.corpus.label
    if inquiry.question.paired and not inquiry.positive:
        return f"the real rows hold fewer than two classes of {label}"
    if not (bench.test.labels != "").any():
        return f"no real test row has a value of {label}"
    if any(_single_source(inquiry, rate) for rate in inquiry.question.rates):
        return "all real test rows to count come from one source, so how far they stand for others cannot be known"
    return ""


def _single_source(inquiry: Inquiry, rate: Rate) -> bool:
    bench = inquiry.bench
    if bench.corpus.clusters is None:
        return False
    counted = counted_rows(bench, rate, inquiry.positive)
    return len(np.unique(bench.corpus.clusters[bench.test.rows[counted]])) == 1


def smallness(inquiry: Inquiry) -> str:
    """Why no cell of any group column can be decided, or nothing."""
    decidable = [block.cells.decidable & block.table.has(block.cells) for block in inquiry.blocks]
    if any(cells.any() for cells in decidable):
        return ""
    if not inquiry.strata:
        return "no group column has few enough values to compare"
    if not any(map(len, decidable)):
        return "the real test rows hold fewer than two groups to compare"
    among = sorted({rate.among for rate in inquiry.question.rates} - {"all"}, reverse=True)
    rows = f"{' and '.join(among)} test rows" if among else "test rows"
    if among == ["predicted"]:
        rows = "test rows predicted positive"
    return f"no group is large enough at this size: {inquiry.least} {rows} each are needed"


def crowding(inquiry: Inquiry) -> Iterator[tuple[Group, str]]:
    """Group columns of more values than can be compared, and the sentence that says so."""
    from counterproof.metrics.shared.partitions import CROWD

    for column, size in crowded_columns(inquiry.bench).items():
        told = f"{column} has {size} values, and {CROWD} can be compared at most: group them more coarsely"
        yield ((column, None),), told


def blindness(inquiry: Inquiry, learner: str) -> str:
    """Why the two models of a learner have no gap that could be compared, or nothing.

    A model that decides the same for every row has gaps of 0 and is no less fair for it; its
    accuracy by group is as good a number as any.
    """
    bench = inquiry.bench
    for rows, whose in ((bench.learning, "the real rows"), (bench.synthetic_train, "the release")):
        forecast = bench.forecast(learner, rows)
        if forecast.degenerate and (inquiry.question.paired or rows is bench.learning):
            return f"no model can be trained on {whose}: {forecast.reason}"
        if forecast.constant and inquiry.question.paired and inquiry.question.of_shares:
            return f"the {learner} model trained on {whose} decides the same for every row, so it has no gap"
    return ""
