"""What two models decide about the same trial rows, counted by group."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.fairness._group_rates.rates import Rates, Side, Table, Ties, quotient
from counterproof.metrics.fairness._group_rates.strata import Counts, Stratum, finest_cells
from counterproof.metrics.sample import Floats
from counterproof.metrics.workbench import Workbench

STATES = 8  # truth, decision of the real model, decision of the candidate's
CONFUSION: Work[Counts] = Work("decisions of both models by group")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A share of rows, or a mean over them, by group.

    Attributes:
        name: As readers know it.
        hit: What is counted: the positive class is ``predicted``, the prediction is ``right``, the
            row is ``positive``; or how much more positives there are than ``expected``.
        among: Of which rows: all, those whose true class is positive or negative, or those for
            which the positive class is predicted.
    """

    name: str
    hit: Literal["predicted", "right", "positive", "expected"] = "predicted"
    among: Literal["all", "positive", "negative", "predicted"] = "all"


SELECTION = Rate(name="selection rate")
TRUE_POSITIVE = Rate(name="true positive rate", among="positive")
FALSE_POSITIVE = Rate(name="false positive rate", among="negative")
ACCURACY = Rate(name="accuracy", hit="right")
PRECISION = Rate(name="precision", hit="positive", among="predicted")


@dataclass(frozen=True, eq=False, kw_only=True)
class Votes:
    """The labelled trial rows as both models see them.

    Attributes:
        truth: ``(n,)`` the row is of the positive class.
        real: ``(n,)`` decision of the model trained on real rows: for the positive class, or right.
        synthetic: ``(n,)`` the same of the model trained on the candidate.
        rows: ``(n,)`` their positions among the trial rows.
    """

    truth: NDArray[np.bool_]
    real: NDArray[np.bool_]
    synthetic: NDArray[np.bool_]
    rows: NDArray[np.intp]


def votes_of(bench: Workbench, learner: str, positive: str, *, right: bool) -> Votes:
    """What the two models of this view decide about the labelled trial rows."""
    rows = np.flatnonzero(bench.test.labels != "")
    labels = bench.test.labels[rows]
    target = labels if right else positive
    real, synthetic = (
        bench.forecast(learner, sample).predicted[rows] for sample in (bench.learning, bench.synthetic_train)
    )
    return Votes(truth=labels == positive, real=real == target, synthetic=synthetic == target, rows=rows)


def ballot(bench: Workbench, learner: str, positive: str, *, right: bool = False) -> Counts:
    """``(cells, 2, 2, 2)`` labelled trial rows by finest cell, truth and both decisions."""

    def count() -> Counts:
        votes, finest = votes_of(bench, learner, positive, right=right), finest_cells(bench)
        state = votes.truth * 4 + votes.real * 2 + votes.synthetic
        codes = finest.codes[bench.test.rows[votes.rows]] * STATES + state
        return np.bincount(codes, minlength=STATES * len(finest)).reshape(-1, STATES).astype(np.intp)

    samples = (bench.learning, bench.synthetic_train, bench.test)
    key = CONFUSION.about(*samples, learner=learner, positive=positive, right=right)
    return bench.shared(key, count)


def decided(bench: Workbench, learner: str, stratum: Stratum, rate: Rate, positive: str) -> Decisions:
    """One rate of the two models of this view, by the groups of a stratum."""
    right = rate.hit == "right"
    counts = stratum.summed(ballot(bench, learner, positive, right=right)).astype(np.intp).reshape(-1, 2, 2, 2)
    votes = None if bench.corpus.clusters is None else partial(votes_of, bench, learner, positive, right=right)
    made = Precisions if rate.among == "predicted" else Shares
    return made(stratum=stratum, rate=rate, counts=counts, votes=votes, bench=bench)


def counted_rows(bench: Workbench, rate: Rate, positive: str) -> NDArray[np.bool_]:
    """Which trial rows a rate may be counted over."""
    labels = bench.test.labels
    counted: NDArray[np.bool_] = labels != ""
    if rate.among in ("positive", "negative"):
        counted &= (labels == positive) == (rate.among == "positive")
    return counted


@dataclass(frozen=True, eq=False, kw_only=True)
class Decisions(Table):
    """Decisions of two models, by group.

    Attributes:
        stratum: The groups.
        rate: What is counted.
        counts: ``(g, 2, 2, 2)`` rows by group, truth and both decisions.
        votes: Gives the rows themselves, where sources of rows are known.
        bench: The view.
    """

    stratum: Stratum
    rate: Rate
    counts: Counts
    votes: Callable[[], Votes] | None
    bench: Workbench

    @cached_property
    def all_but(self) -> Counts:
        """``(g, 2, 2, 2)`` the rows of all other groups."""
        found: Counts = self.counts.sum(0)[None] - self.counts
        return found

    @abstractmethod
    def _rates(self, counts: Counts, side: Side) -> Rates:
        """Of such counts, by the decisions of one model."""

    def rates(self, side: Side) -> Rates:
        """By the decisions of one model."""
        return self._rates(self.counts, side)

    def rest(self, side: Side) -> Rates:
        """The same over all other groups."""
        return self._rates(self.all_but, side)

    def _tied(self, votes: Votes, own: Floats, everyone: Floats, members: Counts, kept: NDArray[np.bool_]) -> Ties:
        clusters = self.bench.corpus.clusters
        assert clusters is not None
        sources = clusters[self.bench.test.rows[votes.rows]][kept]
        return Ties(sources=sources, members=members[kept], own=own[kept], everyone=everyone[kept])


@dataclass(frozen=True, eq=False, kw_only=True)
class Shares(Decisions):
    """A share of rows that is counted over the same rows for both models."""

    def _counted(self, counts: Counts) -> Counts:
        """``(g, 2, 2)`` rows by both decisions."""
        found: Counts = counts.sum(1)
        return found if self.rate.among == "all" else counts[:, 1 if self.rate.among == "positive" else 0]

    def _rates(self, counts: Counts, side: Side) -> Rates:
        table = self._counted(counts)
        hits = table[:, 1].sum(1) if side == "real" else table[:, :, 1].sum(1)
        return Rates.shares(hits, table.sum((1, 2)))

    @cached_property
    def rows(self) -> Counts:
        """Rows that a group is counted over."""
        found: Counts = self._counted(self.counts).sum((1, 2))
        return found

    @cached_property
    def change(self) -> Floats:
        """Rate of the candidate's model minus that of the real one."""
        table = self._counted(self.counts)
        return quotient(table[:, 0, 1] - table[:, 1, 0], self.rows)

    @cached_property
    def error(self) -> Floats:
        """Of each change, paired by trial rows."""
        return paired_errors(self._counted(self.counts))

    @property
    def overall_error(self) -> Floats:
        """Of the change of the difference from all rows."""
        found: Floats = self.other_share("real") * np.hypot(self.error, paired_errors(self._counted(self.all_but)))
        return found

    @cached_property
    def ties(self) -> Ties | None:
        """Rows of one source."""
        if self.votes is None:
            return None
        votes = self.votes()
        members = self.stratum.members(self.bench)[votes.rows]
        kept = members >= 0
        if self.rate.among != "all":
            kept &= votes.truth == (self.rate.among == "positive")
        gained = votes.synthetic.astype(np.float64) - votes.real
        total = int(self.rows.sum())
        own = (gained - self.change[members]) / self.rows[members].astype(np.float64)
        everyone = (gained - gained[kept].sum() / total) / total
        return self._tied(votes, own, everyone, members, kept)


@dataclass(frozen=True, eq=False, kw_only=True)
class Precisions(Decisions):
    """The share of positives among the rows for which each model predicts the positive class."""

    def _rates(self, counts: Counts, side: Side) -> Rates:
        table = counts[:, :, 1].sum(2) if side == "real" else counts[:, :, :, 1].sum(2)
        return Rates.shares(table[:, 1], table.sum(1))

    @cached_property
    def rows(self) -> Counts:
        """Rows that a group is counted over."""
        return self.rates("real").rows

    @cached_property
    def change(self) -> Floats:
        """Rate of the candidate's model minus that of the real one."""
        found: Floats = self.rates("synthetic").values - self.rates("real").values
        return found

    @cached_property
    def error(self) -> Floats:
        """Of each change, paired by trial rows."""
        one = np.ones(len(self.stratum))
        return precision_errors(self.counts, one, one)

    @property
    def overall_error(self) -> Floats:
        """Of the change of the difference from all rows."""
        shares = self.other_share("real"), self.other_share("synthetic")
        return np.hypot(precision_errors(self.counts, *shares), precision_errors(self.all_but, *shares))

    @cached_property
    def ties(self) -> Ties | None:
        """Rows of one source."""
        if self.votes is None:
            return None
        votes = self.votes()
        members = self.stratum.members(self.bench)[votes.rows]
        kept = (members >= 0) & (votes.real | votes.synthetic)
        own, everyone = np.zeros(len(members)), np.zeros(len(members))
        for side, decision, sign in (("synthetic", votes.synthetic, 1.0), ("real", votes.real, -1.0)):
            rates = self.rates("synthetic" if side == "synthetic" else "real")
            hits, rows = rates.hits, rates.rows
            assert hits is not None
            at = kept & decision
            own[at] += sign * (votes.truth[at] - rates.values[members[at]]) / rows[members[at]]
            everyone[at] += sign * (votes.truth[at] - hits.sum() / rows.sum()) / rows.sum()
        return self._tied(votes, own, everyone, members, kept)


def paired_errors(table: Counts) -> Floats:
    """``(g,)`` standard errors of the paired changes of shares; infinite without rows.

    :func:`counterproof.metrics.statistics.proportions.paired_error` for many groups at once.

    Args:
        table: ``(g, 2, 2)`` rows by both decisions.
    """
    n = table.sum((1, 2))
    up, down = (table[:, 0, 1] + 1) / (n + 2), (table[:, 1, 0] + 1) / (n + 2)
    found: Floats = np.where(n > 0, np.sqrt((up + down - (up - down) ** 2) / (n + 2)), np.inf)
    return found


def precision_errors(counts: Counts, real_scale: Floats, synthetic_scale: Floats) -> Floats:
    """``(g,)`` standard errors of changes of precision, by what each row adds to them.

    Rows that both models select add little, as the two precisions share them. A hit and a miss that
    only the one model selects, and the same for the other, are added, so that a few rows that all
    agree do not claim to know the difference exactly (the idea of Agresti and Caffo 2000,
    doi:10.1080/00031305.2000.10474560).

    Args:
        counts: ``(g, 2, 2, 2)`` rows by truth and both decisions.
        real_scale: ``(g,)`` factor of the real model's precision.
        synthetic_scale: ``(g,)`` factor of the other one's.
    """
    padded = counts.astype(np.float64)
    padded[:, :, 0, 1] += 1
    padded[:, :, 1, 0] += 1
    real, synthetic = padded[:, :, 1].sum(2), padded[:, :, :, 1].sum(2)
    variance = np.zeros(len(counts))
    for truth in (0, 1):
        of_real = real_scale * (truth - real[:, 1] / real.sum(1)) / real.sum(1)
        of_synthetic = synthetic_scale * (truth - synthetic[:, 1] / synthetic.sum(1)) / synthetic.sum(1)
        variance += padded[:, truth, 1, 0] * of_real**2 + padded[:, truth, 0, 1] * of_synthetic**2
        variance += padded[:, truth, 1, 1] * (of_synthetic - of_real) ** 2
    found: Floats = np.sqrt(variance)
    return found
