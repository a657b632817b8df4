"""Any :class:`torchmetrics.Metric` of predictions as a counterproof metric: what models trained on the release lose.

Models are trained on real rows and on as many release rows, and tested on the same real rows; the
metric scores the predictions of both.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from counterproof.metrics.engine.learners import Forecast, Models, chosen_learners
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate
from counterproof.metrics.integrations.from_torchmetrics import HALVES, Reading, number, seeded_torch
from counterproof.metrics.metric import Family, Metric, Needs, Tolerance, Value
from counterproof.metrics.sample import Rows
from counterproof.metrics.shared.retraining import REFITS, Change, refit_spread, worst_change
from counterproof.metrics.workbench import Workbench

if TYPE_CHECKING:
    import torchmetrics


Factory = Callable[[int], "torchmetrics.Metric"]
Preds = Literal["probabilities", "classes"]


def from_torchmetrics_of_predictions(
    factory: Factory,
    *,
    id: str,
    better: Literal["lower", "higher"],
    family: Family = "utility",
    preds: Preds = "probabilities",
    title: str = "",
    unit: str = "",
    read: Reading = number,
    algo: int = 1,
    tolerances: Iterable[Tolerance] = (),
) -> Metric:
    """A torchmetrics metric of predictions as a counterproof metric.

    ``gap`` is by how much the model trained on the release is worse than the one trained on real
    rows; positive is worse whichever direction of the wrapped metric is good, and the worst learner
    counts. Its interval holds the spread over halves of the tried rows (both models on the same
    half) and that of training anew. Its floor are models of two halves of the real rows.

    Args:
        factory: Makes a fresh metric for a number of classes: ``lambda classes:
            MulticlassCalibrationError(num_classes=classes)``. ``target`` are positions of the labels
            among the sorted classes.
        id: ``vendor.name``; see :func:`counterproof.metrics.metric.metric` for what follows.
        better: Which direction of the wrapped metric is good.
        family: ``utility`` or ``fairness``.
        preds: ``(n, classes)`` probabilities, or ``(n,)`` the most probable class.
        title: The name in prose.
        unit: What the numbers are in.
        read: Takes the number out of what ``compute()`` gives.
        algo: Version, raised when numbers change.
        tolerances: Gates in the default policy on ``gap``.
    """
    wrapped = Scoring(id=id, factory=factory, read=read, preds=preds, sign=1.0 if better == "higher" else -1.0)
    title = title or id.rpartition(".")[2].replace("_", " ")

    def lost(bench: Workbench, *, models: Models | None = None, halves: int = HALVES) -> Iterator[Value]:
        if halves < 2:
            raise MetricError(f"{id}: halves = {halves}: give 2 or more")
        yield from wrapped.measured(bench, chosen_learners(bench.corpus, models), halves)

    lost.__doc__ = (
        f"{title[:1].upper()}{title[1:]}, by torchmetrics: what models trained on the release lose on real rows."
    )
    return Metric(
        id=id,
        family=family,
        title=title,
        function=lost,
        algo=algo,
        headline="gap",
        unit=unit,
        needs=Needs(label=True, smallest_n=1000),
        null="halves",
        draws=REFITS,
        tolerances=tuple(tolerances),
    )


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """A metric of another library, and how it is called; ``sign`` 1 where more is better, else -1."""

    id: str
    factory: Factory
    read: Reading
    preds: Preds
    sign: float

    def measured(self, bench: Workbench, learners: tuple[str, ...], halves: int) -> Iterator[Value]:
        """The gaps of one view, with their intervals where it is the measurement."""
        problem = _problem(bench, learners)
        if problem:
            yield Value(field="gap", status="not_assessable", reason=problem, n=_sizes(bench))
            return
        gaps = self.gaps(bench, learners)
        if bench.is_null:
            worst = max(gaps.values())
            yield Value(field="gap", estimate=Estimate.point(worst, level=bench.level))
            return
        rng = bench.generator(self.id)
        drawn = [self.gaps(bench, learners, np.sort(bench.test.half(rng))) for _ in range(halves)]
        spread = refit_spread(bench, lambda view: self.gaps(view, learners))
        changes = [
            Change(
                group=(("learner", learner),),
                value=gap,
                sampling=float(np.std([one[learner] for one in drawn], ddof=1)),
                refit=spread[learner].spread,
                draws=spread[learner].draws,
            )
            for learner, gap in gaps.items()
        ]
        yield Value(field="gap", estimate=worst_change(changes, "lower", bench.level), n=_sizes(bench))
        for change in changes:
            yield Value(field="gap", estimate=change.estimate(bench.level), group=change.group, n=_sizes(bench))

    def gaps(self, bench: Workbench, learners: tuple[str, ...], rows: Rows | None = None) -> dict[str, float]:
        """By how much the model trained on the release is worse than the one trained on real rows, by learner."""
        tried = np.arange(len(bench.test)) if rows is None else rows
        tried = tried[bench.test.labels[tried] != ""]
        found = {}
        for learner in learners:
            real, made = (
                self._score(bench.forecast(learner, trained_on), bench.test.labels[tried], tried)
                for trained_on in (bench.learning, bench.synthetic_train)
            )
            found[learner] = self.sign * (real - made)
        return found

    def _score(self, forecast: Forecast, labels: np.ndarray, rows: Rows) -> float:
        import torch

        position = np.searchsorted(forecast.classes, labels)
        if self.preds == "classes":
            said = torch.from_numpy(np.searchsorted(forecast.classes, forecast.predicted[rows]))
        else:
            said = torch.from_numpy(forecast.probability[rows])
        with seeded_torch(0), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # classes without rows in a half
            metric = self.factory(len(forecast.classes))
            metric.update(said, torch.from_numpy(position))
            score = self.read(metric.compute())
        if not math.isfinite(score):
            raise MetricError(f"{self.id}: torchmetrics computed {score}, which is no score of these rows")
        return score


def _problem(bench: Workbench, learners: tuple[str, ...]) -> str:
    """Why no gap can be measured; empty where it can."""
    labelled = bench.test.take(np.flatnonzero(bench.test.labels != ""), f"labelled {bench.test.name}")
    if len(np.unique(labelled.labels)) < 2 or labelled.sources < 4:
        return f"the real test rows hold fewer than two classes of {bench.corpus.label}, or fewer than 4 sources"
    for learner in learners:
        for trained_on in (bench.learning, bench.synthetic_train):
            forecast = bench.forecast(learner, trained_on)
            if forecast.degenerate:
                return f"no model can be trained on {trained_on.name}: {forecast.reason}"
    return ""


def _sizes(bench: Workbench) -> dict[str, int]:
    return {"learning": len(bench.learning), "studying": len(bench.synthetic_train), "trial": len(bench.test)}
