"""Kernel distance: how far apart two samples lie, by every pair of rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from counterproof.metrics.engine.kernel_sums import KernelSums
from counterproof.metrics.engine.mmd import discrepancy, standard_error
from counterproof.metrics.estimate import Estimate, Evidence
from counterproof.metrics.metric import Needs, Quantity, Tolerance, Value, metric
from counterproof.metrics.workbench import Workbench

SHOWN = 10


@metric(
    id="fidelity.kernel_distance",
    family="fidelity",
    title="kernel distance",
    unit="squared kernel distance",
    null="resplit",
    draws=20,
    anchored=True,
    least=0.0,
    needs=Needs(smallest_n=500),
    tolerances=(
        Tolerance(
            field="excess",
            operator="<=",
            limit=0.15,
            reason="15 % of what destroying all joint structure costs; fresh real rows of a census table passed "
            "34 of 34 audits at 1,000 and 5,000 rows, three weak generators failed",
        ),
    ),
    quantities={
        "value": Quantity(
            name="Kernel distance (MMD, joint distribution)",
            measure="{} squared kernel distance",
            finding="The joint distribution differs from that of real data (kernel distance)",
            means="Columns or features do not go together as in real data.",
            remedy="Look at the release rows that are most unlike real ones, which the evidence names.",
        ),
    },
)
def kernel_distance(bench: Workbench) -> Iterator[Value]:
    """Squared maximum mean discrepancy under a cubic kernel, over all pairs of rows.

    On Inception features this is KID without its subsets. The noise of the subsets is gone, and the interval
    (Hájek's normal interval) is about the rows.

    Formula:
        k(x, y) = (x·y / d + 1)³, with d the number of features
        value = mean k(x, x′) + mean k(y, y′) − 2 mean k(x, y), over pairs of different rows
        excess = (value − floor) / (distance of column-permuted real rows − floor)

    How to read it:
        0 for equal distributions. The value is unbiased, so values near the floor may be negative. Its size
        depends on the encoder, so the excess is judged: 0.15 is 15 % of the cost of destroying all joint
        structure. The evidence names the synthetic rows that push the distance up most.

    Limits:
        A kernel of degree three sees moments up to the third. A few bad rows among many good ones move it
        little.

    Yields:
        value: The squared distance.

    Source:
        Gretton et al. (2012), A kernel two-sample test, JMLR 13, 723-773; Bińkowski et al. (2018),
        arXiv:1801.01401.
    """
    if min(len(bench.reference), len(bench.candidate)) < 2:
        yield Value(status="not_assessable", reason="a kernel distance needs two rows on each side", n=bench.sizes)
        return
    sums = bench.kernel()
    value = discrepancy(sums)
    known = min(bench.reference.sources, bench.candidate.sources) >= 2
    if not known and not bench.is_null:
        reason = "the rows of one side come from one source: how far another would differ cannot be told"
        yield Value(status="not_assessable", reason=reason, n=bench.sizes)
        return
    clusters = bench.corpus.clusters
    error = standard_error(
        sums,
        None if clusters is None else clusters[bench.reference.rows],
        None if clusters is None else clusters[bench.candidate.rows],
    )
    if bench.is_null:  # with its interval: that of a faithful release is wider than its values scatter
        yield Value(estimate=Estimate.normal(value, error if known else 0.0, level=bench.level, method="Hájek normal"))
        return
    yield Value(
        estimate=Estimate.normal(value, error, level=bench.level, method="Hájek normal"),
        n=bench.sizes,
        reason=bench.remark,
        evidence=(_oddest(bench, sums),),
    )


def _oddest(bench: Workbench, sums: KernelSums) -> Evidence:
    """Synthetic rows where synthetic rows crowd more than real ones do."""
    pull = sums.candidate_within - sums.candidate_across
    worst = np.argsort(-pull, kind="stable")[:SHOWN]
    names = bench.candidate.names
    return Evidence(
        title="Synthetic rows that push the distance up most",
        columns=("synthetic row", "excess likeness", "likeness to synthetic rows", "likeness to real rows"),
        rows=tuple(
            (str(names[i]), float(pull[i]), float(sums.candidate_within[i]), float(sums.candidate_across[i]))
            for i in worst
        ),
        note="Mean kernel of the row to the other synthetic rows, and to the real rows: synthetic rows crowd here.",
    )
