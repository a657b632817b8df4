"""The Vendi score of a release: how many records of wholly different kinds it is worth."""

from collections.abc import Iterator

import numpy as np

from counterproof import Estimate, Needs, Tolerance, Value, metric
from counterproof.metrics.workbench import Workbench

WHY = "an honest release is as varied as real rows but for the luck of sampling"


def score(rows: np.ndarray, q: float) -> float:
    """Exponential of the order-q entropy of the similarities' eigenvalues (arXiv:2210.02410, 2310.12952)."""
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    shares = np.clip(np.linalg.eigvalsh(unit @ unit.T / len(unit)), 1e-15, None)
    return float(np.exp(-(shares * np.log(shares)).sum() if q == 1 else np.log((shares**q).sum()) / (1 - q)))


@metric(
    id="acme.vendi",
    family="coverage",
    better="higher",
    unit="kinds",
    needs=Needs(smallest_n=1000),
    tolerances=[Tolerance(field="excess", operator="<=", limit=1.0, reason=WHY)],
)
def vendi(bench: Workbench, *, q: float = 1.0) -> Iterator[Value]:
    """Mean over ten disjoint tenths (at most 300 rows each), whose spread gives the interval."""
    order = bench.generator("acme.vendi").permutation(len(bench.candidate))[:3000]
    scores = [score(bench.candidate.features[tenth], q) for tenth in np.array_split(order, 10)]
    error = float(np.std(scores, ddof=1)) / 10**0.5 * 2.262 / 1.960  # Student's t with nine degrees
    yield Value(estimate=Estimate.normal(float(np.mean(scores)), error, method="ten tenths"), n=bench.sizes)
