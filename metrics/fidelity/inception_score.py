"""Inception score: does the encoder's own classifier see clear and varied classes?"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate, Evidence
from counterproof.metrics.metric import Count, Needs, Value, metric
from counterproof.metrics.sample import Floats, Head, Sample
from counterproof.metrics.workbench import Workbench

HALVES = 60
SHOWN = 10
BLOCK = 4096


@metric(
    id="fidelity.inception_score",
    family="fidelity",
    better="higher",
    unit="effective number of classes told apart",
    needs=Needs(modalities=frozenset({"image", "features"}), smallest_n=500),
)
def inception_score(bench: Workbench, *, splits: Count = 10, bias: bool = False) -> Iterator[Value]:
    """How many classes the encoder's own classifier tells apart in the release, in effect.

    Formula:
        value = exp(mean over rows of KL(p(class | row) ‖ p(class)))

    How to read it:
        1 when all rows look alike to the classifier; the number of classes when every row is surely of one
        class and all classes are equally common. Compare with the floor, which is what real rows score. The
        interval is normal, by half-samples.

    Limits:
        It sees only the classifier's classes and never the real rows: a release with one perfect image for each
        class scores as well as real data. It exists only for encoders that have a classifier.

    Args:
        bench: The samples.
        splits: Parts over which the published mean is taken.
        bias: Whether the classifier's bias is kept; the published Inception code and torch-fidelity leave it
            out.

    Yields:
        value: The score over all rows.
        splits_mean: The published mean over shuffled parts, lower where a part holds few rows of each class.

    Source:
        Salimans et al. (2016), Improved techniques for training GANs, arXiv:1606.03498.
    """
    if splits < 1:
        raise MetricError(f"fidelity.inception_score: {splits} splits: give 1 or more")
    head, size = bench.corpus.head, {"candidate": len(bench.candidate)}
    unfit = _unfit(bench, head, splits)
    if head is None or unfit is not None:
        for field in ("value", "splits_mean"):
            yield unfit_value(field, unfit or "", size, head is None)
        return
    chances = probabilities(bench.candidate.features, head, bias=bias)
    order = bench.candidate.shuffled(bench.generator("splits"))
    parts = np.array([score(part) for part in np.array_split(chances[order], splits)])
    error = 0.0 if bench.is_null else _spread(bench, chances)
    yield Value(
        estimate=Estimate.normal(
            score(chances), error, level=bench.level, method=f"normal, spread of {HALVES} half-samples"
        ),
        n=size,
        evidence=() if bench.is_null else (_vaguest(bench.candidate, chances),),
    )
    method = f"normal, spread of {HALVES} half-samples of all rows"
    yield Value(
        field="splits_mean",
        estimate=Estimate.normal(float(parts.mean()), error, level=bench.level, method=method),
        n=size,
        reason=f"standard deviation over the {splits} splits, as published beside it: {parts.std():.4g}",
    )


def unfit_value(field: str, reason: str, size: dict[str, int], headless: bool) -> Value:
    """A field that could not be measured."""
    return Value(field=field, status="not_applicable" if headless else "not_assessable", reason=reason, n=size)


def _unfit(bench: Workbench, head: Head | None, splits: int) -> str | None:
    if head is None:
        return "the encoder has no classifier of its own: use one that has (efficientnet, inception)"
    needed = max(4, 2 * splits)
    if len(bench.candidate) < needed:
        return f"an inception score over {splits} splits needs {needed} rows, not {len(bench.candidate)}"
    if not bench.is_null and bench.candidate.sources < 2:
        return "all rows come from one source: how far another would differ cannot be told"
    return None


def probabilities(features: Floats, head: Head, *, bias: bool = False) -> Floats:
    """``(n, classes)`` what the classifier gives each class, in float64.

    Args:
        features: ``(n, d)``.
        head: The classifier.
        bias: Whether its bias counts.

    Raises:
        ValueError: The classifier is for features of another length.
    """
    weight = head.weight.astype(np.float64).T
    if features.ndim != 2 or features.shape[1] != len(weight):
        raise ValueError(f"the classifier reads features of length {len(weight)}, not {features.shape}")
    logits = np.concatenate(
        [features[start : start + BLOCK] @ weight for start in range(0, len(features), BLOCK)]
        or [np.empty((0, weight.shape[1]))]
    )
    if bias:
        logits += head.bias
    logits -= logits.max(1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(1, keepdims=True)
    return logits


def score(chances: Floats) -> float:
    """Inception score of ``(n, classes)`` probabilities.

    >>> score(np.eye(4)), score(np.full((3, 4), 0.25))
    (4.0, 1.0)
    """
    return _score(_surprise(chances), chances)


def _score(surprise: Floats, chances: Floats) -> float:
    """Mean divergence = entropy of the mean - mean entropy."""
    return math.exp(max(0.0, float(_surprise(chances.mean(0)[None])[0] - surprise.mean())))


def _surprise(chances: Floats) -> Floats:
    """Entropy of each row; a class of no chance adds nothing."""
    return np.asarray(-(chances * np.log(np.where(chances > 0, chances, 1.0))).sum(-1))


def _spread(bench: Workbench, chances: Floats) -> float:
    """Standard deviation over halves drawn without replacement; rows of one source stay together."""
    rng, surprise = bench.generator("half-samples"), _surprise(chances)
    drawn = []
    for _ in range(HALVES):
        half = bench.candidate.shuffled(rng)[: len(chances) // 2]
        drawn.append(_score(surprise[half], chances[half]))
    return float(np.std(drawn, ddof=1))


def _vaguest(sample: Sample, chances: Floats) -> Evidence:
    """Rows that the classifier tells least about: nearest to its mean answer."""
    mean = chances.mean(0)
    gain = -_surprise(chances) - chances @ np.log(np.where(mean > 0, mean, 1.0))
    worst = np.argsort(gain, kind="stable")[:SHOWN]
    names = sample.names
    return Evidence(
        title="Synthetic rows that the classifier tells least about",
        columns=("synthetic row", "divergence from the mean answer", "chance of its likeliest class"),
        rows=tuple((str(names[i]), float(gain[i]), float(chances[i].max())) for i in worst),
        note="Rows whose class the encoder's classifier is unsure of, or which look like the average row.",
    )
