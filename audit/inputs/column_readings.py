"""One column of all roles, read as its kind: one reading for each role, the one that reads all of its values.

Where a role's texts can be read in two ways (1,234 or 01/02/2003), the roles that can be read in one way only
decide, then how such texts are written, then the table's other columns; else an option must.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from counterproof.inputs import date_texts, number_texts
from counterproof.inputs.columns import QUANTITY, truth_of
from counterproof.inputs.date_texts import ORDERS, dates_of_numbers
from counterproof.inputs.forms import MISSING_HERE, Flags, Form, Levels
from counterproof.inputs.number_texts import MARKS, habitual_mark

LEADING_ZERO = re.compile(r"[+-]?0\d")
WHOLE = re.compile(r"([+-]?\d+)\.0+")
THOUSAND = 1000
FORMATS = {
    ".": "decimals follow a point",
    ",": "decimals follow a comma",
    "day-first": "the day comes first",
    "month-first": "the month comes first",
}


class AmbiguousError(ValueError):
    """Texts that can be read in two ways, and nothing that decides: the message says what they are."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the user said about the texts of a column.

    Attributes:
        decimal: The mark before decimals, empty where the data decide.
        dates: The order of day and month, empty where the data decide.
        kept: Whether words such as ``None`` are values, as in a label or a group, where real data have them.
        refuse: Whether texts that can be read in two ways are refused; else a point and the day come first.
        hint: The mark that other columns of the tables have.
    """

    decimal: str = ""
    dates: str = ""
    kept: bool = False
    refuse: bool = True
    hint: Callable[[], str] = field(default=str)


@dataclass(frozen=True, kw_only=True)
class ColumnReading:
    """A column as its kind.

    Attributes:
        values: By role, in canonical form.
        lost: By role, which rows hold a value that is none of the kind and count as missing.
        ways: By role, how texts were read; empty where there is one way only.
        units: By role, what all numbers carry beside their digits.
    """

    values: dict[str, pd.Series[Any]]
    lost: dict[str, Flags]
    ways: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)


def read_column(forms: Mapping[str, Form], kind: str, asked: Asked = Asked()) -> ColumnReading:
    """A column of all roles as this kind; values that cannot be read as it become missing.

    Raises:
        AmbiguousError: Texts can be read in two ways and nothing decides.

    >>> read_column({"real": Form("number", pd.Series([1.0]))}, "category").values["real"].tolist()
    ['1']
    """
    if kind == "number":
        return _as_numbers(forms, asked)
    if kind == "datetime":
        return _as_dates(forms, asked)
    levels = {role: form.levels for role, form in forms.items()}
    if kind == "boolean":
        values = _truths(levels, asked.kept)
    else:
        values = {r: level if forms[r].sort == "number" else level.joined(_plain) for r, level in levels.items()}
        if kind == "category":
            values = _without_missing(values, asked.kept)
            values = _agreeing(forms, values)
    texts = {role: _series(level) for role, level in values.items()}
    return ColumnReading(values=texts, lost={role: np.zeros(len(text), dtype=bool) for role, text in texts.items()})


def _plain(text: str) -> str:
    """1.0 is the category 1."""
    return whole[1] if (whole := WHOLE.fullmatch(text)) else text


def _series(levels: Levels) -> pd.Series[Any]:
    return pd.Series(levels.each(levels.texts, None), dtype=object)


# -- two ways to read -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Tried:
    """How one role's texts can be read.

    Attributes:
        lost: Rows that each way loses.
        ambiguous: Whether both read the same rows, to other values.
        habit: The way such texts are written, empty where that is open.
        like: The way that the numbers of the other roles speak for, by whether they are whole.
    """

    lost: tuple[int, int]
    ambiguous: bool
    habit: str = ""
    like: str = ""


def _ways(
    tried: Mapping[str, _Tried], choices: tuple[str, str], option: str, what: str, asked: Asked
) -> dict[str, str]:
    """The way to read each role."""
    if option:
        return dict.fromkeys(tried, option)
    ways = {r: choices[one.lost[1] < one.lost[0]] for r, one in tried.items() if one.lost[0] != one.lost[1]}
    voices = set(ways.values())
    agreed = next(iter(voices)) if len(voices) == 1 else ""
    for role, one in tried.items():
        if role not in ways:
            ways[role] = agreed or (one.like if one.ambiguous else choices[0])
    open_roles = [role for role, way in ways.items() if not way]
    if not open_roles:
        return ways
    habits = {tried[role].habit for role in open_roles} - {""}
    way = next(iter(habits)) if len(habits) == 1 else asked.hint() if choices == MARKS else ""
    if not way and asked.refuse:
        raise AmbiguousError(what)
    return ways | dict.fromkeys(open_roles, way or choices[0])


def _as_numbers(forms: Mapping[str, Form], asked: Asked) -> ColumnReading:
    texts = {role: form for role, form in forms.items() if form.sort == "text"}
    tried = {}
    for role, form in texts.items():
        ambiguous = number_texts.is_ambiguous(form.numbers)
        held = form.numbers.bare.filter(pa.array(~np.isnan(form.numbers.point))) if ambiguous else None
        lost = tuple(form.numbers.lost(mark, form.counts) for mark in MARKS)
        habit, like = ("", "") if held is None else (habitual_mark(held), _like_others(role, forms))
        tried[role] = _Tried((lost[0], lost[1]), ambiguous, habit, like)
    ways = _ways(tried, MARKS, asked.decimal, "the decimals of its numbers may follow a point or a comma", asked)
    values: dict[str, pd.Series[Any]] = {}
    for role, form in forms.items():
        if form.sort == "number":
            values[role] = form.values
        elif form.sort == "datetime":
            values[role] = pd.Series(np.full(len(form), np.nan))
        elif form.sort == "boolean":
            truth = np.array([float(text == "True") for text in form.levels.texts])
            values[role] = pd.Series(form.levels.each(truth, np.nan))
        else:
            values[role] = pd.Series(form.levels.each(form.numbers.by(ways[role]), np.nan))
    units = {role: form.numbers.unit for role, form in texts.items()}
    two = {role: way for role, way in ways.items() if not np.array_equal(*_both(texts[role]), equal_nan=True)}
    return ColumnReading(values=values, lost=_lost(forms, values), ways=two, units=units)


def _like_others(role: str, forms: Mapping[str, Form]) -> str:
    """The mark by which a role's numbers are whole, or are not, as those of the roles that leave no choice."""
    others = [form for other, form in forms.items() if other != role and form.sort == "number" and form.count]
    if not others or all(form.present.abs().max() < THOUSAND for form in others):
        return ""
    whole = all(form.are_whole for form in others)
    numbers = forms[role].numbers
    fits = [mark for mark in MARKS if _are_whole(numbers.by(mark)) == whole]
    return fits[0] if len(fits) == 1 else ""


def _are_whole(values: Any) -> bool:
    return bool(np.all(np.isnan(values) | (values == np.floor(values))))


def _both(form: Form) -> tuple[Any, Any]:
    return form.numbers.point, form.numbers.comma


def _as_dates(forms: Mapping[str, Form], asked: Asked) -> ColumnReading:
    texts = {role: form for role, form in forms.items() if form.sort == "text"}
    tried = {}
    for role, form in texts.items():
        lost = tuple(form.dates.lost(order, form.counts) for order in ORDERS)
        tried[role] = _Tried((lost[0], lost[1]), date_texts.is_ambiguous(form.dates))
    ways = _ways(tried, ORDERS, asked.dates, "its dates may have the day or the month first", asked)
    values: dict[str, pd.Series[Any]] = {}
    for role, form in forms.items():
        if form.sort == "datetime":
            values[role] = form.values
        elif form.sort == "number":
            values[role] = pd.Series(dates_of_numbers(form.values.to_numpy(dtype=float)))
        elif form.sort == "boolean":
            values[role] = pd.Series(np.full(len(form), np.datetime64("NaT", "us")))
        else:
            values[role] = pd.Series(form.levels.each(_dates(form, ways[role]), np.datetime64("NaT", "us")))
    two = {role: way for role, way in ways.items() if (~_same_dates(texts[role])).any()}
    return ColumnReading(values=values, lost=_lost(forms, values), ways=two)


def _dates(form: Form, order: str) -> date_texts.Dates:
    """Texts as dates; where none is one, also as compact dates, months and epochs."""
    dates = form.dates.by(order)
    if np.isnat(dates).all():
        dates = date_texts.read_dates(form.texts, compact=True).by(order)
    if np.isnat(dates).all():
        dates = dates_of_numbers(form.numbers.point)
    return dates


def _same_dates(form: Form) -> Flags:
    a, b = form.dates.day_first, form.dates.month_first
    same: Flags = (a == b) | (np.isnat(a) & np.isnat(b))
    return same


def _lost(forms: Mapping[str, Form], values: Mapping[str, pd.Series[Any]]) -> dict[str, Flags]:
    """Which rows hold something that is no word for missing, and were not read."""
    lost = {}
    for role, form in forms.items():
        held = form.held
        if form.sort == "text":
            held = form.levels.each(form.counts > 0, False)
        lost[role] = held & values[role].isna().to_numpy()
    return lost


# -- words --------------------------------------------------------------------------------------------


def _real(roles: Mapping[str, Any]) -> list[str]:
    return [role for role in roles if role != "synthetic"]


def _without_missing(levels: Mapping[str, Levels], kept: bool) -> dict[str, Levels]:
    """Words for missing taken away; of a label or a group those that no real role has as a value."""
    real: set[str] = set().union(*(levels[role].texts.tolist() for role in _real(levels))) if kept else set()
    words = [word for word in MISSING_HERE if word not in real]
    return {role: level.without(words) for role, level in levels.items()}


def _truths(levels: Mapping[str, Levels], kept: bool) -> dict[str, Levels]:
    """Truth values as the first real role writes them; other words stay what they are."""
    levels = _without_missing(levels, kept)
    spelt = {True: "True", False: "False"}
    words = [levels[role] for role in _real(levels)] or list(levels.values())
    plain = any(text.lower() in ("true", "false") for level in words for text in level.texts)
    for level in [] if plain else words:
        order = np.argsort(-level.counts, kind="stable")
        own = {truth: text for text in level.texts[order][::-1] if (truth := truth_of(text)) is not None}
        if len(own) == 2:
            spelt = own
            break

    def said(text: str) -> str:
        truth = truth_of(text)
        return text if truth is None else spelt[truth]

    return {role: level.joined(said) for role, level in levels.items()}


def _agreeing(forms: Mapping[str, Form], levels: Mapping[str, Levels]) -> dict[str, Levels]:
    """Categories of the release as real data write them, where real data hold numbers.

    True and false are 1 and 0 where these are the categories; numbers in single precision are those that they round.
    """
    if "synthetic" not in levels:
        return dict(levels)
    levels = _zero_one(forms, levels)
    known: list[str] = list(dict.fromkeys(text for role in _real(levels) for text in levels[role].texts))
    made = levels["synthetic"]
    if known and set(known) <= {"0", "1"}:
        made = made.joined(lambda text: text if (truth := truth_of(text)) is None else str(int(truth)))
    elif forms["synthetic"].sort == "number" and (rounded := _single(known)):
        with np.errstate(over="ignore"):
            made = made.joined(lambda text: rounded.get(np.float32(float(text)), text))
    return {**levels, "synthetic": made}


def _zero_one(forms: Mapping[str, Form], levels: Mapping[str, Levels]) -> dict[str, Levels]:
    """0 and 1 of all real roles without what they carry, such as a unit."""
    texts = {role: form for role, form in forms.items() if form.sort == "text"}
    if any(len(form.texts) > QUANTITY for form in texts.values()):
        return dict(levels)
    found = {role: dict(zip(form.levels.texts, form.numbers.point, strict=True)) for role, form in texts.items()}
    for role in set(_real(texts)):
        values = found[role].values()
        if not all(value in (0, 1) for value, count in zip(values, texts[role].counts, strict=True) if count):
            return dict(levels)

    def bare(role: str) -> Callable[[str], str]:
        return lambda text: str(int(value)) if (value := found[role].get(text)) in (0, 1) else text

    return {role: level.joined(bare(role)) if role in texts else level for role, level in levels.items()}


def _single(known: Sequence[str]) -> dict[np.float32, str]:
    """Categories by the number in single precision that they round to, empty where one is no number but a code."""
    numbers = pd.to_numeric(pd.Series(known, dtype=object), errors="coerce").astype("float64")
    if numbers.isna().any() or any(LEADING_ZERO.match(text) for text in known):
        return {}
    with np.errstate(over="ignore"):
        return {np.float32(number): text for number, text in zip(numbers, known, strict=True)}
