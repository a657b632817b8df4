"""What the search for leaks by distance costs.

``python tests/benchmarks/bench_copies.py [--rows N] [--rounds N] [--quick]``
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.records import desk

from counterproof.metrics.leakage.copies import copies
from counterproof.metrics.leakage.rare_values import rare_values
from counterproof.metrics.metric import Metric


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
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one round")
    given = parser.parse_args()
    rows, rounds = (500, 1) if given.quick else (given.rows, given.rounds)
    rng = np.random.default_rng(0)
    frames = {role: table(rng, rows) for role in ("train", "holdout", "synthetic")}
    width = desk(sources=frames).corpus.features.shape[1]
    print("## Copies and rare values: what the search costs\n")
    print(f"`python tests/benchmarks/bench_copies.py --rows {rows} --rounds {rounds}`\n")
    print(f"| metric | rows a role | encoded columns | CPU seconds, median of {rounds} |\n|---|---|---|---|")
    for metric in (copies, rare_values):
        spent = []
        for repeat in range(rounds):
            spent.append(cost(metric, frames))
            print(f"{metric.id} {repeat + 1}/{rounds}: {spent[-1]:.1f} s", file=sys.stderr)
        print(f"| {metric.id} | {rows} | {width} | {statistics.median(spent):.1f} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\nPeak memory of the process: {peak:.1f} GiB, tables and workbenches included.")
    print("Each time is alone: in an audit the distances of features come from the pass that other metrics share.")


if __name__ == "__main__":
    main()
