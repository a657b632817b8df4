"""Density ratios: a record that the release crowds around more than real rows do was a training record.

Source: van Breugel, Sun, Qian and van der Schaar 2023, arXiv:2302.12580 (DOMIAS).
"""

from __future__ import annotations

import numpy as np

from counterproof.metrics.projection import on_pooled_axes
from counterproof.metrics.sample import Floats, Rows
from counterproof.metrics.suspects import Suspects
from counterproof.metrics.workbench import Workbench

AXES = 8  # a kernel density says little in more dimensions


def density_ratio(bench: Workbench, suspects: Suspects) -> Floats:
    """Log of the release's density over that of the other known records, on few principal axes.

    Both have one bandwidth, so that its bias cancels where the densities agree.
    """
    count = min(AXES, bench.release.features.shape[1])
    points = on_pooled_axes(bench, suspects.reference, count)
    scale = points.std(0)
    kept = scale > 1e-9 * scale.max(initial=0.0)
    if not kept.any():
        return np.zeros(len(suspects.sample))
    centre = points[:, kept].mean(0)

    def whitened(rows: Floats) -> Floats:
        return np.asarray((rows[:, kept] - centre) / scale[kept])

    reference, release = whitened(points), whitened(on_pooled_axes(bench, bench.release, count))
    width = min(len(reference), len(release)) ** (-1 / (int(kept.sum()) + 4))
    query = reference[suspects.own]
    made = log_density(query, release, width, memory=bench.memory)
    return made - log_density(query, reference, width, own=suspects.own, memory=bench.memory)


def log_density(
    query: Floats, base: Floats, width: float, *, own: Rows | None = None, memory: int = 256 * 2**20
) -> Floats:
    """``(nq,)`` log of the Gaussian kernel density of ``base`` at each query, up to a constant of the width.

    Args:
        query: ``(nq, d)``.
        base: ``(nb, d)``.
        width: Standard deviation of the kernel.
        own: ``(nq,)`` position of each query in the base, to be left out.
        memory: Budget in bytes for one block.

    >>> x = np.array([[0.0], [2.0]])
    >>> np.round(log_density(x[:1], x, 1.0, own=np.array([0])), 6).tolist()
    [-2.0]
    """
    scaled = (base / width).astype(np.float32)
    length = np.einsum("ij,ij->i", scaled, scaled) / 2
    found = np.empty(len(query))
    step = max(1, memory // (16 * max(1, len(base))))
    for low in range(0, len(query), step):
        block = (query[low : low + step] / width).astype(np.float32)
        # -|x - y|^2 / 2; float32 moves a log density by parts in 10^5, which is no matter to a rank
        exponent = block @ scaled.T - length
        exponent -= np.einsum("ij,ij->i", block, block)[:, None] / 2
        if own is not None:
            exponent[np.arange(len(block)), own[low : low + step]] = -np.inf
        top = exponent.max(axis=1, keepdims=True)
        exponent -= top
        found[low : low + step] = np.log(np.exp(exponent, out=exponent).sum(axis=1, dtype=np.float64)) + top[:, 0]
    return np.asarray(found - np.log(len(base) - (own is not None)))


def narrow_ratio(to_release: Floats, to_reference: Floats) -> Floats:
    """The same ratio under a narrow kernel, which only the nearest rows reach.

    The width is half the median distance of a record to the nearest other known record.

    Args:
        to_release: ``(n, k)`` distances to the nearest release rows.
        to_reference: ``(n, k)`` distances to the nearest other known records.
    """
    nearest = to_reference[:, 0]
    near = np.median(nearest[nearest > 0]) if (nearest > 0).any() else 1.0
    return _narrow(to_release, near / 2) - _narrow(to_reference, near / 2)


def _narrow(distance: Floats, width: float) -> Floats:
    exponent = -(distance**2) / (2 * width**2)
    top = exponent.max(axis=1)
    return np.asarray(top + np.log(np.exp(exponent - top[:, None]).sum(axis=1)))
