"""Two audits side by side: verdicts, answers, and every gate before and now, on one scale.

Numbers of different versions of a metric, other parameters or another protocol are shown and called not comparable.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from counterproof.reports import gate_lines
from counterproof.reports.figures.dumbbells import dumbbell
from counterproof.reports.gate_lines import Line
from counterproof.reports.model import QUESTIONS, GateReading, Reading, RecordData
from counterproof.reports.outputs.page import page
from counterproof.reports.sentences import places_of
from counterproof.reports.text import counted

Direction = Literal["worse", "better", "higher", "lower", "same", "fact", "new", "gone", "apart"]
DIRECTIONS: Mapping[Direction, str] = {
    "worse": "clearly worse",
    "better": "clearly better",
    "higher": "clearly higher",
    "lower": "clearly lower",
    "same": "not clearly different",
    "fact": "decided by a fact",
    "new": "only in the later audit",
    "gone": "only in the earlier audit",
    "apart": "not comparable",
}
GATES_SHOWN, DIFFERENCES_SHOWN = 400, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One gate in two audits.

    Attributes:
        earlier: The gate in the earlier audit; None where it had none.
        later: The gate in the later one.
        apart: Why their numbers cannot be compared; empty where they can.
    """

    earlier: Line | None
    later: Line | None
    apart: str = ""

    @property
    def shown(self) -> Line:
        """The later one, where there is one."""
        found = self.later or self.earlier
        assert found is not None
        return found

    @property
    def turned(self) -> bool:
        """Whether the verdict is another one."""
        return self.earlier is not None and self.later is not None and self.earlier.state != self.later.state

    @property
    def direction(self) -> Direction:
        """Where the value went; clear only where the two intervals do not meet."""
        if self.earlier is None or self.later is None:
            return "new" if self.earlier is None else "gone"
        if self.apart:
            return "apart"
        if self.earlier.fact or self.later.fact:
            return "fact"
        then, now = self.earlier.gate, self.later.gate
        if then.value is None or now.value is None or None in (then.low, then.high, now.low, now.high):
            return "same"
        assert then.low is not None
        assert then.high is not None
        assert now.low is not None
        assert now.high is not None
        if now.low <= then.high and then.low <= now.high:
            return "same"
        return _named(now.value > then.value, abs(now.value) > abs(then.value), self.later)

    @property
    def told(self) -> str:
        """The direction in words."""
        return DIRECTIONS[self.direction]

    @property
    def limits(self) -> list[str]:
        """What both were held against, once where it is the same."""
        told = {}
        for when, line in (("before ", self.earlier), ("now ", self.later)):
            if line is not None:
                parts = [
                    f"limit {line.limit}" if line.limit != "–" else "",
                    line.floor and f"real data give {line.floor}",
                ]
                told[when] = ", ".join(part for part in parts if part)
        if len(set(told.values())) <= 1:
            return [text for text in told.values() if text][:1]
        return [f"{when}{text}" for when, text in told.items() if text]

    @property
    def drawing(self) -> Markup:
        """Both intervals; nothing where they cannot be compared."""
        if self.earlier is None or self.later is None or self.direction in ("apart", "fact"):
            return Markup("")
        return dumbbell(self.earlier, self.later)


def _named(up: bool, away: bool, line: Line) -> Direction:
    if line.better == "lower":
        return "worse" if up else "better"
    if line.better == "higher":
        return "better" if up else "worse"
    if line.two_sided:
        return "worse" if away else "better"
    return "higher" if up else "lower"


def render_comparison(earlier: RecordData, later: RecordData, *, links: tuple[str, str] = ("", "")) -> str:
    """Two records as one HTML page, readable offline and without scripts.

    Args:
        earlier: The record that is compared with.
        later: The record of interest.
        links: Addresses of their reports, relative to the page; empty where there is none.
    """
    changes = changes_of(earlier, later)
    by_family: dict[str, list[Change]] = defaultdict(list)
    for change in changes[:GATES_SHOWN]:
        by_family[gate_lines.family_of(change.shown.gate)].append(change)
    families = list(dict.fromkeys([*gate_lines.families(earlier), *gate_lines.families(later)]))
    differing = list(differences(earlier, later))
    return page(
        "comparison.html.j2",
        title="two audits compared",
        records=[(earlier, links[0]), (later, links[1])],
        changes=changes,
        turned=[change for change in changes if change.turned],
        tally=tally(changes),
        families=families,
        by_family=by_family,
        left_out=max(0, len(changes) - GATES_SHOWN),
        other_data=other_data(earlier, later),
        differences=differing[:DIFFERENCES_SHOWN],
        differences_left=max(0, len(differing) - DIFFERENCES_SHOWN),
    )


def changes_of(earlier: RecordData, later: RecordData) -> list[Change]:
    """Every gate of both audits, paired by what it judges; changed verdicts and clear changes first."""
    then, now = gates_by_what_they_judge(earlier), gates_by_what_they_judge(later)
    before, after = places_of(earlier.measurements), places_of(later.measurements)
    found = []
    for key in dict.fromkeys([*now, *then]):
        old, new = then.get(key), now.get(key)
        apart = unlike(earlier, later, new) if old is not None and new is not None else ""
        found.append(
            Change(
                earlier=None if old is None else gate_lines.line_of(earlier, old, before),
                later=None if new is None else gate_lines.line_of(later, new, after),
                apart=apart,
            )
        )
    return sorted(found, key=_order)


def _order(change: Change) -> tuple[bool, list[int], int, int]:
    """Changed verdicts first, the worst of them first; then by question, and the clearest changes first."""
    states = [
        gate_lines.RANK[line.state] for line in (change.later, change.earlier) if line is not None and change.turned
    ]
    family = gate_lines.family_of(change.shown.gate)
    asked = [*QUESTIONS, family].index(family)
    return not change.turned, states, asked, list(DIRECTIONS).index(change.direction)


Key = tuple[str, str, frozenset[tuple[str, str | None]] | None, str, str, int]


def gates_by_what_they_judge(record: RecordData) -> dict[Key, GateReading]:
    """Gates by metric, field, group and direction, whatever the limit; several alike in their order."""
    seen: Counter[tuple[object, ...]] = Counter()
    found: dict[Key, GateReading] = {}
    for gate in record.gates:
        if gate.verdict == "not_applicable" and gate.source == "policy":
            continue
        place = None if gate.group is None else frozenset(gate.group.items())
        what = (gate.name or gate.metric, gate.field, place, gate.operator, gate.level)
        found[*what, seen[what]] = gate
        seen[what] += 1
    return found


def unlike(earlier: RecordData, later: RecordData, gate: GateReading) -> str:
    """Why the numbers of a gate are not comparable between two audits; empty where they are."""
    for one in gate.single:
        then, now = _reading(earlier, one), _reading(later, one)
        if then is not None and now is not None and (told := now.unlike(then)):
            return told
    return ""


def _reading(record: RecordData, gate: GateReading) -> Reading | None:
    """The first reading that a gate judges: all of a metric and field were made the same way."""
    return next((r for r in record.measurements if (r.metric, r.field) == (gate.metric, gate.field)), None)


def tally(changes: list[Change]) -> str:
    """How many gates went where: ``3 verdicts changed; 2 clearly worse, 30 within both intervals``."""
    turned = sum(change.turned for change in changes)
    counts = Counter(change.direction for change in changes)
    parts = [f"{counts[direction]} {words}" for direction, words in DIRECTIONS.items() if counts[direction]]
    verdicts = "no verdict changed" if not turned else f"{counted(turned, 'verdict')} changed"
    return f"Of {counted(len(changes), 'gate')}, {verdicts}; {', '.join(parts) or 'nothing was judged'}"


def other_data(earlier: RecordData, later: RecordData) -> list[str]:
    """Real inputs whose content is another one: then floors, and all that is held against them, may differ by that."""
    then, now = ({role.role: role.digest for role in record.manifest.roles} for record in (earlier, later))
    real = [role for role in now if role != "synthetic" and role in then]
    changed = [role for role in real if then[role] != now[role]]
    return changed + [role for role in (then.keys() ^ now.keys()) if role != "synthetic"]


def differences(earlier: RecordData, later: RecordData) -> Iterator[tuple[str, str, str]]:
    """What differs in inputs, configuration and packages: name, before, now."""
    for record_part in ("roles", "run", "data", "metrics", "packages"):
        then, now = _flat(earlier, record_part), _flat(later, record_part)
        for name in dict.fromkeys([*then, *now]):
            if then.get(name) != now.get(name):
                yield name, then.get(name, "–"), now.get(name, "–")


def _flat(record: RecordData, part: str) -> dict[str, str]:
    manifest = record.manifest
    if part == "roles":
        return {role.role: f"{role.source}, {role.rows:,} rows, {role.digest[:19]}" for role in manifest.roles}
    if part == "packages":
        return dict(manifest.packages)
    found = manifest.config.get(part)
    flat = {f"{part}.{name}": str(value) for name, value in found.items()} if isinstance(found, dict) else {}
    paths = {f"data.{role.role}" for role in manifest.roles}  # told with their content, above
    return {name: value for name, value in flat.items() if name not in paths}
