"""The default policy: the tolerances that metrics declare, as gates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from counterproof.judging.grammar import Gate, Limit
from counterproof.metrics.metric import Tolerance


class Declares(Protocol):
    """Anything that has an id and declares tolerances: a metric."""

    @property
    def id(self) -> str:
        """Metric id."""

    @property
    def tolerances(self) -> Sequence[Tolerance]:
        """Its gates in the default policy."""


def policy_gates(metrics: Iterable[Declares]) -> list[Gate]:
    """The gates that these metrics declare, in their order, written in the gate grammar."""
    return [_declared(metric.id, tolerance) for metric in metrics for tolerance in metric.tolerances]


def _declared(metric: str, tolerance: Tolerance) -> Gate:
    gate = Gate(
        metric=metric,
        field=tolerance.field,
        cells=tolerance.cells,
        operator=tolerance.operator,
        limit=Limit(value=float(tolerance.limit)),
        fail=tolerance.fail,
        level=tolerance.level,
        source="policy",
        tolerance_reason=tolerance.reason,
        widest=tolerance.widest,
    )
    return replace(gate, expression=str(gate))
