"""Similarity of the synthetic rows of one group to its real rows: five quantities with standard errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from counterproof.metrics.engine.kernel_sums import KernelSums, kernel_sums, split_sums
from counterproof.metrics.engine.mmd import discrepancy, standard_error
from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.sample import Floats, Sample
from counterproof.metrics.subgroups.plan import Cell, ComparisonPlan, part_in, rows_in
from counterproof.metrics.subgroups.small_samples import Distances
from counterproof.metrics.workbench import Workbench

NEIGHBOUR_FIELDS = ("precision", "recall", "density", "coverage")
FIELDS = ("kernel_distance", *NEIGHBOUR_FIELDS)
DENSITY = NEIGHBOUR_FIELDS.index("density")
DRAWS = 8
HALVES = 40
LIKENESS: Work[GroupScores | None] = Work("likeness of a group")
CELL_KERNEL: Work[list[KernelSums]] = Work("kernel sums of a group on all re-splits")
CELL_MOMENTS: Work[tuple[Floats, float]] = Work("mean and spread of a group")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupScores:
    """The quantities of one cell in the order of ``FIELDS``.

    Attributes:
        cell: Where.
        values: The quantities.
        errors: Their standard errors; zeros on re-splits.
        reference: Real rows that it was compared with.
        candidate: Synthetic rows.
        draws: How many draws of equal n the neighbour quantities are the mean of.
    """

    cell: Cell
    values: tuple[float, ...]
    errors: tuple[float, ...]
    reference: int
    candidate: int
    draws: int


def group_scores(bench: Workbench, plan: ComparisonPlan, cell: Cell, k: int) -> GroupScores | None:
    """The five quantities of a cell; None on a re-split that left it too few rows."""
    return bench.shared(
        LIKENESS.about(
            bench.reference, bench.candidate, group=cell.group, equal=plan.equal[cell.column], most=plan.most, k=k
        ),
        lambda: _group_scores(bench, plan, cell, k),
    )


def _group_scores(bench: Workbench, plan: ComparisonPlan, cell: Cell, k: int) -> GroupScores | None:
    reference, candidate = (part_in(bench, plan, cell, side) for side in (bench.reference, bench.candidate))
    fewest, equal = min(len(reference), len(candidate)), plan.equal[cell.column]
    if fewest < equal:
        return None
    distance, kernel_error = _kernel(bench, plan, cell, reference, candidate)
    draws = min(DRAWS, math.ceil(fewest / equal))
    values, errors = _neighbours(bench, cell, reference, candidate, equal, draws, k)
    return GroupScores(
        cell=cell,
        values=(distance, *values.tolist()),
        errors=(kernel_error, *errors.tolist()),
        reference=len(reference),
        candidate=len(candidate),
        draws=draws,
    )


def _kernel(
    bench: Workbench, plan: ComparisonPlan, cell: Cell, reference: Sample, candidate: Sample
) -> tuple[float, float]:
    """Kernel distance over all rows of the cell, up to a cap; one pass serves all its re-splits."""
    if bench.draw is not None and bench.draw >= 0:
        return discrepancy(_kernel_table(bench, plan, cell)[bench.draw]), 0.0
    rng = bench.generator(f"kernel rows of {cell}")
    left, right = (subsample(sample, plan.most, rng) for sample in (reference, candidate))
    rows = _standardiser(bench, plan, cell)
    sums = kernel_sums(rows(left.features), rows(right.features), memory=bench.memory)
    clusters = bench.corpus.clusters
    if clusters is None:
        return discrepancy(sums), standard_error(sums)
    return discrepancy(sums), standard_error(sums, clusters[left.rows], clusters[right.rows])


def kernel_error_of_real_rows(bench: Workbench, plan: ComparisonPlan, cell: Cell) -> float:
    """Standard error that the kernel distance of a cell has where real rows are held against real rows."""
    return standard_error(_kernel_table(bench, plan, cell)[0])


def _kernel_table(bench: Workbench, plan: ComparisonPlan, cell: Cell) -> list[KernelSums]:
    """The sums of all re-splits of a cell."""
    key = CELL_KERNEL.about(bench.real, group=cell.group, most=plan.most)
    return bench.shared(key, lambda: _kernel_tables(bench, plan, cell))


def _kernel_tables(bench: Workbench, plan: ComparisonPlan, cell: Cell) -> list[KernelSums]:
    inside = rows_in(bench, plan, cell, bench.real)
    rng = np.random.default_rng([bench.seed, len(inside)])
    if len(inside) > 2 * plan.most:
        inside = np.sort(rng.permutation(inside)[: 2 * plan.most])
    features = bench.real.take(inside, f"real in {cell}").features
    return split_sums(_standardiser(bench, plan, cell)(features), bench.splits()[:, :, inside], memory=bench.memory)


def _standardiser(bench: Workbench, plan: ComparisonPlan, cell: Cell) -> Callable[[Floats], Floats]:
    """Rows about the mean of the group's real rows, in units of their spread.

    The cubic kernel depends on origin and scale: without this, groups far from the origin or of wide
    spread would seem worse off for the same flaw.
    """

    def moments() -> tuple[Floats, float]:
        features = part_in(bench, plan, cell, bench.real).features
        spread = float(features.var(axis=0).mean()) ** 0.5
        return np.asarray(features.mean(axis=0)), spread if spread > 0 else 1.0

    centre, spread = bench.shared(CELL_MOMENTS.about(bench.real, group=cell.group), moments)
    return lambda features: np.asarray((features - centre) / spread)


def subsample(sample: Sample, rows: int, rng: np.random.Generator) -> Sample:
    """At most so many rows; rows of one source stay together."""
    if len(sample) <= rows:
        return sample
    return sample.take(np.sort(sample.shuffled(rng)[:rows]), f"{rows} of {sample.name}")


def _neighbours(
    bench: Workbench, cell: Cell, reference: Sample, candidate: Sample, equal: int, draws: int, k: int
) -> tuple[Floats, Floats]:
    """Mean precision, recall, density and coverage over draws of ``equal`` rows a side, and their errors.

    Half-samples give the variance ``v`` of one draw. Two draws of ``equal`` among ``n`` rows share
    ``equal / n`` of their rows, and about so much of their variance: the mean of ``draws`` has
    ``v (share + (1 - share) / draws)``.
    """
    rng = bench.generator(f"equal n of {cell}")
    values, variances = [], []
    for _ in range(draws):
        left, right = (sample.take(sample.shuffled(rng)[:equal], "drawn") for sample in (reference, candidate))
        distances = Distances.between(left.features, right.features)
        values.append(distances.prdc(k))
        if not bench.is_null:
            variances.append(_half_variance(distances, left, right, k, math.ceil(HALVES / draws), rng))
    mean = np.mean(values, axis=0)
    if bench.is_null:
        return mean, np.zeros(len(mean))
    share = equal / min(len(reference), len(candidate))
    return mean, np.sqrt(np.mean(variances, axis=0) * (share + (1 - share) / draws))


def _half_variance(
    distances: Distances, left: Sample, right: Sample, k: int, halves: int, rng: np.random.Generator
) -> Floats:
    """Variance over halves drawn without replacement; about that of the whole.

    Density depends on ``k`` over the rows, so its halves have half the neighbours: at the same ``k``
    they spread a quarter too little in 64 columns. Shares near 0 and 1 keep the variance of a
    proportion with a row more on each side: halves that all agree must not give an error of 0.
    """
    drawn = []
    for _ in range(max(2, halves)):
        half = distances.of(left.half(rng), right.half(rng))
        prdc = list(half.prdc(k))
        prdc[DENSITY] = half.density((k + 1) // 2)
        drawn.append(prdc)
    spread, n = np.var(drawn, axis=0, ddof=1), len(left)
    share = (np.mean(drawn, axis=0) * n + 1) / (n + 2)
    share[DENSITY] = 1.0
    return np.asarray(np.maximum(spread, share * (1 - share) / (n + 2)))
