"""Cells of the table by group: the answer to one question in one group, and how it is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from counterproof.reports.gate_lines import LOOKS, State, state_of
from counterproof.reports.group_view.group_keys import GroupReading
from counterproof.reports.judgement import Verdict, number
from counterproof.reports.model import GateReading, Reading, RecordData
from counterproof.reports.text import interval, printable

FAR = 3.0  # spreads of the floor beyond which a cell without a gate is shaded
CellState = State | Literal["few", "open", "beyond", "within"]
_WORST_FIRST: tuple[CellState, ...] = (
    "fail", "error", "inconclusive", "warn", "beyond", "waived", "pass",
    "undecided", "not_applicable", "not_assessed", "open", "within", "few",
)  # fmt: skip
ORDER: Mapping[CellState, int] = {look: rank for rank, look in enumerate(_WORST_FIRST)}
ICONS: Mapping[str, str] = {**{str(state): look.icon for state, look in LOOKS.items()}, "beyond": "●"}
_COUNTED = re.compile(r"(?:(?:fewer than )?\d+ (?:and )?){1,2}(?=[a-z ]*rows)")  # as remarks begin: 19 and 2196 rows
Verdicts = Mapping[tuple[str, str, frozenset[tuple[str, str | None]]], CellState]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCell:
    """The answer to one question in one group.

    Attributes:
        reading: The reading; the worst where several learners or rates were read.
        look: Verdict of its gate; without one ``beyond`` or ``within`` what real rows reach, ``open``
            where nothing was measured, ``few`` where there are too few rows.
        size: Rows, as ``n 300``, or ``n 19 / 2196`` of a group and the one it is compared with.
        spreads: By how many spreads of the floor it is worse than its floor.
        against: The group it is compared with, if any.
        tooltip: All of it in one line, as tooltip.
    """

    reading: Reading
    look: CellState
    size: str
    spreads: float | None
    against: str
    tooltip: str

    @property
    def badness(self) -> tuple[int, float]:
        """Larger is worse, beginning with the verdict."""
        value = self.reading.value or 0.0
        signed = {"lower": value, "higher": -value, "zero": abs(value)}[self.reading.better]
        return -ORDER[self.look], signed


def verdicts_of(record: RecordData) -> Verdicts:
    """Verdicts of cells by metric, field and group; the worst where several gates look."""
    found: dict[tuple[str, str, frozenset[tuple[str, str | None]]], CellState] = {}
    for gate in record.gates:
        judged: list[tuple[Mapping[str, str | None], CellState]] = [(cell.group, "few") for cell in gate.too_few]
        judged += [(cell.group, _look_of(gate, cell.verdict)) for cell in gate.cells]
        if gate.group and not gate.cells:
            judged.append((gate.group, _look_of(gate, gate.verdict)))
        for group, look in judged:
            key = (gate.metric, gate.field, frozenset(group.items()))
            found[key] = min((look, found.get(key, look)), key=ORDER.__getitem__)
    return found


def _look_of(gate: GateReading, verdict: Verdict) -> CellState:
    """The verdict of a cell, as its gate counts it: one that only warns, or is waived, fails nothing."""
    return state_of(gate.model_copy(update={"verdict": verdict}))


def cells_of(group_readings: Sequence[GroupReading], verdicts: Verdicts) -> Iterable[tuple[GroupReading, GroupCell]]:
    """Each reading of one question as a cell."""
    unequal = _roles_of_unequal_size(group_readings)
    for one in group_readings:
        reading = one.reading
        key = (reading.metric, reading.field, frozenset(reading.group.items()))
        spreads = _spreads(reading)
        look = verdicts.get(key) or _unjudged(reading, spreads)
        yield (
            one,
            GroupCell(
                reading=reading,
                look=look,
                size=_size(reading, unequal),
                spreads=spreads,
                against=one.against,
                tooltip=_tooltip(one, look, spreads),
            ),
        )


def _roles_of_unequal_size(group_readings: Sequence[GroupReading]) -> set[str]:
    """Roles whose number of rows differs between groups; equal numbers are no group sizes."""
    counts: dict[str, set[int]] = {}
    for one in group_readings:
        for role, n in one.reading.n.items() if one.reading.value is not None else ():
            counts.setdefault(role, set()).add(n)
    return {role for role, found in counts.items() if len(found) > 1}


def _size(reading: Reading, unequal: set[str]) -> str:
    if reading.value is None:
        return ""
    own = [n for role, n in reading.n.items() if role in unequal]
    if own:
        return f"n {min(own)}"
    counted = _COUNTED.match(reading.reason)
    return "n " + counted[0].removesuffix(" ").replace("fewer than ", "<").replace(" and ", " / ") if counted else ""


def _unjudged(reading: Reading, spreads: float | None) -> CellState:
    if reading.status == "error":
        return "error"
    if reading.alarm:
        return "beyond"
    if not reading.decidable:
        return "few"
    if reading.value is None:
        return "open"
    return "beyond" if spreads is not None and spreads > FAR else "within"


def _spreads(reading: Reading) -> float | None:
    """By how many spreads of the floor a value is worse than its floor; very many where the spread is 0."""
    if reading.value is None or reading.floor is None:
        return None
    off = reading.value - reading.floor.value
    worse = {"lower": off, "higher": -off, "zero": abs(off)}[reading.better]
    return worse / max(reading.floor.spread, 1e-9)


def _tooltip(one: GroupReading, look: CellState, spreads: float | None) -> str:
    """The tooltip of a cell."""
    reading = one.reading
    parts = [
        interval(reading.value, reading.low, reading.high, reading.least)
        if reading.value is not None
        else "not measured",
        f"against {one.against}" if one.against else "",
        one.other_keys,
        ", ".join(f"{role} {count}" for role, count in reading.n.items()),
        f"real against real {number(reading.floor.value)}" if reading.floor else "",
        f"{spreads:.1f} spreads of it beyond" if spreads is not None and 0 < spreads < 1e6 else "",
        reading.alarm,
        reading.reason,
        "too few rows" if look == "few" and not reading.reason.startswith("too few") else "",
    ]
    return printable("; ".join(part for part in parts if part))
