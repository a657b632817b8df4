"""Markdown: the summary for a job page or a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterator

from counterproof.reports.gate_lines import LOOKS, Line, applicable, families, line_order
from counterproof.reports.group_view.cells import ICONS, GroupCell
from counterproof.reports.group_view.table import GroupTable, group_table
from counterproof.reports.model import RecordData
from counterproof.reports.text import clipped, interval, printable, sentence
from counterproof.reports.wording import (
    answer,
    extent_told,
    family_state,
    headline,
    not_applicable_gates,
    not_assessed,
    overall,
    planted_controls,
    question,
    shows_real,
    to_do,
    warnings_by_question,
)

SHORT = 300
GATES_SHOWN = 200
ADJUSTED = (
    "A pass is decided at the plain confidence for every cell, because all must pass; "
    "a fail is adjusted for all gates that can fail and their cells."
)
SQUARES_SHOWN = 120
_LOADED = re.compile(
    r"^(?:[-+=\[]|\d(?=\d*[.)]\s))"  # what begins a line could make a list, a box or a rule
    r"|\](?=[(\[:])"  # a bracket that could close the text of a link
    r"|(?<!\w)_|_(?!\w)"  # emphasis
)
_OPEN = {"few": "too few rows", "open": "cannot tell"}
_SPAN = re.compile(r'(?:[\w.,"*=+\-\[\] >±]|<(?=[= ]))+')  # what a gate is written with
_MARKS = "\\`*{}<>#|~@&$"
_ENTITIES = {ord(mark): f"&#{ord(mark)};" for mark in _MARKS} | {ord("<"): "&lt;", ord(">"): "&gt;", ord("&"): "&amp;"}


def markdown(record: RecordData) -> str:
    """The summary: verdict, families, gates, warnings, what was not assessed.

    Everything that came from data is escaped: it cannot make a link, an image, a mention, a
    column or a tag.
    """
    verdict, because = overall(record)
    look = LOOKS[verdict]
    parts = [f"# {look.icon} counterproof: {headline(record)}", "", escaped(because), ""]
    parts += [f"{n}. {escaped(told)}" for n, told in enumerate(to_do(record), 1)] + [""]
    parts += [f"- {escaped(told)}" for told in extent_told(record)] + [""]
    if shows_real(record):
        parts += ["**The record and the report contain real records.**", ""]
    parts += [*_families(record), *_gates(record), *_by_group(record)]
    parts += [*_warnings(record), *_planted_controls(record), *_not_assessed(record)]
    return "\n".join(parts).rstrip() + "\n"


def escaped(text: object, length: int = SHORT) -> str:
    """Text that Markdown shows as it is; entities are never structure, not even in tables.

    >>> escaped("a|b <i>")
    'a&#124;b &lt;i&gt;'
    """
    line = clipped(text, length).strip().translate(_ENTITIES)
    line = line.replace("://", "&#58;//").replace("www.", "www&#46;")
    return _LOADED.sub(lambda found: f"&#{ord(found[0])};", line)


def code(text: str) -> str:
    """A code span, or escaped text where the span could be broken out of."""
    line = clipped(text, SHORT).strip()
    return f"`{line}`" if _SPAN.fullmatch(line) else escaped(line)


def _families(record: RecordData) -> Iterator[str]:
    yield "| question | verdict | answer |"
    yield "|---|---|---|"
    for family in families(record):
        look = LOOKS[family_state(record, family)]
        asked = question(family)
        told = escaped(answer(record, family))
        yield f"| **{escaped(family)}** {escaped(asked)} | {look.icon} {look.word} | {told} |"
    yield ""


def _gates(record: RecordData) -> Iterator[str]:
    lines = line_order(record, [line for found in applicable(record).values() for line in found])
    yield "## Gates"
    yield ""
    if lines:
        yield from _gate_table(lines)
    else:
        yield "No gate was judged."
    if aside := not_applicable_gates(record):
        yield f"\n{escaped(aside, 2000)}"
    yield ""


def _gate_table(lines: list[Line]) -> Iterator[str]:
    yield "| verdict | gate | value [low, high] | real against real | limit | why |"
    yield "|---|---|---|---|---|---|"
    yield from (_row(line) for line in lines[:GATES_SHOWN])
    if len(lines) > GATES_SHOWN:
        yield f"\n{len(lines) - GATES_SHOWN} more gates stand in record.json."
    yield f"\n{ADJUSTED}"


def _row(line: Line) -> str:
    gate = line.gate
    word = f"{line.look.icon} {line.look.word}" + (" (warns only)" if gate.level == "warn" else "")
    why = f"waived: {gate.waiver}; {gate.why}" if line.state == "waived" else gate.why
    members = [f"{member.look.icon} {member.look.word}: {code(member.gate.expression)}" for member in line.members]
    name = "<br>".join([escaped(line.named or line.title), *(members or [code(gate.expression)])])
    value = ", ".join(filter(None, [line.value, line.bound]))
    return f"| {word} | {name} | {value} | {line.floor} | {escaped(line.limit)} | {escaped(sentence(why))} |"


def _by_group(record: RecordData) -> Iterator[str]:
    table = group_table(record)
    if table is not None:
        yield from ("## By group", "", escaped(table.tally), "", *_group_rows(table), "")


def _group_rows(table: GroupTable) -> Iterator[str]:
    titles = (f"{escaped(question.title, 80)} ({question.direction})" for question in table.questions)
    yield f"| group | {' | '.join(titles)} |"
    yield "|---" * (len(table.questions) + 1) + "|"
    rows = [(block.title, row) for block in table.blocks for row in block.rows]
    shown = max(1, SQUARES_SHOWN // len(table.questions))
    for title, row in rows[:shown]:
        cells = " | ".join(_group_cell(cell) for cell in row.cells)
        yield f"| {escaped(title, 60)}: {escaped(row.name, 60)} | {cells} |"
    told = table.left_out if len(rows) <= shown else f"{len(rows) - shown} more groups stand in the report."
    if told:
        yield f"\n{told}"


def _group_cell(cell: GroupCell | None) -> str:
    if cell is None:
        return ""
    reading = cell.reading
    value = interval(reading.value, reading.low, reading.high, reading.least) if reading.value is not None else ""
    parts = [
        f"{ICONS.get(cell.look, '')} {value}".strip(),
        f"against {cell.against}" if cell.against else "",
        cell.size,
    ]
    return escaped(", ".join(part for part in [*parts, _OPEN.get(cell.look, "")] if part), 120)


def _warnings(record: RecordData) -> Iterator[str]:
    if told := warnings_by_question(record):
        yield from ("## Warnings", "")
        for family, texts in told.items():
            yield from (f"- {f'**{family}** ' if family else ''}{escaped(printable(text))}" for text in texts)
        yield ""


def _planted_controls(record: RecordData) -> Iterator[str]:
    controls = planted_controls(record.measurements)
    if controls:
        lines = (f"- {code(n)}: {'**blind**: ' * (c.found is False)}{escaped(c.told)}" for n, c in controls)
        yield from ("## Power, tried out", "", *lines, "")


def _not_assessed(record: RecordData) -> Iterator[str]:
    if record.not_assessed:
        told = (f"- {code(part.metric)}: {escaped(part.reason)}" for part in not_assessed(record))
        yield from ("## Not assessed", "", *told, "")
