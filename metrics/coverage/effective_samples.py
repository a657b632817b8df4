"""How many independent rows the release holds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from counterproof.metrics.coverage._near_duplicates import CAP, clumps_of
from counterproof.metrics.estimate import Estimate, Evidence
from counterproof.metrics.metric import Needs, Quantity, Tolerance, Value, metric
from counterproof.metrics.sample import Rows, Sample
from counterproof.metrics.statistics.design_effect import Clusters, clusters_of, clusters_of_equal_rows, share_estimate
from counterproof.metrics.workbench import Workbench

SHOWN = 20


@dataclass(frozen=True, eq=False, kw_only=True)
class Worth:
    """What the rows of one sample are worth.

    Attributes:
        sample: The rows that were looked at.
        label: ``(n,)`` cluster of each of them.
        share: Effective rows over rows.
        error: Its standard error.
        told: How it was found, in words.
    """

    sample: Sample
    label: Rows
    share: float
    error: float
    told: str


@metric(
    id="coverage.effective_samples",
    family="coverage",
    title="independent rows",
    better="higher",
    unit="effective rows over rows",
    draws=10,
    needs=Needs(smallest_n=500),
    tolerances=(
        Tolerance(
            "excess",
            "<=",
            0.10,
            "a tenth fewer independent rows than real data of as many rows hold; many rows of one source may be "
            "meant, so this warns",
            level="warn",
        ),
    ),
    quantities={
        "value": Quantity(
            name="Independent rows",
            shown_as="percent",
            measure="{} of release rows",
            finding="Many release rows are near copies of one another",
            means="It holds less than its number of rows promises.",
            remedy="Check the generator for mode collapse; if rows come in groups of one source, name it by --cluster.",
            remarked=True,
        ),
    },
)
def effective_samples(bench: Workbench) -> Iterator[Value]:
    """How many independent rows the release is worth, over its rows.

    100,000 renders of 1,000 scans are not 100,000 people. With a cluster column that the release has too,
    clusters are its sources and ρ is the intraclass correlation of their features. Without one, clusters are
    rows nearer to each other than all but 1 % of real rows are, linked through one another, and each cluster
    counts as one row.

    Formula:
        a row in a cluster of m rows, alike by the correlation ρ, counts 1 / (1 + (m − 1) ρ)

    How to read it:
        1 means that all rows are independent. Without a cluster column 0.99 is what real rows reach: read the
        excess over the floor.

    Limits:
        Repeats in a table of few categories, where real rows repeat too, are no clusters; see
        coverage.duplicates. How much rows differ at all is the question of coverage.vendi_score.

    Yields:
        value: Independent rows over rows.
        rows: Independent rows of the whole release.
        clusters: How many clusters hold more than one row.
        largest: Rows of the largest cluster.

    Source:
        Kish (1965), Survey Sampling; the intraclass correlation by one-way analysis of variance.
    """
    sample = bench.candidate if bench.is_null else bench.release
    by_source = bench.corpus.clusters is not None and bench.release.sources < len(bench.release)
    if min(len(sample), len(bench.reference)) < 4:
        yield Value(status="not_assessable", reason="likeness of rows needs four rows on each side", n=bench.sizes)
        return
    found = _of_sources(bench, sample) if by_source else _of_clumps(bench, sample)
    if found is None:
        reason = "all rows come from one source: how far rows of another would differ cannot be told"
        yield Value(status="not_assessable", reason=reason, n=bench.sizes)
        return
    yield from _values(bench, found, len(sample))


def _values(bench: Workbench, found: Worth, of: int) -> Iterator[Value]:
    method = "jackknife over clusters, log scale"
    n = {"release": of}
    estimate = share_estimate(found.share, found.error, bench.level, method)
    if bench.is_null:
        yield Value(estimate=estimate)
        return
    yield Value(estimate=estimate, n=n, reason=found.told, evidence=_largest(found))
    rows = Estimate(
        value=of * estimate.value,
        low=of * estimate.low,
        high=of * estimate.high,
        level=bench.level,
        method=method,
        scale="log",
    )
    yield Value(field="rows", estimate=rows, n=n, unit="independent rows")
    sizes = np.bincount(found.label)
    counted = {"clusters": float((sizes > 1).sum()), "largest": float(sizes.max())}
    part = "" if len(found.sample) == of else f"among {len(found.sample)} rows drawn at random"
    for field, count in counted.items():
        exact = Estimate.point(count, level=bench.level, method="counted")
        unit = "clusters of several rows" if field == "clusters" else "rows of the largest cluster"
        yield Value(field=field, estimate=exact, n=n, unit=unit, better="lower", reason=part)


def _of_sources(bench: Workbench, sample: Sample) -> Worth | None:
    """Clusters that the data name. Their correlation is that of at most ``CAP`` rows of whole sources."""
    if sample.sources < 2:
        return None
    looked = sample
    if len(sample) > CAP:
        order = sample.shuffled(bench.generator(f"sources of {sample.name}"))
        looked = sample.take(order[:CAP], f"{CAP} rows of {sample.name} by source")
    sums = clusters_of(looked.features, looked.units)
    sizes = np.bincount(sample.units).astype(np.float64)
    # The sizes of all sources stand in for those of the part that was looked at.
    scale = _others(sizes) / max(_others(sums.size), 1e-12)
    share, error = sums.share(scale=scale)
    told = f"{sample.sources} sources of {sizes.mean():.3g} rows each, alike by {sums.correlation:.3g}"
    return Worth(sample=sample, label=sample.units, share=share, error=error, told=told)


def _others(sizes: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    """Other rows in a row's cluster, on average over rows."""
    return float((sizes**2).sum() / sizes.sum() - 1)


def _of_clumps(bench: Workbench, sample: Sample) -> Worth:
    """Clusters of near duplicates; of a part of the rows, each has fewer others in proportion."""
    found = clumps_of(bench, sample)
    sums: Clusters = clusters_of_equal_rows(found.label)
    looked = len(found.sample)
    scale = (found.of - 1) / max(1, looked - 1)
    share, error = sums.share(scale=scale)
    # Where the edge lies is known from few real rows; a pair more or less could have been linked.
    edge = min(1 - share, found.chance) / math.sqrt(max(1, found.draws))
    error = math.sqrt(error**2 + edge**2 + (2 * scale / looked) ** 2)
    told = f"{int((found.sizes > 1).sum())} clusters of rows nearer to each other than real rows are"
    if found.edge <= 0:
        told = "real rows repeat by nature: no two rows are taken for one"
    elif looked < found.of:
        told += f", among {looked} rows drawn at random"
    return Worth(sample=found.sample, label=found.label, share=share, error=error, told=told)


def _largest(found: Worth) -> tuple[Evidence, ...]:
    sizes = np.bincount(found.label)
    order = np.argsort(-sizes, kind="stable")[:SHOWN]
    names = found.sample.names
    rows = []
    for cluster in order[sizes[order] > 1]:
        inside = np.flatnonzero(found.label == cluster)
        rows.append((", ".join(str(names[i]) for i in inside[:3]), int(sizes[cluster])))
    if not rows:
        return ()
    title = "Largest clusters of release rows"
    return (Evidence(title=title, columns=("release rows, the first three", "rows"), rows=tuple(rows)),)
