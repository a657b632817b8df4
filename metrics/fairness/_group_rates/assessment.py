"""One question of fairness put to one view: who is compared with whom, or why nothing can be said.

:func:`assess` prepares everything once and answers with :class:`Ready` or :class:`NotAssessable`; what is
measured then is a function of the tables of rates in :class:`Ready` alone.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from counterproof.metrics.engine.learners import Models, chosen_learners
from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Better, Expected, Group, normal_quantile
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
from counterproof.metrics.statistics.decidability import CONFIDENCE, DECIDABLE, MISSES, WIDEST, largest_decidable_set
from counterproof.metrics.workbench import Workbench

Method = Literal["between_groups", "to_overall"]
Aggregate = Literal["worst_case", "mean"]
ALONE, CROSSED = 20, 8  # groups of a column, and of a crossing, up to which every pair is looked at
LISTED = 20  # undecidable cells of a crossing that are listed one by one
MISSED = MISSES / 3  # three questions of the default policy are put to the same two models: all must pass
Place = tuple[int, str, Rate]
"""Position of a stratum, learner, rate."""
COMPARED: Work[dict[Place, Compared]] = Work("cells of a question of fairness")


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a metric asks.

    Attributes:
        rates: Of which rates.
        limit: The change that a user would care about.
        why: The reason for the tolerance.
        gated: Whether the default policy gates it.
        paired: Gaps between groups, or the rate of each group.
        beside: Rates that another question of the same tolerance also looks at: what is decidable is chosen over
            all of them, so that both questions agree.
    """

    rates: tuple[Rate, ...]
    limit: float
    why: str = ""
    gated: bool = True
    paired: bool = True
    beside: tuple[Rate, ...] = ()

    @property
    def better(self) -> Better:
        """Gaps may change neither way; a group's accuracy may rise."""
        return "zero" if self.paired else "higher"

    @property
    def of_shares(self) -> bool:
        """Whether the rates are shares, which have ratios."""
        return all(rate.hit != "expected" for rate in self.rates)

    @property
    def decided_with(self) -> tuple[Rate, ...]:
        """The rates over which the decidable cells are chosen, in an order that all such questions share."""
        return tuple(sorted({*self.rates, *self.beside}, key=lambda rate: rate.name))

    def passed(self, spread: Floats, error: Floats) -> Floats:
        """With which probability a faithful release passes a cell, at the widest tolerance that the policy allows.

        Args:
            spread: Standard deviation of the change over faithful releases.
            error: Standard error of its interval.
        """
        room = WIDEST * abs(self.limit) - normal_quantile(CONFIDENCE) * error
        with np.errstate(invalid="ignore", divide="ignore"):
            inside = norm.cdf(room / spread)
        chance = 2 * inside - 1 if self.paired else inside
        return np.where(np.isfinite(room) & np.isfinite(spread), np.maximum(chance, 0.0), 0.0)


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
    """One rate of one learner in one stratum, and the cells that are compared."""

    learner: str
    stratum: Stratum
    rate: Rate
    table: RateTable
    compared: Compared
    several: bool

    @property
    def cells(self) -> Cells:
        """What is compared."""
        return self.compared.cells

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
        nothing_to_compare: Why there is no cell, or nothing.
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
    nothing_to_compare: str

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
    models: Models | None,
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
    asked, without_gap = learners, {name: why for name in learners if (why := reason_no_gap(bench, question, name))}
    learners = tuple(name for name in asked if name not in without_gap)
    samples = (bench.real, bench.test, bench.measured.learning)
    options = {"limit": question.limit, "paired": question.paired, "rates": question.decided_with, "learners": asked}
    key = COMPARED.about(*samples, **options, strata=_names(compared), positive=positive, method=how.method)
    cells = bench.shared(key, lambda: compared_cells(bench, question, compared, asked, positive, how))
    blocks = tuple(
        Block(
            learner=learner,
            stratum=stratum,
            rate=rate,
            table=rate.tabulate(bench, learner, stratum, rate, positive),
            compared=cells[i, learner, rate],
            several=len(question.rates) > 1,
        )
        for i, stratum in enumerate(compared)
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
        nothing_to_compare=_reason_no_cells(compared, blocks),
    )


def _names(compared: tuple[Stratum, ...]) -> tuple[Hashable, ...]:
    return tuple((stratum.name, stratum.level, stratum.hidden.tobytes()) for stratum in compared)


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


def _reason_no_cells(compared: tuple[Stratum, ...], blocks: tuple[Block, ...]) -> str:
    if not compared:
        return "no group column has few enough values to compare"
    if not any(len(block.cells) for block in blocks):
        return "the real test rows hold fewer than two groups to compare"
    return ""


# -- who is compared with whom ------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class Compared:
    """The cells of one rate of one learner in one stratum, and what a faithful release would show in each.

    All of it is known from the real rows alone, and is the same for all views of an audit. Models of two halves
    of the real rows stand for those of real rows and a faithful release: their change has mean 0.

    Attributes:
        cells: What is compared, with the cells that are decidable.
        spread: ``(m,)`` standard deviation of the change over faithful releases; infinite where unknown.
        error: ``(m,)`` standard error of its interval.
    """

    cells: Cells
    spread: Floats
    error: Floats

    def expected(self, i: int) -> Expected | None:
        """Of one cell, where it is known."""
        known = np.isfinite(self.spread[i]) and np.isfinite(self.error[i])
        return Expected(value=0.0, spread=float(self.spread[i]), error=float(self.error[i])) if known else None

    def take(self, kept: NDArray[np.intp], *, unlisted: int) -> Compared:
        """Of some cells; how many were left out is kept."""
        cells = replace(
            self.cells,
            first=self.cells.first[kept],
            second=self.cells.second[kept],
            decidable=self.cells.decidable[kept],
            unlisted=unlisted,
        )
        return Compared(cells=cells, spread=self.spread[kept], error=self.error[kept])


def compared_cells(
    bench: Workbench,
    question: Question,
    compared: tuple[Stratum, ...],
    learners: tuple[str, ...],
    positive: str,
    how: Comparison,
) -> dict[Place, Compared]:
    """Every cell that is compared, and the largest set of them that a faithful release passes all at once.

    The set is chosen over all group columns, all learners and ``question.decided_with``, so that two questions
    that read the same cells agree on what is decidable.
    """
    measured = bench.measured
    halves = [measured.halves(draw) for draw in range(REFITS)]
    views = [*halves, *(view for half in halves for view in _against_all(measured, half))]
    places = [
        (i, learner, rate) for i in range(len(compared)) for learner in learners for rate in question.decided_with
    ]
    several = []
    for i, learner, rate in places:
        tables = [rate.tabulate(view, learner, compared[i], rate, positive) for view in views]
        halved, whole = tables[: len(halves)], tables[len(halves) :]
        cells = _cells(question, halved, whole, crossed=compared[i].crossed, how=how)
        cells = replace(cells, decidable=tables[0].disclosable(cells))
        several.append(faithful_changes(halved, whole, cells))
    if not several:
        return {}
    chance = [np.where(one.cells.decidable, question.passed(one.spread, one.error), 0.0) for one in several]
    together = largest_decidable_set(1 - np.concatenate(chance), MISSED)
    parts = np.split(together, np.cumsum([len(one.cells) for one in several])[:-1])
    decided = {
        place: replace(one, cells=replace(one.cells, decidable=part))
        for place, one, part in zip(places, several, parts, strict=True)
    }
    return {place: _listed(one) if compared[place[0]].crossed else one for place, one in decided.items()}


def _against_all(measured: Workbench, half: Workbench) -> Iterator[Workbench]:
    """The model of either half against that of all real rows."""
    for sample in (half.learning, half.synthetic_train):
        yield replace(half, learning=measured.learning, synthetic_train=sample)


def faithful_changes(halved: Sequence[RateTable], whole: Sequence[RateTable], cells: Cells) -> Compared:
    """What the changes of a faithful release would be, from models of the real rows and of their halves.

    Models of n/2 rows vary twice as much as models of n, so half the mean square of the changes between two
    halves is the variance of a faithful release, and so is twice that of the changes from a half to all rows,
    where a model of few rows is like one of many. Where it is not (with few rows a model says the same for
    everybody), the latter is larger, and counts. The chance of the test rows is in both, and the variance is never
    taken for less than that alone. An interval adds training and test rows (see
    :func:`counterproof.metrics.statistics.variance.with_refits`). Few splits tell a spread badly, so both are as
    wide as Student's quantile makes them. A change that fewer than half of the splits know is not known.

    Args:
        halved: The rates of models of two halves of the real rows, a table per split.
        whole: The rates of models of a half and of all real rows.
        cells: What is compared.
    """
    moved, from_all = (np.stack([table.changes(cells) for table in tables]) for tables in (halved, whole))
    known = np.isfinite(moved).sum(0)
    trained = np.maximum(_mean_square(moved) / 2, _mean_square(from_all) * 2)
    trained = np.where(2 * known >= len(halved), trained, np.inf)
    sampling = halved[0].errors(cells) ** 2
    both = trained + sampling
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = 2 * np.maximum(known, 1) * (both / trained) ** 2
    wider = student.ppf(0.975, np.where(np.isfinite(freedom), freedom, 1e6)) / normal_quantile(0.975)
    unsure = (student.ppf(0.99, np.maximum(known, 1)) / normal_quantile(0.99)) ** 2
    return Compared(cells=cells, spread=np.sqrt(np.maximum(unsure * trained, sampling)), error=wider * np.sqrt(both))


def _mean_square(moved: Floats) -> Floats:
    squares: Floats = np.nansum(moved**2, axis=0) / np.maximum(np.isfinite(moved).sum(0), 1)
    return squares


def _cells(
    question: Question, halved: Sequence[RateTable], whole: Sequence[RateTable], *, crossed: bool, how: Comparison
) -> Cells:
    rows = halved[0].rows
    alone = groups_alone(rows)
    if not question.paired:
        return alone
    if how.method == "to_overall":
        return replace(alone, kind="overall")
    by_itself = faithful_changes(halved, whole, alone)
    large = np.zeros(len(rows), dtype=bool)
    large[alone.first] = question.passed(by_itself.spread, by_itself.error) >= DECIDABLE
    return pairs_of_groups(rows, large, crossed=crossed)


def groups_alone(rows: Counts) -> Cells:
    """Every group, the large ones first."""
    order = np.argsort(-rows, kind="stable")
    return Cells(kind="group", first=order, second=order, decidable=np.ones(len(rows), dtype=bool))


def pairs_of_groups(rows: Counts, large: NDArray[np.bool_], *, crossed: bool = False) -> Cells:
    """All pairs of large groups, and every smaller group with the largest.

    Of more than :data:`ALONE` large groups (:data:`CROSSED` where columns are crossed), each is paired
    with the largest only: two others then differ by twice as much at most.

    Args:
        rows: ``(g,)`` rows of each group.
        large: ``(g,)`` groups whose own rate a faithful release keeps well enough.
        crossed: Whether the groups are crossings of several columns.
    """
    many, few = np.flatnonzero(large), np.flatnonzero(~large)
    largest = int(rows.argmax()) if len(rows) else 0
    others = few[~((rows[few] == 0) & (rows[largest] == 0))] if len(rows) else few
    if len(many) > (CROSSED if crossed else ALONE):
        first, second = _with(largest, many[many != largest])
    else:
        above = np.triu_indices(len(many), 1)
        first, second = many[above[0]], many[above[1]]
        others = others if len(rows) and large[largest] else np.union1d(others, many)
    low, high = _with(largest, others[others != largest])
    return Cells(
        kind="pair",
        first=np.concatenate([first, low]),
        second=np.concatenate([second, high]),
        decidable=np.ones(len(first) + len(low), dtype=bool),
    )


def _with(one: int, others: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.minimum(others, one), np.maximum(others, one)


def _listed(compared: Compared) -> Compared:
    """Without the least sure cells beyond :data:`LISTED`, of which only the number is kept."""
    few = np.flatnonzero(~compared.cells.decidable)
    if len(few) <= LISTED:
        return compared
    dropped = few[np.argsort(compared.error[few], kind="stable")[LISTED:]]
    kept = np.setdiff1d(np.arange(len(compared.cells)), dropped)
    return compared.take(kept, unlisted=len(dropped))


def foreseen(question: Question, bench: Workbench) -> str:
    """Why no group can be decided, told from counts alone before models are trained; empty where one can.

    Rates of two models by group scatter at most as ``sqrt(1/2 (1/n_a + 1/n_b))`` apart where both are trained
    anew (a share varies by a quarter of a row at most, for either model). For labels of two classes; the rarer
    is taken as the positive one.
    """
    labels = bench.test.labels
    classes, counts = np.unique(labels[labels != ""], return_counts=True)
    if len(classes) != 2:
        return ""
    truth = {"all": labels != "", "positive": labels == classes[counts.argmin()]}
    truth["negative"] = truth["all"] & ~truth["positive"]
    reach = normal_quantile(CONFIDENCE) + normal_quantile(DECIDABLE)
    largest: list[tuple[int, str]] = []
    for rate in question.rates:
        inside = truth.get(rate.among, truth["all"])
        for column in bench.corpus.groups:
            sizes = np.sort(np.unique(bench.test.group(column)[inside], return_counts=True)[1])[::-1]
            if len(sizes) < 2:
                continue
            others = 1 / sizes[1] if question.paired else 0.0
            if reach * math.sqrt(0.5 * (1 / sizes[0] + others)) <= WIDEST * abs(question.limit):
                return ""
            kind = "" if rate.among == "all" else f"{rate.among} "
            rows = f"{sizes[0]} and {sizes[1]}" if question.paired else f"{sizes[0]}"
            largest.append((int(sizes[1]), f"the largest groups of {column} have {rows} {kind}test rows"))
    return max(largest)[1] if largest else ""
