"""The terminal: the gates as a table of 100 columns, or as plain lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from counterproof.reports.model import RecordData
from counterproof.reports.text import clipped, printable
from counterproof.reports.wording import (
    LOOKS,
    REAL,
    Line,
    State,
    applicable,
    extent_told,
    family_state,
    headline,
    not_applicable_gates,
    overall,
    planted_controls,
    question,
    shows_real,
    warned,
)

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text


WIDTH = 100
WHY = 150  # the whole sentence stands in the report
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


def verdict_table(record: RecordData) -> RenderableType:
    """A rich renderable: the verdict, then every gate by family, worst first.

    Data go in as text objects: neither rich markup nor control characters in them have an effect.
    """
    from rich.console import Group
    from rich.constrain import Constrain
    from rich.text import Text

    verdict, because = overall(record)
    look = LOOKS[verdict]
    word = headline(record).replace(look.word, look.word.upper(), 1)
    head = Text.assemble((f"{look.icon} {word}", STYLES[verdict]), "  ", because)
    extent = [Text(told, style="dim") for told in extent_told(record)]
    warnings = [Text(f"{LOOKS['warn'].icon} {printable(text)}", style=STYLES["warn"]) for text in warned(record)]
    aside = [Text(told, style="dim") for told in [not_applicable_gates(record)] if told]
    powers = [Text(told, style="dim") for told in _powers(record)]
    mark = [Text(f"{LOOKS['warn'].icon} {REAL}", style=STYLES["fail"])] if shows_real(record) else []
    return Constrain(Group(head, *extent, *mark, *warnings, _table(record), *aside, *powers), WIDTH)


def _powers(record: RecordData) -> list[str]:
    """Planted controls, a line each."""
    return [
        printable(f"{'blind' if control.found is False else 'power'}: {name}: {control.told}")
        for name, control in planted_controls(record.measurements)
    ]


def _table(record: RecordData) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False, collapse_padding=True)
    table.add_column("verdict", width=16, no_wrap=True)
    table.add_column("gate", ratio=1, overflow="fold")
    table.add_column(Text("value [low, high]"), width=25, overflow="fold")
    table.add_column("limit", width=14, overflow="fold")
    for family, lines in applicable(record).items():
        asked = Text.assemble((printable(family), "bold"), f"  {question(family)}")
        state: State = family_state(record, family)
        table.add_row(_word(state), asked, "", "")
        for line in lines:
            table.add_row(Text("  ").append_text(_word(line.state)), *_cells(line))
        table.add_section()
    return table


def _cells(line: Line) -> tuple[Text, Text, Text]:
    from rich.text import Text

    title = Text(line.title + (" (warns only)" if line.gate.level == "warn" else ""))
    if line.state not in ("pass", "not_applicable") and line.gate.why:
        title.append(f"\n{clipped(line.gate.why, WHY)}", style="dim")
    for member in line.members:
        title.append(f"\n{member.look.icon} {clipped(member.gate.expression, WHY)}", style=STYLES[member.state])
    value = Text(line.value)
    if line.bound:
        value.append(f"\n{line.bound}", style="dim")
    return title, value, Text(line.limit)


def _word(state: State) -> Text:
    from rich.text import Text

    look = LOOKS[state]
    short = "N/A" if state == "not_applicable" else look.word
    return Text(f"{look.icon} {short}", style=STYLES[state])


def plain_lines(record: RecordData) -> list[str]:
    """The same for logs: one line per gate, the verdict of the whole last."""
    told = [_plain(family, line) for family, lines in applicable(record).items() for line in lines]
    aside = [told for told in [not_applicable_gates(record)] if told]
    warnings = [f"WARNING {printable(text)}" for text in warned(record)]
    verdict, because = overall(record)
    mark = [f"WARNING {REAL}"] if shows_real(record) else []
    word = headline(record).replace(LOOKS[verdict].word, verdict.upper(), 1)
    return [*told, *aside, *_powers(record), *extent_told(record), *mark, *warnings, f"VERDICT {word}: {because}"]


def _plain(family: str, line: Line) -> str:
    gate = line.gate
    level = " (warns only)" if gate.level == "warn" else ""
    why = f": {printable(gate.why)}" if gate.why and line.state != "pass" else ""
    decided = f", {line.bound}, limit {line.limit}" if line.bound else ""
    value = f"{line.value}{decided}"
    told = f"{line.look.word.upper():<14} {printable(family)}: {printable(gate.expression)}: {value}{level}{why}"
    members = [f"{member.look.word.lower()}: {printable(member.gate.expression)}" for member in line.members]
    return f"{told} [{'; '.join(members)}]" if members else told
