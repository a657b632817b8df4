"""Axes: positions of numbers in a drawing."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A linear or logarithmic axis from ``low`` to ``high``, drawn from ``start`` to ``end``.

    >>> Axis(low=0, high=10, start=0, end=100)(2.5)
    25.0
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The position of a value; values beyond the axis are placed at its end."""
        low, high, value = (self._turned(v) for v in (self.low, self.high, max(value, self._least())))
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Whether a value lies on the axis."""
        return self.low <= value <= self.high

    def ticks(self, count: int = 5) -> list[float]:
        """Round numbers along the axis, about so many."""
        if self.log:
            steps = [m * 10.0**e for e in range(-12, 13) for m in (1, 2, 5)]
            inside = [value for value in steps if self.holds(value)]
            return inside[:: max(1, math.ceil(len(inside) / count))]
        step = _round_step((self.high - self.low) / max(1, count))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(k * step, 12) for k in range(first, last + 1)]

    def _turned(self, value: float) -> float:
        return math.log(value) if self.log else value

    def _least(self) -> float:
        return min(self.low, self.high) if self.log else -math.inf


def _round_step(raw: float) -> float:
    if raw <= 0 or not math.isfinite(raw):
        return 1.0
    power = 10.0 ** math.floor(math.log10(raw))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))


def axis_over(
    values: Iterable[float | None], start: float, end: float, *, log: bool = False, pad: float = 0.06
) -> Axis:
    """An axis that holds all the values with a little room; log only where all are positive."""
    known = [value for value in values if value is not None and math.isfinite(value)] or [0.0, 1.0]
    low, high = min(known), max(known)
    if log and low > 0:
        room = (high / low) ** pad if high > low else 1.5
        return Axis(low=low / room, high=high * room, start=start, end=end, log=True)
    room = (high - low) * pad or abs(high) * 0.5 or 1.0
    return Axis(low=low - room, high=high + room, start=start, end=end)
