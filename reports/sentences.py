"""The one builder of sentences about gates and readings: what terminal, Markdown, HTML, JUnit and pytest say.

A sentence holds the quantity by the name its users know, the value with its interval and unit, what real data give,
the limit, and what the limit was widened for. The words come from the metric (see ``Quantity`` of
:mod:`counterproof.metrics.metric`), which the record keeps as ``about``. An excess over the floor is told on the
metric's own scale: a classifier's AUROC of 0.92 where real data give 0.50 and 0.65 is the limit, not "0.42 above".
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from counterproof.metrics.estimate import Better, Telling
from counterproof.reports.judgement import Operator, Verdict, holds, number, too_small
from counterproof.reports.model import QUESTIONS, GateReading, GroupKey, QuantityReading, Reading
from counterproof.reports.text import printable

Words = Mapping[str, QuantityReading]
"""What each field is about, by ``metric.field``."""
ShownAs = Literal["number", "percent", "points"]
OF_SHUFFLED = "{} times as far as real data shuffled independently"
BOUNDED = ("AUROC",)  # units whose numbers end at 1; the error of the floor may reach beyond
_PLACES = re.compile(r"\{\{|\}\}|\{(\w+)\}")  # of a template; whatever else stands in braces is text
LEARNERS: Mapping[str, str] = {"boosting": "gradient boosting", "linear": "linear model", "network": "neural network"}


# -- amounts ----------------------------------------------------------------------------------------


def amount(value: float | None, shown_as: ShownAs = "number") -> str:
    """A number in its unit.

    >>> amount(0.0213, "percent"), amount(-0.32, "points"), amount(0.65), amount(1.0, "percent")
    ('2.1 %', '-32 points', '0.65', '100 %')
    """
    if value is None:
        return "–"
    if shown_as == "number":
        return number(value)
    told = 100 * value + 0.0  # no negative nought
    text = number(told) if abs(told) >= 10 else f"{told:.2g}"
    return f"{text} {'%' if shown_as == 'percent' else 'point' if text in ('1', '-1') else 'points'}"


def amount_within(
    value: float | None, low: float | None, high: float | None, shown_as: ShownAs = "number", least: float | None = None
) -> str:
    """A number with its interval, all with as many decimals; below the least that it can truly be, as that.

    >>> amount_within(0.0213, 0.017, 0.025, "percent"), amount_within(1.0, 0.998, 1.0)
    ('2.1 % [1.7, 2.5]', '1.00 [1.00, 1.00]')
    >>> amount_within(-0.002, -0.01, 0.006, least=0)
    '0 within its error [0, 0.0060]'
    """
    if value is None:
        return "–"
    scale = 1.0 if shown_as == "number" else 100.0
    unit = {"number": "", "percent": " %", "points": " points"}[shown_as]
    low, high = value if low is None else low, value if high is None else high
    digits = _decimals([scale * one for one in (value, low, high)], 3 if shown_as == "number" else 2)
    if least is not None and value < least:
        top = _fixed(scale * max(high, least), digits)
        return f"{number(scale * least)}{unit} within its error [{number(scale * least)}, {top}]"
    if shown_as == "percent":  # the error of the floor may reach beyond what a share can be
        low, high = max(low, 0.0) if value >= 0 else low, min(high, 1.0) if value <= 1 else high
    told, *ends = (_fixed(scale * one, digits) for one in (value, low, high))
    return f"{told}{unit} [{', '.join(ends)}]"


def _decimals(values: list[float], significant: int) -> int | None:
    """Decimals that give the largest of these numbers so many significant digits; None where decimals are no help."""
    largest = max(abs(one) for one in values)
    if largest == 0:
        return 0
    if not 1e-4 <= largest < 1e9:
        return None
    return max(0, significant - 1 - math.floor(math.log10(largest)))


def _fixed(value: float, digits: int | None) -> str:
    if digits is None:
        return number(value)
    text = f"{value:,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        return "0" if value == 0 else text.removeprefix("-")
    return text


# -- names ------------------------------------------------------------------------------------------


def group_in_words(group: GroupKey | None) -> str:
    """A group in words: ``sex = F, every race``."""
    parts = []
    for column, value in (group or {}).items():
        if value == "*":
            parts.append(f"each {column}")
        elif column == "learner":
            parts.append(_value(column, value))
        else:
            parts.append(column if value is None else f"{column} = {value}")
    return printable(", ".join(parts))


def _value(column: str, value: str | None) -> str:
    """A part of a group as it reads: learners by their full names."""
    return LEARNERS.get(str(value), str(value)) if column == "learner" else str(value)


def place_in_words(group: GroupKey) -> str:
    """Where a reading was taken, as short as it can be told: a column by its name.

    >>> place_in_words({"column": "age"}), place_in_words({"sex": "F", "learner": "boosting"})
    ('age', 'sex = F, gradient boosting')
    """
    if list(group) in (["column"], ["learner"]):
        return printable("".join(_value(key, value) for key, value in group.items()))
    return group_in_words(group)


Places = Mapping[tuple[str, frozenset[tuple[str, str | None]]], Sequence[Reading]]
"""The readings of each metric and group."""


def places_of(readings: Iterable[Reading]) -> Places:
    """Where readings stand, so that many gates find theirs in one step each."""
    places: dict[tuple[str, frozenset[tuple[str, str | None]]], list[Reading]] = {}
    for reading in readings:
        places.setdefault((reading.metric, frozenset(reading.group.items())), []).append(reading)
    return places


def base_of(reading: Reading, places: Places) -> Reading | None:
    """The reading that an excess over the floor is the excess of; None for any other reading."""
    if not reading.field.endswith("excess"):
        return None
    here = places.get((reading.metric, frozenset(reading.group.items())), ())
    if reading.field == "excess":
        return next((one for one in here if one.headline), None)
    return next((one for one in reversed(here) if one.field == reading.field.removesuffix("_excess")), None)


def quantity_of(words: Words, reading: Reading, asked: str = "") -> QuantityReading:
    """What a reading is about; a metric that says nothing is told by its title and field.

    Args:
        words: What each field is about.
        reading: The reading.
        asked: The field that a gate asks for, where another reading may stand in for it.
    """
    if (named := words.get(f"{reading.metric}.{asked}")) is not None:
        return named
    field = reading.field.removesuffix("_excess")
    found = words.get(f"{reading.metric}.{field}")
    if found is not None:
        return found
    name = reading.title or reading.metric.rpartition(".")[2].replace("_", " ")
    if not reading.headline and field not in ("excess", "change"):
        name = f"{name}, {field.replace('_', ' ')}"
    name = name.replace("{", "{{").replace("}", "}}")  # a title is no template
    shown = name[:1].upper() + name[1:] if name[:1].isascii() else name
    return QuantityReading(name=shown, remarked=not reading.group)  # what a plugin remarks is all that it says


def filled(template: str, group: GroupKey | None, *, rest: bool = True) -> str:
    """A template with the parts of a group in their places and, unless unwanted, what has no place in it behind.

    >>> filled("Distribution of {column}", {"column": "age"})
    'Distribution of age'
    >>> filled("Accuracy", {"sex": "F"}), filled("Distribution of {column}", None)
    ('Accuracy, for sex = F', 'Distribution of each column')
    """
    parts = dict(group or {})
    used: set[str] = set()

    def told(place: re.Match[str]) -> str:
        key = place[1]
        if key is None:
            return place[0][0]
        if key == "group":
            used.update(parts)
            return group_in_words(parts) or "each group"
        used.add(key)
        value = parts.get(key)
        if value in (None, "*"):
            return "" if (parts and value is None) or key == "cell" else f"each {key}"
        return _value(key, value)

    name = " ".join(printable(_PLACES.sub(told, template)).replace(" ()", "").split())
    others = group_in_words({key: value for key, value in parts.items() if key not in used})
    return f"{name}, for {others}" if rest and others else name


def subject(words: Words, reading: Reading, *, group: bool = True) -> str:
    """The quantity by its name, with the group that it was measured in."""
    return filled(quantity_of(words, reading).name, reading.group if group else None)


# -- what is shown ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A judged reading on the scale that readers know.

    Attributes:
        quantity: What it is.
        unit: What the numbers are in, by the metric.
        operator: Of the limit, on this scale.
        better: Which direction is good, on this scale.
        value: The value; None where nothing was measured.
        low: Lower end of the interval.
        high: Upper end.
        floor: What real data give.
        limit: The limit to pass.
        fail_limit: The limit to fail.
        stated: The limit before it was widened.
        bound: What a PASS was decided by.
        least: The least that the true value can be.
    """

    quantity: QuantityReading
    unit: str = ""
    operator: Operator
    better: Better
    value: float | None = None
    low: float | None = None
    high: float | None = None
    floor: float | None = None
    limit: float | None = None
    fail_limit: float | None = None
    stated: float | None = None
    bound: float | None = None
    least: float | None = None

    @property
    def two_sided(self) -> bool:
        """Whether the limit holds on both sides of zero."""
        return self.better == "zero" and self.operator in ("<=", "<")

    @property
    def told(self) -> str:
        """The value with its interval, in its unit."""
        return amount_within(self.value, self.low, self.high, self.quantity.shown_as, self.least)

    @property
    def limit_told(self) -> str:
        """The limit in its unit: ``at most 0.65``, ``within ±10 points``."""
        return _limit(self, self.limit)


MIRRORED: Mapping[Operator, Operator] = {"<=": ">=", ">=": "<=", "<": ">", ">": "<"}
LIMITS: Mapping[Operator, str] = {"<=": "at most", "<": "less than", ">=": "at least", ">": "more than"}


def _limit(shown: Shown, limit: float | None) -> str:
    told = amount(limit, shown.quantity.shown_as)
    return f"within ±{told}" if shown.two_sided else f"{LIMITS[shown.operator]} {told}"


def on_own_scale(shown: Shown, reading: Reading, base: Reading | None) -> Shown:
    """An excess over the floor on the scale of the metric itself; of one with an anchor, as a share of that."""
    if base is None or not reading.field.endswith("excess"):
        return shown
    if base.anchor is not None:
        words = shown.quantity.model_copy(update={"measure": OF_SHUFFLED, "shown_as": "number"})
        return replace(shown, quantity=words, floor=0.0, least=0.0)
    if base.floor is None:
        return shown
    floor = base.floor.value
    most = 1.0 if base.unit in BOUNDED else math.inf
    sign = -1 if base.better == "higher" else 1

    def moved(excess: float | None) -> float | None:
        return None if excess is None else floor + sign * excess

    low, high = moved(shown.low), moved(shown.high)
    if sign < 0:
        low, high = high, low
    return replace(
        shown,
        operator=MIRRORED[shown.operator] if sign < 0 else shown.operator,
        better="higher" if sign < 0 else "lower",
        value=moved(shown.value),
        low=low,
        high=None if high is None else min(high, most),
        floor=floor,
        limit=moved(shown.limit),
        fail_limit=moved(shown.fail_limit),
        stated=moved(shown.stated),
        bound=moved(shown.bound),
        least=base.least,
    )


# -- sentences --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Openness:
    """What leaves a gate open.

    Attributes:
        n: Rows a side.
        n_needed: Rows that would decide it; None where no number of them would that can be collected.
        too_small: The rows that a pass needs at least, where there are fewer.
        adjusted_for: Comparisons that a fail is adjusted for.
    """

    n: int = 0
    n_needed: int | None = None
    too_small: int = 0
    adjusted_for: int = 1


def sentence(
    shown: Shown, group: GroupKey, verdict: Verdict, *, reason: str = "", opened: Openness | None = None
) -> str:
    """What was measured, what real data give, what is allowed and, where that leaves it open, what would decide.

    Args:
        shown: The reading and its limits, as readers know them.
        group: Where it was measured.
        verdict: How it was judged.
        reason: A remark of the metric.
        opened: What leaves it open, for an inconclusive one.
    """
    words = shown.quantity
    failing = verdict == "fail" and words.finding
    name = filled(words.finding if failing else words.name, group)
    told = [f"{name}: {measured(shown)}"]
    if shown.floor is not None:
        told.append(f"real against real {amount(shown.floor, words.shown_as)}")
    told.append(_allowed(shown))
    if verdict == "inconclusive" and opened is not None:
        told.append(_open(shown, opened))
    if reason:
        told.append(reason)
    return printable("; ".join(told))


def measured(shown: Shown) -> str:
    """The value in the metric's own words: ``AUROC 0.92 [0.91, 0.93]``."""
    if shown.value is None:
        return "no value"
    before, _, after = (part.replace("{unit}", shown.unit) for part in shown.quantity.measure.partition("{}"))
    return f"{before}{shown.told}{after}"


def _allowed(shown: Shown) -> str:
    unit = shown.quantity.shown_as
    told = f"the limit is {amount(shown.limit, unit)}"
    if shown.two_sided:
        told = f"the limit is ±{amount(shown.limit, unit)}"
    elif shown.operator in (">=", ">"):
        told = f"at least {amount(shown.limit, unit)} is required"
    if shown.fail_limit is not None and shown.fail_limit != shown.limit:
        told = f"{told}, and {amount(shown.fail_limit, unit)} fails"
    if shown.stated is None or shown.stated == shown.limit:
        return told
    return f"{told} ({amount(shown.stated, unit)} by policy; widened, as real data of this size differ by as much)"


def _open(shown: Shown, opened: Openness) -> str:
    if opened.too_small:
        return f"but {too_small(opened.n, opened.too_small)}"
    assert shown.value is not None
    if _inside(shown, shown.value, shown.limit):
        told = f"but these data leave {_possible(shown)} possible"
    elif _inside(shown, shown.value, shown.fail_limit):
        return "between what passes and what fails"
    elif _apart(shown):
        several = f" for {opened.adjusted_for} comparisons" if opened.adjusted_for > 1 else ""
        told = f"outside the limit, but not once its error is adjusted{several}"
    else:
        told = "outside the limit, but by less than its error"
    if opened.n_needed:
        return f"{told} (n = {opened.n:,}; about {opened.n_needed:,} rows would decide)"
    return f"{told}; it stands so near its limit that more rows would hardly decide" if opened.n else told


def _inside(shown: Shown, value: float, limit: float | None) -> bool:
    assert limit is not None
    return holds(abs(value) if shown.two_sided else value, shown.operator, limit)


def _possible(shown: Shown) -> str:
    """The worst value that the data leave possible, no worse than such a value can be."""
    bound, words = shown.bound, shown.quantity
    if bound is not None and shown.two_sided and (shown.value or 0.0) < 0:
        bound = -bound
    if bound is not None and words.shown_as == "percent":
        bound = min(max(bound, 0.0), 1.0)
    return amount(bound, words.shown_as)


def _apart(shown: Shown) -> bool:
    """Whether the whole interval lies outside the limit to fail."""
    limit, ends = shown.fail_limit, [one for one in (shown.low, shown.high) if one is not None]
    assert limit is not None
    if shown.two_sided:
        return bool(ends) and (min(ends) > limit or max(ends) < -limit)
    return bool(ends) and not any(holds(one, shown.operator, limit) for one in ends)


# -- which failure is told first ------------------------------------------------------------------


def most_telling(verdict: Verdict, gates: Sequence[GateReading], words: Words) -> list[GateReading]:
    """The gates of one verdict, the most telling first.

    Columns that do not match explain whatever else is wrong; then come copies, then groups and values that are
    missing, then single columns, then the rest. Of one kind a fact is told before all numbers, and then what is off
    by most times its tolerance.
    """
    found = [gate for gate in gates if gate.verdict == verdict]
    return sorted(found, key=lambda gate: telling_order(gate, words))


def telling_order(gate: GateReading, words: Words) -> tuple[int, float, int]:
    """What sorts gates of one verdict, the most telling first; facts alike by the order of the questions."""
    families = list(QUESTIONS)
    family = families.index(gate.family) if gate.loss is None and gate.family in families else len(families)
    return _kind_of(gate, words), -_loss(gate), family


def _kind_of(gate: GateReading, words: Words) -> int:
    about = words.get(f"{gate.metric}.{gate.field.removesuffix('_excess')}")
    return get_args(Telling).index(about.telling if about is not None else "loss")


def _loss(gate: GateReading) -> float:
    if gate.loss is not None:
        return gate.loss
    return math.inf if gate.margin is None and gate.verdict == "fail" else 0.0
