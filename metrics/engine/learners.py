"""Models trained on one sample and tested on another: the learners of utility and fairness.

Two learners that differ in kind, per modality: a metric judges the worse of the two, so that a
release is not praised because one learner cannot see what it lost. No learner ever sees the label:
neither as a block of features nor as a column of the table.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from counterproof.metrics.errors import MetricError
from counterproof.metrics.sample import Corpus, Floats, Sample

CATEGORIES = 200  # categories of one column that the boosting learner keeps; scikit-learn's limit is 255
LEARNED = 50_000  # rows that a model learns from at most; an audit trains some eighty
NEIGHBOURS = 5
Models = Annotated[tuple[Literal["linear", "boosting", "neighbours"], ...], Field(min_length=1)]
TABLE_PENALTY = 0.1  # C of logistic regression: one-hot blocks of rare categories
SPACE_PENALTY = 0.01  # on standardised features: hundreds of dimensions, few rows


@dataclass(frozen=True, eq=False, kw_only=True)
class Forecast:
    """What a model predicts for the test rows.

    Attributes:
        classes: ``(k,)`` every label of the audit, sorted; rows without a label have none.
        probability: ``(n, k)``; 0 for classes that the model never saw.
        predicted: ``(n,)`` the most probable class.
        rows: How many labelled rows the model was trained on.
        degenerate: Nothing could be learned: the training rows hold less than two classes, or
            there is no column besides the label.
        reason: Why it is degenerate.
    """

    classes: NDArray[np.str_]
    probability: Floats
    predicted: NDArray[np.str_]
    rows: int
    degenerate: bool = False
    reason: str = ""

    @property
    def constant(self) -> bool:
        """Whether it predicts the same class for every test row."""
        return len(np.unique(self.predicted)) < 2

    def score(self, label: str) -> Floats:
        """``(n,)`` probability of one class."""
        return self.probability[:, int(np.searchsorted(self.classes, label))]


@dataclass(frozen=True, kw_only=True)
class Learner:
    """A way to learn.

    Attributes:
        title: Its name in prose.
        inputs: Turns training rows and test rows into columns.
        estimator: A fresh scikit-learn classifier for a corpus, a number of training rows and a seed.
        tables_only: It needs the columns of a table.
    """

    title: str
    inputs: Callable[[Sample, Sample], tuple[Floats, Floats]]
    estimator: Callable[[Corpus, int, int], Any]
    tables_only: bool = False


def default_learners(corpus: Corpus) -> tuple[str, ...]:
    """The two learners of a modality."""
    return ("linear", "boosting") if corpus.mixed is not None else ("linear", "neighbours")


def chosen_learners(corpus: Corpus, names: Sequence[str] | None) -> tuple[str, ...]:
    """The named learners, or the modality's two.

    Raises:
        MetricError: A name is unknown, none is given, or the learner needs a table.
    """
    if names is None:
        return default_learners(corpus)
    if not names:
        raise MetricError(f"option models is empty: name at least one of {', '.join(LEARNERS)}")
    for name in names:
        if name not in LEARNERS:
            raise MetricError(f"no model is called {name!r}: choose from {', '.join(LEARNERS)}")
        if LEARNERS[name].tables_only and corpus.mixed is None:
            raise MetricError(f"the model {name} needs a table: choose from {', '.join(default_learners(corpus))}")
    return tuple(dict.fromkeys(names))


def fit_forecast(learner: Learner, trained_on: Sample, test: Sample, *, seed: int) -> Forecast:
    """Train on the labelled rows of one sample and predict all rows of another.

    Args:
        learner: One of :data:`LEARNERS`.
        trained_on: Rows to learn from; rows without a label are left out.
        test: Rows to predict.
        seed: Of the learner, where it has random steps.

    Raises:
        ValueError: No label column was given.
    """
    labelled = trained_on.take(np.flatnonzero(trained_on.labels != ""), trained_on.name)
    everything = test.corpus.labels
    assert everything is not None
    classes = np.unique(everything[everything != ""])
    seen, targets = np.unique(labelled.labels, return_inverse=True)
    probability = np.zeros((len(test), len(classes)))
    reason = _too_few_classes(seen, test.corpus.label)
    if not reason:
        inputs, test_inputs = learner.inputs(labelled, test)
        if inputs.shape[1]:
            estimator = learner.estimator(test.corpus, len(labelled), seed)
            probability[:, np.searchsorted(classes, seen)] = _trained(estimator, inputs, targets, test_inputs)
        else:
            reason = f"there is no column besides {test.corpus.label} to learn from"
    if reason and len(seen):
        probability[:, np.searchsorted(classes, seen[0])] = 1.0
    return Forecast(
        classes=classes,
        probability=probability,
        predicted=classes[probability.argmax(1)] if len(classes) else np.full(len(test), ""),
        rows=len(labelled),
        degenerate=bool(reason),
        reason=reason,
    )


def _too_few_classes(seen: NDArray[np.str_], label: str | None) -> str:
    if len(seen) == 0:
        return f"no row has a value of {label}"
    if len(seen) == 1:
        return f"all rows have one class of {label}, {str(seen[0])!r}"
    return ""


def _trained(estimator: Any, inputs: Floats, targets: NDArray[np.intp], test_inputs: Floats) -> Floats:
    from threadpoolctl import threadpool_limits

    # One thread: on busy cores the threads of one small fit wait for each other a hundred times longer.
    with threadpool_limits(1), no_library_warnings():
        estimator.fit(inputs, targets)
        found: Floats = estimator.predict_proba(test_inputs)
    return found


@contextmanager
def no_library_warnings() -> Iterator[None]:
    """What scikit-learn, and what it calls, has to say of a fit does not reach the terminal.

    Stopping at a fixed number of steps and classes of few rows are part of the task, the same for
    every sample. Warnings of any other module pass.
    """
    with warnings.catch_warnings():
        for library in ("sklearn", "scipy", "numpy", "joblib"):
            warnings.filterwarnings("ignore", module=rf"{library}(\.|$)")
        yield


# -- inputs -------------------------------------------------------------------------------------


def _features(trained_on: Sample, test: Sample) -> tuple[Floats, Floats]:
    """Encoded rows without the label's block; a feature space is standardised on the training rows."""
    corpus = test.corpus
    if corpus.blocks is None:
        mean, spread = trained_on.features.mean(0), trained_on.features.std(0)
        scale = np.where(spread > 0, spread, 1.0)
        return (trained_on.features - mean) / scale, (test.features - mean) / scale
    kept = [block for block, name in zip(corpus.blocks, corpus.block_names, strict=True) if name != corpus.label]
    columns = np.concatenate(kept) if kept else np.empty(0, dtype=np.intp)
    return trained_on.features[:, columns], test.features[:, columns]


def _columns(trained_on: Sample, test: Sample) -> tuple[Floats, Floats]:
    """The table's numbers and category codes side by side, without the label; NaN is missing."""
    mixed = test.corpus.mixed
    assert mixed is not None
    kept = np.array([name != test.corpus.label for name in mixed.columns], dtype=bool)
    learned, tested = (
        np.hstack([mixed.numeric[rows], mixed.codes[rows]]).astype(np.float64)[:, kept]
        for rows in (trained_on.rows, test.rows)
    )
    # The learner cannot bin a column without a value in training, and such a column carries no information.
    unknown = np.isnan(learned).all(0)
    learned[:, unknown] = tested[:, unknown] = 0.0
    for column in np.flatnonzero(_categorical(test.corpus)):
        learned[:, column], tested[:, column] = _frequent(learned[:, column], tested[:, column])
    return learned, tested


def _frequent(learned: Floats, tested: Floats) -> tuple[Floats, Floats]:
    """Codes numbered anew; rare ones beyond the limit, and those that training never saw, are missing."""
    codes, counts = np.unique(learned, return_counts=True)
    known = np.sort(codes[np.argsort(-counts, kind="stable")[:CATEGORIES]])

    def renumber(values: Floats) -> Floats:
        place = np.minimum(np.searchsorted(known, values), len(known) - 1)
        return np.where(known[place] == values, place, np.nan)

    return (renumber(learned), renumber(tested)) if len(known) else (learned, tested)


def _categorical(corpus: Corpus) -> NDArray[np.bool_]:
    """Which columns of :func:`_columns` are categories."""
    mixed = corpus.mixed
    assert mixed is not None
    numbers = mixed.numeric.shape[1]
    return np.array([i >= numbers for i, name in enumerate(mixed.columns) if name != corpus.label], dtype=bool)


# -- estimators ---------------------------------------------------------------------------------


def _logistic(corpus: Corpus, rows: int, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=SPACE_PENALTY if corpus.blocks is None else TABLE_PENALTY, max_iter=200)


def _boosting(corpus: Corpus, rows: int, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=60,
        max_leaf_nodes=8,
        learning_rate=0.1,
        early_stopping=False,
        categorical_features=_categorical(corpus),
        random_state=seed,
    )


def _neighbours(corpus: Corpus, rows: int, seed: int) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(n_neighbors=min(NEIGHBOURS, rows), weights="distance", algorithm="brute")


LEARNERS: dict[str, Learner] = {
    "linear": Learner(title="logistic regression", inputs=_features, estimator=_logistic),
    "boosting": Learner(title="gradient boosting", inputs=_columns, estimator=_boosting, tables_only=True),
    "neighbours": Learner(title="five nearest neighbours", inputs=_features, estimator=_neighbours),
}
