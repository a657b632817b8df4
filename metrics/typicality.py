"""α-precision and β-recall: does the release follow real data from the most typical rows outwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from counterproof.metrics.balls import balls
from counterproof.metrics.estimate import Estimate, Evidence, Panel, normal_quantile
from counterproof.metrics.graph import Graph, TooDense
from counterproof.metrics.manifold import HALVES, NEEDS, manifold
from counterproof.metrics.metric import MetricError, Value, metric
from counterproof.metrics.sample import Floats, Rows, Sample
from counterproof.metrics.strays import bare_regions
from counterproof.metrics.support import LEVELS, Curve, alpha_precision_curve, beta_recall_curve, first_listed
from counterproof.metrics.survey import TIE
from counterproof.metrics.workbench import DRAWS, Workbench

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


@metric(
    id="fidelity.alpha_precision",
    family="fidelity",
    better="higher",
    title="α-precision",
    unit="agreement with the diagonal",
    needs=NEEDS,
)
def alpha_precision(bench: Workbench) -> Iterator[Value]:
    """Whether synthetic rows are as typical of real data as real rows are (integrated α-precision).

    For each share α, the ball around the real mean that holds α of the real rows should hold α of
    the synthetic rows; the value is 1 less the mean distance of that curve from the diagonal, scaled
    so that the worst curve has 0. The curve tells how it fails: above the diagonal the release is
    too typical, below it too far out. It sees distances from the mean alone: rows may agree there
    and be wrong otherwise. Read it with precision.

    The numbers are those of synthcity's ``delta_precision_alpha_naive`` on the same features: 30
    levels, no one-class network (which is trained anew at each seed, so its numbers do not compare).
    Source: Alaa et al. (2022), arXiv:2102.08921.
    """
    reason = _too_few(bench, "α-precision", 1)
    if reason:
        yield Value(status="not_assessable", reason=reason, n=bench.sizes)
        return
    curve, error = _alpha(bench), 0.0 if bench.is_null else _alpha_spread(bench)
    yield _value(bench, curve, error, _alpha, "α-precision", 1, _outermost)


@metric(
    id="coverage.beta_recall",
    family="coverage",
    better="higher",
    title="β-recall",
    unit="agreement with the diagonal",
    needs=NEEDS,
)
def beta_recall(bench: Workbench, *, k: int = 1) -> Iterator[Value]:
    """Whether typical and untypical synthetic rows alike reach real rows (integrated β-recall).

    A synthetic row reaches a real row if it is the nearest one and no farther than that row's ``k``-th
    real neighbour. Real rows are taken in the order of how typical of the release (near its mean)
    their nearest synthetic row is; the curve is the share reached among the first β of them. The
    value is 1 less the mean distance from the diagonal, scaled so that reaching none has 0. Of fresh
    real rows a half are reached at ``k = 1`` and nearly all at ``k = 5``: read value and curve against
    the floor, and where the curve turns flat.

    The numbers are those of synthcity's ``delta_coverage_beta_naive`` on the same features, and of
    the authors' code but for their step of the integral. The paper's text ranks among all synthetic rows
    and takes any within the ball: then fresh real rows scored .25 in 16 dimensions (k = 5) and a
    release with half its rows far off .79, so the code's definition is kept.
    Source: Alaa et al. (2022), arXiv:2102.08921.
    """
    reason, curve = _too_few(bench, "β-recall", k), None
    if not reason:
        try:
            curve = _beta(bench, k)
        except TooDense as dense:
            reason = str(dense)
    if curve is None:
        yield Value(status="not_assessable", reason=reason, n=bench.sizes)
        return
    error = 0.0 if bench.is_null else _beta_spread(bench, k)
    yield _value(
        bench, curve, error, lambda view: _beta(view, k), "β-recall", k, lambda at, made: _unreached(at, made, k)
    )


def _too_few(bench: Workbench, name: str, k: int) -> str:
    if k < 1:
        raise MetricError(f"{name}: k = {k} is no neighbour: give 1 or more")
    least = 2 * (max(k, DEPTH) + 1)
    few = min(len(bench.reference), len(bench.candidate)) < least
    return f"{name} needs {least} rows on each side" if few else ""


def _value(
    bench: Workbench,
    curve: Curve,
    error: float,
    again: Callable[[Workbench], Curve],
    name: str,
    k: int,
    shown: Callable[[Workbench, Curve], Evidence],
) -> Value:
    estimate = Estimate.normal(curve.integrated, error, level=bench.level, method=METHOD)
    value = Value(estimate=estimate, n=bench.sizes)
    if bench.is_null:
        return value
    return replace(value, evidence=(shown(bench, curve),), panels=_panel(bench, curve, again, name, k))


# -- α ------------------------------------------------------------------------------------------


def _alpha(bench: Workbench) -> Curve:
    return bench.shared(("alpha", bench.reference.name, bench.candidate.name), lambda: _alpha_curve(bench))


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

    return bench.shared(("distances from means", side), make)


def _distances(sample: Sample, centres: Floats) -> Floats:
    """``(n, len(centres))`` distances from points near the middle of the rows."""
    middle = centres.mean(0)
    if not np.isfinite(sample.features).all():
        raise ValueError(f"features of {sample.name} hold NaN or infinity: encode missing values first")
    rows, points = sample.features - middle, centres - middle
    squared = np.einsum("ij,ij->i", rows, rows)[:, None] - 2 * rows @ points.T
    return np.asarray(np.sqrt(np.maximum(squared + np.einsum("ij,ij->i", points, points), 0.0)))


def _halves(sample: Sample, rng: np.random.Generator) -> tuple[list[Rows], Floats]:
    """Random halves of a sample, and their means."""
    drawn = [sample.half(rng) for _ in range(HALVES)]
    weights = np.zeros((HALVES, len(sample)))
    for row, half in zip(weights, drawn, strict=True):
        row[half] = 1 / len(half)
    return drawn, weights @ sample.features


def _alpha_spread(bench: Workbench) -> float:
    rng = bench.generator("alpha halves")
    drawn, centres = _halves(bench.reference, rng)
    reference, candidate = _distances(bench.reference, centres), _distances(bench.candidate, centres)
    found = [
        alpha_precision_curve(reference[half, i], candidate[bench.candidate.half(rng), i]).integrated
        for i, half in enumerate(drawn)
    ]
    return float(np.std(found, ddof=1))


def _outermost(bench: Workbench, curve: Curve) -> Evidence:
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


def _beta(bench: Workbench, k: int) -> Curve:
    return bench.shared(("beta", bench.reference.name, bench.candidate.name, k), lambda: _beta_curve(bench, k))


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


def _beta_spread(bench: Workbench, k: int) -> float:
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


def _unreached(bench: Workbench, curve: Curve, k: int) -> Evidence:
    made = manifold(bench, max(k, DEPTH))
    fine = np.zeros(len(made.graph), dtype=bool)
    fine[made.graph.node[made.sides == 1][np.isfinite(curve.level)]] = True
    words = f"whose nearest synthetic row lies beyond their real neighbour number {k}"
    return bare_regions(bench, made.graph, made.balls, fine, words)


# -- the figure ---------------------------------------------------------------------------------


def _panel(bench: Workbench, curve: Curve, again: Callable[[Workbench], Curve], name: str, k: int) -> tuple[Panel, ...]:
    """The curve in the band of real rows against real rows; none where these are too few to be split."""
    views = [bench.resplit(draw) for draw in range(DRAWS)]
    try:
        real = np.array([again(view).share for view in views if not _too_few(view, name, k)])
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
