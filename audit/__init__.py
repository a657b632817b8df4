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
    from counterproof.frames import metric_frame as metric_frame
    from counterproof.grammar import GateError as GateError
    from counterproof.metrics.estimate import Estimate as Estimate
    from counterproof.metrics.metric import Metric as Metric
    from counterproof.metrics.metric import Needs as Needs
    from counterproof.metrics.metric import Tolerance as Tolerance
    from counterproof.metrics.metric import Value as Value
    from counterproof.metrics.metric import metric as metric
    from counterproof.refusal import Refusal as Refusal
    from counterproof.reports.judgement import Judgement as Judgement
    from counterproof.reports.record import Record as Record
    from counterproof.run import audit as audit
    from counterproof.run import audit_config as audit_config

# Loaded when first asked for: the command line and the pytest plugin must start without torch.
_HOMES = {
    "metric_frame": "counterproof.frames",
    "GateError": "counterproof.grammar",
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
