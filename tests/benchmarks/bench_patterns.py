"""What counting groups costs: representation and uncovered patterns, with all their re-splits.

``python tests/benchmarks/bench_patterns.py [--quick]``
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import argparse
import resource
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.workbenches import bench

from counterproof.measuring.measure import measure
from counterproof.metrics.coverage.representation import representation
from counterproof.metrics.coverage.uncovered_patterns import uncovered
from counterproof.metrics.workbench import Workbench


def census(n: int) -> Workbench:
    """Four group columns of 2, 5, 5 and 9 values and a label, crossed to order 3."""
    rng = np.random.default_rng(0)
    groups = {
        "sex": rng.integers(0, 2, 3 * n),
        "race": rng.choice(5, 3 * n, p=[0.6, 0.2, 0.1, 0.06, 0.04]),
        "age": rng.integers(0, 5, 3 * n),
        "region": rng.integers(0, 9, 3 * n),
    }
    return _bench(n, groups, intersections=3)


def flags(n: int, columns: int) -> Workbench:
    """Columns of two values, one of them the label."""
    rng = np.random.default_rng(1)
    return _bench(n, {f"g{i}": rng.random(3 * n) < rng.uniform(0.1, 0.9) for i in range(columns - 1)})


def _bench(n: int, groups: dict[str, np.ndarray], **options: int) -> Workbench:
    x = np.zeros((n, 1))
    labels = (np.random.default_rng(2).random(3 * n) < 0.3).astype(int).astype("U1")
    table = {name: column.astype(int).astype("U1") for name, column in groups.items()}
    return bench(x, x, x, groups=table, label="y", labels=labels, **options)


def main() -> None:
    """Print one Markdown section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    n, columns = (2000, 6) if quick else (200_000, 13)
    print("## Groups and patterns\n")
    print(f"Train, holdout and release of {n:,} rows each; one thread; 20 re-splits included (`bench_patterns.py`).\n")
    print("| data | metric | patterns | CPU seconds |\n|---|---|---|---|")
    wide = f"{columns} columns of two values"
    for name, make, metric, options in (
        ("4 groups and a label", census, representation, {}),
        ("4 groups and a label", census, uncovered, {}),
        (wide, flags, uncovered, {}),
        (f"{wide}, all orders", flags, uncovered, {"order": columns}),
    ):
        at = census(n) if make is census else flags(n, columns)
        start = time.process_time()
        found = measure(metric, at, metric.configure(options))
        cost = time.process_time() - start
        count = next((f"{m.estimate.value:,.0f}" for m in found if m.field == "maximal" and m.estimate), "–")
        print(f"| {name} | {metric.id} | {count} | {cost:.1f} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nPeak memory of the process: {peak:,.0f} MB.")


if __name__ == "__main__":
    main()
