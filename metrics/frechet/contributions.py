"""Parts of a Fréchet distance by column, and what is due to dependence between columns."""

from __future__ import annotations

import numpy as np

from counterproof.metrics.estimate import Evidence, Panel
from counterproof.metrics.frechet.moments import moments_of, shared_root
from counterproof.metrics.sample import Floats
from counterproof.metrics.shared.principal_axes import principal_axes
from counterproof.metrics.workbench import Workbench

SHOWN = 15
AXES = 256
Part = tuple[str, float, float]
"""A name, the squared shift of the mean, and the distance between the spreads."""


def contributions(bench: Workbench, *, whole: float | None) -> tuple[Evidence, Panel]:
    """Parts of the plain distance by table column, or by principal axis where there are no columns.

    The distance of the whole is never less than the sum of its columns' own distances: the rest is
    dependence between columns that the release gets wrong.

    Args:
        bench: The measurement.
        whole: The plain distance in all dimensions; None when only some were seen.
    """
    blocks = bench.corpus.blocks
    parts = _by_axis(bench) if blocks is None else _by_column(bench)
    kind = "principal axis" if blocks is None else "column"
    ranked = sorted(parts, key=lambda part: -(part[1] + part[2]))
    rows = [(name, shift + spread, shift, spread) for name, shift, spread in ranked[:SHOWN]]
    if whole is not None:
        rest = max(0.0, whole - sum(shift + spread for _, shift, spread in parts))
        between = "between principal axes" if blocks is None else "between columns"
        rows.append((between, rest, 0.0, rest))
    note = "Parts of the distance before its bias is removed, so that even fresh real rows show small ones."
    evidence = Evidence(
        title=f"What the Fréchet distance is made of, by {kind}",
        columns=(kind, "part", "shift of the mean", "spread and shape"),
        rows=tuple(rows),
        note=note,
    )
    panel = Panel(
        kind="bars",
        title=f"Fréchet distance by {kind}",
        data={
            "labels": [row[0] for row in rows],
            "values": [row[1] for row in rows],
            "value_title": "part of the distance",
        },
        note=note,
    )
    return evidence, panel


def _by_column(bench: Workbench) -> list[Part]:
    assert bench.corpus.blocks is not None
    names = bench.corpus.block_names
    left, right = bench.reference.features, bench.candidate.features
    return [
        (names[i] if i < len(names) else f"block {i + 1}", *_parts(left[:, block], right[:, block]))
        for i, block in enumerate(bench.corpus.blocks)
    ]


def _parts(left: Floats, right: Floats) -> tuple[float, float]:
    """Squared shift of the mean, and the distance between the covariances."""
    one, other = moments_of(left), moments_of(right)
    shift = one.mean - other.mean
    spread = np.trace(one.covariance) + np.trace(other.covariance)
    return float(shift @ shift), max(0.0, float(spread) - 2 * shared_root(one.covariance, other.covariance))


def _by_axis(bench: Workbench) -> list[Part]:
    axes, _ = principal_axes(bench.reference.features, AXES)
    left, right = bench.reference.features @ axes, bench.candidate.features @ axes
    shift = (left.mean(0) - right.mean(0)) ** 2
    spread = (left.std(0, ddof=1) - right.std(0, ddof=1)) ** 2
    return [(f"axis {i + 1}", float(shift[i]), float(spread[i])) for i in range(axes.shape[1])]
