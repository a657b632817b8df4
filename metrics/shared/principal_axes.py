"""Principal axes: the space that many features are seen in, and a map of the rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.estimate import Panel
from counterproof.metrics.sample import Floats, Sample
from counterproof.metrics.workbench import Workbench

BINS = 36
POINTS = 2000
POOLED_AXES: Work[Floats] = Work("principal axes of real rows and release")
ON_POOLED_AXES: Work[Floats] = Work("all rows on the pooled axes")


def principal_axes(features: Floats, count: int) -> tuple[Floats, Floats]:
    """``(d, count)`` principal axes, largest variance first, and their shares of the variance.

    Each axis points to where its largest weight is positive, so that maps do not flip.

    Args:
        features: ``(n, d)``.
        count: How many axes.
    """
    centred = features - features.mean(0)
    variance, axes = np.linalg.eigh(centred.T @ centred / max(1, len(features) - 1))
    variance, axes = variance[::-1], axes[:, ::-1]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])
    total = max(float(variance.clip(min=0).sum()), np.finfo(float).tiny)
    return np.ascontiguousarray(axes[:, :count]), np.asarray(variance[:count].clip(min=0) / total)


def pooled_axes(bench: Workbench, count: int) -> Floats:
    """``(d, count)`` principal axes of all real rows and the release together.

    Axes of the real rows alone fit those rows better than any fresh ones: with more features than
    rows a perfect release would look too small. Fitted on all rows, no row is favoured.
    """

    def fit() -> Floats:
        both = bench.real.join(bench.release, "real and release")
        return principal_axes(both.features, count)[0]

    return bench.shared(POOLED_AXES.about(bench.real, bench.release, count=count), fit)


def on_pooled_axes(bench: Workbench, sample: Sample, count: int) -> Floats:
    """``(n, count)`` the rows of a sample on the pooled axes; the whole corpus is projected once."""
    axes = pooled_axes(bench, count)
    if sample.replaced is not None:
        return np.asarray(sample.replaced @ axes)
    key = ON_POOLED_AXES.about(bench.real, bench.release, count=count)
    turned = bench.shared(key, lambda: bench.corpus.features.astype(np.float64) @ axes)
    return np.asarray(turned[sample.rows])


def map_panel(bench: Workbench) -> Panel:
    """Real rows as counts of cells, synthetic rows as points, on principal axes of the real rows.

    Cells with fewer real rows than ``small_cell`` hide their count.
    """
    axes, shares = principal_axes(bench.reference.features, 2)
    if axes.shape[1] < 2:
        axes, shares = np.hstack([axes, np.zeros_like(axes)]), np.append(shares, 0.0)
    centre = bench.reference.features.mean(0)
    real, fake = (bench.reference.features - centre) @ axes, (bench.candidate.features - centre) @ axes
    x_edges, y_edges = (_edges(real[:, axis], fake[:, axis]) for axis in (0, 1))
    counts = np.histogram2d(real[:, 0], real[:, 1], bins=(x_edges, y_edges))[0].T.astype(int)
    rng = bench.generator("map")
    points = fake[np.sort(rng.permutation(len(fake))[:POINTS])]
    data: dict[str, Any] = {
        "axes": [f"principal axis {i + 1} ({share:.0%} of the variance)" for i, share in enumerate(shares)],
        "x_edges": x_edges.tolist(),
        "y_edges": y_edges.tolist(),
        "real": [[None if 0 < cell < bench.small_cell else int(cell) for cell in row] for row in counts],
        "x": points[:, 0].tolist(),
        "y": points[:, 1].tolist(),
    }
    note = f"Shading: real rows; cells with fewer than {bench.small_cell} are not told apart. Points: synthetic rows."
    return Panel(kind="map", title="Where synthetic rows lie among real ones", data=data, note=note)


def _edges(real: Floats, fake: Floats) -> Floats:
    """Bins over all but the outermost rows, so that one outlier cannot crush the map."""
    low, high = np.quantile(np.concatenate([real, fake]), [0.001, 0.999])
    margin = 0.05 * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, BINS + 1)
