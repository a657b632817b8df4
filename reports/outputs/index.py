"""An index over many records: verdicts and answers by release, and the trend of every measurement that gates judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from counterproof.reports import wording
from counterproof.reports.figures.trends import Point, trend
from counterproof.reports.model import QUESTIONS, RecordData
from counterproof.reports.outputs.comparison import gates_by_what_they_judge, unlike
from counterproof.reports.outputs.page import page, release_name
from counterproof.reports.text import counted
from counterproof.reports.wording import Line

RELEASES_LISTED = 500
RELEASES_DRAWN = 40  # the latest of a trend
TRENDS_DRAWN = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One record of the index.

    Attributes:
        record: The record.
        name: Which release it is, told apart from the others.
        link: Address of its report, relative to the index; empty where there is none.
    """

    record: RecordData
    name: str
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One gated measurement over the releases.

    Attributes:
        family: Its question.
        title: What it is, in words.
        points: The releases, the earliest first.
    """

    family: str
    title: str
    points: Sequence[Point]

    @property
    def last(self) -> Line:
        """The gate in the latest audit that has it."""
        return next(point.line for point in reversed(self.points) if point.line is not None)

    @property
    def drawing(self) -> Markup:
        """All releases from left to right."""
        return trend(self.points)

    @property
    def breaks(self) -> list[str]:
        """Where numbers cannot be compared with those of the release before, and why."""
        return [f"{point.release}: {point.apart}" for point in self.points if point.apart]


def render_index(entries: Sequence[Entry]) -> str:
    """Many records as one HTML page, readable offline and without scripts; the latest audit first."""
    ordered = in_order(entries)
    trends = list(trends_of(ordered[-RELEASES_DRAWN:]))
    families = [(family, [one for one in trends[:TRENDS_DRAWN] if one.family == family]) for family in QUESTIONS]
    known = set(QUESTIONS)
    others = [one for one in trends[:TRENDS_DRAWN] if one.family not in known]
    return page(
        "index.html.j2",
        title="audits of every release",
        entries=ordered[::-1][:RELEASES_LISTED],
        entries_left=max(0, len(ordered) - RELEASES_LISTED),
        tally=_tally(ordered),
        families=list(QUESTIONS),
        trends=[(family, found) for family, found in [*families, ("others", others)] if found],
        trends_left=max(0, len(trends) - TRENDS_DRAWN),
        older=max(0, len(ordered) - RELEASES_DRAWN),
    )


def in_order(entries: Sequence[Entry]) -> list[Entry]:
    """By the time of the audit, the earliest first; those without one in the order given."""
    return sorted(entries, key=lambda entry: entry.record.manifest.started)


def named_apart(records: Sequence[tuple[RecordData, str]]) -> list[str]:
    """Names of releases; where two are the same, with what tells them apart.

    >>> named_apart([])
    []
    """
    names = [release_name(record) for record, _ in records]
    return [
        f"{name}, {apart}" if names.count(name) > 1 and apart else name
        for name, (_, apart) in zip(names, records, strict=True)
    ]


def _tally(entries: Sequence[Entry]) -> str:
    verdicts = [wording.overall(entry.record)[0] for entry in entries]
    told = [
        f"{verdicts.count(state)} {look.word.lower()}" for state, look in wording.LOOKS.items() if state in verdicts
    ]
    return f"{counted(len(entries), 'audit')}: {', '.join(told)}" if told else "no audits"


def trends_of(entries: Sequence[Entry]) -> list[Trend]:
    """Every gate that any of the audits has, in the order of the questions and of the latest audit."""
    gates = [gates_by_what_they_judge(entry.record) for entry in entries]
    keys = dict.fromkeys(key for found in reversed(gates) for key in found)
    trends = []
    for key in keys:
        points: list[Point] = []
        before: RecordData | None = None
        for entry, found in zip(entries, gates, strict=True):
            gate = found.get(key)
            line = None if gate is None else wording.line_of(entry.record, gate)
            apart = unlike(before, entry.record, gate) if before is not None and gate is not None else ""
            points.append(Point(release=entry.name, line=line, apart=apart))
            before = entry.record if gate is not None else before
        lines = [point.line for point in points if point.line is not None]
        if any(line.gate.value is not None for line in lines):
            trends.append(Trend(family=wording.family_of(lines[-1].gate), title=lines[-1].title, points=points))
    order = list(QUESTIONS)
    return sorted(trends, key=lambda one: order.index(one.family) if one.family in order else len(order))
