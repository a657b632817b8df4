"""Rows that the release repeats."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from counterproof.metrics.coverage._near_duplicates import Clumps, clumps_of
from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.estimate import Estimate, Evidence
from counterproof.metrics.metric import Needs, Quantity, Tolerance, Value, metric
from counterproof.metrics.sample import Rows, Sample
from counterproof.metrics.workbench import Workbench

SHOWN = 20
_REASON = "more repeats than real rows of the same number have; 1,000 rows know the share to 1 % where few repeat"
REPEATED: Work[NDArray[np.bytes_]] = Work("records that real rows repeat")


@metric(
    id="coverage.duplicates",
    family="coverage",
    title="repeated rows",
    better="lower",
    unit="share of release rows",
    needs=Needs(smallest_n=500),
    reads=("columns",),
    tolerances=(Tolerance("excess", "<=", 0.05, _REASON),),
    quantities={
        "value": Quantity(
            name="Repeated rows",
            shown_as="percent",
            measure="{} of release rows",
            finding="The release repeats its own rows",
            means="It holds less than its number of rows promises.",
            remedy="Drop repeated rows, and look for the cause in how the generator samples.",
        ),
    },
)
def duplicates(bench: Workbench) -> Iterator[Value]:
    """Share of release rows that repeat an earlier row of the release exactly.

    It is taken at the number of rows that real data have, because tables of few categories repeat by nature,
    and more so the more rows there are. The interval takes a record that is repeated a hundred times as one
    event, not as a hundred, unless real rows repeat it too.

    Formula:
        value = 1 − (distinct rows / rows)

    How to read it:
        Lower is better, and 0 is not expected in coarse tables: read the excess over the floor, which is the
        share among as many real rows.

    Limits:
        It says nothing about copies of training rows; leakage.copies does.

    Yields:
        value: Share of rows that repeat an earlier one exactly.
        near: The same for rows nearer to each other than all but 1 % of real rows are; real rows have 1 % then.
        whole: The exact share in the whole release, where that has more rows than real data.

    Source:
        Interval: Clopper and Pearson (1934), doi:10.1093/biomet/26.4.404, at the effective number of repeats,
        (sum)² / (sum of squares).
    """
    sample = bench.candidate
    record = np.unique(sample.digests, return_inverse=True)[1]
    estimate = repeats(sample, record, bench.level, natural=repeated_by_nature(bench, sample))
    evidence = () if bench.is_null else _most_repeated(bench.release)
    yield Value(estimate=estimate, n={"release": len(sample)}, evidence=evidence)
    yield _near(bench, sample)
    if len(bench.release) > len(sample) and not bench.is_null:
        every = np.unique(bench.release.digests, return_inverse=True)[1]
        natural = repeated_by_nature(bench, bench.release)
        whole = repeats(bench.release, every, bench.level, natural=natural)
        reason = "of more rows more repeat by chance: no floor of real rows holds here"
        yield Value(field="whole", estimate=whole, n={"release": len(bench.release)}, reason=reason)


def repeated_by_nature(bench: Workbench, sample: Sample) -> NDArray[np.bool_]:
    """``(n,)`` rows of records that stand several times among real rows."""

    def find() -> NDArray[np.bytes_]:
        digests, counts = np.unique(bench.real.digests, return_counts=True)
        return np.asarray(digests[counts > 1])

    return np.isin(sample.digests, bench.shared(REPEATED.about(bench.real), find))


def repeats(
    sample: Sample,
    record: Rows,
    level: float,
    *,
    natural: NDArray[np.bool_] | None = None,
    spread: float = 0.0,
) -> Estimate:
    """Share of rows that repeat an earlier row of their record.

    Args:
        sample: The rows.
        record: ``(n,)`` record of each row, numbered from 0 without gaps.
        level: Confidence.
        natural: ``(n,)`` rows whose repeats are events of their own: as many as chance makes.
        spread: Further standard error.
    """
    n, first = len(record), np.unique(record, return_index=True)[1]
    more = np.asarray(np.bincount(record) - 1, dtype=np.float64)
    chance = np.zeros(len(more), dtype=bool) if natural is None else natural[first]
    total, squares = float(more.sum()), float(more[chance].sum())
    events = np.where(chance, 0.0, more)
    if sample.corpus.clusters is not None:  # repeats of one source are one event as well
        events = np.asarray(np.bincount(sample.units[first], weights=events), dtype=np.float64)
    squares += float(events @ events)
    share = total / n
    effective = total * total / squares if total else 0.0
    rows = effective / share if total else float(n)
    if spread and 0 < share < 1:
        variance = share * (1 - share) / rows + spread**2
        rows = share * (1 - share) / variance
        effective = share * rows
    tail = (1 - level) / 2
    low = float(beta.ppf(tail, effective, rows - effective + 1)) if effective else 0.0
    high = float(beta.ppf(1 - tail, effective + 1, rows - effective)) if effective < rows else 1.0
    method = "Clopper–Pearson, a repeated record as one event"
    return Estimate(value=share, low=min(low, share), high=max(high, share), level=level, method=method)


def _near(bench: Workbench, sample: Sample) -> Value:
    if min(len(sample), len(bench.reference)) < 4:
        reason = "nearness of rows needs four rows on each side"
        return Value(field="near", status="not_assessable", reason=reason)
    found: Clumps = clumps_of(bench, sample)
    if found.edge <= 0:
        reason = "more than 1 % of real rows have twins: near repeats cannot be told from natural ones"
        return Value(field="near", status="not_applicable", reason=reason)
    share = 1 - len(found.sizes) / len(found.label)
    spread = min(share, found.chance) / math.sqrt(max(1, found.draws))
    part = "" if len(found.label) == found.of else f"of {len(found.label)} rows drawn at random"
    return Value(
        field="near",
        estimate=repeats(found.sample, found.label, bench.level, spread=spread),
        n={"release": len(found.label)},
        reason=part,
    )


def _most_repeated(release: Sample) -> tuple[Evidence, ...]:
    _, first, record, counts = np.unique(release.digests, return_index=True, return_inverse=True, return_counts=True)
    worst = [at for at in np.lexsort((first, -counts))[:SHOWN] if counts[at] > 1]
    if not worst:
        return ()
    names = release.names
    rows = []
    for at in worst:
        again = np.flatnonzero(record == at)[1:4]
        rows.append((str(names[first[at]]), int(counts[at]), ", ".join(str(names[i]) for i in again)))
    repeated = int((counts > 1).sum())
    return (
        Evidence(
            title="Release rows that stand there most often",
            columns=("first row", "times", "repeated at, the first three"),
            rows=tuple(rows),
            note=f"{repeated} records stand in the release more than once, {int((counts - 1).sum())} rows too many.",
        ),
    )
