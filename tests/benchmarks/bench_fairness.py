"""Intervals of gaps between groups against Fairlearn's bootstrap, and what downstream fairness costs; run it by hand.

``python tests/benchmarks/bench_fairness.py [--rows N,N,…] [--audit N] [--quick]``
Both get the same decisions by group. Every figure is CPU seconds of one thread.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from helpers.records import desk
from simulations.simulate_gap_coverage import stratum_of

from counterproof.metrics.fairness._group_rates.assessment import Comparison
from counterproof.metrics.fairness._group_rates.rates import (
    FALSE_POSITIVE,
    SELECTION,
    TRUE_POSITIVE,
    Rate,
    share_table,
)
from counterproof.metrics.fairness._group_rates.values import gap_difference, gap_ratio
from counterproof.metrics.metric import load

BOOTS, GROUPS = 100, 10
RATES = {"selection_rate": SELECTION, "true_positive_rate": TRUE_POSITIVE, "false_positive_rate": FALSE_POSITIVE}
METRICS = (
    "demographic_parity_difference",
    "equal_opportunity_difference",
    "equalized_odds_difference",
    "predictive_parity_difference",
    "calibration_difference",
    "worst_group_accuracy",
)


def decisions(n: int, seed: int = 0) -> dict[str, Any]:
    """Groups, truth and decisions of one model that treats all groups alike."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.4
    return {"group": rng.integers(0, GROUPS, n), "truth": truth, "decided": rng.random(n) < 0.2 + 0.5 * truth}


def ours(rows: dict[str, Any], rate: Rate) -> tuple[Any, Any]:
    """Difference and ratio with their simultaneous intervals, from the rows on."""
    state = (rows["group"] * 2 + rows["truth"]) * 2 + rows["decided"]
    counts = np.zeros((GROUPS, 2, 2, 2), dtype=np.intp)
    counts[..., 0] = np.bincount(state, minlength=4 * GROUPS).reshape(GROUPS, 2, 2)
    table = share_table(stratum_of(GROUPS), counts, rate)
    return gap_difference([table], "real", 0.95, Comparison()), gap_ratio([table], "real", 0.95, Comparison())


def theirs(rows: dict[str, Any], name: str) -> tuple[Any, Any]:
    """The same by Fairlearn: points, and percentiles of the bootstrap."""
    from fairlearn import metrics

    frame = metrics.MetricFrame(
        metrics=getattr(metrics, name),
        y_true=rows["truth"],
        y_pred=rows["decided"],
        sensitive_features=rows["group"],
        n_boot=BOOTS,
        ci_quantiles=[0.025, 0.975],
        random_state=0,
    )
    return (frame.difference(), frame.difference_ci()), (frame.ratio(), frame.ratio_ci())


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of one run, and what came of it."""
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def intervals(sizes: list[int]) -> None:
    """The table against Fairlearn."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import fairlearn
    except Exception as error:
        print(f"Fairlearn cannot be imported here: {type(error).__name__}.\n")
        return
    print(f"Fairlearn {fairlearn.__version__}, n_boot={BOOTS}, {GROUPS} groups all treated alike: the gap is 0.\n")
    print("| rows | rate | Fairlearn CPU s | ours CPU s | times as fast | Fairlearn's interval | ours |")
    print("|---|---|---|---|---|---|---|")
    for n in sizes:
        rows = decisions(n)
        for name, rate in RATES.items():
            peer, ((point, ends), _) = seconds(lambda name=name, rows=rows: theirs(rows, name))
            own, (gap, _) = min(
                (seconds(lambda rate=rate, rows=rows: ours(rows, rate)) for _ in range(5)), key=lambda x: x[0]
            )
            assert abs(gap.value - point) < 1e-12
            spans = f"[{ends[0]:.3f}, {ends[1]:.3f}] | [{gap.low:.3f}, {gap.high:.3f}]"
            print(f"| {n:,} | {name} | {peer:.2f} | {own:.5f} | {peer / own:,.0f} | {spans} |")


def people(n: int, seed: int) -> pd.DataFrame:
    """Two classes that depend on ten columns, four of them groups."""
    rng = np.random.default_rng(seed)
    made = {"sex": rng.choice(["F", "M"], n), "race": rng.choice(list("abcde"), n, p=[0.5, 0.25, 0.15, 0.08, 0.02])}
    made |= {"age": rng.integers(18, 80, n), "state": rng.choice([f"s{i}" for i in range(12)], n)}
    x = rng.normal(size=(n, 6))
    odds = x[:, 0] + x[:, 1] * x[:, 2] + 0.02 * (made["age"] - 45) - 0.5 * (made["race"] == "b")
    made["hired"] = np.where(rng.random(n) < 1 / (1 + np.exp(-odds)), "yes", "no")
    return pd.DataFrame(made | {f"x{i}": x[:, i] for i in range(6)})


def audit(n: int) -> None:
    """What all metrics of downstream fairness cost on real rows of this number."""
    roles = {"train": people(n // 2, 1), "holdout": people(n - n // 2, 2), "synthetic": people(n // 2, 3)}
    bench = desk(sources=roles, label="hired", groups=["sex", "race", "age", "state"], intersections=3)
    print(f"\n{n:,} real rows, {n // 2:,} of the release, four group columns, crossed by three; two learners:\n")
    print("| metric | CPU s | values |\n|---|---|---|")
    total = 0.0
    for name in METRICS:
        metric = load(f"fairness.{name}")
        took, values = seconds(lambda metric=metric: list(metric.values(bench, metric.configure({}))))
        total += took
        print(f"| {name} | {took:.1f} | {len(values):,} |", flush=True)
    print(f"| all | {total:.1f} | |")


def main() -> None:
    """Print the section."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", default="1000,10000")
    options.add_argument("--audit", type=int, default=200_000)
    options.add_argument("--quick", action="store_true", help="tiny sizes, to see that it still runs")
    asked = options.parse_args()
    print("## Downstream fairness: intervals and cost\n")
    print(f"`python tests/benchmarks/bench_fairness.py {' '.join(sys.argv[1:])}`\n")
    sizes = [200] if asked.quick else [int(n) for n in asked.rows.split(",")]
    intervals(sizes)
    audit(1500 if asked.quick else asked.audit)


if __name__ == "__main__":
    main()
