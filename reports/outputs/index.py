"""An index over many records: verdicts and answers by release, and the trend of every measurement that gates judge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from counterproof.reports import gate_lines, wording
from counterproof.reports.figures.trends import Point, trend
from counterproof.reports.gate_lines import Line
from counterproof.reports.model import QUESTIONS, GateReading, RecordData
from counterproof.reports.outputs.comparison import Key, gates_by_what_they_judge, unlike
from counterproof.reports.outputs.page import page, release_name
from counterproof.reports.sentences import Places, places_of
from counterproof.reports.text import counted

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
    trends, left = trends_of(ordered[-RELEASES_DRAWN:])
    families = [(family, [one for one in trends if one.family == family]) for family in QUESTIONS]
    others = [one for one in trends if one.family not in QUESTIONS]
    return page(
        "index.html.j2",
        title="audits of every release",
        entries=ordered[::-1][:RELEASES_LISTED],
        entries_left=max(0, len(ordered) - RELEASES_LISTED),
        tally=_tally(ordered),
        families=list(QUESTIONS),
        trends=[(family, found) for family, found in [*families, ("others", others)] if found],
        trends_left=left,
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
        f"{verdicts.count(state)} {look.word.lower()}" for state, look in gate_lines.LOOKS.items() if state in verdicts
    ]
    return f"{counted(len(entries), 'audit')}: {', '.join(told)}" if told else "no audits"


def trends_of(entries: Sequence[Entry], most: int = TRENDS_DRAWN) -> tuple[list[Trend], int]:
    """The gates that any of the audits has, by question and in the order of the latest audit; and how many are left."""
    gates = [gates_by_what_they_judge(entry.record) for entry in entries]
    places = [places_of(entry.record.measurements) for entry in entries]
    known: dict[Key, GateReading] = {}
    for found in reversed(gates):
        for key, gate in found.items():
            known.setdefault(key, gate)
    families = [*QUESTIONS, *(gate_lines.family_of(gate) for gate in known.values())]
    keys = sorted(known, key=lambda key: families.index(gate_lines.family_of(known[key])))
    trends: list[Trend] = []
    for at, key in enumerate(keys):
        if len(trends) == most:
            return trends, len(keys) - at
        points = list(_points(entries, [found.get(key) for found in gates], places))
        lines = [point.line for point in points if point.line is not None]
        if any(line.gate.value is not None for line in lines):
            trends.append(Trend(family=gate_lines.family_of(lines[-1].gate), title=lines[-1].title, points=points))
    return trends, 0


def _points(entries: Sequence[Entry], gates: Sequence[GateReading | None], places: Sequence[Places]) -> Iterator[Point]:
    """One gate in every audit, each held against the audit before that has it."""
    before: RecordData | None = None
    for entry, gate, there in zip(entries, gates, places, strict=True):
        if gate is None:
            yield Point(release=entry.name, line=None)
            continue
        apart = "" if before is None else unlike(before, entry.record, gate)
        yield Point(release=entry.name, line=gate_lines.line_of(entry.record, gate, there), apart=apart)
        before = entry.record
