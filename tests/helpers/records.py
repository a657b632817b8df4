"""Benches that the audit itself sets, from frames or arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from counterproof.config import Run
from counterproof.loading.load import take_in
from counterproof.measuring.measure import measure
from counterproof.measuring.workbench_setup import set_bench
from counterproof.metrics.estimate import Measurement
from counterproof.metrics.metric import Metric
from counterproof.metrics.workbench import Workbench


def desk(
    *,
    label: str | None = None,
    groups: Sequence[str] = (),
    cluster: str | None = None,
    sources: dict[str, Any],
    **run: Any,
) -> Workbench:
    """The workbench of an audit of these roles."""
    return set_bench(take_in(sources, label=label, groups=groups, cluster=cluster), Run(**run))


def measured(metric: Metric, bench: Workbench) -> dict[tuple[str, tuple[tuple[str, str | None], ...]], Measurement]:
    """Everything the engine makes of one metric, by field and group."""
    return {(m.field, m.group): m for m in measure(metric, bench, metric.configure({}))}


def normal_rows(n: int, seed: int, columns: str = "abcd") -> pd.DataFrame:
    """Correlated normal columns: no two rows are equal."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, len(columns))) + 0.7 * rng.normal(size=(n, 1))
    return pd.DataFrame(values, columns=list(columns))


def three(make: Callable[[int, int], pd.DataFrame], n: int, seed: int) -> dict[str, pd.DataFrame]:
    """Train, holdout and a release of fresh rows: what a perfect generator would give."""
    return {role: make(n, 1000 * seed + at) for at, role in enumerate(("train", "holdout", "synthetic"))}
