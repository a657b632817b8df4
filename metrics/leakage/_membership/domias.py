"""Density ratios: a record that the release crowds around more than real rows do was a training record.

Source: van Breugel, Sun, Qian and van der Schaar 2023, arXiv:2302.12580 (DOMIAS).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.leakage._membership.attacked_records import Targets
from counterproof.metrics.sample import Floats, Rows
from counterproof.metrics.shared.principal_axes import on_pooled_axes
from counterproof.metrics.workbench import Workbench

AXES = 8  # a kernel density says little in more dimensions
QUERIES, TILE = 256, 1024  # a tile stays in the cache
LEAST = -1e30
VANISHING = -80.0  # below it come numbers that processors are slow with


def density_ratio(bench: Workbench, targets: Targets) -> Floats:
    """Log of the release's density over that of the other known records, on few principal axes.

    Both have one bandwidth, so that its bias cancels where the densities agree.
    """
    count = min(AXES, bench.release.features.shape[1])
    points = on_pooled_axes(bench, targets.reference, count)
    scale = points.std(0)
    kept = scale > 1e-9 * scale.max(initial=0.0)
    if not kept.any():
        return np.zeros(len(targets.sample))
    centre = points[:, kept].mean(0)

    def whitened(rows: Floats) -> Floats:
        return np.asarray((rows[:, kept] - centre) / scale[kept])

    reference, release = whitened(points), whitened(on_pooled_axes(bench, bench.release, count))
    width = min(len(reference), len(release)) ** (-1 / (int(kept.sum()) + 4))
    query = reference[targets.own]
    made = log_density(query, release, width)
    return made - log_density(query, reference, width, own=targets.own)


def log_density(query: Floats, base: Floats, width: float, *, own: Rows | None = None) -> Floats:
    """``(nq,)`` log of the Gaussian kernel density of ``base`` at each query, up to a constant of the width.

    One product of ``[x, -|x|² / 2, 1]`` and ``[y, 1, -|y|² / 2]`` a tile gives the exponents, and the
    largest so far is taken out of the sum, so that nothing vanishes far from the base. float32 moves
    a log density by parts in 10⁵, which is no matter to a rank.

    Args:
        query: ``(nq, d)``.
        base: ``(nb, d)``.
        width: Standard deviation of the kernel.
        own: ``(nq,)`` position of each query in the base, to be left out.

    >>> x = np.array([[0.0], [2.0]])
    >>> np.round(log_density(x[:1], x, 1.0, own=np.array([0])), 6).tolist()
    [-2.0]
    """
    import torch

    left, right = (torch.from_numpy(_with_length(rows / width)) for rows in (query, base))
    right[:, -2:] = right[:, -2:].flip(1)
    found = np.empty(len(query))
    for low in range(0, len(query), QUERIES):
        block = left[low : low + QUERIES]
        top, total = block.new_full((len(block),), LEAST), block.new_zeros(len(block), dtype=torch.float64)
        for start in range(0, len(base), TILE):
            exponent = block @ right[start : start + TILE].T
            if own is not None:
                at = own[low : low + QUERIES] - start
                inside = np.flatnonzero((at >= 0) & (at < exponent.shape[1]))
                exponent[inside, at[inside]] = -torch.inf
            before, top = top, torch.maximum(top, exponent.amax(1))
            kernel = exponent.sub_(top[:, None]).clamp_(min=VANISHING).exp_()
            total.mul_((before - top).double().exp()).add_(kernel.sum(1, dtype=torch.float64))
        found[low : low + QUERIES] = (total.log() + top).numpy()
    return np.asarray(found - np.log(len(base) - (own is not None)))


def _with_length(rows: Floats) -> NDArray[np.float32]:
    """``[x, -|x|² / 2, 1]`` of each row."""
    made = np.ones((len(rows), rows.shape[1] + 2), dtype=np.float32)
    made[:, :-2] = rows
    made[:, -2] = -np.einsum("ij,ij->i", rows, rows) / 2
    return made


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
