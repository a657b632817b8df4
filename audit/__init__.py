"""counterproof audits synthetic data before it is released.

Five questions, each answered with an interval, a real-vs-real floor, evidence and a verdict: is it
faithful, is everything there, does it give real records away, is it fair, does it do the job of
real data.

>>> import counterproof as cp
>>> sorted(cp.__all__)[:3]
['GateError', 'Judgement', 'Metric']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from counterproof.group_frame import metric_frame
    from counterproof.judging.tokens import GateError
    from counterproof.metrics.estimate import Estimate
    from counterproof.metrics.metric import Metric, Needs, Tolerance, Value, metric
    from counterproof.refusal import Refusal
    from counterproof.reports.judgement import Judgement
    from counterproof.reports.record import Record
    from counterproof.run import audit, audit_config


# Loaded when first asked for: the command line and the pytest plugin must start without torch.
_HOMES = {
    "metric_frame": "counterproof.group_frame",
    "GateError": "counterproof.judging.grammar",
    "Estimate": "counterproof.metrics.estimate",
    "Metric": "counterproof.metrics.metric",
    "Needs": "counterproof.metrics.metric",
    "Tolerance": "counterproof.metrics.metric",
    "Value": "counterproof.metrics.metric",
    "metric": "counterproof.metrics.metric",
    "Refusal": "counterproof.refusal",
    "Judgement": "counterproof.reports.judgement",
    "Record": "counterproof.reports.record",
    "audit": "counterproof.run",
    "audit_config": "counterproof.run",
}
__all__ = [
    "Estimate",
    "GateError",
    "Judgement",
    "Metric",
    "Needs",
    "Record",
    "Refusal",
    "Tolerance",
    "Value",
    "audit",
    "audit_config",
    "metric",
    "metric_frame",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'counterproof' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
