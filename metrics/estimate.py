"""What a measurement is: a value that never comes without its interval."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

Better = Literal["lower", "higher", "zero"]
Status = Literal["measured", "not_assessable", "not_applicable", "error"]
Side = Literal["low", "high"]
Scale = Literal["linear", "log"]
Telling = Literal["schema", "copies", "missing", "column", "loss", "detail"]
"""Kinds of failures, the most telling first."""
Group = tuple[tuple[str, str | None], ...]
"""Where a measurement was taken: ``(("sex", "F"), ("income", ">50K"))``; a column without a
value (``(("sex", None),)``) means the column as a whole, ``()`` the data set as a whole."""


def normal_quantile(confidence: float) -> float:
    """The standard normal quantile of a one-sided confidence.

    >>> round(normal_quantile(0.95), 3)
    1.645
    """
    return NormalDist().inv_cdf(confidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value with a two-sided interval.

    Attributes:
        value: The point estimate.
        low: Lower end of the two-sided interval.
        high: Upper end.
        level: Confidence of the two-sided interval.
        method: How the interval was made, in words.
        scale: Where the interval is about symmetric: shares and distances on the ``linear``
            scale, ratios on the ``log`` scale.

    >>> e = Estimate(value=0.0, low=-1.96, high=1.96, level=0.95, method="normal")
    >>> round(e.bound("high", 0.95), 2)
    1.64
    """

    value: float
    low: float
    high: float
    level: float = 0.95
    method: str = "normal"
    scale: Scale = "linear"

    @classmethod
    def normal(
        cls, value: float, error: float, *, level: float = 0.95, method: str = "normal", scale: Scale = "linear"
    ) -> Estimate:
        """An interval from a standard error (of the logarithm, on the log scale)."""
        reach = normal_quantile(0.5 + level / 2) * error
        if scale == "log":
            return cls(
                value=value,
                low=value * math.exp(-reach),
                high=value * math.exp(min(reach, 700.0)),
                level=level,
                method=method,
                scale=scale,
            )
        return cls(value=value, low=value - reach, high=value + reach, level=level, method=method)

    @classmethod
    def point(cls, value: float, *, level: float = 0.95, method: str = "normal") -> Estimate:
        """A value without width: of a re-split, of which only values are wanted, or a count."""
        return cls(value=value, low=value, high=value, level=level, method=method)

    def bound(self, side: Side, confidence: float) -> float:
        """The one-sided bound at another confidence.

        Each side of the interval is stretched by the ratio of normal quantiles: exact for normal
        intervals, an approximation for exact and skewed ones (which keep their asymmetry).
        """
        stretch = normal_quantile(confidence) / normal_quantile(0.5 + self.level / 2)
        end = self.low if side == "low" else self.high
        if self.scale == "log" and self.value > 0 and end > 0:
            return self.value * math.exp(math.log(end / self.value) * stretch)
        return self.value + (end - self.value) * stretch


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """What real data reach against real data: the null of a perfect generator.

    Attributes:
        value: Mean over the re-splits.
        low: 2.5 % point of a normal null with this spread.
        high: 97.5 % point.
        spread: Standard deviation over the re-splits.
        draws: How many re-splits.
        error: Mean standard error of the metric's own interval on re-splits, to its worse side; 0 for points.
    """

    value: float
    low: float
    high: float
    spread: float
    draws: int
    error: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a faithful release would show at the sizes of the real rows, known from real rows alone.

    Attributes:
        value: Mean of the estimate.
        spread: Standard deviation of the estimate over faithful releases.
        error: Standard error of its interval.
    """

    value: float
    spread: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Rows behind a measurement, as a small table.

    Attributes:
        title: What the table shows.
        columns: Column headings.
        rows: Cells: strings, numbers or None.
        note: One sentence on how to read it.
        shows_real: The cells hold contents of real records (only ever made with ``show_real``).
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""
    shows_real: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """All that one figure needs; the report computes nothing.

    ``kind`` is one of ``marginals``, ``map``, ``pairs``, ``cells``, ``forest``, ``bars``, ``curves``,
    ``mosaic``; the shape of ``data`` for each stands in ``reports/figures/draw.py``.
    """

    kind: Literal["marginals", "map", "pairs", "cells", "forest", "bars", "curves", "mosaic"]
    title: str
    data: Mapping[str, Any]
    note: str = ""
    shows_real: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What a metric made of a leak that was planted in a copy of the release: its power, tried out.

    Attributes:
        kind: What was planted.
        planted: How many, 0 where none could be.
        found: Whether the metric saw them; None where nothing was planted.
        told: The same in words.
    """

    kind: str
    planted: int
    found: bool | None
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One measured quantity with everything a verdict and a reader need.

    Attributes:
        metric: Metric id, ``family.name``.
        field: Which of the metric's quantities.
        group: Where it was taken.
        estimate: Value and interval, or None when the status is not ``measured``.
        floor: Real against real, or None where the metric has no such null.
        anchor: The same metric where joint structure was destroyed, for unbounded metrics.
        n: Rows used, by role.
        better: Which direction is good; ``zero`` for signed changes.
        unit: What the numbers are in.
        status: ``measured``, ``not_assessable``, ``not_applicable`` or ``error``.
        reason: Why it could not be measured, or a remark on how it was.
        alarm: A fact that fails a gate whatever the interval says (exact copies, an empty cell).
        decidable: Whether a faithful release would pass here with high probability.
        expected: What a faithful release would show, where that is known: gates tell from it whether they can decide.
        smallest_n: Rows a side below which a gate on it cannot pass.
        headline: Whether a gate without a field means this one.
        evidence: Tables of what is behind it.
        panels: Figures.
        controls: Leaks that were planted, and whether the metric saw them: one that did not is blind.
        seconds: How long the metric took.
        algo: Version of the algorithm.
        params: The metric's parameters.
        protocol: Encoder and distance conventions behind the number.
        cached: Whether it came from a cache.
        least: The least that the true value can be, where an estimate may fall below it by chance.
        left_out: Columns of a table that the metric reads as a rule, and could not read here.
    """

    metric: str
    field: str = "value"
    group: Group = ()
    estimate: Estimate | None = None
    floor: Floor | None = None
    anchor: float | None = None
    n: Mapping[str, int] = dataclasses.field(default_factory=dict)
    better: Better = "lower"
    unit: str = ""
    status: Status = "measured"
    reason: str = ""
    alarm: str = ""
    decidable: bool = True
    expected: Expected | None = None
    smallest_n: int = 0
    headline: bool = False
    evidence: tuple[Evidence, ...] = ()
    panels: tuple[Panel, ...] = ()
    controls: tuple[Control, ...] = ()
    seconds: float = 0.0
    algo: int = 1
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    protocol: str = ""
    cached: bool = False
    least: float | None = None
    left_out: tuple[str, ...] = ()
