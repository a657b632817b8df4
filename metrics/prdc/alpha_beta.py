"""α-precision and β-recall: does the release follow real data from the most typical rows outwards?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.distances import squared_distances
from counterproof.metrics.engine.knn_graph import Graph, TooDense
from counterproof.metrics.engine.pairwise_pass import TIE
from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate, Evidence, Panel, normal_quantile
from counterproof.metrics.metric import Value
from counterproof.metrics.prdc.balls import balls
from counterproof.metrics.prdc.evidence import uncovered_rows
from counterproof.metrics.prdc.scores import HALVES, halves_reach, manifold
from counterproof.metrics.sample import Floats, Rows, Sample
from counterproof.metrics.workbench import DRAWS, Workbench

STEPS = 30
LEVELS = np.linspace(0.0, 1.0, STEPS)
"""The shares of mass at which both curves are taken, as in the authors' code."""

ALPHA: Work[Curve] = Work("α-precision curve")
FROM_MEANS: Work[Floats] = Work("distances from the means of re-splits")
BETA: Work[Curve] = Work("β-recall curve")


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve that runs along the diagonal for equal distributions.

    Attributes:
        share: ``(STEPS,)`` share of rows at each of ``LEVELS``.
        level: ``(n,)`` for each row the smallest level whose support holds it, infinite for rows
            that no support holds.
    """

    share: Floats
    level: Floats

    @property
    def integrated(self) -> float:
        """One less the distance from the diagonal: 1 on the diagonal, 0 as far from it as possible."""
        return 1.0 - float(np.abs(LEVELS - self.share).sum() / LEVELS.sum())


def alpha_precision_curve(reference: Floats, candidate: Floats) -> Curve:
    """The share of candidate rows within the ball that holds a share α of the reference rows.

    The balls are centred at the reference mean; their radii are quantiles of the reference rows'
    distances from it. Equal to synthcity's ``delta_precision_alpha_naive`` on the same features.

    Args:
        reference: ``(n,)`` distances of the reference rows from their mean.
        candidate: ``(m,)`` distances of the candidate rows from the same point.

    Source: Alaa et al. (2022), arXiv:2102.08921.

    >>> far = np.arange(1.0, 31.0)
    >>> alpha_precision_curve(far, far).integrated > 0.95, alpha_precision_curve(far, far + 99).integrated
    (True, 0.0)
    """
    radii = np.quantile(reference, LEVELS)
    order = np.sort(candidate)
    share = np.searchsorted(order, radii * (1 + TIE), side="right") / len(candidate)
    return Curve(np.asarray(share), _levels(radii * (1 + TIE), candidate))


def beta_recall_curve(typical: Floats, reached: NDArray[np.bool_]) -> Curve:
    """The share of reference rows reached by candidate rows, from the most typical of these outwards.

    Level β takes the reference rows whose nearest candidate row is among the share β nearest to the
    candidate mean; of them count those that it reaches. Equal to synthcity's ``delta_coverage_beta_naive``
    for ``k = 1`` on the same features.

    Args:
        typical: ``(n,)`` for each reference row the distance of its nearest candidate row from the candidate
            mean; NaN where that row is not known, which is then not ranked.
        reached: ``(n,)`` whether that row lies no farther than the ``k``-th other reference row.

    Source: Alaa et al. (2022), arXiv:2102.08921, and its authors' code.

    >>> beta_recall_curve(np.arange(30.0), np.ones(30, dtype=bool)).integrated > 0.95
    True
    """
    known = typical[~np.isnan(typical)]
    if not len(known):
        return Curve(np.zeros(STEPS), np.full(len(typical), np.inf))
    radii = np.quantile(known, LEVELS) * (1 + TIE)
    level = _levels(radii, np.where(reached & ~np.isnan(typical), typical, np.inf))
    return Curve(np.array([(level <= at).mean() for at in LEVELS]), level)


def _levels(radii: Floats, distance: Floats) -> Floats:
    """The smallest of ``LEVELS`` whose radius holds each distance, infinite where none does."""
    at = np.searchsorted(radii, distance, side="left")
    return np.where(at < STEPS, LEVELS[np.minimum(at, STEPS - 1)], np.inf)


def first_listed(graph: Graph, nodes: Rows, chosen: NDArray[np.bool_]) -> tuple[Rows, Floats]:
    """The nearest chosen node in the list of each of some nodes, and its distance.

    Args:
        graph: Neighbour lists.
        nodes: Whose lists.
        chosen: ``(m,)`` nodes to look for.

    Returns:
        Node ``-1`` at an infinite distance where the list holds none.
    """
    places = np.flatnonzero(chosen[graph.index])
    at = np.searchsorted(places, graph.indptr[nodes])
    place = np.append(places, len(graph.index))[at]
    found = place < graph.indptr[nodes + 1]
    place = np.where(found, place, 0)
    return np.where(found, graph.index[place], -1), np.where(found, graph.distance[place], np.inf)


SHOWN = 10
DEPTH = 5
"""Neighbour lists are shared with the metrics of this depth."""
WORDS = {
    "α-precision": (
        "α: share of real rows, most typical first",
        "share of synthetic rows",
        "Real rows against real rows run in the band, along the diagonal; above it the release is too typical of real "
        "data, below it too far out.",
    ),
    "β-recall": (
        "β: share of real rows, by how typical their nearest synthetic row is",
        "share of real rows reached",
        "Real rows against real rows run in the band: read the release against it, not against the diagonal. Where the "
        "curve is flat, real rows are not reached.",
    ),
}
METHOD = f"normal, spread of {HALVES} half-samples"


def too_few_reason(bench: Workbench, name: str, k: int) -> str:
    """Why the curve cannot be computed here; empty where it can."""
    if k < 1:
        raise MetricError(f"{name}: k = {k} is no neighbour: give 1 or more")
    least = 2 * (max(k, DEPTH) + 1)
    return "" if halves_reach(bench, max(k, DEPTH)) else f"{name} needs {least} rows on each side"


def curve_value(
    bench: Workbench,
    curve: Curve,
    error: float,
    again: Callable[[Workbench], Curve],
    name: str,
    k: int,
    shown: Callable[[Workbench, Curve], Evidence],
) -> Value:
    """The integrated curve with its interval, its evidence and its figure."""
    estimate = Estimate.normal(curve.integrated, error, level=bench.level, method=METHOD)
    value = Value(estimate=estimate, n=bench.sizes)
    if bench.is_null:
        return value
    return replace(value, evidence=(shown(bench, curve),), panels=_panel(bench, curve, again, name, k))


# -- α ------------------------------------------------------------------------------------------


def alpha_curve(bench: Workbench) -> Curve:
    """α-precision's curve of a view, computed once."""
    return bench.shared(ALPHA.about(bench.reference, bench.candidate), lambda: _alpha_curve(bench))


def _alpha_curve(bench: Workbench) -> Curve:
    if bench.is_null:
        reference, candidate = bench.splits()[bench.draw]
        far = _resplit_distances(bench, 0)[:, bench.draw]
        return alpha_precision_curve(far[reference], far[candidate])
    centre = bench.reference.features.mean(0)[None]
    reference, candidate = (_distances(sample, centre)[:, 0] for sample in (bench.reference, bench.candidate))
    return alpha_precision_curve(reference, candidate)


def _resplit_distances(bench: Workbench, side: int) -> Floats:
    """``(len(real), DRAWS)`` distances of real rows from the mean of each re-split's side: one product for all."""

    def make() -> Floats:
        weights = bench.splits()[:, side].astype(np.float64)
        return _distances(bench.real, weights @ bench.real.features / weights.sum(1, keepdims=True))

    return bench.shared(FROM_MEANS.about(bench.real, side=side), make)


def _distances(sample: Sample, centres: Floats) -> Floats:
    """``(n, len(centres))`` distances from points near the middle of the rows."""
    middle = centres.mean(0)
    if not np.isfinite(sample.features).all():
        raise ValueError(f"features of {sample.name} hold NaN or infinity: encode missing values first")
    return np.asarray(np.sqrt(np.maximum(squared_distances(sample.features - middle, centres - middle), 0.0)))


def _halves(sample: Sample, rng: np.random.Generator) -> tuple[list[Rows], Floats]:
    """Random halves of a sample, and their means."""
    drawn = [sample.half(rng) for _ in range(HALVES)]
    weights = np.zeros((HALVES, len(sample)))
    for row, half in zip(weights, drawn, strict=True):
        row[half] = 1 / len(half)
    return drawn, weights @ sample.features


def alpha_spread(bench: Workbench) -> float:
    """Standard deviation of integrated α-precision over half-samples."""
    rng = bench.generator("alpha halves")
    drawn, centres = _halves(bench.reference, rng)
    reference, candidate = _distances(bench.reference, centres), _distances(bench.candidate, centres)
    found = [
        alpha_precision_curve(reference[half, i], candidate[bench.candidate.half(rng), i]).integrated
        for i, half in enumerate(drawn)
    ]
    return float(np.std(found, ddof=1))


def outermost_rows(bench: Workbench, curve: Curve) -> Evidence:
    """Synthetic rows farther out than real ones."""
    centre = bench.reference.features.mean(0)[None]
    far, most = _distances(bench.candidate, centre)[:, 0], _distances(bench.reference, centre).max()
    worst = np.argsort(-far, kind="stable")[:SHOWN]
    names, scale = bench.candidate.names, most or 1.0
    beyond = int((~np.isfinite(curve.level)).sum())
    return Evidence(
        title="Synthetic rows farthest from the real mean",
        columns=("synthetic row", "distance, in that of the farthest real row"),
        rows=tuple((str(names[i]), float(far[i] / scale)) for i in worst),
        note=f"{beyond} of {len(far)} synthetic rows lie farther out than every real row.",
    )


# -- β ------------------------------------------------------------------------------------------


def beta_curve(bench: Workbench, k: int) -> Curve:
    """β-recall's curve of a view, computed once."""
    return bench.shared(BETA.about(bench.reference, bench.candidate, k=k), lambda: _beta_curve(bench, k))


def _beta_curve(bench: Workbench, k: int) -> Curve:
    made = manifold(bench, max(k, DEPTH))
    nodes, others = made.graph.node[made.sides == 1], made.graph.node[made.sides == 2]
    if bench.is_null:
        own = _resplit_distances(bench, 1)[bench.splits()[bench.draw, 1], bench.draw]
    else:
        own = _distances(bench.candidate, bench.candidate.features.mean(0)[None])[:, 0]
    typical, gap = _nearest(made.graph, nodes, others, own)
    if np.isnan(typical).any():  # lists end at real neighbours: farther rows are looked for on their own
        near = bench.neighbours(bench.reference, bench.candidate, 1)
        typical, gap = own[near.index[:, 0]], near.distance[:, 0]
    return beta_recall_curve(typical, gap <= _radius(made.graph, nodes, others, k) * (1 + TIE))


def _nearest(graph: Graph, nodes: Rows, others: Rows, own: Floats) -> tuple[Floats, Floats]:
    """How typical the nearest listed candidate row of each reference row is, and its distance."""
    chosen, typical = np.zeros(len(graph), dtype=bool), np.full(len(graph), np.nan)
    chosen[others], typical[others] = True, own
    node, gap = first_listed(graph, nodes, chosen)
    return np.where(node >= 0, typical[node], np.nan), gap


def _radius(graph: Graph, nodes: Rows, others: Rows, k: int) -> Floats:
    """Distance of each reference row to its k-th reference neighbour."""
    reference, candidate = (np.bincount(rows, minlength=len(graph)).astype(np.int32) for rows in (nodes, others))
    return balls(graph, reference, candidate, k, cut=True).radius[nodes]


def beta_spread(bench: Workbench, k: int) -> float:
    """Standard deviation of integrated β-recall over half-samples."""
    rng = bench.generator("beta halves")
    made = manifold(bench, max(k, DEPTH))
    nodes, others = made.graph.node[made.sides == 1], made.graph.node[made.sides == 2]
    drawn, centres = _halves(bench.candidate, rng)
    own = _distances(bench.candidate, centres)
    found = []
    for i, half in enumerate(drawn):
        real = nodes[bench.reference.half(rng)]
        typical, gap = _nearest(made.graph, real, others[half], own[half, i])
        reached = gap <= _radius(made.graph, real, others[half], k) * (1 + TIE)
        found.append(beta_recall_curve(typical, reached).integrated)
    return float(np.std(found, ddof=1))


def unreached_rows(bench: Workbench, curve: Curve, k: int) -> Evidence:
    """Real rows that no synthetic row reaches."""
    made = manifold(bench, max(k, DEPTH))
    covered_nodes = np.zeros(len(made.graph), dtype=bool)
    covered_nodes[made.graph.node[made.sides == 1][np.isfinite(curve.level)]] = True
    words = f"whose nearest synthetic row lies beyond their real neighbour number {k}"
    return uncovered_rows(bench, made.graph, made.balls, covered_nodes, words)


# -- the figure ---------------------------------------------------------------------------------


def _panel(bench: Workbench, curve: Curve, again: Callable[[Workbench], Curve], name: str, k: int) -> tuple[Panel, ...]:
    """The curve in the band of real rows against real rows; none where these are too few to be split."""
    views = [bench.resplit(draw) for draw in range(DRAWS)]
    try:
        real = np.array([again(view).share for view in views if not too_few_reason(view, name, k)])
    except TooDense:
        return ()
    if len(real) < DRAWS:
        return ()
    mean, reach = real.mean(0), normal_quantile(0.975) * real.std(axis=0, ddof=1)
    across, up, note = WORDS[name]
    data = {
        "x_title": across,
        "y_title": up,
        "x": LEVELS.tolist(),
        "release": curve.share.tolist(),
        "low": np.maximum(mean - reach, 0.0).tolist(),
        "high": np.minimum(mean + reach, 1.0).tolist(),
    }
    return (Panel(kind="curves", title=f"{name} curve", data=data, note=note),)
