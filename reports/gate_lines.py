"""A gate as all outputs show it: its name in words, its numbers on the scale that readers know, its state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from counterproof.metrics.estimate import Better, Scale
from counterproof.reports.model import (
    QUESTIONS,
    CellReading,
    GateReading,
    GroupKey,
    QuantityReading,
    Reading,
    RecordData,
)
from counterproof.reports.sentences import (
    Places,
    Shown,
    amount,
    amount_within,
    base_of,
    filled,
    group_in_words,
    on_own_scale,
    place_in_words,
    places_of,
    quantity_of,
    telling_order,
)
from counterproof.reports.text import printable

State = Literal[
    "fail", "error", "inconclusive", "warn", "waived", "pass", "undecided", "not_applicable", "not_assessed"
]


@dataclass(frozen=True, slots=True)
class Look:
    """How a state is shown: a word and an icon, never a colour alone."""

    word: str
    icon: str


LOOKS: Mapping[State, Look] = {  # worst first: the order of every list
    "fail": Look("Fail", "✗"),
    "error": Look("Error", "!"),
    "inconclusive": Look("Inconclusive", "?"),
    "warn": Look("Warning", "▲"),
    "waived": Look("Waived", "~"),
    "pass": Look("Pass", "✓"),
    "undecided": Look("Too few rows", "·"),
    "not_applicable": Look("Not applicable", "–"),
    "not_assessed": Look("Not assessed", "–"),
}
RANK: Mapping[State, int] = {state: rank for rank, state in enumerate(LOOKS)}
OPERATORS: Mapping[str, str] = {"<=": "≤", ">=": "≥", "<": "<", ">": ">"}
OPPOSITES: Mapping[str, str] = {"<=": ">", ">=": "<", "<": "≥", ">": "≤"}
EXCESS = "excess over real against real"
PLAIN = QuantityReading(name="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A gate as all outputs show it.

    Attributes:
        gate: The gate as judged, its numbers on the scale that readers know: an excess over the floor is told on the
            metric's own.
        state: Its verdict; ``warn`` where a warn-level gate failed, ``waived`` where a waiver
            covers a verdict that is no pass.
        title: What it judges, in plain words.
        named: The same at the group or column that decides.
        where: That group or column; empty for the data set as a whole.
        quantity: What its numbers are.
        better: Direction of these numbers.
        scale: Scale of the interval.
        least: The least that the true value can be.
        members: The gates of one that asks for several at once.
    """

    gate: GateReading
    state: State
    title: str
    named: str = ""
    where: str = ""
    quantity: QuantityReading = PLAIN
    better: Better = "lower"
    scale: Scale = "linear"
    least: float | None = None
    members: tuple[Line, ...] = ()

    @property
    def look(self) -> Look:
        """Word and icon."""
        return LOOKS[self.state]

    @property
    def fact(self) -> bool:
        """Whether it fails by a fact (copies beyond chance, an empty cell), whatever the value beside the limit."""
        return self.gate.verdict == "fail" and self.gate.margin is None

    @property
    def value(self) -> str:
        """Value and interval; none where a fact decides."""
        if self.fact:
            return "a fact"
        gate = self.gate
        return amount_within(gate.value, gate.low, gate.high, self.quantity.shown_as, self.least)

    @property
    def limit(self) -> str:
        """The number to pass and, where it differs, the number to fail."""
        gate = self.gate
        if gate.limit is None or self.fact:
            return "–"
        passes, fails = OPERATORS[gate.operator] + " ", OPPOSITES[gate.operator] + " "
        if self.two_sided:
            passes, fails = "within ±", "beyond ±"
        text = f"{passes}{amount(gate.limit, self.quantity.shown_as)}"
        if gate.fail_limit is None or gate.fail_limit == gate.limit:
            return text
        return f"{text}, fail {fails}{amount(gate.fail_limit, self.quantity.shown_as)}"

    @property
    def floor(self) -> str:
        """What real data give against real data; empty where that is not known."""
        return "" if self.gate.floor is None else amount(self.gate.floor, self.quantity.shown_as)

    @property
    def bound(self) -> str:
        """The bound that a pass was decided by; empty for any other verdict."""
        if self.state != "pass" or self.gate.bound is None:
            return ""
        return f"bound {amount(self.gate.bound, self.quantity.shown_as)}"

    @property
    def two_sided(self) -> bool:
        """Whether the limit holds on both sides of zero."""
        return self.better == "zero" and self.gate.operator in ("<=", "<")


def state_of(gate: GateReading) -> State:
    """The state of a gate for readers."""
    if gate.waiver is not None and gate.verdict not in ("pass", "undecided", "not_applicable"):
        return "waived"
    return "warn" if gate.level == "warn" and gate.verdict == "fail" else gate.verdict


def subject(title: str, metric: str, field: str, group: GroupKey | None) -> str:
    """The measured quantity in words: ``Kernel distance: excess over real against real, for sex = F``."""
    name = printable(title) or printable(metric.rpartition(".")[2].replace("_", " "))
    told = "" if field in ("", "value") else field.replace("_", " ")
    if field == "excess" or field.endswith("_excess"):
        told = ", ".join(filter(None, [told.removesuffix("excess").strip(), EXCESS]))
    where = group_in_words(group)
    text = (name[:1].upper() if name[:1].isascii() else name[:1]) + name[1:]  # β stays β
    text += f": {printable(told)}" if told and told.casefold() != name.casefold() else ""
    return f"{text}, for {where}" if where else text


def subject_of(reading: Reading) -> str:
    """The quantity of a reading, in words."""
    return subject(reading.title, reading.metric, reading.field, reading.group)


def family_of(gate: GateReading) -> str:
    """The family of a gate; one whose metric is unknown has none."""
    return gate.family or "other"


def line_of(record: RecordData, gate: GateReading, places: Places | None = None) -> Line:
    """A gate as outputs show it; ``places`` of the record where many gates are asked for."""
    places = places_of(record.measurements) if places is None else places
    if gate.members:
        members = tuple(line_of(record, member, places) for member in gate.members)
        deciding = (gate.metric, gate.field, gate.value, gate.limit)
        told = ((m.gate.metric, m.gate.field, m.gate.value, m.gate.limit) for m in members)
        leading = next((m for m, key in zip(members, told, strict=True) if key == deciding), members[0])
        name = printable(gate.name)
        return replace(leading, gate=gate, state=state_of(gate), title=name, named=name, where="", members=members)
    found = _judged_reading(record, gate, places)
    if found is None:
        return Line(gate=gate, state=state_of(gate), title=subject("", gate.metric, gate.field, gate.group))
    return _shown(record, gate, found, places)


def cell_lines(
    record: RecordData, gate: GateReading, cells: Sequence[CellReading], places: Places | None = None
) -> list[Line]:
    """The cells of a gate, each as a line of its own."""
    places = places_of(record.measurements) if places is None else places
    lines = []
    for cell in cells:
        alone = gate.model_copy(
            update={
                "group": cell.group,
                "verdict": cell.verdict,
                "value": cell.value,
                "low": cell.low,
                "high": cell.high,
                "limit": gate.limit if cell.limit is None else cell.limit,
                "fail_limit": None,
                "bound": None,
                "floor": None,
                "margin": 0.0,
                "why": cell.why,
                "level": "fail",
                "waiver": None,
            }
        )
        found = _judged_reading(record, alone, places)
        lines.append(
            Line(gate=alone, state=cell.verdict, title=group_in_words(cell.group))
            if found is None
            else _shown(record, alone, found, places)
        )
    return lines


def _judged_reading(record: RecordData, gate: GateReading, places: Places) -> Reading | None:
    """The reading that a gate's numbers are of: for one of many cells the cell that decides."""
    group = gate.group
    if group is None:
        cells = [*gate.cells, *gate.too_few]
        group = next((c.group for c in cells if c.verdict == gate.verdict), next((c.group for c in cells), {}))
    here = places.get((gate.metric, frozenset(group.items())), ())
    exact = [r for r in here if r.field == gate.field or (not gate.field and r.headline)]
    if exact:
        return exact[0]
    known = [reading for reading in record.measurements if reading.metric == gate.metric]
    same = [r for r in known if r.field == gate.field or (not gate.field and r.headline)] or known
    return next((r for r in same if r.group == group), same[0] if same else None)


def _shown(record: RecordData, gate: GateReading, found: Reading, places: Places) -> Line:
    """A gate whose numbers are those of a reading, on the scale that readers know."""
    base = base_of(found, places)
    quantity = quantity_of(record.about, base or found, gate.field)
    shown = on_own_scale(
        Shown(
            quantity=quantity,
            operator=gate.operator,
            better=found.better,
            value=gate.value,
            low=gate.low,
            high=gate.high,
            floor=None if found.floor is None else found.floor.value,
            limit=gate.limit,
            fail_limit=gate.fail_limit,
            bound=gate.bound,
            least=found.least,
        ),
        found,
        base,
    )
    names = ("operator", "value", "low", "high", "floor", "limit", "fail_limit", "bound")
    return Line(
        gate=gate.model_copy(update={name: getattr(shown, name) for name in names}),
        state=state_of(gate),
        title=filled(quantity.name, gate.group),
        named=filled(quantity.name, found.group),
        where="" if gate.group is not None else place_in_words(found.group),
        quantity=shown.quantity,
        better=shown.better,
        scale=found.scale,
        least=shown.least,
    )


def gates_by_family(record: RecordData) -> dict[str, list[Line]]:
    """Every gate by family, worst first inside it, facts before estimates; families in the order of the questions."""
    rungs: dict[str, list[Line]] = {family: [] for family in families(record)}
    places = places_of(record.measurements)
    for gate in record.gates:
        rungs[family_of(gate)].append(line_of(record, gate, places))
    for lines in rungs.values():
        lines.sort(key=lambda line: (RANK[line.state], line.gate.margin is not None))
    return rungs


def applicable(record: RecordData) -> dict[str, list[Line]]:
    """The same without the policy's gates that do not apply to these data; gates from the configuration stay."""
    return {
        family: [line for line in lines if line.state != "not_applicable" or line.gate.source == "config"]
        for family, lines in gates_by_family(record).items()
    }


def families(record: RecordData) -> list[str]:
    """All families of a record: the five questions, then any others."""
    named = [*record.families, *map(family_of, record.gates), *(m.family for m in record.measurements)]
    return list(dict.fromkeys([*QUESTIONS, *named]))


def line_order(record: RecordData, lines: Sequence[Line]) -> list[Line]:
    """Gates that did not pass, worst verdict first, of each the most telling first."""
    return sorted(lines, key=lambda line: (RANK[line.state], telling_order(line.gate, record.about)))
