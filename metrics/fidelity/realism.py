"""Realism: how deep each synthetic row lies in the neighbourhoods of real rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from counterproof.metrics.engine.blocked_search import blocks
from counterproof.metrics.engine.distances import Euclid
from counterproof.metrics.engine.pairwise_pass import MEMORY
from counterproof.metrics.estimate import Estimate, Evidence, Panel
from counterproof.metrics.metric import Count, Value, metric
from counterproof.metrics.prdc.balls import balls, counts
from counterproof.metrics.prdc.scores import NEEDS, Manifold, manifold, quantity_value
from counterproof.metrics.sample import Floats, Rows
from counterproof.metrics.shared.closest_pairs import Pair, own_rows, pair_panel
from counterproof.metrics.workbench import Workbench

SHOWN = 10
PICTURED = 12
HALVES = 20
QUERIES = 1000
"""Rows per re-split whose realism is sought for the floors of the quantiles."""
QUANTILES = (0.05, 0.25, 0.5)
NEAR = 4
"""Reference rows picked in float32 for each candidate row, of which float64 takes the best."""
MOST = 100.0
"""Where realism ends: a row at distance 0 would be infinitely real."""


@dataclass(frozen=True, eq=False)
class Realism:
    """Scores and the real row behind each.

    Attributes:
        score: ``(m,)`` realism, at most ``MOST``; 1 or more is within a real neighbourhood.
        nearest: ``(m,)`` position of the reference row whose neighbourhood gives the score.
    """

    score: Floats
    nearest: Rows


def realism_between(
    reference: Floats, candidate: Floats, radius: Floats, *, memory: int = MEMORY, device: str = "cpu"
) -> Realism:
    """Realism of each candidate row: the largest ``radius / distance`` over reference rows.

    Only the half of the reference rows whose radius is no wider than the median counts. A few
    rows are picked in float32, exact distances decide. A distance of 0 scores ``MOST``.

    Args:
        reference: ``(n, d)``.
        candidate: ``(m, d)``.
        radius: ``(n,)`` distance of each reference row to its k-th reference neighbour.
        memory: Budget in bytes for one block.
        device: Where the matrix products run.

    Raises:
        ValueError: The features are not finite.

    >>> made = realism_between(np.array([[0.0], [1.0], [9.0]]), np.array([[2.0], [0.0]]), np.array([1.0, 1.0, 8.0]))
    >>> made.score.tolist(), made.nearest.tolist()
    ([1.0, 100.0], [1, 0])
    """
    kept = np.flatnonzero((radius > 0) & (radius <= np.median(radius)))
    if len(kept):
        score, best = _largest(reference[kept], candidate, radius[kept], memory, device)
        best = kept[best]
    else:
        score, best = np.zeros(len(candidate)), np.zeros(len(candidate), dtype=np.intp)
    same, twin = _identical(candidate, reference, np.flatnonzero(radius == 0))
    score[same], best[same] = MOST, twin
    return Realism(score, best)


def _largest(reference: Floats, candidate: Floats, radius: Floats, memory: int, device: str) -> tuple[Floats, Rows]:
    """The largest ratio of radius to distance for each candidate row, and where it is."""
    import torch

    space = Euclid(candidate, reference, device=device)
    narrow = torch.from_numpy((radius.min() / radius) ** 2).float().to(device)
    score, best = np.empty(len(candidate)), np.empty(len(candidate), dtype=np.intp)
    for rows in blocks(0, len(candidate), len(reference), memory):
        scaled = space.values(rows).clamp_min_(0).mul_(narrow)
        near = scaled.topk(min(NEAR, len(reference)), largest=False).indices.sort(1).values.cpu().numpy()
        query = np.repeat(np.arange(rows.start, rows.stop), near.shape[1])
        ratio = _ratio(radius[near.ravel()], space.exact(query, near.ravel())).reshape(near.shape)
        first = ratio.argmax(1)[:, None]
        score[rows], best[rows] = (np.take_along_axis(of, first, 1)[:, 0] for of in (ratio, near))
    return score, best


def _ratio(radius: Floats, distance: Floats) -> Floats:
    """Radius over distance, at most ``MOST``."""
    apart = distance > 0
    return np.minimum(np.where(apart, radius, MOST) / np.where(apart, distance, 1.0), MOST)


def _identical(rows: Floats, base: Floats, among: Rows) -> tuple[Rows, Rows]:
    """Rows that equal one of some base rows, and which; neighbourhoods of radius 0 hold nothing else."""
    found = {(base[i] + 0.0).tobytes(): i for i in among}  # -0.0 equals 0.0
    at = np.array([found.get((row + 0.0).tobytes(), -1) for row in rows] if found else [], dtype=np.intp)
    same = np.flatnonzero(at >= 0)
    return same, at[same]


@metric(
    id="fidelity.realism",
    family="fidelity",
    better="higher",
    unit="share of synthetic rows",
    needs=NEEDS,
)
def realism(bench: Workbench, *, k: Count = 5) -> Iterator[Value]:
    """Share of synthetic rows of realism 1 or more, and how real the least real rows are.

    Only the half of the real rows with the smaller radii counts, so that outliers do not make everything
    realistic.

    Formula:
        realism(y) = max over real x of r_k(x) / |y − x|

    How to read it:
        A row of realism 1 or more lies within the neighbourhood of a real row; 0.5 is twice as far out. Fresh
        real rows do not all reach 1: compare with the floor. The evidence names the least realistic rows.

    Limits:
        It speaks about single rows and does not see missing modes or copies: a copy has the highest realism.

    Args:
        bench: The samples.
        k: Which real neighbour sets the radius.

    Yields:
        value: Share of rows of realism 1 or more.
        q05: The 5 % quantile of realism. Re-splits look at 1,000 rows at most.
        q25: The 25 % quantile.
        median: The median.

    Source:
        Kynkäänniemi et al. (2019), arXiv:1904.06991, section 5.
    """
    value = quantity_value(bench, "realism", k)
    if value.estimate is None:
        yield value
        return
    made = manifold(bench, k)
    scores = _scores(bench, made)
    marks = np.quantile(scores.score, QUANTILES)
    errors = np.zeros(len(QUANTILES)) if bench.is_null else _spread(bench, made, scores, k)
    yield value if bench.is_null else replace(value, evidence=(_least(bench, scores),), panels=_pictures(bench, scores))
    for name, mark, error in zip(("q05", "q25", "median"), marks, errors, strict=True):
        method = f"normal, spread of {HALVES} half-samples of each side"
        estimate = Estimate.normal(float(mark), float(error), level=bench.level, method=method)
        estimate = replace(estimate, low=max(0.0, estimate.low))
        yield Value(field=name, estimate=estimate, n=bench.sizes, unit="realism", reason=value.reason)


def _scores(bench: Workbench, made: Manifold) -> Realism:
    rows = bench.candidate.features
    if bench.is_null and len(rows) > QUERIES:
        rows = rows[bench.generator("realism queries").permutation(len(rows))[:QUERIES]]
    radius = made.balls.radius[made.graph.node[made.sides == 1]]
    return realism_between(bench.reference.features, rows, radius, memory=bench.memory, device=bench.device)


def _spread(bench: Workbench, made: Manifold, scores: Realism, k: int) -> Floats:
    """Standard errors of the quantiles: half-samples of the rows asked, and of those they are held against."""
    rng = bench.generator("realism halves")
    asked = np.array([np.quantile(scores.score[bench.candidate.half(rng)], QUANTILES) for _ in range(HALVES)])
    queries = bench.candidate.features[rng.permutation(len(bench.candidate))[:QUERIES]]
    node, others = made.graph.node[made.sides == 1], counts(made.graph, made.sides == 2)
    against = []
    for _ in range(HALVES):
        half = bench.reference.half(rng)
        rows = np.bincount(node[half], minlength=len(made.graph)).astype(np.int32)
        radius = balls(made.graph, rows, others, k, cut=True).radius[node[half]]
        found = realism_between(
            bench.reference.features[half], queries, radius, memory=bench.memory, device=bench.device
        )
        against.append(np.quantile(found.score, QUANTILES))
    return np.asarray(np.sqrt(asked.var(axis=0, ddof=1) + np.var(against, axis=0, ddof=1)))


def _least(bench: Workbench, scores: Realism) -> Evidence:
    """The least realistic synthetic rows, worst first."""
    worst = np.argsort(scores.score, kind="stable")[:SHOWN]
    names, real = bench.candidate.names, bench.reference.names
    below = int((scores.score < 1).sum())
    return Evidence(
        title="Least realistic synthetic rows",
        columns=("synthetic row", "realism", "real row that it is most like for the crowding there"),
        rows=tuple((str(names[i]), float(scores.score[i]), str(real[scores.nearest[i]])) for i in worst),
        note=f"{below} of {len(bench.candidate)} synthetic rows have a realism below 1; worst first.",
    )


def _pictures(bench: Workbench, scores: Realism) -> tuple[Panel, ...]:
    """The worst ones, whose contents are the user's own unless they copy a real record, beside what they are like."""
    if bench.corpus.thumbnail is None and bench.corpus.frame is None:
        return ()
    worst = np.argsort(scores.score, kind="stable")[:PICTURED]
    sides = bench.candidate.rows[worst], bench.reference.rows[scores.nearest[worst]]
    gap = np.linalg.norm(bench.corpus.features[sides[0]] - bench.corpus.features[sides[1]], axis=1)
    pairs = [
        Pair(made=int(made), real=int(real), distance=float(far), exact=False, own=bool(own))
        for made, real, far, own in zip(*sides, gap, own_rows(bench, sides[0]), strict=True)
    ]
    what = "images" if bench.corpus.modality == "image" else "rows"
    hidden = (
        f"Contents of real {what} are hidden (--show-real shows them), and of release {what} that come near to one."
    )
    note = "" if bench.show_real else hidden
    return (replace(pair_panel(bench, pairs), title=f"Least realistic {what}, worst first", note=note),)
