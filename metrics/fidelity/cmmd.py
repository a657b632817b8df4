"""CMMD: how far apart two samples lie under a wide Gaussian kernel on directions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.distances import directions
from counterproof.metrics.engine.kernel_sums import MEMORY, KernelSums
from counterproof.metrics.engine.mmd import discrepancy, standard_error
from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.estimate import Estimate, Evidence
from counterproof.metrics.metric import Needs, Value, metric
from counterproof.metrics.sample import Floats
from counterproof.metrics.workbench import Workbench

WIDTH = 10.0
TIMES = 1000.0
SHOWN = 10
FIELDS = ("value", "biased")
GAUSSIAN: Work[list[KernelSums]] = Work("Gaussian kernel sums of all re-splits")


@metric(
    id="fidelity.cmmd",
    family="fidelity",
    title="CMMD",
    unit="squared Gaussian kernel distance × 1000",
    least=0.0,
    needs=Needs(modalities=frozenset({"image", "features"}), smallest_n=500),
)
def cmmd(bench: Workbench) -> Iterator[Value]:
    """Squared kernel distance × 1000 under a Gaussian kernel of width 10, on features of length 1.

    The value is unbiased. ``biased`` keeps each row's likeness to itself, as the published code does: it grows
    as rows get fewer. Both intervals are Hájek normal intervals.

    Formula:
        k(x, y) = exp(−|x − y|² / (2 · 10²))
        value = 1000 (mean k(x, x′) + mean k(y, y′) − 2 mean k(x, y)), over pairs of different rows

    How to read it:
        0 for equal distributions; the value may fall below 0 by chance. Compare it only with numbers of the
        same encoder: it is CMMD in the published sense only on CLIP features (ViT-L/14 at 336 pixels).

    Limits:
        At this width the kernel is nearly linear on rows of length 1: it compares the mean direction above all.
        Columns that were permuted independently keep that, so there is no scale to judge it on, and no default
        gate.

    Yields:
        value: The unbiased estimate, with the synthetic rows that push it up.
        biased: The estimate of the published code.

    Source:
        Jayasumana et al. (2024), Rethinking FID, arXiv:2401.09603.
    """
    if min(len(bench.reference), len(bench.candidate)) < 2:
        for field in FIELDS:
            yield Value(field=field, status="not_assessable", reason="CMMD needs two rows a side", n=bench.sizes)
        return
    sums = _sums(bench)
    value = TIMES * discrepancy(sums)
    if not bench.is_null and min(bench.reference.sources, bench.candidate.sources) < 2:
        reason = "the rows of one side come from one source: how far another would differ cannot be told"
        for field in FIELDS:
            yield Value(field=field, status="not_assessable", reason=reason, n=bench.sizes)
        return
    error = 0.0 if bench.is_null else TIMES * _error(bench, sums)
    for field, found in zip(FIELDS, (value, TIMES * biased_discrepancy(sums)), strict=True):
        yield Value(
            field=field,
            estimate=Estimate.normal(found, error, level=bench.level, method="Hájek normal"),
            n=bench.sizes,
            evidence=(_oddest(bench, sums),) if field == "value" and not bench.is_null else (),
        )


def cmmd_between(left: Floats, right: Floats, *, width: float = WIDTH, memory: int = MEMORY) -> tuple[Estimate, float]:
    """CMMD of two arrays of rows: the unbiased value with its interval, and the published biased value.

    Args:
        left: ``(n, d)``, of any length: rows are brought to length 1 (rows of zeros stay).
        right: ``(m, d)``.
        width: Standard deviation of the kernel.
        memory: Budget in bytes for one block.

    Raises:
        ValueError: The arrays are not two-dimensional with the same columns and two rows each, or
            the width is not positive.

    >>> x = np.random.default_rng(0).normal(size=(50, 3))
    >>> abs(cmmd_between(x, x)[1]) < 1e-12
    True
    """
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[1] or min(len(left), len(right)) < 2:
        raise ValueError(
            f"two arrays (n, d) and (m, d) of two rows or more are needed, not {left.shape}, {right.shape}"
        )
    if not width > 0:
        raise ValueError(f"a kernel of width {width} is none: give a positive number")
    pooled = np.concatenate([left, right]).astype(np.float64)
    sides = np.arange(len(pooled)) < len(left)
    (sums,) = gaussian_sums(pooled, np.stack([sides, ~sides])[None], width=width, memory=memory)
    found = Estimate.normal(TIMES * discrepancy(sums), TIMES * standard_error(sums), method="Hájek normal")
    return found, TIMES * biased_discrepancy(sums)


def gaussian_sums(
    features: Floats, splits: NDArray[np.bool_], *, width: float = WIDTH, memory: int = MEMORY
) -> list[KernelSums]:
    """Mean kernels for many ways to deal the same rows to two sides, from one triangular pass.

    The kernel less 1 is summed, by ``expm1``: the 1 cancels in every distance, and the wide kernel
    hardly differs from it.

    Args:
        features: ``(n, d)``; brought to length 1 here.
        splits: ``(ways, 2, n)`` reference and candidate rows of each way.
        width: Standard deviation of the kernel.
        memory: Budget in bytes for one block.
    """
    rows = directions(features)
    squares = np.einsum("ij,ij->i", rows, rows)
    weights = splits.reshape(-1, len(rows)).T.astype(np.float64)
    sums = np.zeros(weights.shape)
    side = int(min(1024, max(16, (memory // 32) ** 0.5)))
    tiles = [slice(start, start + side) for start in range(0, len(rows), side)]
    for i, part in enumerate(tiles):
        for other in tiles[i:]:
            gap = squares[part, None] + squares[None, other] - 2 * (rows[part] @ rows[other].T)
            kernel = np.expm1(np.maximum(gap, 0.0) / (-2 * width**2))
            sums[part] += kernel @ weights[other]
            if other != part:
                sums[other] += kernel.T @ weights[part]
    return [_dealt(sums[:, 2 * way : 2 * way + 2], *masks) for way, masks in enumerate(splits)]


def _dealt(sums: Floats, reference: NDArray[np.bool_], candidate: NDArray[np.bool_]) -> KernelSums:
    # A row's kernel to itself, less 1, is 0: the sums hold it at no cost.
    n, m = int(reference.sum()), int(candidate.sum())
    return KernelSums(
        sums[reference, 0] / max(1, n - 1),
        sums[reference, 1] / max(1, m),
        sums[candidate, 1] / max(1, m - 1),
        sums[candidate, 0] / max(1, n),
    )


def biased_discrepancy(sums: KernelSums) -> float:
    """Squared distance with each row's kernel to itself kept (less 1, which cancels)."""
    n, m = len(sums.reference_within), len(sums.candidate_within)
    own = sums.reference_within.mean() * (n - 1) / n + sums.candidate_within.mean() * (m - 1) / m
    return float(own - 2 * sums.reference_across.mean())


def _sums(bench: Workbench) -> KernelSums:
    """Mean kernels of this view; where it is cheaper, one pass over the real rows serves all re-splits."""
    if bench.draw is not None and bench.draw >= 0 and bench.pools_real:
        whole = bench.shared(
            GAUSSIAN.about(bench.real), lambda: gaussian_sums(bench.real.features, bench.splits(), memory=bench.memory)
        )
        return whole[bench.draw]
    pooled = np.concatenate([bench.reference.features, bench.candidate.features])
    sides = np.arange(len(pooled)) < len(bench.reference)
    return gaussian_sums(pooled, np.stack([sides, ~sides])[None], memory=bench.memory)[0]


def _error(bench: Workbench, sums: KernelSums) -> float:
    clusters = bench.corpus.clusters
    if clusters is None:
        return standard_error(sums)
    return standard_error(sums, clusters[bench.reference.rows], clusters[bench.candidate.rows])


def _oddest(bench: Workbench, sums: KernelSums) -> Evidence:
    """Synthetic rows where synthetic rows crowd more than real ones do."""
    pull = TIMES * (sums.candidate_within - sums.candidate_across)
    worst = np.argsort(-pull, kind="stable")[:SHOWN]
    names = bench.candidate.names
    return Evidence(
        title="Synthetic rows that push CMMD up most",
        columns=("synthetic row", "excess likeness × 1000"),
        rows=tuple((str(names[i]), float(pull[i])) for i in worst),
        note="Mean kernel of the row to the other synthetic rows, less that to the real rows: they crowd here.",
    )
