"""The Fréchet distance in all dimensions of the encoder: its three conventions, and the rows that contribute most."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from counterproof.metrics.estimate import Estimate, Evidence
from counterproof.metrics.frechet.bias_corrected import (
    PLAIN,
    GroupedSide,
    both_estimates,
    fewest_rows,
    grouped_side,
    heavy_tailed,
    influence_error,
    plain_and_corrected,
)
from counterproof.metrics.frechet.extrapolation import frechet_infinity
from counterproof.metrics.frechet.influence import Influence, influence
from counterproof.metrics.metric import Value
from counterproof.metrics.sample import Rows
from counterproof.metrics.workbench import Workbench

SHOWN = 10
CHEAP = 512  # dimensions up to which every re-split is measured; above, only the first few
DRAWS = 3


def in_all_dimensions(bench: Workbench, *, widest: int) -> tuple[list[Value], Influence | None]:
    """The fields ``full``, ``uncorrected`` and ``infinity``, and the influence of the rows where it was needed.

    Args:
        bench: The measurement, or a view of real rows, of which only the values are needed.
        widest: Dimensions (or rows, where they are fewer) beyond which nothing is measured.
    """
    d = bench.reference.features.shape[1]
    fewest = min(len(bench.reference), len(bench.candidate))
    if bench.is_null and ((d > CHEAP and bench.draw not in range(-1, DRAWS)) or min(d, fewest) > widest):
        return [], None
    if min(d, fewest) > widest:
        reason = f"{d} dimensions take long to look at; set full_dimensions = {min(d, fewest)} if you want to wait"
        return [_not_assessable(bench, field, reason) for field in ("full", "uncorrected", "infinity")], None
    sources = min(bench.reference.sources, bench.candidate.sources)
    clustered = bench.corpus.clusters is not None
    needed, heavy = fewest_rows(d, clustered=clustered), False
    if sources >= needed:
        sides = _sides(bench)
        heavy = any(map(heavy_tailed, sides))
        needed = fewest_rows(d, heavy=heavy, clustered=clustered)
        if sources >= needed:
            return _corrected(bench, sides, hard=clustered or heavy)
    what = "sources of rows" if clustered else "rows"
    reason = f"in {d} dimensions{' of heavy tails' if heavy else ''} the bias can be removed from {needed} {what} on "
    reason += "each side; see value and uncorrected"
    values, rows = _uncorrected(bench)
    return values + [_not_assessable(bench, field, reason) for field in ("full", "infinity")], rows


def _not_assessable(bench: Workbench, field: str, reason: str) -> Value:
    return Value(field=field, status="not_assessable", reason=reason, n=bench.sizes)


def _sides(bench: Workbench) -> tuple[GroupedSide, GroupedSide]:
    samples = (bench.reference, bench.candidate)
    left, right = (
        grouped_side(sample.features, bench.generator(f"few groups of {sample.name}"), sources)
        for sample, sources in zip(samples, _clusters(bench), strict=True)
    )
    return left, right


def _corrected(
    bench: Workbench, sides: tuple[GroupedSide, GroupedSide], *, hard: bool
) -> tuple[list[Value], Influence | None]:
    if bench.is_null:
        plain, full = plain_and_corrected(*sides)
        found = {
            "full": Estimate.point(full, level=bench.level),
            "uncorrected": Estimate.point(plain, level=bench.level),
        }
        if bench.reference.features.shape[1] <= CHEAP and bench.draw in range(-1, DRAWS) and not hard:
            found["infinity"] = _infinity(bench, sides, None)
        return list(_as_values(bench, found)), None
    uncorrected, corrected, rows = both_estimates(*sides, level=bench.level)
    values = list(_as_values(bench, {"full": corrected, "uncorrected": uncorrected}))
    if hard:
        reason = "where tails are heavy or rows share sources, the distance follows no line in 1/n; see full"
        return [*values, _not_assessable(bench, "infinity", reason)], rows
    return [*values, *_as_values(bench, {"infinity": _infinity(bench, sides, rows)})], rows


def _infinity(bench: Workbench, sides: tuple[GroupedSide, GroupedSide], rows: Influence | None) -> Estimate:
    left, right = (side.features for side in sides)
    rng = bench.generator("infinity")
    return frechet_infinity(left, right, rng, level=bench.level, rows=rows, clusters=_clusters(bench))


def _uncorrected(bench: Workbench) -> tuple[list[Value], Influence]:
    """The plain distance where rows are too few for more."""
    rows = influence(bench.reference.features, bench.candidate.features)
    error = influence_error(rows, *_clusters(bench))
    estimate = Estimate.normal(rows.value, error, level=bench.level, method=PLAIN)
    return list(_as_values(bench, {"uncorrected": estimate})), rows


def _clusters(bench: Workbench) -> tuple[Rows | None, Rows | None]:
    clusters = bench.corpus.clusters
    return (None, None) if clusters is None else (clusters[bench.reference.rows], clusters[bench.candidate.rows])


def _as_values(bench: Workbench, found: dict[str, Estimate]) -> Iterator[Value]:
    for field, estimate in found.items():
        yield Value(field=field, estimate=estimate, n=bench.sizes)


def attribution(bench: Workbench, rows: Influence) -> Evidence:
    """The synthetic rows that push the distance up most."""
    worst = np.argsort(-rows.right, kind="stable")[:SHOWN]
    names, n = bench.candidate.names, len(bench.candidate)
    return Evidence(
        title="Synthetic rows that push the Fréchet distance up most",
        columns=("synthetic row", "influence", "distance less without it"),
        rows=tuple((str(names[i]), float(rows.right[i]), float(rows.right[i] / n)) for i in worst),
        note="The derivative of the plain distance towards each row, less its mean; over the number of synthetic "
        "rows, about by how much the distance falls when the row is left out.",
    )
