"""Group keys: which group of people a reading is about, apart from learners and rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from counterproof.reports.model import Reading, RecordData

BETWEEN = " – "  # the two groups of a pair
GroupValues = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupReading:
    """A reading and the group it is about.

    Attributes:
        place: The group, by the group columns in their order.
        against: The group it is compared with, if any.
        other_keys: Its other keys, such as the learner, in words.
        reading: The reading.
    """

    place: GroupValues
    against: str
    other_keys: str
    reading: Reading


def group_columns(record: RecordData) -> list[str]:
    """The group columns of the audit."""
    data = record.manifest.config.get("data")
    found = data.get("groups") if isinstance(data, dict) else None
    return [str(name) for name in found] if isinstance(found, (list, tuple)) else []


def readings_by_group(record: RecordData) -> list[GroupReading]:
    """Readings of single groups; other keys (a learner, a rate) are kept as text; those by label are left out."""
    names, data = group_columns(record), record.manifest.config.get("data")
    label = str(data.get("label")) if isinstance(data, dict) else None
    known: dict[tuple[str, str], GroupValues] = {}
    found: list[tuple[GroupValues, Reading]] = []
    for reading in record.measurements:
        if label in reading.group and label not in names:
            continue
        place = _place(reading, names)
        if place:
            found.append((place, reading))
            if reading.better != "zero":
                known.setdefault(named(place), place)
    return [_group_reading(place, reading, known, names) for place, reading in found]


def named(place: GroupValues) -> tuple[str, str]:
    """Columns and values, each as one name.

    >>> named((("sex", "F"), ("race", "Black")))
    ('sex, race', 'F, Black')
    """
    return ", ".join(column for column, _ in place), ", ".join(value for _, value in place)


def _place(reading: Reading, names: Sequence[str]) -> GroupValues:
    """The group of a reading: values of group columns, or of several of them under a joint name."""
    keys = [(column, value) for column, value in reading.group.items() if _is_group(column, names)]
    if any(value is None for _, value in keys):
        return ()
    return tuple((column, str(value)) for column, value in keys)


def _is_group(column: str, names: Sequence[str]) -> bool:
    return column in names or (", " in column and all(part in names for part in column.split(", ")))


def _group_reading(
    place: GroupValues, reading: Reading, known: Mapping[tuple[str, str], GroupValues], names: Sequence[str]
) -> GroupReading:
    """A change between two groups belongs to the first, compared with the second."""
    other_keys = ", ".join(f"{c} {v}" for c, v in reading.group.items() if not _is_group(c, names))
    column, value = named(place)
    if reading.better == "zero" and (column, value) not in known:
        parts = value.split(BETWEEN)
        for cut in range(1, len(parts)):
            one, other = BETWEEN.join(parts[:cut]), BETWEEN.join(parts[cut:])
            if (column, one) in known and (column, other) in known:
                return GroupReading(place=known[column, one], against=other, other_keys=other_keys, reading=reading)
    return GroupReading(place=known.get((column, value), place), against="", other_keys=other_keys, reading=reading)
