"""The terminal: the verdict, five answers, and what did not pass, in at most thirty lines of 100 columns.

Everything else stands in the report. The same lines go to a terminal, in colours, and to a log.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

from counterproof.reports.gate_lines import LOOKS, Line, State, applicable, families, line_order
from counterproof.reports.model import RecordData
from counterproof.reports.text import clipped, counted, printable
from counterproof.reports.wording import (
    REAL,
    answer,
    blind_searches,
    extent_told,
    family_state,
    headline,
    overall,
    shows_real,
    to_do,
    warned,
)

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

WIDTH = 100
MOST_LINES = 28  # with the lines that name the files beneath, a screen of thirty
LINES_OF_A_ROW = (4, 3, 2, 1)  # a row that is longer is cut, all rows to fewer lines until everything fits
GATES_SHOWN, OWN_SHOWN, WARNINGS_SHOWN = 5, 3, 3
PASSING: tuple[State, ...] = ("pass", "undecided", "not_applicable")
STYLES: dict[State, str] = {
    "fail": "bold red",
    "error": "bold magenta",
    "inconclusive": "bold yellow",
    "warn": "yellow",
    "waived": "cyan",
    "pass": "green",
    "undecided": "dim",
    "not_applicable": "dim",
    "not_assessed": "dim",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of text.

    Attributes:
        text: What it says, after its mark.
        mark: A word or icon in front of it.
        state: What colours the mark.
        indent: Columns in front of continuation lines.
        whole: Whether it may take several lines; else it is cut to one.
    """

    text: str
    mark: str = ""
    state: State | None = None
    indent: int = 0
    whole: bool = True

    def lines(self, most: int = 1, width: int = WIDTH) -> list[str]:
        """At most so many lines; what does not fit is cut."""
        told = printable(f"{self.mark}{self.text}")
        if not self.whole:
            return [clipped(told, width)]
        behind = " " * self.indent
        found = wrap(told, width, subsequent_indent=behind, break_on_hyphens=False, max_lines=most, placeholder=" …")
        return found or [""]


def rows(record: RecordData) -> Iterator[Row]:
    """All rows, the verdict first."""
    verdict, because = overall(record)
    word = headline(record).replace(LOOKS[verdict].word, verdict.upper(), 1)
    yield Row(f": {because}", mark=f"VERDICT {word}", state=verdict, indent=4)
    if shows_real(record):
        yield Row(f" {REAL}", mark=LOOKS["warn"].icon, state="fail", indent=4)
    for family in families(record):
        state = family_state(record, family)
        yield Row(answer(record, family), mark=f"{LOOKS[state].icon} {printable(family):<10} ", state=state, indent=13)
    yield from _open_gates(record)
    yield from (Row(text, mark=f"{n}. ", indent=3) for n, text in enumerate(to_do(record), 1))
    yield from _warnings(record)
    yield from (Row(text, state="undecided", indent=4) for text in extent_told(record))


def _open_gates(record: RecordData) -> Iterator[Row]:
    """The user's own gates that passed, then the gates that did not, the most telling first."""
    every = [line for found in applicable(record).values() for line in found]
    own = [line for line in every if line.gate.source == "config" and line.state == "pass"]
    yield from (_gate(line) for line in own[:OWN_SHOWN])
    lines = [line for line in every if line.state not in (*PASSING, "warn")]
    if not lines:
        return
    lines = line_order(record, lines)
    asked = sum(gate.verdict != "not_applicable" for gate in record.gates)
    yield Row(f"{counted(len(lines), 'gate')} of {asked} did not pass:")
    yield from (_gate(line) for line in lines[:GATES_SHOWN])
    if len(lines) > GATES_SHOWN:
        yield Row(f"  … {len(lines) - GATES_SHOWN} more in the report")


def _gate(line: Line) -> Row:
    told = f"{line.value}, limit {line.limit}"
    if line.fact or line.gate.value is None:
        told = line.gate.why.removeprefix(f"{line.named or line.title} ")
    members = "; ".join(f"{one.look.word.lower()} {one.gate.expression}" for one in line.members)
    return Row(
        printable(f"{line.named or line.title}: {members or told}"),
        mark=f"  {line.look.icon} ",
        state=line.state,
        whole=False,
    )


def _warnings(record: RecordData) -> Iterator[Row]:
    """Warnings and blind searches, three at most."""
    told = [*blind_searches(record), *warned(record)]
    if len(told) > WARNINGS_SHOWN + 1:
        told[WARNINGS_SHOWN:] = [f"{counted(len(told) - WARNINGS_SHOWN, 'more warning')} in the report"]
    for text in told:
        yield Row(printable(text), mark=f"{LOOKS['warn'].icon} ", state="warn", whole=False)


def fitted(record: RecordData, width: int = WIDTH) -> Iterator[tuple[Row, list[str]]]:
    """All rows with their lines, no more than fit on a screen."""
    shown = list(rows(record))
    for most in LINES_OF_A_ROW:
        lines = [row.lines(most, width) for row in shown]
        if sum(map(len, lines)) <= MOST_LINES:
            break
    return zip(shown, lines, strict=True)


@dataclass(frozen=True, slots=True)
class VerdictTable:
    """The rows in colours, for a rich console as wide as it is.

    Data go in as text objects: neither rich markup nor control characters in them have an effect. Rich wraps nothing,
    so that no line begins with a word of the data.
    """

    record: RecordData

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        for row, lines in fitted(self.record, min(WIDTH, options.max_width)):
            style = "dim" if row.state == "undecided" else ""
            text = Text("\n".join(lines), style=style, no_wrap=True, overflow="ellipsis")
            if row.state is not None:
                text.stylize(STYLES[row.state], 0, len(row.mark))
            yield text


def plain_lines(record: RecordData) -> list[str]:
    """The same for logs."""
    return [line for _, lines in fitted(record) for line in lines]
