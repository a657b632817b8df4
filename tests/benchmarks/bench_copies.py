"""What the search for copies and rare values costs: ``python tests/benchmarks/bench_copies.py [ROWS]``."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from desks import desk

from counterproof.metrics.copies import copies
from counterproof.metrics.metric import Metric
from counterproof.metrics.rare_values import rare_values

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
REPEATS = 5


def table(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Seven numbers and eight categories of nine levels: 79 encoded columns."""
    talent = rng.normal(size=n)
    numbers = {f"n{i}": np.round(0.6 * talent + rng.normal(size=n), 3) for i in range(7)}
    edges = np.linspace(-2, 2, 8)
    kinds = {f"c{i}": np.array(list("abcdefghi"))[np.digitize(talent + rng.normal(size=n), edges)] for i in range(8)}
    return pd.DataFrame({**numbers, **kinds})


def cost(metric: Metric, frames: dict[str, pd.DataFrame]) -> float:
    """CPU seconds of one measurement on a workbench of its own."""
    bench = desk(sources=frames)
    started = time.process_time()
    list(metric.values(bench, metric.configure({})))
    return time.process_time() - started


def main() -> None:
    """Print one Markdown section."""
    rng = np.random.default_rng(0)
    frames = {role: table(rng, ROWS) for role in ("train", "holdout", "synthetic")}
    width = desk(sources=frames).corpus.features.shape[1]
    print("## Copies and rare values: what the search costs\n")
    print(f"`python tests/benchmarks/bench_copies.py {ROWS}`\n")
    print("| metric | rows a role | encoded columns | CPU seconds, median of five |\n|---|---|---|---|")
    for metric in (copies, rare_values):
        spent = []
        for repeat in range(REPEATS):
            spent.append(cost(metric, frames))
            print(f"{metric.id} {repeat + 1}/{REPEATS}: {spent[-1]:.1f} s", file=sys.stderr)
        print(f"| {metric.id} | {ROWS} | {width} | {statistics.median(spent):.1f} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"\nPeak memory of the process: {peak:.1f} GiB, the tables and five workbenches one after the other included."
    )
    print("Each time is alone: in an audit the distances of features come from the pass that other metrics share.")


if __name__ == "__main__":
    main()
