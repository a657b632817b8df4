"""What published libraries call protected, and what an audit says of it: copies, leaks and collapse.

The tables are made here. Where SDMetrics is installed its score of the same tables is asserted too
(0.32: https://github.com/sdv-dev/SDMetrics/issues/934).
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
import pytest

import counterproof as cp
from counterproof.reports.record import Record

N = 1200
Frames = dict[str, pd.DataFrame]
peer = pytest.mark.skipif(find_spec("sdmetrics") is None, reason="SDMetrics is not installed")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))


def mixed(n: int, seed: int) -> pd.DataFrame:
    """Fifteen dependent columns: numbers, whole numbers and categories."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 4))
    seen = latent @ np.random.default_rng(0).normal(size=(4, 15)) + rng.normal(size=(n, 15))
    numbers = {f"x{i}": seen[:, i] for i in range(5)}
    whole = {f"n{i}": np.round(10 * np.exp(seen[:, 5 + i] / 3)) for i in range(4)}
    edges = [-1.0, 0.0, 1.0]
    words = {f"c{i}": np.array(list("abcd"))[np.digitize(seen[:, 9 + i], edges)] for i in range(6)}
    return pd.DataFrame({**numbers, **whole, **words})


def tables(kind: str) -> Frames:
    train, holdout, fresh = (mixed(N, seed) for seed in (1, 2, 3))
    rng = np.random.default_rng(4)
    if kind == "copy":
        made = train.sample(frac=1, random_state=0).reset_index(drop=True)
    elif kind == "leak":
        made = pd.concat([train.iloc[rng.permutation(N)[: N // 10]], fresh.iloc[N // 10 :]], ignore_index=True)
    elif kind == "collapse":
        made = fresh.iloc[rng.integers(0, 20, N)].reset_index(drop=True)
        made[["x0", "x1", "x2"]] += 0.05 * rng.normal(size=(N, 3))
    else:
        made = fresh
    return {"train": train, "holdout": holdout, "synthetic": made}


@cache
def audited(kind: str) -> Record:
    metrics = ["leakage.copies", "leakage.closer_to_train", "leakage.authenticity", "coverage.coverage"]
    return cp.audit(**tables(kind), metrics=metrics)


def verdicts(kind: str, metric: str) -> set[str]:
    """The verdicts of all gates on one metric."""
    return {gate.verdict for gate in audited(kind).gates if gate.metric == metric}


# -- what an audit says ----------------------------------------------------------------------------


def test_a_verbatim_copy_fails_and_is_counted_whole() -> None:
    record = audited("copy")
    assert record.verdict == "fail"
    assert f"{N} distinct training records stand in the release against 0 of the holdout" in record.because
    assert record["leakage.copies"].value == pytest.approx(1.0, abs=0.01)
    assert record["leakage.closer_to_train"].value == 1.0
    assert record["leakage.authenticity"].value == 0.0


def test_a_leak_of_ten_percent_fails_and_is_counted() -> None:
    found = audited("leak")["leakage.copies"]
    assert "fail" in verdicts("leak", "leakage.copies")
    assert found.value == pytest.approx(0.1, abs=0.005)
    assert found.low is not None
    assert found.low > 0.07


def test_a_collapsed_release_fails_for_its_collapse_and_not_for_copies() -> None:
    assert verdicts("collapse", "leakage.copies") == {"pass"}
    assert "fail" in verdicts("collapse", "coverage.coverage")
    share = audited("collapse")["leakage.closer_to_train"]
    assert share.low is not None
    assert share.high is not None
    assert share.low < 0.5 < share.high


def test_a_fresh_release_passes() -> None:
    assert audited("fresh").verdict == "pass"


# -- what SDMetrics says ---------------------------------------------------------------------------


def protection(kind: str, **options: Any) -> float:
    """SDMetrics' protection from overfitting, 1 the best."""
    from sdmetrics.single_table import DCROverfittingProtection

    frames = tables(kind)
    kinds = {c: {"sdtype": "categorical" if c[0] == "c" else "numerical"} for c in frames["train"]}
    found = DCROverfittingProtection.compute_breakdown(
        real_training_data=frames["train"],
        real_validation_data=frames["holdout"],
        synthetic_data=frames["synthetic"],
        metadata={"tables": {"records": {"columns": kinds}}},
        table_name="records",
        **options,
    )
    return float(found["score"])


@peer
@pytest.mark.parametrize("kind", ["copy", "leak"])
def test_sdmetrics_calls_copies_protected_where_it_subsamples_the_reference(kind: str) -> None:
    # 120 of 1,200 rows are drawn of each table, so that hardly a copy meets the row it was copied from:
    # of 2,000 rows it scored .85 for the copy and .95 for the leak; without subsampling 0 for the copy
    assert protection(kind, num_rows_subsample=120, num_iterations=5) > 0.6
