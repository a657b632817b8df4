"""Numbers as people write them: thousands separators, decimal commas, currencies, percent, parentheses, units.

A text can be read in two ways, by which mark its decimals follow: ``1,234`` is 1234 where that is the point, and
1.234 where it is the comma. Which one holds is decided for a whole column, in
:mod:`counterproof.inputs.column_readings`; here all texts are read both ways.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MARKS = (".", ",")  # what decimals may follow; plain numbers have the first
_SPACES = r" '’\x{00a0}\x{202f}\x{2009}"
_CURRENCIES = (
    r"(?:[$€£¥₹₽₩₺₫₪฿₴₦¢]|[RUACHNZS]{1,2}\$|kr\.?|zł|Kč|Ft|lei|Rs\.?|Fr\.?"
    r"|EUR|USD|GBP|JPY|CHF|CNY|INR|AUD|CAD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|MXN|ZAR|KRW|TRY|RUB|SGD|HKD)"
)
_EXPONENT = r"(?:[eE][+-]?\d+)?"
_PLAIN = rf"^[+-]?(?:\d+\.?\d*|\.\d+){_EXPONENT}$"
_ENDLESS = r"(?i)^[+-]?inf(?:inity)?$"
_CODE = r"^[+-]?0\d+$"
_GROUPED_POINT = re.compile(r"[+-]?(?:0|[1-9]\d{0,2}(?:\.\d{3})*)")


def _grouped(mark: str) -> str:
    """Numbers whose decimals follow this mark: digits bare, or in groups by the other mark or by spaces."""
    other = r"," if mark == "." else r"\."
    indian = rf"|[1-9]\d?(?:{other}\d\d)+{other}\d{{3}}"
    whole = rf"\d+|[1-9]\d{{0,2}}(?:{other}\d{{3}})+{indian}|[1-9]\d{{0,2}}(?:[{_SPACES}]\d{{3}})+"
    return rf"^[+-]?(?:(?:{whole})(?:\{mark}\d*)?|\{mark}\d+){_EXPONENT}$"


@dataclass(frozen=True, eq=False)
class NumberTexts:
    """Distinct texts, read both ways.

    Attributes:
        point: Values where decimals follow a point, NaN for what is no number so.
        comma: Values where they follow a comma.
        unit: What all of them carry beside the digits, empty where nothing.
        bare: The texts without what they carry.
    """

    point: Floats
    comma: Floats
    unit: str
    bare: pa.Array

    def by(self, mark: str) -> Floats:
        """The values where decimals follow this mark."""
        return self.point if mark == "." else self.comma

    def lost(self, mark: str, counts: NDArray[np.intp]) -> int:
        """Rows that are no number so."""
        return int(counts[np.isnan(self.by(mark))].sum())


def read_numbers(texts: pa.Array, counts: NDArray[np.intp]) -> NumberTexts:
    """Distinct texts as numbers, both ways.

    >>> read_numbers(pa.array(["1,234.5", "(7)", "$ 3", "x"]), np.ones(4, int)).point.tolist()
    [1234.5, -7.0, 3.0, nan]
    """
    bare, unit = _without_marks(texts, counts)
    return NumberTexts(_values(bare, "."), _values(bare, ","), unit, bare)


def _without_marks(texts: pa.Array, counts: NDArray[np.intp]) -> tuple[pa.Array, str]:
    """The digits with their signs and separators, and the one unit that all carry."""
    bare = pc.replace_substring(texts, "−", "-")
    bare = pc.replace_substring_regex(bare, r"^\((.*\d.*)\)$", r"-\1")
    marked = pc.match_substring_regex(bare, rf"^[+-]?\s*{_CURRENCIES}\s*[+-]?[\d.,]|\d[.,]?\s*(?:{_CURRENCIES}|%)$")
    unit = ""
    if pc.any(marked).as_py():
        unit = _most(pc.replace_substring_regex(texts, r"[\d\s.,'’()+\x{2212}-]", ""), counts, marked)
        bare = pc.replace_substring_regex(bare, rf"^([+-]?)\s*{_CURRENCIES}\s*([+-]?[\d.,])", r"\1\2")
        bare = pc.replace_substring_regex(bare, rf"(\d[.,]?)\s*(?:{_CURRENCIES}|%)$", r"\1")
    named = pc.match_substring_regex(bare, r"\d\.?\s*[\p{L}µ°][\p{L}\d°²³/·.^]*$")
    named = pc.and_(named, pc.invert(pc.match_substring_regex(bare, rf"\d\.?{_EXPONENT}$")))
    if pc.any(named).as_py():
        core = pc.replace_substring_regex(bare, r"(\d\.?)\s*[\p{L}µ°][\p{L}\d°²³/·.^]*$", r"\1")
        what = pc.replace_substring_regex(bare, r"^.*?\d\.?\s*([\p{L}µ°][\p{L}\d°²³/·.^]*)$", r"\1")
        most = _most(what, counts, named)
        # one unit for the column: those of another are left as they are, and so are no numbers
        same = pc.and_(named, pc.equal(pc.utf8_lower(what), most.lower()))
        bare, unit = pc.if_else(same, core, bare), unit or most
    return bare, unit


def _most(found: pa.Array, counts: NDArray[np.intp], where: pa.Array) -> str:
    """The text that most rows have, where something holds."""
    rows: dict[str, int] = {}
    for text, count, holds in zip(found.to_pylist(), counts, where.to_pylist(), strict=True):
        if holds:
            rows[text] = rows.get(text, 0) + int(count)
    return max(sorted(rows), key=lambda text: rows[text])


def _values(bare: pa.Array, mark: str) -> Floats:
    fits = pc.match_substring_regex(bare, _grouped(mark))
    digits = pc.if_else(fits, bare, pa.scalar(None, bare.type))
    digits = pc.replace_substring_regex(digits, rf"[{_SPACES}{',' if mark == '.' else '.'}]", "")
    digits = pc.replace_substring(digits, ",", ".")
    endless = pc.match_substring_regex(bare, _ENDLESS)
    if pc.any(endless).as_py():
        digits = pc.if_else(endless, bare, digits)
    digits = pc.replace_substring_regex(digits, r"^\+", "")
    return _floats(digits)


def _floats(digits: pa.Array) -> Floats:
    values: Floats = pc.cast(digits, pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
    return values


def is_ambiguous(found: NumberTexts) -> bool:
    """Whether both ways read the same texts, to other values."""
    both = np.isnan(found.point) == np.isnan(found.comma)
    return bool(both.all() and not np.array_equal(found.point, found.comma, equal_nan=True))


def habitual_mark(texts: pa.Array) -> str:
    """The mark that ambiguous texts speak for by how people and programs write, empty where they are open.

    Every separator among them has three digits behind it. Where some texts have no separator and others
    end in 0, they are thousands: decimals of a fixed number of digits would stand in every text, and
    decimals without trailing zeros would not end in 0. Where all have a point it is the decimal point, as
    programs write it. All else is open.

    >>> habitual_mark(pa.array(["1.125", "2.875"])), habitual_mark(pa.array(["12,340", "567"]))
    ('.', '.')
    >>> habitual_mark(pa.array(["12,345", "67,891"])), habitual_mark(pa.array(["1.125", "2"]))
    ('', '')
    """
    for mark, separator in ((".", ","), (",", ".")):
        holding = pc.sum(pc.match_substring(texts, separator)).as_py() or 0
        if not holding:
            continue
        ends = pc.any(pc.match_substring_regex(texts, rf"\{separator}\d\d0$")).as_py()
        if holding < len(texts) and ends:
            return mark
        return "." if separator == "." and holding == len(texts) else ""
    return "."


def are_codes(texts: pa.Array, counts: NDArray[np.intp], limit: float) -> bool:
    """Whether whole numbers with leading zeros are codes, such as 02139, and not one odd cell."""
    zero = pc.match_substring_regex(texts, _CODE).to_numpy(zero_copy_only=False)
    if not zero.any() or pc.any(pc.match_substring_regex(texts, r"[.,]")).as_py():
        return False
    digits = pc.match_substring_regex(texts, r"^\d+$").to_numpy(zero_copy_only=False)
    widths = np.unique(pc.utf8_length(texts).to_numpy(zero_copy_only=False)[digits])
    return len(widths) <= 1 or counts[zero].sum() > limit * counts.sum()


def plain_numbers(texts: pa.Array) -> Floats | None:
    """All texts as numbers where every one is plain, such as a program writes; None otherwise.

    Codes with leading zeros, whole numbers that are too large to be told apart as numbers, and texts that may be
    thousands are none.
    """
    head = pc.utf8_trim_whitespace(texts.slice(0, 1000).drop_null())
    if pc.sum(pc.match_substring_regex(head, _PLAIN)).as_py() != (len(head) or None):
        return None
    try:
        values = _floats(texts)
    except pa.ArrowInvalid:
        return None
    known = values[texts.is_valid().to_numpy(zero_copy_only=False)]
    if not np.isfinite(known).all():
        return None
    whole = bool(np.all(known == np.floor(known)))
    if whole and np.abs(known).max(initial=0) >= 2.0**53:
        return None
    if not whole and all(_GROUPED_POINT.fullmatch(text) for text in head.to_pylist()):
        return None  # 1.234 and 567: the column decides, not the text
    if whole and _digits(known) != pc.sum(pc.binary_length(texts)).as_py():  # zeros, signs or points as well
        odd = pc.match_substring_regex(texts, r"^\s*[+-]?0\d")
        return None if pc.any(odd).as_py() else values
    return values


def _digits(whole: Floats) -> int:
    """Characters that whole numbers have as a program writes them."""
    size = np.abs(whole)
    most = len(str(int(size.max(initial=0))))
    return len(whole) + int((whole < 0).sum()) + sum(int((size >= 10.0**k).sum()) for k in range(1, most))
