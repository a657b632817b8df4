"""One question of fairness put to one view: the cells, their changes and their values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from counterproof.metrics.decisions import (
    Cell,
    Decisions,
    Rate,
    Side,
    cells_of,
    counted_rows,
    decided,
    largest_gap,
    least_rate,
)
from counterproof.metrics.estimate import Better, Estimate, Group
from counterproof.metrics.metric import MetricError, Value
from counterproof.metrics.models import chosen_learners
from counterproof.metrics.refits import Change, refit_spread, worst_change
from counterproof.metrics.workbench import Workbench

Key = tuple[str, str, str, Cell]
"""Learner, group column, rate, cell."""
SIDES: tuple[Side, Side] = ("real", "synthetic")


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a metric asks.

    Attributes:
        rates: Of which rates.
        minimum: Real trial rows that a rate of a group is counted over, for it to be decidable.
        limit: The default tolerance of the change.
        paired: Gaps between groups, or the rate of each group.
    """

    rates: tuple[Rate, ...]
    minimum: int
    limit: float
    paired: bool = True

    @property
    def better(self) -> Better:
        """Gaps may change neither way; a group's accuracy may rise."""
        return "zero" if self.paired else "higher"


@dataclass(frozen=True, eq=False, kw_only=True)
class Spot:
    """One cell of one rate of one learner."""

    learner: str
    column: str
    rate: Rate
    table: Decisions
    cell: Cell
    decidable: bool
    group: Group

    @property
    def key(self) -> Key:
        """The same on every view of an audit."""
        return self.learner, self.column, self.rate.name, self.cell

    @property
    def filled(self) -> bool:
        """Whether there are rows to count."""
        return self.table.has(self.cell)

    @property
    def value(self) -> float:
        """The change."""
        return self.table.change_at(self.cell)

    def remark(self, smallest: int) -> str:
        """How many rows each group brings; small counts are not told exactly."""
        kind = "trial rows" if self.rate.among == "all" else f"{self.rate.among} trial rows"
        counts = [int(self.table.rows[g]) for g in self.cell if g is not None]
        return f"{' and '.join(str(n) if n >= smallest else f'fewer than {smallest}' for n in counts)} {kind}"


@dataclass(frozen=True, eq=False, kw_only=True)
class Inquiry:
    """A question put to one view, with its options resolved."""

    bench: Workbench
    question: Question
    learners: tuple[str, ...]
    positive: str

    @property
    def least(self) -> int:
        """Trial rows of a group that make it decidable.

        Training luck goes by the rows that models learn from: where there are more trial rows than
        those, a group must be as large among the training rows.
        """
        train = self.bench.train
        spare = 1.0 if train is None else max(1.0, len(self.bench.trial) / len(train))
        return round(self.question.minimum * spare)

    def spots(self, bench: Workbench | None = None) -> Iterator[Spot]:
        """Every cell; on another view of the same audit, with the models of that view."""
        question = self.question
        for column in self.bench.corpus.groups:
            for learner in self.learners:
                for rate in question.rates:
                    table = decided(bench or self.bench, learner, column, rate, self.positive)
                    which = (("rate", rate.name),) if len(question.rates) > 1 else ()
                    for cell, decidable in cells_of(table.rows, self.least, paired=question.paired):
                        yield Spot(
                            learner=learner,
                            column=column,
                            rate=rate,
                            table=table,
                            cell=cell,
                            decidable=decidable,
                            group=((column, table.named(cell)), ("learner", learner), *which),
                        )

    def statistic(self, bench: Workbench) -> dict[Key, float]:
        """The change in every cell that has rows."""
        return {spot.key: spot.value for spot in self.spots(bench) if spot.filled}

    @property
    def sizes(self) -> dict[str, int]:
        """Labelled rows behind the models and their trial."""
        roles = {"learning": self.bench.learning, "studying": self.bench.studying, "trial": self.bench.trial}
        return {role: int((sample.labels != "").sum()) for role, sample in roles.items()}


def inquire(
    bench: Workbench, question: Question, *, models: tuple[str, ...] | None, positive: str | None = None
) -> Inquiry:
    """Resolve the options of a metric.

    Raises:
        MetricError: A model is unknown, or no real row has the class named positive.
    """
    return Inquiry(
        bench=bench,
        question=question,
        learners=chosen_learners(bench.corpus, models),
        positive=_positive_class(bench, positive) if question.paired else "",
    )


def _positive_class(bench: Workbench, positive: str | None) -> str:
    """The named class, or the rarer of two real ones; nothing where there are more."""
    if positive is None:
        classes = _classes(bench)
        return classes[0] if len(classes) == 2 else ""
    if not positive or positive not in bench.real.labels:
        few = "" if bench.show_real else f", or fewer than {bench.small_cell} have it"  # rare values are pooled
        raise MetricError(f"option positive: no real row has {bench.corpus.label} = {positive!r}{few}")
    return positive


def _classes(bench: Workbench) -> list[str]:
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
    classes = len(_classes(inquiry.bench))
    if not inquiry.question.paired or inquiry.positive or classes < 3:
        return ""
    label = inquiry.bench.corpus.label
    return f"{label} has {classes} classes: set positive to judge one of them; worst_group_accuracy covers all"


def refusal(inquiry: Inquiry) -> str:
    """Why the question cannot be put to any model, or nothing."""
    bench, label = inquiry.bench, inquiry.bench.corpus.label
    if inquiry.question.paired and not inquiry.positive:
        return f"the real rows hold fewer than two classes of {label}"
    if not (bench.trial.labels != "").any():
        return f"no real test row has a value of {label}"
    if any(_single_source(inquiry, rate) for rate in inquiry.question.rates):
        return "all real test rows to count come from one source, so how far they stand for others cannot be known"
    return ""


def _single_source(inquiry: Inquiry, rate: Rate) -> bool:
    bench = inquiry.bench
    if bench.corpus.clusters is None:
        return False
    counted = counted_rows(bench, rate, inquiry.positive)
    return len(np.unique(bench.corpus.clusters[bench.trial.rows[counted]])) == 1


def smallness(inquiry: Inquiry) -> str:
    """Why no cell of any group column can be decided, or nothing."""
    spots = list(inquiry.spots())
    if any(spot.decidable and spot.filled for spot in spots):
        return ""
    if not spots:
        return "the real test rows hold fewer than two groups to compare"
    among = sorted({rate.among for rate in inquiry.question.rates} - {"all"}, reverse=True)
    rows = f"{' and '.join(among)} test rows" if among else "test rows"
    return f"no group is large enough at this size: {inquiry.least} {rows} each are needed"


def blindness(inquiry: Inquiry, learner: str) -> str:
    """Why the two models of a learner have no gap that could be compared, or nothing.

    A model that decides the same for every row has gaps of 0 and is no less fair for it; its
    accuracy by group is as good a number as any.
    """
    bench = inquiry.bench
    for rows, whose in ((bench.learning, "the real rows"), (bench.studying, "the release")):
        forecast = bench.forecast(learner, rows)
        if forecast.degenerate and (inquiry.question.paired or rows is bench.learning):
            return f"no model can be trained on {whose}: {forecast.reason}"
        if forecast.constant and inquiry.question.paired:
            return f"the {learner} model trained on {whose} decides the same for every row, so it has no gap"
    return ""


def unassessed(inquiry: Inquiry, learners: tuple[str, ...], reason: str) -> Iterator[Value]:
    """Say so for the whole and for each learner: a gate over cells must not overlook it."""
    for group in ((), *((("learner", learner),) for learner in learners)):
        yield Value(field="change", group=group, status="not_assessable", reason=reason, n=inquiry.sizes)


# -- values -------------------------------------------------------------------------------------


def null_values(inquiry: Inquiry) -> Iterator[Value]:
    """The changes between models of two halves of the real rows; no intervals."""
    changes = [
        Change(group=spot.group, value=spot.value, decidable=spot.decidable) for spot in inquiry.spots() if spot.filled
    ]
    for change in changes:
        yield Value(estimate=_point(change.value), field="change", group=change.group)
    for where, several in wholes(inquiry, changes):
        value = worst_change(several, inquiry.question.better, inquiry.bench.level).value
        if where or several[0].decidable:
            yield Value(estimate=_point(value), field="change", group=where)


def _point(value: float) -> Estimate:
    return Estimate(value=value, low=value, high=value, method="one re-split")


def measured_changes(inquiry: Inquiry) -> list[Change]:
    """Every cell with rows, with both halves of its interval."""
    spread = refit_spread(inquiry.bench, inquiry.statistic)
    return [
        Change(
            group=spot.group,
            value=spot.value,
            sampling=spot.table.error_at(spot.cell),
            refit=spread[spot.key].spread,
            draws=spread[spot.key].draws,
            decidable=spot.decidable,
            remark=spot.remark(inquiry.bench.small_cell),
        )
        for spot in inquiry.spots()
        if spot.filled
    ]


def change_values(inquiry: Inquiry, changes: list[Change]) -> Iterator[Value]:
    """A value for every cell; the ones without rows say so."""
    for change in changes:
        yield Value(
            estimate=change.estimate(inquiry.bench.level),
            field="change",
            group=change.group,
            n=inquiry.sizes,
            decidable=change.decidable,
            reason=change.remark,
        )
    for spot in inquiry.spots():
        if not spot.filled:
            yield Value(
                field="change",
                group=spot.group,
                n=inquiry.sizes,
                status="not_assessable",
                reason=f"no real test row to count a{'n' * (spot.rate.name == 'accuracy')} {spot.rate.name} over",
                decidable=False,
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
        decidable = several[0].decidable
        yield Value(estimate=worst, field="change", group=where, n=inquiry.sizes, decidable=decidable)


def wholes(inquiry: Inquiry, changes: list[Change]) -> Iterator[tuple[Group, list[Change]]]:
    """The cells behind all columns together, then behind each.

    Decidable cells only, where there are any: one tiny group would drown the others.
    """
    several: list[tuple[Group, list[Change]]] = [((), changes)]
    for column in inquiry.bench.corpus.groups:
        several.append((((column, None),), [change for change in changes if change.group[0][0] == column]))
    for where, cells in several:
        chosen = [change for change in cells if change.decidable] or cells
        if chosen:
            yield where, chosen


def level_values(inquiry: Inquiry) -> Iterator[Value]:
    """The gaps themselves, or the worst group's accuracy, of both models; trial rows alone."""
    question, level = inquiry.question, inquiry.bench.level
    for column in inquiry.bench.corpus.groups:
        for learner in inquiry.learners:
            tables = [decided(inquiry.bench, learner, column, rate, inquiry.positive) for rate in question.rates]
            for side in SIDES:
                whole = largest_gap(tables, side, level) if question.paired else least_rate(tables[0], side, level)
                if whole is not None:
                    yield Value(
                        estimate=whole,
                        field=side,
                        group=((column, None), ("learner", learner)),
                        n=inquiry.sizes,
                        better="lower" if question.paired else "higher",
                    )


def of_learners(inquiry: Inquiry, learners: tuple[str, ...]) -> Inquiry:
    """The same question to fewer learners."""
    return replace(inquiry, learners=learners)
