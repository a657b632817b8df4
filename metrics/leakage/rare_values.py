"""Does the release give away values that one training record alone holds?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate, Evidence
from counterproof.metrics.leakage._copy_search.matching import rows_used
from counterproof.metrics.leakage._copy_search.near_copies import power
from counterproof.metrics.leakage._unique_values import Uniques, uniques_of
from counterproof.metrics.metric import Needs, Quantity, Tolerance, Value, metric
from counterproof.metrics.sample import Flags, Floats, Sample
from counterproof.metrics.statistics.exact_tests import ALARM, Tally, fewest_hits, p_in_words, tail_p
from counterproof.metrics.statistics.proportions import newcombe
from counterproof.metrics.workbench import Workbench

LISTED = 100
WHAT = {"value": "value", "parts": "part of a text", "combinations": "combination of values"}
SEARCHES = 2  # tests that share the level at least: all columns together, and the one that leaks
UNIQUES: Work[Uniques] = Work("values that one record holds")


@metric(
    id="leakage.rare_values",
    family="leakage",
    title="rare values of training records",
    algo=2,
    unit="share of training records",
    null="membership",
    needs=Needs(holdout=True, modalities=frozenset({"table"}), smallest_n=1000),
    reads=("all",),
    controls={"rare_values": "value"},
    tolerances=(
        Tolerance(
            "value",
            "<=",
            0.05,
            "fresh real rows repeat unique amounts and scores now and then, and 1,000 rows know their share to "
            "3 %; rare values beyond chance fail whatever their share",
            widest=0.05,
        ),
    ),
    quantities={
        "value": Quantity(
            name="Rare values of training records in the release",
            shown_as="percent",
            measure="{} of training records",
            finding="Rare values of training records stand in the release",
            means="Who knows such a value recognises the record.",
            remedy="Round, group or remove the rare values that the evidence lists.",
            telling="copies",
        ),
    },
)
def rare_values(bench: Workbench, *, combinations: Annotated[int, Field(ge=0)] = 100) -> Iterator[Value]:
    """Training records with a value that no other real record holds and that stands in the release.

    Such a value (an exact income, a diagnosis that one person has) singles its record out, and distances over
    whole rows are blind to it: one column copied of twenty moves no row far. The control is the holdout: values
    unique to holdout records stand in the release as often, if chance and rounding put them there. Numbers that
    merely count the rows, alone or in a text, meet those of any table and are left out. Fisher's exact test on
    the records fails a release whatever its share, and so it does on each column, combination and column of
    parts.

    Formula:
        value = share of training records with such a value − share of holdout records

    How to read it:
        0.01 means that one record in a hundred is given away. 1 honest release in 500 alarms, over all fields.
        A pass means: no rare value found by this search at this power. It never means more.

    Limits:
        Combinations of more than four columns are not looked at, and only as many as ``combinations`` says.
        With clusters a record is a source; one of which train and holdout both hold rows is left out, and
        counted.

    Args:
        bench: The samples.
        combinations: Combinations of each size, two to four columns; of more, as many are drawn at random.

    Yields:
        value: Share of training records given away by a single column, beyond the holdout's share.
        combinations: The same for combinations of two to four columns, none of whose values is unique alone;
            the mean over the combinations that were looked at.
        parts: The same for parts of texts and identifiers, what stands between spaces and signs: a user name in
            an address, a surname in a remark.

    Raises:
        MetricError: ``combinations`` is negative.

    Source:
        The control on records never seen as in Giomi et al. (2022), arXiv:2211.10459; interval by Newcombe
        (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I.
    """
    if combinations < 0:
        raise MetricError(f"option combinations = {combinations}: give 0 or more")
    assert bench.train is not None
    assert bench.holdout is not None
    found = bench.shared(
        UNIQUES.about(bench.real, bench.release, combinations=combinations),
        lambda: uniques_of(bench, most=combinations),
    )
    member, other = (_sources_of(bench, role) for role in (bench.train, bench.holdout))
    one_side = member != other
    if not (one_side & member).any() or not (one_side & other).any():
        reason = "every source record stands in train and holdout alike, so that neither is a control of the other"
        yield Value(status="not_assessable", reason=reason, n=rows_used(bench))
        return
    shared = int((member & other).sum())
    found, member = found.of(one_side), member[one_side]
    fields = [sets for sets in (found.single, found.combined, found.partial) if sets.any()]
    level = ALARM / max(1, len(fields))  # one level for all fields
    alone = _measured(bench, found, member, found.single, "value", level)
    if not found.combined.any():
        reason = "the columns allow no combination: nearly every value is unique, or there is one column"
        together = Value(field="combinations", status="not_applicable", reason=reason)
    else:
        together = _measured(bench, found, member, found.combined, "combinations", level)
    pieces = [_measured(bench, found, member, found.partial, "parts", level)] if found.partial.any() else []
    if shared and alone.reason:
        told = f"{alone.reason}; {shared} sources stand in train and holdout alike and were left out"
        alone = replace(alone, reason=told)
    alarms = [value.alarm for value in (alone, *pieces, together) if value.alarm]
    yield replace(alone, alarm=alarms[0] if alarms else "", left_out=found.left_out)
    yield together
    yield from pieces


def _sources_of(bench: Workbench, role: Sample) -> Flags:
    """Which sources of the real rows, without clusters which rows, have rows in a role."""
    found = np.zeros(bench.real.sources, dtype=bool)
    found[bench.real.units[np.isin(bench.real.rows, role.rows)]] = True
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The sets of columns behind a field: how often each gives records away, and how surely."""

    at: int
    tally: Tally
    p: float


def _measured(bench: Workbench, found: Uniques, member: Flags, sets: Flags, field: str, level: float) -> Value:
    sizes = (int(member.sum()), int((~member).sum()))
    records = _tally(np.asarray(found.hit[:, sets].any(1)), member)
    if field != "combinations":
        estimate = newcombe(records.hits[0], sizes[0], records.hits[1], sizes[1], bench.level)
    else:
        hits = found.hit[:, sets].mean(1)
        estimate = mean_excess(hits[member], hits[~member], bench.level)
    if bench.is_null:
        return Value(field=field, estimate=estimate)
    told = leaking_column_sets(found, member, sets)
    return Value(
        field=field,
        estimate=estimate,
        n=rows_used(bench),
        alarm=alarm_of(found, records, told, field, level),
        reason=_remark(found, records, sets, field, level),
        evidence=(*_columns(found, told, member), *_values(bench, found, told, member)),
        claims={"rare_values": claimed(records, len(told) + 1, level)},
    )


def mean_excess(members: Floats, others: Floats, level: float) -> Estimate:
    """The difference of two means of shares in [0, 1]: Welch's normal interval.

    A record as bad as the worst is added to each side, so that a side without a hit does not claim
    to know its share exactly.
    """
    value = float(members.mean() - others.mean())
    worst = max(members.max(initial=0), others.max(initial=0))
    errors = [np.append(side, worst).var(ddof=1) / len(side) for side in (members, others)]
    return Estimate.normal(value, math.sqrt(sum(errors)), level=level, method="Welch, one record added a side")


def _tally(hit: Flags, member: Flags) -> Tally:
    return Tally(
        hits=(int(hit[member].sum()), int(hit[~member].sum())), sizes=(int(member.sum()), int((~member).sum()))
    )


def leaking_column_sets(found: Uniques, member: Flags, sets: Flags) -> list[Told]:
    """The sets that give training records away, worst first."""
    made = []
    for at in np.flatnonzero(sets & found.hit[member].any(0)):
        tally = _tally(found.hit[:, at], member)
        made.append(Told(at=int(at), tally=tally, p=tally.p))
    return sorted(made, key=lambda one: (one.p, -one.tally.hits[0], one.at))


def alarm_of(found: Uniques, records: Tally, told: list[Told], field: str, level: float) -> str:
    """What Fisher's tests find, for the records as a whole and for each set of columns.

    The level of the field is shared among those that could reach it at all with so many hits in train and
    holdout together: a column with five hits is never an alarm, and costs the others nothing.

    Source: Tarone 1990, doi:10.2307/2531456.
    """
    what = WHAT[field]
    tests = [(one.p, f" in {' and '.join(found.sets[one.at])}", one.tally) for one in told]
    if field != "combinations":
        tests.append((records.p, "", records))
    shared = sharing([smallest_p(tally) for _, _, tally in tests], level)
    p, where, tally = min(tests, key=lambda test: test[0], default=(1.0, "", records))
    if shared * p >= level:
        return ""
    return (
        f"{tally.hits[0]} training records have a {what}{where} that no other real record has and that stands in the "
        f"release, against {tally.hits[1]} of {tally.sizes[1]} holdout records ({p_in_words(p)} by Fisher's test, "
        f"one of {shared})"
    )


def claimed(records: Tally, tests: int, level: float = ALARM) -> int:
    """How many more training records, given away by a value, one of so many tests would tell from the holdout's.

    Chance gives away as many in any release: a table of coarse scores needs more of them than one
    of amounts. Where no number would be told, more than there are.

    >>> claimed(Tally(hits=(0, 0), sizes=(5000, 5000)), 1), claimed(Tally(hits=(10, 12), sizes=(5000, 5000)), 1)
    (10, 24)
    """
    least = fewest_hits(records, level / max(SEARCHES, tests))
    return records.sizes[0] + 1 if least is None else max(1, least - records.hits[0])


def smallest_p(tally: Tally) -> float:
    """The smallest p that so many hits in all could give: all of them in train."""
    total = min(sum(tally.hits), tally.sizes[0])
    return tail_p(total, *tally.sizes)


def sharing(least: list[float], level: float = ALARM) -> int:
    """Among how many tests the level is to be shared: those that could pass it when shared so.

    >>> sharing([1e-9, 1e-9, 0.5, 0.0015])
    2
    """
    ordered = sorted(least)
    return next((k for k in range(1, len(ordered) + 1) if sum(p <= level / k for p in ordered) <= k), 1)


def _remark(found: Uniques, records: Tally, sets: Flags, field: str, level: float) -> str:
    what = {"value": "a single value", "parts": "a part of a text"}.get(field, f"one of {int(sets.sum())} combinations")
    told = (
        f"{records.hits[0]} of {records.sizes[0]} training and {records.hits[1]} of {records.sizes[1]} holdout records "
        f"are alone with {what} that stands in the release"
    )
    if field == "value":
        least = power(fewest_hits(replace(records, hits=(0, records.hits[1])), level), "records")
        told += f", {p_in_words(records.p, 2)}; {least}"
        if not found.held[:, sets].any():
            told = "no value is held by one real record alone: there is nothing to single a record out by"
    if found.left_out:
        told += f"; left out as mere numbers of rows: {', '.join(found.left_out[:5])}"
    return told


def _columns(found: Uniques, told: list[Told], member: Flags) -> tuple[Evidence, ...]:
    """Counts by set of columns: no values."""
    rows = tuple(
        (
            found.label(one.at, " + "),
            one.tally.hits[0],
            int(found.held[member, one.at].sum()),
            one.tally.hits[1],
            int(found.held[~member, one.at].sum()),
            one.p,
        )
        for one in told[:LISTED]
    )
    if not rows:
        return ()
    columns = ("columns", "training records", "of unique ones", "holdout records", "of unique ones (holdout)", "p")
    return (Evidence(title="Unique values that stand in the release, by column", columns=columns, rows=rows),)


def _values(bench: Workbench, found: Uniques, told: list[Told], member: Flags) -> tuple[Evidence, ...]:
    """The training records, worst column first; their values where they may be shown."""
    frame = bench.corpus.frame
    assert frame is not None
    names = bench.corpus.names
    rows: list[tuple[str, ...]] = []
    for one in told:
        if one.tally.hits[0] / one.tally.sizes[0] <= one.tally.hits[1] / one.tally.sizes[1]:
            continue
        columns = list(found.sets[one.at])
        for unit in np.flatnonzero(found.hit[:, one.at] & member)[: LISTED - len(rows)]:
            row = int(bench.real.rows[found.first[unit]])
            shown = [" + ".join(str(frame[column].iloc[row]) for column in columns)] if bench.show_real else []
            rows.append((str(names[row]), found.label(one.at, " + "), *shown))
    if not rows:
        return ()
    heads = ("training record", "columns", *(["value"] if bench.show_real else []))
    title = "Training records given away, worst column first"
    return (Evidence(title=title, columns=heads, rows=tuple(rows), shows_real=bench.show_real),)
