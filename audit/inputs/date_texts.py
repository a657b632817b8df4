"""Dates as people write them: year, day or month first, month names, times, zones and epochs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Dates = NDArray[np.datetime64]
Ints = NDArray[np.int64]
ORDERS = ("day-first", "month-first")
PIVOT = 69  # years of two digits: 69 to 99 are of the 20th century, as in POSIX
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME = (
    r"(?:(?:T|,?\s+)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?"
    r"\s*(?P<half>[AaPp](?:\.?[Mm]\.?)|)\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?(?:\d{2})?|))?$"
)
_YEAR_FIRST = r"^(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})" + _TIME
_YEAR_LAST = (
    r"^(?:(?P<first>\d{1,2})[-/.](?P<then>\d{1,2})[-/.](?P<year>\d{4})"
    r"|(?P<first2>\d{1,2})[-/](?P<then2>\d{1,2})[-/](?P<year2>\d{2})"
    r"|(?P<first3>\d{2})\.(?P<then3>\d{2})\.(?P<year3>\d{2}))" + _TIME
)
_NAME = r"(?P<name>[A-Za-z]{3})[a-z]*\.?"
_WEEKDAY = r"^(?:[A-Za-z]{3,9},?\s+)?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_NAME_SECOND = _WEEKDAY + _DAY + r"[-/. ]+" + _NAME + r"[-/., ]+(?P<year>\d{2}|\d{4})" + _TIME
_NAME_FIRST = _WEEKDAY + _NAME + r"\s+" + _DAY + r",?\s+(?P<year>\d{4})" + _TIME
_COMPACT = r"^(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})(?:T?(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})?)?$"
_MONTH = r"^(?P<year>\d{4})-(?P<month>\d{2})$"
HEAD = 20_000  # texts that show whether most of a column's are distinct
MANY = 1000  # texts from which it pays to look whether all are written alike
NEVER = np.datetime64("NaT", "us")


@dataclass(frozen=True, eq=False)
class DateTexts:
    """Distinct texts, read in both orders.

    Attributes:
        day_first: Date-times where the day comes first, not-a-time for what is none so.
        month_first: Where the month comes first.
    """

    day_first: Dates
    month_first: Dates

    def by(self, order: str) -> Dates:
        """The date-times in this order."""
        return self.day_first if order == "day-first" else self.month_first

    def lost(self, order: str, counts: NDArray[np.intp]) -> int:
        """Rows that are no date so."""
        return int(counts[np.isnat(self.by(order))].sum())


def read_dates(texts: pa.Array, *, compact: bool = False) -> DateTexts:
    """Distinct texts as date-times in UTC, in both orders.

    Args:
        texts: Without spaces at their ends.
        compact: Also 20010203 and 2001-02, which are numbers and codes unless something says that they are dates.

    >>> read_dates(pa.array(["01/02/2003", "13/02/2003"])).month_first.astype("M8[D]").tolist()
    [datetime.date(2003, 1, 2), None]
    """
    day_first = np.full(len(texts), NEVER)
    month_first = day_first.copy()
    cells = _uniform(texts)
    for pattern in (_YEAR_FIRST, _NAME_SECOND, _NAME_FIRST, *((_COMPACT, _MONTH) if compact else ())):
        at, parts = _matched(texts, pattern, cells)
        if len(at):
            dates = _dates(_year(parts), _month(parts), parts.number("day", 1), parts)
            day_first[at] = month_first[at] = dates
    at, parts = _matched(texts, _YEAR_LAST, cells)
    if len(at):
        first, then = (_either(parts, name) for name in ("first", "then"))
        year = _year(parts)
        day_first[at] = _dates(year, then, first, parts)
        month_first[at] = _dates(year, first, then, parts)
    return DateTexts(day_first, month_first)


def is_ambiguous(found: DateTexts) -> bool:
    """Whether both orders read the same texts, to other dates."""
    both = np.isnat(found.day_first) == np.isnat(found.month_first)
    differ = (found.day_first != found.month_first) & ~np.isnat(found.day_first)
    return bool(both.all() and differ.any())


@dataclass(frozen=True, eq=False)
class _Parts:
    """The parts of dates by name.

    Attributes:
        size: How many dates there are.
        numbers: Parts of digits.
        widths: How many digits each has.
        words: Parts of letters and signs.
    """

    size: int
    numbers: dict[str, Ints]
    widths: dict[str, Any]
    words: dict[str, pa.Array]

    def number(self, name: str, otherwise: int = 0) -> Ints:
        """A part, or what holds where there is none."""
        return self.numbers.get(name, np.full(self.size, otherwise, dtype=np.int64))


_WORDS = ("name", "half", "zone")


def _matched(texts: pa.Array, pattern: str, cells: NDArray[np.uint8] | None) -> tuple[NDArray[np.intp], _Parts]:
    """Which texts have this pattern, and the named parts of those."""
    if cells is not None:  # patterns ask for digits and never for which: one text speaks for all
        parts = _sliced(texts, cells, pattern)
        return (np.arange(len(texts)), parts) if parts else (np.arange(0), _Parts(0, {}, {}, {}))
    held = pc.match_substring_regex(texts, pattern)
    at = np.flatnonzero(held.to_numpy(zero_copy_only=False))
    if not len(at):
        return at, _Parts(0, {}, {}, {})
    found = pc.extract_regex(texts.filter(held), pattern)
    named = {found.type.field(k).name: found.field(k) for k in range(found.type.num_fields)}
    digits = {name: part for name, part in named.items() if name not in _WORDS}
    return at, _Parts(
        size=len(at),
        numbers={name: _whole(part) for name, part in digits.items()},
        widths={name: pc.utf8_length(part).to_numpy(zero_copy_only=False) for name, part in digits.items()},
        words={name: part for name, part in named.items() if name in _WORDS},
    )


def _whole(texts: pa.Array) -> Ints:
    """Digits as numbers; none are 0."""
    filled = pc.if_else(pc.equal(texts, ""), "0", texts)
    values: Ints = pc.cast(filled, pa.int64()).to_numpy(zero_copy_only=False)
    return values


def _uniform(texts: pa.Array) -> NDArray[np.uint8] | None:
    """``(width, n)`` bytes of many texts that all have digits, and the same other characters, in the same places."""
    if len(texts) < MANY or texts.null_count or texts.type != pa.large_string():
        return None
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    width = int(offsets[1] - offsets[0])
    if not width or np.any(np.diff(offsets) != width):
        return None
    held = np.frombuffer(texts.buffers()[2], np.uint8)[offsets[0] : offsets[-1]].reshape(len(texts), width)
    cells = np.ascontiguousarray(held.T)
    for column in cells:
        plain = ord("0") <= column[0] <= ord("9")
        if np.any((column < ord("0")) | (column > ord("9"))) if plain else np.any(column != column[0]):
            return None
    return cells


def _sliced(texts: pa.Array, cells: NDArray[np.uint8], pattern: str) -> _Parts | None:
    """The parts of uniform texts by where the first one has them, None where it has not the pattern."""
    first = re.match(pattern, texts[0].as_py())
    if first is None:
        return None
    numbers: dict[str, Ints] = {}
    widths: dict[str, Any] = {}
    words: dict[str, pa.Array] = {}
    for name, text in first.groupdict().items():
        begin, end = first.span(name)
        if name in _WORDS:
            words[name] = pa.repeat(pa.scalar(text or "", pa.large_string()), len(texts))
        elif text:
            value = np.zeros(len(texts), dtype=np.int64)
            for digit in cells[begin:end]:
                value *= 10
                value += digit - ord("0")
            numbers[name], widths[name] = value, np.full(len(texts), end - begin, dtype=np.int8)
    return _Parts(len(texts), numbers, widths, words)


def _either(parts: _Parts, name: str) -> Ints:
    """A part that stands under one of three names: the others are empty, which reads as 0."""
    total: Ints = parts.number(name) + parts.number(f"{name}2") + parts.number(f"{name}3")
    return total


def _year(parts: _Parts) -> Ints:
    year = _either(parts, "year")
    short = np.zeros(parts.size, dtype=bool)
    for name in ("year", "year2", "year3"):
        if name in parts.widths:
            short |= parts.widths[name] == 2
    return np.where(short, year + np.where(year >= PIVOT, 1900, 2000), year)


def _month(parts: _Parts) -> Ints:
    if "name" not in parts.words:
        return parts.number("month", 1)
    names = parts.words["name"]
    places = pc.index_in(pc.utf8_lower(names), value_set=pa.array(MONTHS, names.type))
    month: Ints = pc.fill_null(places, -1).to_numpy(zero_copy_only=False).astype(np.int64) + 1
    return month


def _dates(year: Ints, month: Ints, day: Ints, parts: _Parts) -> Dates:
    """Date-times from their parts; what no calendar has is not-a-time."""
    fits = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    months = np.where(fits, (year - 1970) * 12 + month - 1, 0)
    least, most = int(months.min(initial=0)), int(months.max(initial=0))
    starts = np.arange(least, most + 2).astype("M8[M]").astype("M8[D]").astype(np.int64)
    begin = starts[months - least]
    fits &= day <= starts[months - least + 1] - begin
    seconds = (begin + day - 1) * 86_400
    if "hour" in parts.numbers:
        hour, minute, second = (parts.number(name) for name in ("hour", "minute", "second"))
        fits &= (hour < 24) & (minute < 60) & (second < 60)
        if "half" in parts.words and pc.any(pc.not_equal(parts.words["half"], "")).as_py():
            half = pc.utf8_lower(pc.utf8_slice_codeunits(parts.words["half"], 0, 1))
            late, early = (pc.equal(half, mark).to_numpy(zero_copy_only=False) for mark in ("p", "a"))
            fits &= ~(late | early) | ((hour >= 1) & (hour <= 12))
            hour = np.where(late | early, hour % 12 + np.where(late, 12, 0), hour)
        seconds += (hour * 60 + minute - _zone(parts)) * 60 + second
    seconds *= 1_000_000
    if "part" in parts.numbers:
        seconds += _microseconds(parts)
    return np.where(fits, seconds.view("M8[us]"), NEVER)


def _microseconds(parts: _Parts) -> Ints:
    power = 10.0 ** (6 - parts.widths["part"].astype(float))
    micro: Ints = np.floor(parts.numbers["part"] * power + 1e-6).astype(np.int64)
    return micro


def _zone(parts: _Parts) -> Ints:
    """Minutes before UTC."""
    if "zone" not in parts.words:
        return parts.number("zone")
    zone = pc.replace_substring(parts.words["zone"], ":", "")
    signed = pc.match_substring_regex(zone, r"^[+-]\d").to_numpy(zero_copy_only=False)
    if not signed.any():
        return parts.number("zone")
    digits = pc.if_else(pa.array(signed), zone, "+0000")
    sign = np.where(pc.equal(pc.utf8_slice_codeunits(digits, 0, 1), "-").to_numpy(zero_copy_only=False), -1, 1)
    hours, minutes = (_whole(pc.utf8_slice_codeunits(digits, at, at + 2)) for at in (1, 3))
    total: Ints = sign * (hours * 60 + minutes)
    return total


def plain_dates(texts: pa.Array) -> Dates | None:
    """All texts as date-times where every one has the year first and is written alike; None otherwise."""
    head = texts.slice(0, HEAD)
    if 2 * len(pc.unique(head)) < len(head):
        return None  # they are read once for each distinct text
    held = texts.drop_null().cast(pa.large_string())
    cells = _uniform(held)
    parts = None if cells is None else _sliced(held, cells, _YEAR_FIRST)
    if parts is None:
        return None
    known = _dates(_year(parts), _month(parts), parts.number("day", 1), parts)
    if np.isnat(known).any():
        return None
    dates = np.full(len(texts), NEVER)
    dates[texts.is_valid().to_numpy(zero_copy_only=False)] = known
    return dates


# -- dates as numbers ---------------------------------------------------------------------------------

_UNITS = ((1e11, 1_000_000), (1e14, 1_000), (1e17, 1))  # seconds, milliseconds, microseconds; else nanoseconds


def dates_of_numbers(values: NDArray[np.float64]) -> Dates:
    """Numbers as date-times: years, 20010203, or an epoch in the unit that their size shows.

    >>> dates_of_numbers(np.array([0.86e9, np.nan])).astype("M8[D]").tolist()
    [datetime.date(1997, 4, 2), None]
    """
    known = values[np.isfinite(values)]
    whole = np.where(np.isfinite(values), values, 0)
    if len(known) and np.all((known == np.floor(known)) & (known >= 1000) & (known < 10_000)):
        dates: Dates = (whole.astype(np.int64) - 1970).astype("M8[Y]").astype("M8[us]")
    elif len(known) and (compact := _compact(known)) is not None:
        dates = np.full(len(values), NEVER)
        dates[np.isfinite(values)] = compact
    else:
        size = float(np.median(np.abs(known))) if len(known) else 0.0
        scale = next((scale for end, scale in _UNITS if size < end), 1e-3)
        micro = whole * scale
        far = np.abs(micro) > 2.5e17  # beyond the years 1 to 9999
        dates = np.where(far, 0, micro).astype(np.int64).astype("M8[us]")
        dates = np.where(far, NEVER, dates)
    return np.where(np.isfinite(values), dates, NEVER)


def _compact(known: NDArray[np.float64]) -> Dates | None:
    """Numbers such as 20010203, if all of them are dates so."""
    if not np.all((known == np.floor(known)) & (known >= 1e7) & (known < 1e8)):
        return None
    found = read_dates(pa.array([str(int(value)) for value in known], pa.large_string()), compact=True).day_first
    return None if np.isnat(found).any() else found


def look_like_epochs(parts: Any) -> bool:
    """Whether all numbers are whole and an epoch between the years 1980 and 2100 in one unit."""
    known = np.concatenate([part[np.isfinite(part)] for part in parts]) if parts else np.zeros(0)
    if not len(known) or np.any(known != np.floor(known)) or known.min() < 3e8:
        return False
    low, high = known.min(), known.max()
    return any(3.15e8 * scale <= low and high <= 4.1e9 * scale for scale in (1, 1e3, 1e6, 1e9))
