"""Text from data: without control characters, cut to length, numbers formatted."""

from __future__ import annotations

import re

from counterproof.reports.judgement import number

_BREAKS = re.compile(r"[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")
# Controls, bidirectional overrides, what XML forbids, halves of surrogate pairs (no encoder takes them).
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)


def printable(text: object) -> str:
    r"""One line without control characters, whatever the data hold.

    >>> printable("a\x1b[31mb\nc")
    'a[31mb c'
    """
    return _UNPRINTABLE.sub("", _BREAKS.sub(" ", str(text)))


def sentence(text: object) -> str:
    """With a capital, unless it begins with a name like ``utility.tstr``.

    >>> sentence("too far"), sentence("utility.tstr crashed")
    ('Too far', 'utility.tstr crashed')
    """
    line = printable(text)
    first = line.split(" ", 1)[0].rstrip(",:;")
    return line[:1].upper() + line[1:] if first.isalpha() else line


def counted(n: int, what: str) -> str:
    """A number with its noun.

    >>> counted(1, "column"), counted(1200, "row")
    ('1 column', '1,200 rows')
    """
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def clipped(text: object, length: int) -> str:
    """At most so many characters, printable.

    >>> clipped("abcdef", 4)
    'abc…'
    """
    line = printable(text)
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def path_end(path: object, length: int = 40) -> str:
    """A path by its last two parts where it is longer than so many characters.

    >>> path_end("data/train.csv"), path_end(".venv/lib/python3.11/site-packages/census/train.parquet")
    ('data/train.csv', '…/census/train.parquet')
    """
    line = printable(path)
    parts = line.split("/")
    return line if len(line) <= length or len(parts) < 4 else f"…/{'/'.join(parts[-2:])}"


def cell_text(value: object) -> str:
    """A value of an evidence table."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, float) else printable(value)


def interval(value: float | None, low: float | None, high: float | None, least: float | None = None) -> str:
    """A value with its interval; one below the least that the true value can be reads as that.

    >>> interval(0.5, 0.4, 0.61)
    '0.5 [0.4, 0.61]'
    >>> interval(-0.002, -0.01, 0.006, least=0)
    '0 within its error [0, 0.006]'
    """
    if value is None:
        return "–"
    if least is not None and value < least:
        reach = least if high is None else max(high, least)
        return f"{number(least)} within its error [{number(least)}, {number(reach)}]"
    return f"{number(value)} [{number(low)}, {number(high)}]"
