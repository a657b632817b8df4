"""What all leakage metrics by distance cost together, on one workbench as in an audit.

``OMP_NUM_THREADS=1 python tests/benchmarks/bench_leakage.py [--rows N] [--values] [--quick]``

Each metric is measured as the engine does: values with intervals, 20 null draws, planted controls.
The pass over features comes first: metrics of fidelity and coverage share it. What only leakage
metrics share is paid by the first that asks.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench_copies import table
from helpers.records import desk

from counterproof.measuring.measure import measure
from counterproof.metrics.leakage.authenticity import authenticity
from counterproof.metrics.leakage.closer_to_train import closer_to_train
from counterproof.metrics.leakage.copies import copies
from counterproof.metrics.leakage.data_copying import copying_test
from counterproof.metrics.leakage.likelihood_gap import likelihood_gap
from counterproof.metrics.leakage.membership import membership
from counterproof.metrics.leakage.nearest_neighbour_ratio import nearest_neighbour_ratio
from counterproof.metrics.metric import Metric
from counterproof.metrics.workbench import Workbench
from counterproof.run import one_thread

METRICS = (
    authenticity,
    closer_to_train,
    copies,
    copying_test,
    likelihood_gap,
    membership,
    nearest_neighbour_ratio,
)
AIM = 30.0
SHARED = "the pass over features, shared with fidelity and coverage"


def workbench(rows: int) -> Workbench:
    """Train, holdout and a release of fresh mixed rows: 79 encoded columns."""
    rng = np.random.default_rng(0)
    return desk(sources={role: table(rng, rows) for role in ("train", "holdout", "synthetic")})


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of all threads."""
    started = time.process_time()
    work()
    return time.process_time() - started


def cost(metric: Metric, bench: Workbench, *, values: bool) -> float:
    """CPU seconds that one metric adds to an audit."""
    params = metric.configure({})
    if values:
        return seconds(lambda: list(metric.values(bench, params)))
    return seconds(lambda: measure(metric, bench, params))


def memory() -> float:
    """Peak memory of the process in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Print one Markdown section."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--values", action="store_true", help="values alone: no null draws, no controls")
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    given = parser.parse_args()
    rows = 500 if given.quick else given.rows
    with one_thread():
        bench, before = workbench(rows), memory()
        spent = {SHARED: seconds(lambda: (bench.graph(), bench.kernel()))}
        spent |= {metric.id: cost(metric, bench, values=given.values) for metric in METRICS}
    total = sum(spent.values())
    print("## Leakage by distance: all metrics on one workbench\n")
    print(f"`{' '.join(['python tests/benchmarks/bench_leakage.py', *sys.argv[1:]])}`\n")
    print(f"{rows} rows each of train, holdout and release, {bench.corpus.features.shape[1]} encoded columns.\n")
    print("| what | CPU seconds, one thread |\n|---|---|")
    print("\n".join(f"| {name} | {taken:.1f} |" for name, taken in spent.items()))
    print(f"| **together** | **{total:.1f}** |\n")
    print(
        f"Half of it, as if two cores shared it: {total / 2:.1f} s; aimed at: {AIM:.0f} s at 20,000 rows on two cores."
    )
    print(f"Peak memory: {memory():.2f} GiB, of which {before:.2f} before any metric: tables, libraries, workbench.")


if __name__ == "__main__":
    main()
