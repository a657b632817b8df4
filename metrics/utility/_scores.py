"""How well a model does on labelled rows: AUROC and accuracy, with what each row adds to their errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.learners import Forecast
from counterproof.metrics.sample import Floats, Sample
from counterproof.metrics.statistics.auc import auc_error, auc_parts
from counterproof.metrics.statistics.proportions import paired_error
from counterproof.metrics.statistics.variance import parts_error


@dataclass(frozen=True, eq=False, kw_only=True)
class Score:
    """How well a forecast does on the labelled trial rows.

    Attributes:
        areas: Area under the ROC curve of each scored class against the rest.
        parts: ``(n,)`` what each row adds to the sampling error of their mean.
        correct: ``(n,)`` whether the predicted class is right.
        binary: The positive rows, where there are two classes only.
        clusters: Source record of each row.
    """

    areas: Mapping[str, float]
    parts: Floats
    correct: NDArray[np.bool_]
    binary: NDArray[np.bool_] | None
    clusters: NDArray[np.intp] | None

    @property
    def auroc(self) -> float:
        """Mean over the scored classes: macro, one against the rest."""
        return float(np.mean(list(self.areas.values())))

    @property
    def accuracy(self) -> float:
        """Share of right predictions."""
        return float(self.correct.mean())

    def area_error(self, other: Score | None = None) -> float:
        """Standard error of the AUROC, or of its paired difference to another score."""
        parts = self.parts if other is None else self.parts - other.parts
        if self.binary is not None and self.clusters is None:
            error = auc_error(parts, self.binary)
        else:
            error = parts_error(parts, self.clusters)
        # n rows never know an area better than one of them could move it.
        return max(error, 1 / (len(parts) + 2))

    def accuracy_error(self, other: Score) -> float:
        """Standard error of the paired difference of accuracies."""
        n = len(self.correct)
        gained, lost = int((self.correct & ~other.correct).sum()), int((~self.correct & other.correct).sum())
        error = paired_error(gained, lost, n)
        if self.clusters is None:
            return error
        change = self.correct.astype(np.float64) - other.correct
        return max(error, parts_error((change - change.mean()) / n, self.clusters))


def scored(test: Sample, forecast: Forecast, *, asked: Sequence[str] = ()) -> Score:
    """Score a forecast on the rows that have a label.

    Two classes are one question: the rarer against the other. More classes are one question each,
    and their areas are averaged.

    Args:
        test: The rows of the forecast.
        forecast: What a model says of them.
        asked: The classes to score, instead.
    """
    labelled = test.labels != ""
    labels = test.labels[labelled]
    asked = list(asked) or asked_classes(labels)
    areas, parts = {}, []
    for name in asked:
        area, part = auc_parts(forecast.score(name)[labelled], labels == name)
        areas[str(name)] = area
        parts.append(part)
    return Score(
        areas=areas,
        parts=np.mean(parts, axis=0),
        correct=forecast.predicted[labelled] == labels,
        binary=np.asarray(labels == asked[0]) if len(asked) == 1 else None,
        clusters=None if test.corpus.clusters is None else test.corpus.clusters[test.rows][labelled],
    )


def asked_classes(labels: NDArray[np.str_]) -> list[str]:
    """The classes that are scored: of two the rarer."""
    names, counts = scorable(labels)
    return [str(names[counts.argmin()])] if len(names) == 2 else [str(name) for name in names]


def scorable(labels: NDArray[np.str_]) -> tuple[NDArray[np.str_], NDArray[np.intp]]:
    """Classes with rows enough for a standard error, and their counts."""
    names, counts = np.unique(labels[labels != ""], return_counts=True)
    return names[counts > 1], counts[counts > 1]
