"""Dates as people write them: year, day or month first, month names, times, zones and epochs."""

from __future__ import annotations

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
    for pattern in (_YEAR_FIRST, _NAME_SECOND, _NAME_FIRST, *((_COMPACT, _MONTH) if compact else ())):
        at, parts = _matched(texts, pattern)
        if len(at):
            dates = _dates(_year(parts), _month(parts), _number(parts, "day", 1), parts)
            day_first[at] = month_first[at] = dates
    at, parts = _matched(texts, _YEAR_LAST)
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


def _matched(texts: pa.Array, pattern: str) -> tuple[NDArray[np.intp], dict[str, pa.Array]]:
    """Which texts have this pattern, and the named parts of those."""
    held = pc.match_substring_regex(texts, pattern)
    at = np.flatnonzero(held.to_numpy(zero_copy_only=False))
    if not len(at):
        return at, {}
    found = pc.extract_regex(texts.filter(held), pattern)
    return at, {found.type.field(k).name: found.field(k) for k in range(found.type.num_fields)}


def _number(parts: dict[str, pa.Array], name: str, otherwise: int = 0) -> Ints:
    if name not in parts:
        size = len(next(iter(parts.values())))
        return np.full(size, otherwise, dtype=np.int64)
    texts = parts[name]
    empty = pc.equal(texts, "")
    values: Ints = pc.cast(pc.if_else(empty, str(otherwise), texts), pa.int64()).to_numpy(zero_copy_only=False)
    return values


def _either(parts: dict[str, pa.Array], name: str) -> Ints:
    """A part that stands under one of three names: the others are empty, which reads as 0."""
    total: Ints = sum((_number(parts, f"{name}{k}") for k in ("2", "3")), _number(parts, name))
    return total


def _year(parts: dict[str, pa.Array]) -> Ints:
    year = _either(parts, "year")
    short = np.zeros(len(year), dtype=bool)
    for name in ("year", "year2", "year3"):
        if name in parts:
            short |= pc.equal(pc.utf8_length(parts[name]), 2).to_numpy(zero_copy_only=False)
    return np.where(short, year + np.where(year >= PIVOT, 1900, 2000), year)


def _month(parts: dict[str, pa.Array]) -> Ints:
    if "name" not in parts:
        return _number(parts, "month", 1)
    places = pc.index_in(pc.utf8_lower(parts["name"]), value_set=pa.array(MONTHS, parts["name"].type))
    month: Ints = pc.fill_null(places, -1).to_numpy(zero_copy_only=False).astype(np.int64) + 1
    return month


def _dates(year: Ints, month: Ints, day: Ints, parts: dict[str, pa.Array]) -> Dates:
    """Date-times from their parts; what no calendar has is not-a-time."""
    hour, minute, second = (_number(parts, name) for name in ("hour", "minute", "second"))
    fits = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (hour < 24) & (minute < 60) & (second < 60)
    months = (np.where(fits, year, 1970) - 1970) * 12 + np.where(fits, month, 1) - 1
    begin = months.astype("M8[M]").astype("M8[D]")
    fits &= day <= ((months + 1).astype("M8[M]").astype("M8[D]") - begin).astype(np.int64)
    if "half" in parts:
        half = pc.utf8_lower(pc.utf8_slice_codeunits(parts["half"], 0, 1))
        late, early = (pc.equal(half, mark).to_numpy(zero_copy_only=False) for mark in ("p", "a"))
        fits &= ~(late | early) | ((hour >= 1) & (hour <= 12))
        hour = np.where(late | early, hour % 12 + np.where(late, 12, 0), hour)
    whole = begin.astype("M8[us]") + (np.where(fits, day, 1) - 1) * np.timedelta64(86_400_000_000, "us")
    seconds = (hour * 60 + minute - _zone(parts)) * 60 + second
    dates: Dates = whole + (seconds * 1_000_000 + _microseconds(parts)).astype("m8[us]")
    return np.where(fits, dates, NEVER)


def _microseconds(parts: dict[str, pa.Array]) -> Ints:
    if "part" not in parts:
        return np.zeros(len(next(iter(parts.values()))), dtype=np.int64)
    padded = pc.utf8_slice_codeunits(pc.utf8_rpad(parts["part"], 6, "0"), 0, 6)
    return _number({"part": padded}, "part")


def _zone(parts: dict[str, pa.Array]) -> Ints:
    """Minutes before UTC."""
    size = len(next(iter(parts.values())))
    if "zone" not in parts:
        return np.zeros(size, dtype=np.int64)
    zone = pc.replace_substring(parts["zone"], ":", "")
    signed = pc.match_substring_regex(zone, r"^[+-]\d").to_numpy(zero_copy_only=False)
    digits = pc.if_else(pa.array(signed), zone, "+0000")
    sign = np.where(pc.equal(pc.utf8_slice_codeunits(digits, 0, 1), "-").to_numpy(zero_copy_only=False), -1, 1)
    hours = _number({"h": pc.utf8_slice_codeunits(digits, 1, 3)}, "h")
    minutes = _number({"m": pc.utf8_slice_codeunits(digits, 3, 5)}, "m")
    total: Ints = sign * (hours * 60 + minutes)
    return total


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
