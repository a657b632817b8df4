"""Does the release hold training rows, or rows too near to them?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.estimate import Estimate, Expected
from counterproof.metrics.leakage._copy_search.matching import (
    Flags,
    Matches,
    Places,
    find_matches,
    rows_used,
    tally,
)
from counterproof.metrics.leakage._copy_search.near_copies import near_copies, power
from counterproof.metrics.metric import Needs, Quantity, Tolerance, Value, metric
from counterproof.metrics.sample import Sample
from counterproof.metrics.shared.closest_pairs import Pair, listed, pair_panel, pairs_by_record
from counterproof.metrics.statistics.coincidence import COARSE, coincidental
from counterproof.metrics.statistics.exact_tests import ALARM, Tally, fewest_hits, p_in_words, tail_p
from counterproof.metrics.statistics.proportions import newcombe
from counterproof.metrics.workbench import Workbench

MATCHES: Work[Matches] = Work("matches of real records with the release")


@metric(
    id="leakage.copies",
    family="leakage",
    title="copies of training rows",
    algo=3,
    unit="share of the release",
    null="membership",
    needs=Needs(smallest_n=1000),
    reads=("columns",),
    tolerances=(
        Tolerance(
            "value",
            "<=",
            0.01,
            "0 can never be passed by an upper bound; 1 % is the least that 1,000 rows can certify. "
            "Copies beyond chance fail whatever their share",
            widest=0.01,
        ),
        Tolerance("near", "<=", 0.01, "as for exact copies: near copies beyond chance fail at any share", widest=0.01),
    ),
    controls={"copies": "value", "near_copies": "near"},
    quantities={
        "value": Quantity(
            name="Exact copies of training rows",
            shown_as="percent",
            measure="{} of the release beyond what the holdout explains",
            finding="The release holds exact copies of training rows",
            means="It gives these real records away.",
            remedy="Remove the copied rows, which the evidence lists, and find out why the generator memorises.",
            telling="copies",
        ),
        "near": Quantity(
            name="Near copies of training rows",
            shown_as="percent",
            measure="{} of the release beyond what the holdout explains",
            finding="Release rows stand nearer to training rows than chance explains",
            means="Real records can be recognised in the release.",
            remedy="Remove the rows that the evidence lists; train for fewer epochs, or with differential privacy.",
            telling="copies",
        ),
    },
)
def copies(bench: Workbench) -> Iterator[Value]:
    """Release rows that equal training rows, in excess of those that equal holdout rows.

    An honest generator of coarse tables matches real records by chance, and matches the holdout as often. So
    the excess counts, over distinct records that stand once in the real data. Fisher's exact test on the
    matches fails a release whatever its share.

    Near copies are looked for among the records that do not match. Real records are ranked by how near the
    release comes to them: by Gower's distance, by the distance of features on the scale of their own
    neighbourhood, and by the numbers alone among rows of equal categories. If train and holdout are a random
    split, membership along such a ranking is random, whatever the generator. Two exact tests use that: how many
    training records stand before every holdout record, and the threshold in the nearest tenth of the ranking at
    which training records exceed their share most.

    Formula:
        value = share of lone training records that stand in the release − the same share of holdout records,
        in rows of the release

    How to read it:
        0.01 means that one release row in a hundred is a copy. All tests together alarm on 1 honest release in
        500 at most. A pass means: no copies found by these searches at this power. It never means more.

    Limits:
        Few copies in a small release cannot be told from chance; the report prints how many planted copies were
        found. Copies changed by more than a few percent of a standard deviation are not found. Without a
        holdout, or with real rows of unknown exposure alone, nothing can pass; exact copies beyond what the
        real rows' own twins explain still fail.

    Yields:
        value: Excess share of exact copies.
        near: Share of the release that is near copies: the excess of training records among the nearest ones.

    Source:
        Berk and Jones (1979), doi:10.1007/BF00533250, and Donoho and Jin (2004), arXiv:math/0410072, for tests
        over all thresholds; Carlini et al. (2023), arXiv:2301.13188, for distances relative to the
        neighbourhood; Newcombe (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I,
        for the interval.
    """
    if bench.train is None or bench.holdout is None:
        yield without_roles(bench)
        return
    known = bench.real
    found = bench.shared(MATCHES.about(bench.real, bench.release), lambda: find_matches(bench))
    member = np.isin(known.rows[found.rows], bench.train.rows)
    everyone = np.ones(len(member), dtype=bool)
    tests = [tally(bench, bench.real, found, member, found.matched, everyone), *same_columns(bench, found, member)]
    level, near_level = shared_level(tests)
    near = near_copies(bench, found, member, near_level)
    yield exact_copies(bench, found, member, tests, level, near.pairs)
    yield near.value


def shared_level(tests: Sequence[Tally]) -> tuple[float, float]:
    """What exact tests and near test may spend of the level of an alarm: half each.

    Where so few records stand in the release that no exact test could alarm whatever their side, the
    near test has all of it: the number of matches knows nothing of the sides.

    Source: Tarone 1990, doi:10.2307/2531456.

    >>> shared_level([Tally(hits=(2, 1), sizes=(1000, 1000))]), shared_level([Tally(hits=(9, 9), sizes=(1000, 1000))])
    ((0.001, 0.002), (0.001, 0.001))
    """
    half = ALARM / 2
    least = [tail_p(min(sum(one.hits), one.sizes[0]), *one.sizes) for one in tests if all(one.sizes)]
    return half, half if any(p < half / len(tests) for p in least) else ALARM


def exact_copies(
    bench: Workbench, found: Matches, member: Flags, tests: list[Tally], level: float, near: list[Pair]
) -> Value:
    """The excess copy rate, and the alarm where chance does not explain it."""
    known, exact = bench.real, tests[0]
    if not all(exact.sizes):
        return Value(status="not_assessable", reason="no record stands once in train or holdout: none can be told")
    estimate = excess_rate(exact, _weight(bench, exact), bench.level)
    if bench.is_null:
        return Value(estimate=estimate)
    least = fewest_hits(exact, level / len(tests))
    if least is None and not exact.hits[0]:
        reason = f"{counted(exact)}; {power(least, 'copies')}{twins(found)}"
        return Value(status="not_assessable", reason=reason)
    pairs = exact_pairs(bench, known, found.rows[found.matched & member])
    alarm, p = copy_alarm(tests, f"{len(pairs)} of {len(bench.release)} release rows equal one of them", level)
    return Value(
        estimate=estimate,
        expected=expected_matches(bench),
        n=rows_used(bench),
        alarm=alarm,
        reason=f"{counted(exact)}, {p_in_words(p, 2)}; {told_from(exact.hits[1], least)}{twins(found)}",
        evidence=(
            *listed(bench, pairs, "Release rows that equal a training row"),
            *pairs_by_record(bench, pairs, "Training records by the release rows that equal them"),
        ),
        panels=(pair_panel(bench, [*pairs[:12], *near[:12]]),),
    )


def expected_matches(bench: Workbench) -> Expected:
    """How the excess scatters where fresh rows match real records by chance, told by the real rows' own twins.

    A fresh row equals a record that stands once with probability ``2 N_2 / N``, where ``N_2`` of ``N``
    real records stand twice; half of these are training records. Where none do, at most 3 of n rows match, at 95 %.

    Source: Good 1953, doi:10.1093/biomet/40.3-4.237.
    """
    counts = np.unique(bench.real.digests, return_counts=True)[1]
    rows = len(bench.release)
    matches = max(3.0, rows * 2 * int((counts == 2).sum()) / len(bench.real))
    spread = math.sqrt(matches) / min(rows, len(bench.reference))
    return Expected(value=0.0, spread=spread, error=spread)


def counted(found: Tally) -> str:
    """The matches in words."""
    return f"{found.hits[0]} distinct training records stand in the release against {found.hits[1]} of the holdout"


def told_from(others: int, least: int | None) -> str:
    """The fewest copies that would be found, in words: more where chance matches the holdout too."""
    if least is None or not others:
        return power(least, "copies")
    return f"against {others} of the holdout, {least} training records or more would be found, fewer cannot be told"


def twins(found: Matches) -> str:
    """What was left out, in words."""
    return f"; {found.twins} real rows have twins and tell nothing" if found.twins else ""


def same_columns(bench: Workbench, found: Matches, member: Flags) -> list[Tally]:
    """A second tally, where records can equal release rows but for text or constant columns."""
    whole = found.single.all() and not (found.alike & ~found.matched).any()
    alike = tally(bench, bench.real, found, member, found.matched | found.alike, found.single)
    return [] if whole or not all(alike.sizes) else [alike]


def copy_alarm(tests: list[Tally], extent: str, level: float) -> tuple[str, float]:
    """What Fisher's tests on whole rows and on compared columns find, two tests for the price of two."""
    p = min(1.0, len(tests) * min(one.p for one in tests))
    if p >= level:
        return "", p
    exact, (_, *alike) = tests[0], tests
    told = f"({p_in_words(p)} by Fisher's test)"
    if not alike or exact.p <= alike[0].p:
        return f"{counted(exact)} {told}; {extent}", p
    ours, theirs = alike[0].hits
    return (
        f"{ours} distinct training records stand in the release but for text or constant columns, "
        f"against {theirs} of the holdout {told}",
        p,
    )


def _weight(bench: Workbench, found: Tally) -> float:
    """Training records for each release row: turns shares of train into shares of the release."""
    records = found.sizes[0] if bench.corpus.clusters is None else len(bench.train or ())
    return records / len(bench.release)


def excess_rate(found: Tally, weight: float, level: float) -> Estimate:
    """(share of train matched − share of holdout matched), in rows of the release."""
    return scaled(newcombe(found.hits[0], found.sizes[0], found.hits[1], found.sizes[1], level), weight)


def scaled(e: Estimate, weight: float) -> Estimate:
    """The estimate in another unit."""
    return replace(e, value=e.value * weight, low=e.low * weight, high=e.high * weight)


def without_roles(bench: Workbench) -> Value:
    """Exact copies beyond the real rows' own twins are facts; anything finer needs train and holdout."""
    known, kind = (bench.real, "real") if bench.train is None else (bench.train, "training")
    digests, counts = np.unique(known.digests, return_counts=True)
    hits = int(np.isin(digests, np.unique(bench.release.digests)).sum())
    pairs = exact_pairs(bench, known, np.arange(len(known)))
    alarm = ""
    if hits and beyond_twins(bench, known, counts, copied=len(pairs)):
        stand = "record stands" if hits == 1 else "records stand"
        alarm = (
            f"{hits} distinct {kind} {stand} in the release, in {len(pairs)} of {len(bench.release)} rows, more than "
            f"the {kind} rows' own twins explain (train and holdout would tell copies from coincidences)"
        )
    lacking = "train and holdout" if bench.train is None else "holdout"
    return Value(
        status="not_assessable",
        reason=f"without {lacking} rows, copies cannot be told from likeness",
        alarm=alarm,
        evidence=listed(bench, pairs, f"Release rows that equal a {kind} row"),
    )


def beyond_twins(bench: Workbench, known: Sample, counts: Places, *, copied: int) -> bool:
    """Whether more real rows find their equal in the release than among themselves.

    A faithful release of as many rows would match as many. A table whose duplicates were removed
    hides that rate: there only copies in more than 5 % of the release are taken for facts.
    """
    twins, matched = int(counts[counts > 1].sum()), int(np.isin(known.digests, bench.release.digests).sum())
    if not twins:
        return copied > COARSE * len(bench.release) or not coincidental(known)
    grown = max(1.0, len(bench.release) / len(known))
    return matched - grown * twins > 4 * math.sqrt(matched + grown**2 * twins + 1)


def exact_pairs(bench: Workbench, known: Sample, at: Places) -> list[Pair]:
    """One pair per release row that equals one of the known records at these positions."""
    where = {bytes(digest): int(place) for place, digest in zip(at, known.digests[at], strict=True)}
    pairs = []
    for row, digest in zip(bench.release.rows, bench.release.digests, strict=True):
        place = where.get(bytes(digest))
        if place is not None:
            pairs.append(Pair(made=int(row), real=int(known.rows[place]), distance=0.0, exact=True))
    return pairs
