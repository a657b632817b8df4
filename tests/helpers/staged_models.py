"""Trials made by hand: tables to learn from, and benches whose models' forecasts are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from counterproof.metrics.engine.learners import Forecast
from counterproof.metrics.metric import Value
from counterproof.metrics.sample import Corpus, Mixed, Sample
from counterproof.metrics.shared.retraining import REFITS
from counterproof.metrics.workbench import FORECAST, Workbench

Labels = Sequence[str] | NDArray[np.str_]
Places = dict[tuple[str, tuple[tuple[str, str | None], ...]], Value]


def table(
    numbers: NDArray[np.float64],
    labels: Labels,
    *,
    groups: Mapping[str, Labels] | None = None,
    clusters: NDArray[np.intp] | None = None,
    space: bool = False,
) -> Corpus:
    """Numbers, group columns and a label as one encoded table; or a feature space without blocks."""
    groups = {name: np.asarray(values) for name, values in (groups or {}).items()}
    texts = {**groups, "label": np.asarray(labels)}
    codes = {name: np.unique(values, return_inverse=True)[1] for name, values in texts.items()}
    one_hot = {name: np.eye(code.max() + 1)[code] for name, code in codes.items()}
    widths = [1] * numbers.shape[1] + [block.shape[1] for block in one_hot.values()]
    ends = np.cumsum([0, *widths])
    names = (*(f"x{i}" for i in range(numbers.shape[1])), *texts)
    shown = np.where(np.isnan(numbers), 0.0, numbers)
    return Corpus(
        features=shown if space else np.hstack([shown, *one_hot.values()]),
        protocol="made",
        modality="features" if space else "table",
        digests=np.array([b""] * len(numbers)),
        names=np.arange(len(numbers)).astype(str),
        blocks=None if space else tuple(np.arange(a, b) for a, b in pairwise(ends)),
        block_names=() if space else names,
        mixed=None
        if space
        else Mixed(
            numeric=numbers.astype(np.float32),
            codes=np.column_stack(list(codes.values())).astype(np.int32),
            columns=names,
        ),
        label="label",
        labels=texts["label"],
        groups=groups,
        clusters=clusters,
    )


def bench_of(corpus: Corpus, *, learning: int, synthetic_train: int) -> Workbench:
    """The first rows are real rows to learn from, then come the release and the real test rows."""
    cut = learning + synthetic_train
    real, release = (
        Sample("train", np.arange(learning), corpus),
        Sample("synthetic", np.arange(learning, cut), corpus),
    )
    test = Sample("test", np.arange(cut, len(corpus.names)), corpus)
    return Workbench(
        reference=test,
        candidate=release,
        real=real,
        release=release,
        learning=real,
        test=test,
        synthetic_train=release,
    )


def staged(
    labels: Labels,
    *,
    real: NDArray[np.float64],
    synthetic: NDArray[np.float64],
    groups: Mapping[str, Labels] | None = None,
    clusters: NDArray[np.intp] | None = None,
    learner: str = "linear",
) -> Workbench:
    """A trial of given forecasts: ``(n, k)`` probabilities of the sorted classes.

    The models of halves say what the models of the whole say: training anew changes nothing.
    """
    n = len(labels)
    everything = np.concatenate([np.asarray(labels)] * 3)
    tripled = {name: np.concatenate([np.asarray(values)] * 3) for name, values in (groups or {}).items()}
    corpus = table(
        np.zeros((3 * n, 1)),
        everything,
        groups=tripled,
        clusters=None if clusters is None else np.concatenate([clusters + i * n for i in range(3)]),
    )
    bench = bench_of(corpus, learning=n, synthetic_train=n)
    classes = np.unique(everything[everything != ""])

    def forecast(probability: NDArray[np.float64]) -> Forecast:
        return Forecast(classes=classes, probability=probability, predicted=classes[probability.argmax(1)], rows=n)

    stage(bench, learner, bench.learning, forecast(real))
    stage(bench, learner, bench.synthetic_train, forecast(synthetic))
    for draw in range(REFITS):
        for view, probability in ((bench.halves(draw), real), (bench.release_halves(draw), synthetic)):
            for half in (view.learning, view.synthetic_train):
                stage(bench, learner, half, forecast(probability))
    return bench


def unsteady(bench: Workbench, share: float, *, learner: str = "linear", seed: int = 0) -> Workbench:
    """The same models, whose halves decide about a share of the test rows as about others of their groups and class."""
    rng = np.random.default_rng(seed)
    kinds = np.stack([*(bench.test.group(name) for name in bench.corpus.groups), bench.test.labels])
    code = np.unique(kinds, axis=1, return_inverse=True)[1].ravel()
    alike = [np.flatnonzero(code == at) for at in range(code.max() + 1)]
    for draw in range(REFITS):
        for view in (bench.halves(draw), bench.release_halves(draw)):
            for half in (view.learning, view.synthetic_train):
                said = bench.forecast(learner, half)
                other = np.arange(len(code))
                for rows in alike:
                    chosen = rows[rng.random(len(rows)) < share]
                    other[chosen] = rng.choice(rows, len(chosen))
                moved = replace(said, probability=said.probability[other], predicted=said.predicted[other])
                stage(bench, learner, half, moved)
    return bench


def stage(bench: Workbench, learner: str, trained_on: Sample, said: Forecast) -> None:
    """What the model of a sample says of the test rows, given instead of learned."""
    bench.work.put(FORECAST.about(trained_on, bench.test, learner=learner), said)


def decisions(chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Probabilities of a model that decides for the second of two classes where told so."""
    return np.column_stack([~chosen, chosen]).astype(np.float64)


def people(n: int = 3000, seed: int = 0) -> pd.DataFrame:
    """Three group columns, the truth, and what two models decide, which treat the groups otherwise."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "sex": rng.choice(["F", "M"], n),
            "race": rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]),
            "age": rng.choice(["old", "young"], n),
            "truth": rng.random(n) < 0.4,
        }
    )
    shift = 0.15 * (table["sex"] == "F") - 0.1 * (table["race"] == "c")
    for model, (hit, miss) in {"real": (0.75, 0.2), "synthetic": (0.65, 0.3)}.items():
        table[model] = rng.random(n) < np.where(table["truth"], hit, miss) + shift
    return table
