"""How readings are called: in ``record[...]`` and in gates alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from counterproof.reports.record import Reading


def names_of(reading: Reading) -> tuple[str, ...]:
    """The names a reading answers to: with its field, and without where it is the headline."""
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
