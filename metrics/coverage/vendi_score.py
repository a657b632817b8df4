"""Vendi score: how many different rows there are, in effect."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

import numpy as np
from pydantic import Field

from counterproof.metrics.engine.distances import directions
from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate, Evidence
from counterproof.metrics.metric import Needs, Value, metric
from counterproof.metrics.sample import Floats, Rows, Sample
from counterproof.metrics.statistics.variance import parts_error
from counterproof.metrics.workbench import Workbench

CHUNKS = 4
SHOWN = 10
NOTHING = 1e-12  # eigenvalues that rounding leaves
FIELDS = ("ratio", "release", "real")
VENDI: Work[tuple[float, float]] = Work("Vendi entropy")


@metric(
    id="coverage.vendi_score",
    family="coverage",
    title="Vendi score",
    better="higher",
    headline="ratio",
    unit="ratio of effective numbers of rows",
    draws=10,
    needs=Needs(smallest_n=100),
)
def vendi_score(bench: Workbench, *, q: Annotated[float, Field(gt=0)] = 1.0) -> Iterator[Value]:
    """How diverse the release is, over how diverse as many real rows are.

    A Vendi score is the effective number of different rows, by the cosine of their features. It depends on the
    number of rows, so both sides are taken at the same number. The interval is normal on the log scale, from
    each row's influence on the entropy.

    Formula:
        score = exp(−Σ λ log λ), with λ the eigenvalues of the cosine matrix over the number of rows
        ratio = score of the release / score of real rows

    How to read it:
        1 is as diverse as real rows. Less means duplicates, missing modes or blur. More than 1 may be noise.

    Limits:
        It does not say whether the diversity is the right one: noise is diverse.

    Args:
        bench: The samples.
        q: Order of the entropy. Below 1 rare kinds of rows count for more, above 1 common ones do; at infinity
            only the largest eigenvalue counts.

    Yields:
        ratio: Score of the release over that of real rows.
        release: Score of the release.
        real: Score of as many real rows.

    Source:
        Friedman and Dieng (2022), arXiv:2210.02410; orders: Pasarkar and Dieng (2023), arXiv:2310.12952.
    """
    if not q > 0:
        raise MetricError(f"coverage.vendi_score: order q = {q} is none: give a number above 0, or inf")
    n = min(len(bench.reference), len(bench.candidate))
    sizes = {"reference": n, "candidate": n}
    unfit = _unfit(bench, n)
    if unfit is not None:
        for field in FIELDS:
            yield Value(field=field, status="not_assessable", reason=unfit, n=bench.sizes)
        return
    (made, made_error), (real, real_error) = (
        _entropy(bench, sample, n, q) for sample in (bench.candidate, bench.reference)
    )
    entropies = ((made - real, math.hypot(made_error, real_error)), (made, made_error), (real, real_error))
    for field, (entropy, error) in zip(FIELDS, entropies, strict=True):
        shown = field == "ratio" and not bench.is_null
        yield Value(
            field=field,
            estimate=Estimate.normal(
                math.exp(entropy), error, level=bench.level, method="normal, of the entropy", scale="log"
            ),
            n=sizes,
            unit=None if field == "ratio" else f"effective rows of {n}",
            evidence=(_commonest(bench.candidate, q),) if shown else (),
        )


def _unfit(bench: Workbench, n: int) -> str | None:
    if n < 4:
        return f"a Vendi score needs four rows on each side, not {n}"
    if not bench.is_null and min(bench.reference.sources, bench.candidate.sources) < 2:
        return "the rows of one side come from one source: how far another would differ cannot be told"
    if not all(np.any(sample.features) for sample in (bench.reference, bench.candidate)):
        return "all features of one side are 0: rows have no direction to be compared by"
    return None


def vendi_of(kernel: Floats, q: float = 1.0) -> float:
    """The Vendi score of a kernel matrix.

    Args:
        kernel: ``(n, n)`` likenesses: symmetric, positive semi-definite, ones on the diagonal.
        q: Order of the entropy; ``inf`` takes the largest eigenvalue alone.

    Raises:
        ValueError: The matrix is not square and symmetric with ones on its diagonal, or q is not above 0.

    >>> round(vendi_of(np.array([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]])), 6)
    2.1573
    """
    square = kernel.ndim == 2 and kernel.shape[0] == kernel.shape[1] > 0
    if not square or not np.allclose(kernel, kernel.T) or not np.allclose(np.diag(kernel), 1):
        raise ValueError(f"a kernel is a symmetric matrix with ones on its diagonal; this one is {kernel.shape}")
    if not q > 0:
        raise ValueError(f"order q = {q} is none: give a number above 0, or inf")
    return math.exp(entropy_of(np.asarray(np.linalg.eigvalsh(kernel / len(kernel)), dtype=np.float64), q))


def vendi_of_rows(features: Floats, q: float = 1.0) -> float:
    """The Vendi score of ``(n, d)`` rows under the cosine kernel, by the smaller of the two Gram matrices.

    >>> round(vendi_of_rows(np.repeat(np.eye(3), 5, axis=0)), 6)
    3.0
    """
    return math.exp(entropy_of(_spectrum(directions(features.astype(np.float64))), q))


def entropy_of(eigenvalues: Floats, q: float = 1.0) -> float:
    """Rényi entropy of order ``q`` (Shannon's at 1) of eigenvalues that sum to 1."""
    positive = eigenvalues[eigenvalues > NOTHING]
    if q == 1:
        return float(-(positive * np.log(positive)).sum())
    if math.isinf(q):
        return float(-np.log(positive.max()))
    return float(np.log((positive**q).sum()) / (1 - q))


def _spectrum(rows: Floats) -> Floats:
    n, d = rows.shape
    eigenvalues = np.linalg.eigvalsh((rows.T @ rows if d <= n else rows @ rows.T) / n)
    return np.asarray(eigenvalues / eigenvalues.sum())


def influences(rows: Floats, q: float = 1.0) -> tuple[float, Floats]:
    """Entropy of rows of length 1, and by how much each row moves it: ``(n,)``, of mean 0.

    The derivative of the entropy in the operator ``mean of x xᵀ``: ``-xᵀ log(S) x - H`` at order 1.
    Rows that lie where many others do have negative influence.
    """
    n, d = rows.shape
    values, vectors = np.linalg.eigh((rows.T @ rows if d <= n else rows @ rows.T) / n)
    kept = values > NOTHING
    values, vectors = values[kept] / values[kept].sum(), vectors[:, kept]
    # Squared coordinates of each row along the eigenvectors of S, from either Gram matrix.
    squares = (rows @ vectors) ** 2 if d <= n else vectors**2 * (n * values)
    entropy = entropy_of(values, q)
    if q == 1:
        moved = squares @ -np.log(values)
    elif math.isinf(q):
        moved = -squares[:, -1] / values[-1]
    else:
        moved = q / (1 - q) * (squares @ values ** (q - 1)) / (values**q).sum()
    return entropy, np.asarray(moved - moved.mean())


def _entropy(bench: Workbench, sample: Sample, n: int, q: float) -> tuple[float, float]:
    """Entropy at ``n`` rows and its standard error; a larger sample is thinned a few times, so that all speak."""

    def take() -> tuple[float, float]:
        if len(sample) == n:
            rows = directions(sample.features)
            if bench.is_null:
                return entropy_of(_spectrum(rows), q), 0.0
            entropy, moved = influences(rows, q)
            return entropy, _error(sample, moved, np.arange(n))
        rng = bench.generator(f"vendi {sample.name}")
        drawn = [_thinned(bench, sample, np.sort(sample.shuffled(rng)[:n]), q) for _ in range(CHUNKS)]
        entropy, error = np.mean(drawn, axis=0)
        return float(entropy), float(error)

    return bench.shared(VENDI.about(sample, n=n, q=q, null=bench.is_null), take)


def _thinned(bench: Workbench, sample: Sample, kept: Rows, q: float) -> tuple[float, float]:
    rows = directions(sample.features[kept])
    if bench.is_null:
        return entropy_of(_spectrum(rows), q), 0.0
    entropy, moved = influences(rows, q)
    return entropy, _error(sample, moved, kept)


def _error(sample: Sample, moved: Floats, kept: Rows) -> float:
    clusters = sample.corpus.clusters
    return parts_error(moved / len(moved), None if clusters is None else clusters[sample.rows[kept]])


def _commonest(sample: Sample, q: float) -> Evidence:
    """Rows that lower the diversity most: more of what the release is full of."""
    _, moved = influences(directions(sample.features), q)
    worst = np.argsort(moved, kind="stable")[:SHOWN]
    names = sample.names
    return Evidence(
        title="Synthetic rows that lower the diversity most",
        columns=("synthetic row", "influence on the entropy"),
        rows=tuple((str(names[i]), float(moved[i])) for i in worst),
        note="They lie where most other synthetic rows lie: each makes the release more of the same.",
    )
