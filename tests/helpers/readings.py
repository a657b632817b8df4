"""Readings made up for tests of gates and verdicts."""

from __future__ import annotations

from typing import Any

from counterproof.reports.model import FloorReading, Manifest, Reading, RoleReading
from counterproof.reports.record import Record

Z = 1.959963984540054


def reading(
    metric: str = "fidelity.precision", value: float | None = 0.5, *, error: float = 0.01, **more: Any
) -> Reading:
    """A reading with a normal interval."""
    interval = {} if value is None else {"value": value, "low": value - Z * error, "high": value + Z * error}
    defaults: dict[str, Any] = {
        "family": metric.partition(".")[0],
        "headline": more.get("field", "value") == "value",
        "n": {"reference": 2000, "candidate": 2000},
    }
    return Reading(metric=metric, **(defaults | interval | more))


def floor(value: float, spread: float) -> FloorReading:
    """A floor with a normal null."""
    return FloorReading(value=value, low=value - Z * spread, high=value + Z * spread, spread=spread, draws=20)


def record(*measurements: Reading, verdict: str = "pass") -> Record:
    """A record that holds these measurements and no gates."""
    return Record(verdict=verdict, families={}, measurements=list(measurements), gates=[], manifest=Manifest())


def manifest(*roles: str, **config: Any) -> Manifest:
    """A manifest of an audit with these roles."""
    return Manifest(roles=[RoleReading(role=r, source=r, rows=1, digest="0") for r in roles], config=config)
