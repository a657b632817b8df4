"""Does the release tell what describes exactly one training record?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

from counterproof.metrics.attack_rates import Rates, told
from counterproof.metrics.estimate import Evidence, Group
from counterproof.metrics.intervals import wilson
from counterproof.metrics.metric import MetricError, Needs, Value, metric
from counterproof.metrics.predicates import (
    Coded,
    Hits,
    Predicates,
    at_random,
    coded,
    matches,
    multivariate,
    univariate,
)
from counterproof.metrics.sample import Floats, Rows, Sample
from counterproof.metrics.targets import units
from counterproof.metrics.workbench import Workbench

LISTED = 1000
FEW = 20
SIZES = (2, 3, 4, 6, 8)


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


@metric(
    id="leakage.singling_out",
    family="leakage",
    title="singling out one record",
    unit="risk",
    null="membership",
    needs=Needs(holdout=True, modalities=frozenset({"table"}), smallest_n=100),
)
def singling_out(bench: Workbench, *, columns: tuple[int, ...] = SIZES, attacks: int = 5000) -> Iterator[Value]:
    """Descriptions of one release row that describe one train record, in excess of the holdout.

    An attacker takes what is unique in the release for unique in the data it was made from.
    ``univariate`` predicates are on one column: a value that stands there once, the least, the
    largest, the one missing. ``multivariate`` ones are conjunctions around a release row on some of
    its columns. A predicate succeeds where it matches exactly one record; the same predicates on
    the holdout are the control. 0 means that train records are singled out no more often; 0.1 that
    of the predicates that would fail otherwise a tenth does not. Leaked rare values show here and
    in no distance. Where one side has more records, it counts what a random choice of as many as
    the other has would give (in expectation). Equal rows and rows of one source are one record.

    Source: Giomi et al. 2022, arXiv:2211.10459; Cohen and Nissim 2020, arXiv:1904.06009.

    Args:
        bench: The view.
        columns: How many columns a conjunction may have; each has one of these numbers.
        attacks: Predicates of each kind, at most.

    Yields:
        ``value`` the risk, ``attack``, ``control`` and ``baseline`` (random predicates) the rates
        behind it: of the worse kind and, by ``attack``, of each.

    Raises:
        MetricError: The options are none that can be used.
    """
    if attacks < 1 or not columns or min(columns) < 2:
        raise MetricError("leakage.singling_out: give attacks of 1 or more, and columns of 2 or more")
    assert bench.train is not None
    assert bench.holdout is not None
    aims = bench.shared(("singling out", columns, attacks), lambda: aim(bench, columns, attacks))
    known = bench.real.rows
    inside, outside = np.isin(known, bench.train.rows), np.isin(known, bench.holdout.rows)
    unit = bench.shared(("real units",), lambda: _units(bench.real))
    rates: dict[Group, Rates] = {}
    failures: dict[Group, str] = {}
    for kind, found in aims.items():
        if not len(found.predicates):
            failures[(("attack", kind),)] = "nothing in the release describes exactly one of its rows in this way"
            continue
        rates[(("attack", kind),)] = _rates(bench, found, unit, inside, outside)
    remark = f"equal numbers of records compared: {_smaller(unit, inside, outside)} a side"
    evidence = () if bench.is_null else _singled_out(bench, aims, unit, inside, outside)
    yield from told(bench, rates, remark=remark, evidence=evidence, failures=failures)


def aim(bench: Workbench, columns: tuple[int, ...], attacks: int) -> dict[str, Aim]:
    """Predicates of both kinds from the distinct release rows, and whom they match."""
    table = bench.shared(("coded",), lambda: coded(bench.corpus))
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
    return {kind: _aimed(found, release, rows, real, rng) for kind, found in made.items()}


def _aimed(found: Predicates, release: Coded, rows: Rows, real: Coded, rng: np.random.Generator) -> Aim:
    return Aim(
        predicates=found,
        source=rows[matches(found, release).row],
        hits=matches(found, real),
        guessed=matches(at_random(release, found, rng), real),
    )


def _units(real: Sample) -> Rows:
    clusters = real.corpus.clusters
    return units(real.digests, None if clusters is None else clusters[real.rows])


def _smaller(unit: Rows, *sides: NDArray[np.bool_]) -> int:
    return min(len(np.unique(unit[side])) for side in sides)


def _rates(bench: Workbench, found: Aim, unit: Rows, inside: NDArray[np.bool_], outside: NDArray[np.bool_]) -> Rates:
    size = _smaller(unit, inside, outside)
    attack, control = (float(success(found.hits, unit, side, size).sum()) for side in (inside, outside))
    guessed = float(success(found.guessed, unit, inside, size).sum())
    n = len(found.predicates)
    return Rates(
        hits=(attack, control),
        sizes=(n, n),
        baseline=wilson(guessed, n, bench.level),
        remark=f"{n} predicates" + (", too few to tell much" if n < FEW else ""),
    )


def success(hits: Hits, unit: Rows, side: NDArray[np.bool_], size: int) -> Floats:
    """The chance of each predicate to match exactly one of ``size`` records drawn from a side.

    1 or 0 where the side has no more records than that.

    Args:
        hits: Matches among the known rows.
        unit: Record of each known row.
        side: Which known rows the side has.
        size: How many records are drawn.
    """
    width = int(unit.max()) + 1
    here = side[hits.row]
    pairs = np.unique(hits.predicate[here] * width + unit[hits.row[here]])
    count = np.bincount(pairs // width, minlength=hits.of)
    of = len(np.unique(unit[side]))
    if of <= size:
        return np.asarray(count == 1, dtype=np.float64)
    return np.asarray(hypergeom.pmf(1, of, count, size), dtype=np.float64)


def _singled_out(
    bench: Workbench, aims: dict[str, Aim], unit: Rows, inside: NDArray[np.bool_], outside: NDArray[np.bool_]
) -> tuple[Evidence, ...]:
    """Train records that predicates match alone, where no holdout record does."""
    names, columns = bench.corpus.names, bench.shared(("coded",), lambda: coded(bench.corpus)).columns
    rows: list[tuple[str, str, str]] = []
    for found in aims.values():
        everyone = len(unit)
        alone = success(found.hits, unit, inside, everyone) > 0
        alone &= np.bincount(found.hits.predicate[outside[found.hits.row]], minlength=found.hits.of) == 0
        first = np.searchsorted(found.hits.predicate, np.flatnonzero(alone))
        for at, hit in zip(np.flatnonzero(alone), first, strict=True):
            used = [columns[c] for c in found.predicates.column[at] if c >= 0]
            real = names[bench.real.rows[found.hits.row[hit]]]
            rows.append((str(names[found.source[at]]), str(real), ", ".join(used)))
    if not rows:
        return ()
    note = f"The first {min(LISTED, len(rows))} of {len(rows)}; some are chance, see control. Values are not shown."
    title = f"Release rows whose description matches one training row and no holdout row: {len(rows)}"
    return (
        Evidence(title=title, columns=("release row", "training row", "columns"), rows=tuple(rows[:LISTED]), note=note),
    )
