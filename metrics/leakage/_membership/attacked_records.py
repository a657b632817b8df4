"""Attacked records: known records whose membership an attacker guesses, half of them members.

An attacker who holds a list of records, and does not know which of them the generator learned from,
sees all of them alike. So everything that he works out from the release and this list, his
*reference*, is the same however membership was dealt: under no leak his scores are exchangeable
between members and non-members, whatever the generator. No holdout row is spent on a reference of
its own, which would halve the non-members.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.errors import MetricError
from counterproof.metrics.leakage._copy_search.matching import known_records, singles
from counterproof.metrics.sample import Flags, Floats, Rows, Sample
from counterproof.metrics.workbench import Workbench

LEAST = 40  # attacked records a side: twenty in each half
Attacked = Annotated[int, Field(ge=LEAST)]
MOST = 5000  # attacked records a side by default: bounds the queries, never what they are held against
TARGETS: Work[Targets] = Work("records that membership attacks try")


@dataclass(frozen=True, eq=False, kw_only=True)
class Targets:
    """Records under attack.

    Attributes:
        sample: Their rows.
        reference: All known records: what the attacker compares with, unlabelled.
        own: Position of each row of ``sample`` in the reference.
        unit: Number of the record, or with clusters of the source, of each row of ``sample``.
        member: ``(units,)`` whether the generator learned from it.
        remark: What was left out, in words.
    """

    sample: Sample
    reference: Sample
    own: Rows
    unit: Rows
    member: Flags
    remark: str

    @property
    def side(self) -> int:
        """How many members, and how many non-members."""
        return int(self.member.sum())

    def of_units(self, scores: Floats) -> Floats:
        """Scores of units: the highest of their rows."""
        best = np.full(len(self.member), -np.inf)
        np.maximum.at(best, self.unit, scores)
        return best


def select_targets(bench: Workbench, most: int) -> Targets:
    """The attacked records of an audit, the same for all of its views.

    Raises:
        MetricError: ``most`` is too small.
    """
    if most < LEAST:
        raise MetricError(f"option records = {most}: at least {LEAST} records a side are attacked")
    return bench.shared(TARGETS.about(bench.real, most=most), lambda: _selected(bench, most))


def _selected(bench: Workbench, most: int) -> Targets:
    assert bench.train is not None
    reference = known_records(bench)
    once = singles(reference.digests)  # two equal records, one on each side, tell no membership
    inside = np.isin(reference.rows[once], bench.train.rows)
    unit = reference.take(once, "records that stand once").units
    units = int(unit.max(initial=-1)) + 1
    hits = np.bincount(unit, weights=inside, minlength=units)
    sizes = np.bincount(unit, minlength=units)
    members, others = np.flatnonzero(hits == sizes), np.flatnonzero(hits == 0)
    spanning = units - len(members) - len(others)
    count = min(len(members), len(others), most)
    rng = np.random.default_rng([bench.seed, zlib.crc32(b"attacked records")])
    chosen = np.sort(np.concatenate([rng.permutation(side)[:count] for side in (members, others)]))
    there = np.isin(unit, chosen)
    own = once[there]
    return Targets(
        sample=reference.take(own, f"attacked records {most}"),
        reference=reference,
        own=own,
        unit=np.searchsorted(chosen, unit[there]),
        member=hits[chosen] > 0,
        remark=_remark(bench, len(once), count, len(members), len(others), spanning),
    )


def _remark(bench: Workbench, once: int, count: int, members: int, others: int, spanning: int) -> str:
    told = []
    twins = len(bench.real) - once
    if count < max(members, others):
        told.append(f"{count} of {members} members and {count} of {others} non-members attacked")
    if twins:
        told.append(f"{twins} real rows have twins and tell nothing")
    if spanning:
        told.append(f"{spanning} sources stand in train and holdout and were left out")
    if bench.corpus.clusters is not None:
        told.append("rows of one source are attacked together, by their highest score")
    return "; ".join(told)
