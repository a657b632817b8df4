"""The parts of the record, as typed data: what gates, report, JUnit and pytest read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from counterproof.metrics.estimate import Better, Estimate, Measurement, Scale, Status, Telling
from counterproof.refusal import nearest_names
from counterproof.reports.judgement import Judgement, Operator, Verdict, compare, number
from counterproof.reports.serialise import rounded
from counterproof.reports.text import clipped, interval


def names_of(reading: Reading) -> tuple[str, ...]:
    """The names of a reading: with its field, and without where it is the headline."""
    full = [f"{reading.metric}.{reading.field}"] + ([reading.metric] if reading.headline else [])
    if not reading.group:
        return tuple(full)
    wheres = dict.fromkeys((reading.where.replace(", ", ","), reading.where))
    return tuple(f"{name}[{where}]" for name in full for where in wheres)


def quoted(name: str) -> str:
    """A column or value as gates write it: in quotes where it holds more than letters, digits and ``_``.

    >>> quoted("sex"), quoted(">50K")
    ('sex', '">50K"')
    """
    if name and all(letter.isalnum() or letter == "_" for letter in name):
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


SCHEMA: Literal["counterproof/record/1"] = "counterproof/record/1"
QUESTIONS: Mapping[str, str] = {
    "fidelity": "Does it look like real data?",
    "coverage": "Is everything there?",
    "leakage": "Does it give real records away?",
    "fairness": "Does it treat groups alike?",
    "utility": "Does it do the job of real data?",
}
TOGETHER = "together"  # the family of gates that must all hold, beside the five questions
GroupKey = dict[str, str | None]
# JSON need not escape these, but a terminal that shows the file would interpret them.
UNSEEN = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")

SHOWN = 100  # letters of a text in a ``repr``
KNOWN = 5  # a fifth of the rows that a metric asks for tell how far a faithful release scatters


class Part(BaseModel):
    """Base of all parts of the record: closed and immutable."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, ser_json_inf_nan="null", allow_inf_nan=False, protected_namespaces=()
    )


class FloorReading(Part):
    """Real against real; ``error`` is the mean standard error of the metric's own interval there."""

    value: float
    low: float
    high: float
    spread: float
    draws: int
    error: float = 0.0


class ExpectedReading(Part):
    """What a faithful release would show."""

    value: float
    spread: float
    error: float


class EvidenceReading(Part):
    """A small table behind a measurement."""

    title: str
    columns: list[str]
    rows: list[list[Any]]
    note: str = ""
    shows_real: bool = False

    def __repr__(self) -> str:
        return f"<table {clipped(self.title, SHOWN)!r}: {len(self.rows)} rows, {len(self.columns)} columns>"

    __str__ = __repr__


class PanelReading(Part):
    """All that one figure needs."""

    kind: Literal["marginals", "map", "pairs", "cells", "forest", "bars", "curves", "mosaic"]
    title: str
    data: dict[str, Any]
    note: str = ""
    shows_real: bool = False

    def __repr__(self) -> str:
        return f"<panel {self.kind} {clipped(self.title, SHOWN)!r}>"

    __str__ = __repr__


class ControlReading(Part):
    """A leak that was planted in a copy of the release, and whether the metric detected it."""

    kind: str
    planted: int
    found: bool | None
    told: str


class Reading(Part):
    """A measurement as the record holds it; see :class:`counterproof.metrics.Measurement`.

    Comparing it with a number judges the *interval* and gives a :class:`Judgement`.
    """

    metric: str
    algo: int = 1
    family: str
    title: str = ""
    field: str = "value"
    headline: bool = False
    group: GroupKey = Field(default_factory=dict)
    unit: str = ""
    params: dict[str, Any] = Field(default_factory=dict)
    protocol: str = ""
    n: dict[str, int] = Field(default_factory=dict)
    value: float | None = None
    low: float | None = None
    high: float | None = None
    level: float = Field(default=0.95, gt=0, lt=1)
    method: str = ""
    scale: Scale = "linear"
    least: float | None = None
    floor: FloorReading | None = None
    anchor: float | None = None
    better: Better = "lower"
    status: Status = "measured"
    reason: str = ""
    alarm: str = ""
    decidable: bool = True
    expected: ExpectedReading | None = None
    smallest_n: int = 0
    evidence: list[EvidenceReading] = Field(default_factory=list)
    panels: list[PanelReading] = Field(default_factory=list)
    controls: list[ControlReading] = Field(default_factory=list)
    seconds: float = 0.0
    cached: bool = False

    @classmethod
    def of(cls, measured: Measurement, *, family: str, title: str) -> Reading:
        """From what the engine measured; numbers cut to ten significant digits."""
        e = measured.estimate
        plain: dict[str, Any] = {
            "metric": measured.metric,
            "algo": measured.algo,
            "family": family,
            "title": title,
            "field": measured.field,
            "headline": measured.headline,
            "group": dict(measured.group),
            "unit": measured.unit,
            "params": dict(measured.params),
            "protocol": measured.protocol,
            "n": dict(measured.n),
            "anchor": measured.anchor,
            "least": measured.least,
            "better": measured.better,
            "status": measured.status,
            "reason": measured.reason,
            "alarm": measured.alarm,
            "decidable": measured.decidable,
            "smallest_n": measured.smallest_n,
            "evidence": [_fields(part) for part in measured.evidence],
            "panels": [_fields(part) for part in measured.panels],
            "controls": [_fields(part) for part in measured.controls],
            "seconds": measured.seconds,
            "cached": measured.cached,
        }
        if e is not None:
            plain |= _fields(e)
        if measured.floor is not None:
            plain["floor"] = _fields(measured.floor)
        if measured.expected is not None:
            plain["expected"] = _fields(measured.expected)
        return cls.model_validate(rounded(plain))

    @property
    def estimate(self) -> Estimate | None:
        """Value and interval, or None where nothing was measured."""
        if self.value is None or self.low is None or self.high is None or self.status != "measured":
            return None
        return Estimate(
            value=self.value, low=self.low, high=self.high, level=self.level, method=self.method, scale=self.scale
        )

    @property
    def missed_controls(self) -> str:
        """The planted leaks that were missed, in words; empty where all were detected."""
        return "; ".join(control.told for control in self.controls if control.found is False)

    @property
    def where(self) -> str:
        """The group as gates write it: ``sex=F, income=">50K"``; empty for the whole data set."""
        parts = self.group.items()
        return ", ".join(quoted(c) if v is None else f"{quoted(c)}={quoted(v)}" for c, v in parts)

    @property
    def rows(self) -> int:
        """The smaller side's number of rows."""
        return min(self.n.values(), default=0)

    @property
    def too_few(self) -> bool:
        """Whether nothing can pass here because there are so few rows.

        Where it is known what a faithful release of as many rows as the real data have would show, that decides, not
        a number; but not for a release that has less than half the rows of real data, which is small by its own
        doing, nor where a handful of rows cannot tell how far they scatter.
        """
        if not 0 < self.rows < self.smallest_n:
            return False
        known = self.expected is not None and self.expected.error > 0 and KNOWN * self.rows >= self.smallest_n
        return not known or 2 * self.rows < max(self.n.values())

    def __repr__(self) -> str:
        name = clipped(min(names_of(self), key=len), SHOWN)
        if self.estimate is None:
            return f"<{name} {self.status.replace('_', ' ')}: {clipped(self.reason, SHOWN) or 'no reason was given'}>"
        floor = "" if self.floor is None else f", floor {number(self.floor.value)}"
        alarm = f", ALARM: {clipped(self.alarm, SHOWN)}" if self.alarm else ""
        return f"<{name} {interval(self.value, self.low, self.high)}{floor}{alarm}>"

    __str__ = __repr__

    def unlike(self, other: Reading) -> str:
        """Why this number cannot be compared with another run's; empty where it can."""
        for name, words in (("algo", "version of the metric"), ("params", "parameters"), ("protocol", "protocol")):
            then, now = getattr(other, name), getattr(self, name)
            if then != now:
                return f"another {words} ({then!r}, now {now!r})"
        return ""

    def _against(self, operator: Operator, limit: float) -> Judgement:
        """How it compares, in a sentence that begins with its name and says what real data give."""
        name = names_of(self)[-1]
        if self.alarm:
            return Judgement(verdict="fail", sentence=f"{name}: FAIL, {self.alarm}")
        if self.estimate is None:
            verdict: Verdict = "error" if self.status == "error" else "inconclusive"
            return Judgement(verdict=verdict, sentence=f"{name}: {verdict.upper()}, {self.reason}")
        judged = compare(
            self.estimate,
            operator,
            limit,
            better=self.better,
            confidence=self.level,
            n=self.rows,
            smallest_n=self.smallest_n if self.too_few else 0,
        )
        if self.missed_controls and judged.verdict == "pass":
            blind = f"{name}: INCONCLUSIVE, blind on these data: it {self.missed_controls}"
            return Judgement(verdict="inconclusive", sentence=blind)
        floor = "" if self.floor is None else f"; real against real {number(self.floor.value)}"
        return replace(judged, sentence=f"{name}: {judged.sentence}{floor}")

    def __le__(self, limit: float) -> Judgement:
        return self._against("<=", limit)

    def __lt__(self, limit: float) -> Judgement:
        return self._against("<", limit)

    def __ge__(self, limit: float) -> Judgement:
        return self._against(">=", limit)

    def __gt__(self, limit: float) -> Judgement:
        return self._against(">", limit)


class CellReading(Part):
    """One cell of a gate."""

    group: GroupKey
    verdict: Verdict
    value: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    why: str = ""

    def __repr__(self) -> str:
        place = ", ".join(f"{column}={value}" for column, value in self.group.items())
        return f"<cell {clipped(place, SHOWN)} {self.verdict.upper()}: {interval(self.value, self.low, self.high)}>"

    __str__ = __repr__


class GateReading(Part):
    """A gate and how it was judged.

    ``limit`` is the number to pass, ``fail_limit`` the number to fail, both after ``floor`` and
    ``baseline`` were put in. ``bound`` is what the pass was decided by. ``cells`` lists the cells
    of a gate over groups, worst first; ``too_few`` those that no faithful release of this size
    could be sure to pass. ``members`` are the gates of one that asks for several at once, which has a
    ``name``; its numbers are those of the member that decides. ``means`` is what a failure means for those
    who use the release, ``remedy`` what to do about it; ``loss`` is how many times the tolerance the value is off
    what a faithful release shows, ``|value - faithful| / |limit - faithful|``.
    """

    expression: str
    metric: str
    field: str = ""
    group: GroupKey | None = None
    source: Literal["policy", "config"] = "policy"
    level: Literal["fail", "warn"] = "fail"
    family: str
    verdict: Verdict
    operator: Operator
    limit: float | None = None
    fail_limit: float | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    floor: float | None = None
    margin: float | None = None
    n_needed: int | None = None
    why: str = ""
    tolerance_reason: str = ""
    widest: float | None = None
    cells: list[CellReading] = Field(default_factory=list)
    too_few: list[CellReading] = Field(default_factory=list)
    adjusted_for: int = 1
    waiver: str | None = None
    means: str = ""
    remedy: str = ""
    loss: float | None = None
    name: str = ""
    members: list[GateReading] = Field(default_factory=list)

    @property
    def single(self) -> list[GateReading]:
        """Its members, or itself where it asks for one thing alone."""
        return self.members or [self]

    def __repr__(self) -> str:
        found = f": {interval(self.value, self.low, self.high)}" if self.value is not None else ""
        level = " (warns only)" if self.level == "warn" else ""
        waived = ", waived" if self.waiver is not None else ""
        return f"<gate {clipped(self.name or self.expression, SHOWN)} {self.verdict.upper()}{level}{waived}{found}>"

    __str__ = __repr__


class FamilyReading(Part):
    """The verdict of one question and the sentences behind it."""

    verdict: Literal["pass", "fail", "inconclusive", "error", "not_assessed"]
    because: list[str] = Field(default_factory=list)

    def __repr__(self) -> str:
        first = clipped(self.because[0], SHOWN) if self.because else ""
        more = f" and {len(self.because) - 1} more" if len(self.because) > 1 else ""
        return f"<{self.verdict.upper().replace('_', ' ')}{': ' if first else ''}{first}{more}>"

    __str__ = __repr__


class ColumnExtent(Part):
    """One column of the release and who looked at it.

    Attributes:
        column: Its name.
        kind: What it was read as; empty where it was left out of the audit.
        judged_by: Families with a gate that judged it.
        seen_by: Families that measured something on it, with a gate or without.
        named: What the user named it as: label, group, or kind.
        judged: Whether a gate judged what it looks like; where the audit has no such gate, whether any gate judged it.
    """

    column: str
    kind: str = ""
    judged_by: list[str] = Field(default_factory=list)
    seen_by: list[str] = Field(default_factory=list)
    named: str = ""
    judged: bool = False


class ExtentReading(Part):
    """How much of the release was judged.

    Attributes:
        unit: What one row is: ``row`` or ``image``.
        rows: Rows of the release.
        compared: Those that were held against the reference; leakage looks at all.
        columns: Its columns; none where it is no table.
        allowed: Share of the columns that a PASS may leave unjudged.
    """

    unit: Literal["row", "image"] = "row"
    rows: int = 0
    compared: int = 0
    columns: list[ColumnExtent] = Field(default_factory=list)
    allowed: float = 1.0

    @property
    def unjudged(self) -> list[ColumnExtent]:
        """Columns that no gate judged; those that the user named first."""
        return sorted((one for one in self.columns if not one.judged), key=lambda one: not one.named)


class RoleReading(Part):
    """One input of the audit."""

    role: str
    source: str
    rows: int
    digest: str
    notes: list[str] = Field(default_factory=list)


class StageReading(Part):
    """What a stage of reading and encoding images took: seconds of all threads together."""

    stage: str
    seconds: float


class Manifest(Part):
    """What was audited, with what.

    ``notable`` are the findings that readers should see first, worst first, ``no_labels`` is why the label
    that was given tells no classes apart,
    ``columns`` are the kinds of all columns that were aligned, ``released`` the columns of the release,
    ``compared`` the number of its rows that were held against the reference, and ``read_by`` the columns
    that each metric looked at.
    """

    roles: list[RoleReading] = Field(default_factory=list)
    config: dict[str, Any] = Field(default_factory=dict)
    packages: dict[str, str] = Field(default_factory=dict)
    encoder: str = ""
    encoder_digest: str = ""
    modality: str = ""
    columns: dict[str, str] = Field(default_factory=dict)
    no_labels: str = ""
    released: list[str] = Field(default_factory=list)
    compared: int = 0
    read_by: dict[str, list[str]] = Field(default_factory=dict)
    seed: int = 0
    device: str = "cpu"
    command: str = ""
    audits_of_holdout: int = 1
    findings: list[str] = Field(default_factory=list)
    notable: list[str] = Field(default_factory=list)
    shows_real: bool = False
    seconds: float = 0.0
    stages: list[StageReading] = Field(default_factory=list)
    started: str = ""

    def __repr__(self) -> str:
        roles = ", ".join(f"{role.role} {role.rows} rows" for role in self.roles)
        return f"<manifest: {clipped(roles, SHOWN) or 'no roles'}, seed {self.seed}>"

    __str__ = __repr__


class QuantityReading(Part):
    """What one field of a metric is about, in words: what sentences and the glossary are made of.

    Attributes:
        name: The quantity by the name its users know; ``{column}`` stands for a part of the group, ``{group}`` for all.
        measure: What the number is: ``AUROC {}``, ``{} of real rows``; ``{unit}`` is the reading's own unit.
        shown_as: A number, a share in percent, or a difference of shares in points.
        finding: What a failure says, as a statement: ``A classifier tells release rows from real rows``.
        means: What a failure means for those who use the release, in one sentence.
        remedy: What to do about it, in one sentence.
        telling: What kind of failure it is: of several, that of the first kind is told first.
        remarked: Whether the metric's remark on a group belongs into the sentence.
    """

    name: str
    measure: str = "{}"
    shown_as: Literal["number", "percent", "points"] = "number"
    finding: str = ""
    means: str = ""
    remedy: str = ""
    telling: Telling = "loss"
    remarked: bool = False


class NotAssessed(Part):
    """A metric that was not measured, and why."""

    metric: str
    reason: str


class RecordData(Part):
    """The whole result of an audit, as data: which every writer reads.

    ``record["leakage.copies"]`` gives the metric's headline reading,
    ``record["fidelity.marginals.lost"]`` a field, and
    ``record["coverage.representation[sex=F]"]`` a group.
    """

    schema_: Literal["counterproof/record/1"] = Field(default=SCHEMA, alias="schema")
    verdict: Literal["pass", "fail", "inconclusive", "error"]
    because: str = ""
    warnings: list[str] = Field(default_factory=list)
    families: dict[str, FamilyReading]
    measurements: list[Reading]
    gates: list[GateReading]
    manifest: Manifest
    not_assessed: list[NotAssessed] = Field(default_factory=list)
    extent: ExtentReading | None = None
    about: dict[str, QuantityReading] = Field(default_factory=dict)

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        ser_json_inf_nan="null",
        allow_inf_nan=False,
        protected_namespaces=(),
    )

    def __getitem__(self, key: str) -> Reading:
        """One reading by metric, field and group.

        Raises:
            KeyError: There is none; the message names the nearest.
        """
        found = self.find(key)
        if found is None:
            raise KeyError(self._no_such_name(key))
        return found

    def _no_such_name(self, key: str) -> str:
        """That there is no such name, and which are nearest: whole metrics first, or else where all stand."""
        metrics = list(dict.fromkeys(reading.metric for reading in self.measurements))
        if key in metrics:  # one without a headline, or measured by group only
            near = [names_of(reading)[-1] for reading in self.measurements if reading.metric == key][:3]
        else:
            within = [name for name in metrics if key and key.casefold() in name]
            near = [*within, *nearest_names(key, self.keys(), most=3, cutoff=0.4)]
        asked = f"the record has no {clipped(key, SHOWN)!r}"
        if near:
            return f"{asked}; did you mean {', '.join(list(dict.fromkeys(near))[:3])}?"
        if not metrics:
            return f"{asked}; it has no measurements"
        return f"{asked}; it has names such as {', '.join(metrics[:3])}; record.keys() lists every name"

    def keys(self) -> Iterator[str]:
        """Every name that ``record[...]`` answers to."""
        for reading in self.measurements:
            yield from names_of(reading)

    def find(self, key: str) -> Reading | None:
        """The reading of that name, or None."""
        return next((reading for reading in self.measurements if key in names_of(reading)), None)

    def to_json(self) -> str:
        """The record as JSON text; no NaN, keys in a fixed order."""
        plain = self.model_dump(mode="json", by_alias=True)
        text = json.dumps(rounded(plain), indent=1, ensure_ascii=False, allow_nan=False)
        return UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"

    def __repr__(self) -> str:
        families = ", ".join(f"{name} {family.verdict}" for name, family in self.families.items())
        return f"<counterproof record: {self.verdict.upper()} ({families})>"

    __str__ = __repr__


def _fields(part: Any) -> dict[str, Any]:
    return {name: getattr(part, name) for name in type(part).__dataclass_fields__}
