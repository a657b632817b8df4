"""Does the release tell what describes exactly one training record?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.stats import hypergeom

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Evidence, Group
from counterproof.metrics.leakage._disclosure.predicates import (
    Coded,
    Hits,
    Predicates,
    at_random,
    coded,
    matches,
    multivariate,
    univariate,
)
from counterproof.metrics.leakage._disclosure.risk import Rates, told
from counterproof.metrics.leakage._disclosure.targets import units
from counterproof.metrics.metric import Count, Needs, Value, metric
from counterproof.metrics.sample import Floats, Rows, Sample
from counterproof.metrics.statistics.proportions import wilson
from counterproof.metrics.workbench import Workbench

LISTED = 1000
FEW = 20
SIZES = (2, 3, 4, 6, 8)
Flags = NDArray[np.bool_]
AIMS: Work[dict[str, Aim]] = Work("predicates that single out")
CODED: Work[Coded] = Work("coded columns")
RECORDS: Work[Rows] = Work("record of each real row")


@dataclass(frozen=True, eq=False)
class Aim:
    """Predicates of one kind and the known records that they match.

    Attributes:
        predicates: Each matches one release row.
        source: That row, by predicate, as a position in the corpus.
        hits: Matches among the known rows.
        guessed: Matches of random predicates of the same shape.
    """

    predicates: Predicates
    source: Rows
    hits: Hits
    guessed: Hits


Sizes = Annotated[tuple[Annotated[int, Field(ge=2)], ...], Field(min_length=1)]


@metric(
    id="leakage.singling_out",
    family="leakage",
    title="singling out one record",
    unit="risk",
    null="membership",
    needs=Needs(holdout=True, modalities=frozenset({"table"}), smallest_n=100),
    reads=("columns",),
)
def singling_out(bench: Workbench, *, columns: Sizes = SIZES, attacks: Count = 5000) -> Iterator[Value]:
    """Descriptions of one release row that describe exactly one training record, in excess of the holdout.

    An attacker takes what is unique in the release for unique in the data it was made from. Univariate
    predicates are on one column: a value that stands there once, the least, the largest, the one missing.
    Multivariate ones are conjunctions around a release row on some of its columns. A predicate succeeds where
    it matches exactly one record; the same predicates on the holdout are the control. Where one side has more
    records, it counts what a random choice of as many as the other has would give (in expectation). Equal rows
    and rows of one source are one record.

    Formula:
        risk = (success rate on training records − rate on holdout records) / (1 − rate on holdout records)

    How to read it:
        0 means that training records are singled out no more often; 0.1 means that a tenth of the predicates
        that would fail otherwise do not. Leaked rare values show here and in no distance.

    Limits:
        It tries predicates around release rows only. It has no default gate; leakage.rare_values decides.

    Args:
        bench: The samples.
        columns: How many columns a conjunction may have; each has one of these numbers.
        attacks: Predicates of each kind, at most.

    Yields:
        value: The risk for the worse kind of predicate and, by ``attack``, for each.
        attack: Success rate on training records.
        control: Success rate on holdout records.
        baseline: Success rate of random predicates.

    Raises:
        MetricError: The options are none that can be used.

    Source:
        Giomi et al. (2022), arXiv:2211.10459; Cohen and Nissim (2020), arXiv:1904.06009.
    """
    if attacks < 1 or not columns or min(columns) < 2:
        raise MetricError("leakage.singling_out: give attacks of 1 or more, and columns of 2 or more")
    assert bench.train is not None
    assert bench.holdout is not None
    aims = bench.shared(
        AIMS.about(bench.real, bench.release, columns=columns, attacks=attacks), lambda: aim(bench, columns, attacks)
    )
    sides = Sides.of(bench)
    rates: dict[Group, Rates] = {}
    failures: dict[Group, str] = {}
    for kind, found in aims.items():
        if len(found.predicates):
            rates[(("attack", kind),)] = _rates(bench, found, sides)
        else:
            failures[(("attack", kind),)] = "nothing in the release describes exactly one of its rows in this way"
    remark = f"equal numbers of records compared: {sides.size} a side"
    yield from told(bench, rates, remark=remark, failures=failures, evidence=lambda _: _singled_out(bench, aims, sides))


def aim(bench: Workbench, columns: tuple[int, ...], attacks: int) -> dict[str, Aim]:
    """Predicates of both kinds from the distinct release rows, and whom they match."""
    table = bench.shared(CODED.about(bench.real, bench.release), lambda: coded(bench.corpus))
    if not table.columns:
        return {}
    release = table.take(bench.release.rows)
    first = release.distinct()
    release, rows = release.take(first), bench.release.rows[first]
    real = table.take(bench.real.rows)
    rng = np.random.default_rng([bench.seed, 23])
    made = {"univariate": univariate(release, attacks, rng)}
    if len(table.columns) > 1:
        made["multivariate"] = multivariate(release, columns, attacks, rng)
    record = bench.shared(RECORDS.about(bench.real), lambda: _records(bench.real))
    return {kind: _aimed(found, release, rows, real, record, rng) for kind, found in made.items()}


def _aimed(found: Predicates, release: Coded, rows: Rows, real: Coded, record: Rows, rng: np.random.Generator) -> Aim:
    return Aim(
        predicates=found,
        source=rows[matches(found, release).row],
        hits=matches(found, real).grouped(record),
        guessed=matches(at_random(release, found, rng), real).grouped(record),
    )


def _records(real: Sample) -> Rows:
    """The record of each real row."""
    clusters = real.corpus.clusters
    return units(real.digests, None if clusters is None else clusters[real.rows])


@dataclass(frozen=True, eq=False)
class Sides:
    """Which records each side holds.

    Attributes:
        train: ``(records,)``.
        holdout: ``(records,)``.
        size: How many the smaller side has.
    """

    train: Flags
    holdout: Flags
    size: int

    @classmethod
    def of(cls, bench: Workbench) -> Sides:
        """The sides of a view."""
        record = bench.shared(RECORDS.about(bench.real), lambda: _records(bench.real))
        assert bench.train is not None
        assert bench.holdout is not None
        held = [np.zeros(int(record.max()) + 1, dtype=bool) for _ in range(2)]
        for side, sample in zip(held, (bench.train, bench.holdout), strict=True):
            side[record[np.isin(bench.real.rows, sample.rows)]] = True
        return cls(held[0], held[1], min(int(side.sum()) for side in held))


def _rates(bench: Workbench, found: Aim, sides: Sides) -> Rates:
    n = len(found.predicates)
    attack, control = (float(success(found.hits, side, sides.size).sum()) for side in (sides.train, sides.holdout))
    guessed = 0.0 if bench.is_null else float(success(found.guessed, sides.train, sides.size).sum())
    return Rates(
        hits=(attack, control),
        sizes=(n, n),
        baseline=wilson(guessed, n, bench.level),
        records=(int(sides.train.sum()), int(sides.holdout.sum())),
        remark=f"{n} predicates" + (", too few to tell much" if n < FEW else ""),
    )


def success(hits: Hits, side: Flags, size: int) -> Floats:
    """The chance of each predicate to match exactly one of ``size`` records drawn from a side.

    1 or 0 where the side has no more records than that.

    Args:
        hits: Matches among the known records.
        side: ``(records,)`` which of them the side holds.
        size: How many are drawn.
    """
    count, of = hits.within(side), int(side.sum())
    if of <= size:
        return np.asarray(count == 1, dtype=np.float64)
    return np.asarray(hypergeom.pmf(1, of, count, size), dtype=np.float64)


def _singled_out(bench: Workbench, aims: Mapping[str, Aim], sides: Sides) -> tuple[Evidence, ...]:
    """Train records that predicates match alone, where no holdout record does."""
    names, columns = (
        bench.corpus.names,
        bench.shared(CODED.about(bench.real, bench.release), lambda: coded(bench.corpus)).columns,
    )
    record = bench.shared(RECORDS.about(bench.real), lambda: _records(bench.real))
    inside = np.flatnonzero(np.isin(bench.real.rows, bench.train.rows if bench.train else ()))
    row_of = dict(zip(record[inside[::-1]].tolist(), bench.real.rows[inside[::-1]].tolist(), strict=True))
    rows: list[tuple[str, str, str]] = []
    for found in aims.values():
        hits = found.hits
        alone = (hits.within(sides.train) == 1) & (hits.within(sides.holdout) == 0)
        for at, matched in zip(hits.predicate, hits.row, strict=True):
            if alone[at]:
                used = [columns[c] for c in sorted(found.predicates.column[at]) if c >= 0]
                rows.append((str(names[found.source[at]]), str(names[row_of[int(matched)]]), ", ".join(used)))
    if not rows:
        return ()
    note = f"The first {min(LISTED, len(rows))} of {len(rows)}; some are chance, see control. Values are not shown."
    title = f"Release rows whose description matches one training row and no holdout row: {len(rows)}"
    return (
        Evidence(title=title, columns=("release row", "training row", "columns"), rows=tuple(rows[:LISTED]), note=note),
    )
