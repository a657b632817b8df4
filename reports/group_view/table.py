"""The table by group: every question that was measured for single groups, built from the record alone.

A question is one field of one metric: the one that a gate judges over cells, or else the first that
was measured per group. A row is one group: a value of a group column, or of several at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from counterproof.metrics.estimate import Better
from counterproof.reports.gate_lines import LOOKS, State, subject
from counterproof.reports.group_view.cells import ORDER, CellState, GroupCell, cells_of, verdicts_of
from counterproof.reports.group_view.group_keys import (
    GroupReading,
    GroupValues,
    group_columns,
    named,
    readings_by_group,
)
from counterproof.reports.model import QUESTIONS, Reading, RecordData
from counterproof.reports.text import printable

RANGE = re.compile(r"([≤(>]) ?(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?=$|, )")
MOST = 300  # cells on the page; the others are in the record only
ASKED = 15  # questions
DIRECTIONS: Mapping[Better, str] = {"lower": "lower is better", "higher": "higher is better", "zero": "0 is no change"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One column of the table.

    Attributes:
        metric: Its metric.
        field: Its field.
        family: Its family.
        title: The question in words.
        direction: Which way is good, in words.
        judged: Whether a gate judges it over cells.
    """

    metric: str
    field: str
    family: str
    title: str
    direction: str
    judged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One group: its name, and a cell or None for each question."""

    name: str
    cells: tuple[GroupCell | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The groups of one column, or of several at once."""

    title: str
    rows: tuple[Row, ...]
    crossed: bool

    @property
    def asked(self) -> list[int]:
        """The questions that were asked of any of these groups."""
        columns = zip(*(row.cells for row in self.rows), strict=True)
        return [at for at, column in enumerate(columns) if any(column)]

    @property
    def thin(self) -> bool:
        """Whether fewer than half of the questions were asked of crossed columns: such a table is folded away."""
        return self.crossed and 2 * len(self.asked) < len(self.rows[0].cells)

    @property
    def references(self) -> list[set[str]]:
        """For each question, the groups that others are compared with."""
        columns = zip(*(row.cells for row in self.rows), strict=True)
        return [{cell.against for cell in column if cell} for column in columns]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTable:
    """Groups by questions.

    Attributes:
        questions: Columns, in the order of the five questions.
        blocks: Rows, single columns first.
        left_out: Groups and questions that only the record holds, in words.
    """

    questions: tuple[Question, ...]
    blocks: tuple[Block, ...]
    left_out: str

    def families(self, asked: Sequence[int]) -> list[tuple[str, int]]:
        """The families of some columns, with how many columns each has."""
        names = [self.questions[at].family for at in asked]
        return [(name, names.count(name)) for name in dict.fromkeys(names)]

    @property
    def cells(self) -> list[GroupCell]:
        """All of them."""
        return [cell for block in self.blocks for row in block.rows for cell in row.cells if cell]

    @property
    def state(self) -> State:
        """The worst verdict of a gate on any of them; not assessed where no gate looks."""
        judged = {cell.look for cell in self.cells}
        return next((state for state in LOOKS if state in judged), "not_assessed")

    @property
    def beyond(self) -> bool:
        """Whether any cell without a gate is worse than real rows reach."""
        return any(cell.look == "beyond" for cell in self.cells)

    @property
    def tally(self) -> str:
        """A summary: ``17 groups by 7 questions: 3 fail, 12 too few rows``."""
        looks = [cell.look for cell in self.cells]
        words: dict[CellState, str] = {state: look.word.lower() for state, look in LOOKS.items()}
        words |= {"beyond": "beyond what real rows reach", "few": "too few rows"}
        counted = ", ".join(f"{looks.count(look)} {word}" for look, word in words.items() if look in looks)
        groups, asked = sum(len(block.rows) for block in self.blocks), len(self.questions)
        size = f"{groups} group{'s' * (groups > 1)} by {asked} question{'s' * (asked > 1)}"
        return f"{size}: {counted}" if counted else size


def group_table(record: RecordData) -> GroupTable | None:
    """The table, or None where no question was asked of single groups."""
    group_readings = readings_by_group(record)
    questions = list(_questions(record, group_readings))
    shown = questions[:ASKED]
    cells: dict[GroupValues, list[GroupCell | None]] = {}
    verdicts = verdicts_of(record)
    for at, question in enumerate(shown):
        own = [
            one
            for one in group_readings
            if (one.reading.metric, one.reading.field) == (question.metric, question.field)
        ]
        for one, cell in cells_of(own, verdicts):
            row = cells.setdefault(one.place, [None] * len(shown))
            row[at] = max((found for found in (row[at], cell) if found), key=lambda found: found.badness)
    if not cells:
        return None
    kept = _top_rows(cells, MOST // len(shown))
    return GroupTable(
        questions=tuple(shown),
        blocks=tuple(_blocks(kept, group_columns(record))),
        left_out=_left_out(len(cells) - len(kept), len(questions) - len(shown)),
    )


def _questions(record: RecordData, group_readings: Sequence[GroupReading]) -> Iterable[Question]:
    """One per metric, in the order of the families."""
    fields: dict[str, list[Reading]] = {}
    for one in group_readings:
        fields.setdefault(one.reading.metric, []).append(one.reading)
    rank = {family: k for k, family in enumerate(QUESTIONS)}
    for metric, readings in sorted(fields.items(), key=lambda item: rank.get(item[1][0].family, len(rank))):
        there = {reading.field for reading in readings}
        judged = [g.field for g in record.gates if g.metric == metric and (g.cells or g.too_few) and g.field in there]
        field = judged[0] if judged else readings[0].field
        first = next(reading for reading in readings if reading.field == field)
        tooltip = "" if first.headline and field != "change" else field
        yield Question(
            metric=metric,
            field=field,
            family=first.family,
            title=subject(first.title, metric, tooltip, {}),
            direction=DIRECTIONS[first.better],
            judged=bool(judged),
        )


def _top_rows(
    cells: Mapping[GroupValues, list[GroupCell | None]], most: int
) -> dict[GroupValues, list[GroupCell | None]]:
    """At most so many rows: single columns first, then those with the worst cells."""

    def order(place: GroupValues) -> tuple[int, int]:
        return len(place), min(ORDER[cell.look] for cell in cells[place] if cell)

    kept = set(sorted(cells, key=order)[:most])
    return {place: row for place, row in cells.items() if place in kept}


def _blocks(cells: Mapping[GroupValues, list[GroupCell | None]], names: Sequence[str]) -> Iterable[Block]:
    """Rows by the columns they are groups of: single ones in the order of the configuration, then crossings."""
    parts: dict[tuple[str, ...], list[Row]] = {}
    for place, found in sorted(cells.items(), key=lambda item: [range_order(value) for _, value in item[0]]):
        columns = tuple(column for column, _ in place)
        parts.setdefault(columns, []).append(Row(name=printable(named(place)[1]), cells=tuple(found)))
    rank = {name: k for k, name in enumerate(names)}
    for columns in sorted(parts, key=lambda c: (len(c), [rank.get(name, len(rank)) for name in c])):
        yield Block(title=printable(" × ".join(columns)), rows=tuple(parts[columns]), crossed=len(columns) > 1)


def range_order(value: str | None) -> tuple[int, float]:
    """Where a range of numbers stands among the others; other values keep their order.

    >>> sorted(["(100, 200]", "(27, 100]", "> 200", "≤ 27"], key=range_order)
    ['≤ 27', '(27, 100]', '(100, 200]', '> 200']
    """
    found = RANGE.match(value or "")
    if found is None:
        return 0, 0.0
    return {"≤": -1, "(": 0, ">": 1}[found[1]], float(found[2])


def _left_out(groups: int, questions: int) -> str:
    parts = [f"{groups} more groups" if groups > 0 else "", f"{questions} more questions" if questions > 0 else ""]
    tooltip = " and ".join(part for part in parts if part)
    return f"{tooltip} stand in record.json." if tooltip else ""
