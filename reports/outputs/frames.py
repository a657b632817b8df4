"""A record as pandas frames: one row a measurement, or one row a gate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from counterproof.reports.gate_lines import line_of
from counterproof.reports.model import RecordData
from counterproof.reports.sentences import group_in_words, places_of

if TYPE_CHECKING:
    import pandas as pd

What = Literal["measurements", "gates"]
_NUMBER, _COUNT, _TEXT, _FLAG = "float64", "Int64", "str", "bool"
MEASUREMENTS: Mapping[str, str] = {
    "metric": _TEXT, "field": _TEXT, "group": _TEXT, "family": _TEXT, "title": _TEXT, "status": _TEXT,
    "value": _NUMBER, "low": _NUMBER, "high": _NUMBER, "unit": _TEXT, "better": _TEXT, "floor": _NUMBER,
    "floor_low": _NUMBER, "floor_high": _NUMBER, "expected": _NUMBER, "n": _COUNT, "n_by_sample": _TEXT,
    "level": _NUMBER, "method": _TEXT, "headline": _FLAG, "alarm": _TEXT, "reason": _TEXT, "algo": _COUNT,
    "protocol": _TEXT, "seconds": _NUMBER,
}  # fmt: skip
"""Columns of the measurements, with their types."""
GATES: Mapping[str, str] = {
    "expression": _TEXT, "metric": _TEXT, "field": _TEXT, "group": _TEXT, "family": _TEXT, "title": _TEXT,
    "verdict": _TEXT, "level": _TEXT, "value": _NUMBER, "low": _NUMBER, "high": _NUMBER, "operator": _TEXT,
    "limit": _NUMBER, "fail_limit": _NUMBER, "bound": _NUMBER, "floor": _NUMBER, "margin": _NUMBER,
    "n_needed": _COUNT, "cells": _COUNT, "cells_failed": _COUNT, "source": _TEXT, "part_of": _TEXT, "waiver": _TEXT,
    "why": _TEXT,
}  # fmt: skip
"""Columns of the gates, with their types."""


def frame_of(record: RecordData, what: What) -> pd.DataFrame:
    """Measurements or gates; see :meth:`counterproof.reports.record.Record.to_frame`."""
    import pandas as pd

    kinds = {"measurements": (MEASUREMENTS, _measurements), "gates": (GATES, _gates)}
    if what not in kinds:
        raise ValueError(f"there is no frame of {what!r}; there are {' and '.join(kinds)}")
    columns, rows = kinds[what]
    return pd.DataFrame(list(rows(record)), columns=list(columns)).astype(dict(columns))


def _measurements(record: RecordData) -> Iterator[dict[str, Any]]:
    for one in record.measurements:
        yield {
            **{name: getattr(one, name) for name in MEASUREMENTS if name in type(one).model_fields},
            "group": group_in_words(one.group),
            "floor": None if one.floor is None else one.floor.value,
            "floor_low": None if one.floor is None else one.floor.low,
            "floor_high": None if one.floor is None else one.floor.high,
            "expected": None if one.expected is None else one.expected.value,
            "n": one.rows if one.n else None,
            "n_by_sample": ", ".join(f"{sample} {n}" for sample, n in one.n.items()),
        }


def _gates(record: RecordData) -> Iterator[dict[str, Any]]:
    """Every gate; one that asks for several at once is followed by its members."""
    places = places_of(record.measurements)
    for gate in record.gates:
        for one, whole in [(gate, ""), *((member, gate.name) for member in gate.members)]:
            yield {
                **{name: getattr(one, name) for name in GATES if name in type(one).model_fields},
                "group": group_in_words(one.group),
                "title": line_of(record, one, places).title,
                "cells": len(one.cells),
                "cells_failed": sum(cell.verdict == "fail" for cell in one.cells),
                "waiver": one.waiver or "",
                "part_of": whole,
            }
