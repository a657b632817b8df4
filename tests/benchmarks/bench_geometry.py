"""What the shared neighbour, kernel and Fréchet work of one audit costs; run it by hand.

``OMP_NUM_THREADS=1 python tests/benchmarks/bench_geometry.py [rows] [dimensions]``
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from benches import bench

from counterproof.metrics.frechet import frechet_distance
from counterproof.metrics.kernel import kernel_distance
from counterproof.metrics.manifold import coverage, density, precision, recall

METRICS = (precision, density, recall, coverage, kernel_distance, frechet_distance)


def peak_mb() -> float:
    """Largest resident size so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(rows: int, dimensions: int) -> None:
    """Measurement, 20 re-splits and anchor of each metric, on a decaying spectrum."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    at = bench(*(rng.normal(size=(rows, dimensions)) * 0.97 ** np.arange(dimensions) for _ in range(3)))
    _ = at.real.features, at.reference.features, at.candidate.features
    before, started, spent = peak_mb(), time.perf_counter(), time.process_time()
    for metric in METRICS:
        params = metric.configure({})
        began = time.process_time()
        views = [at, *(at.resplit(draw) for draw in range(metric.draws)), *([at.permuted()] if metric.anchored else [])]
        for view in views:
            list(metric.values(view, params))
        print(f"{metric.id:28s} {time.process_time() - began:6.2f} CPU s")
    wall, spent = time.perf_counter() - started, time.process_time() - spent
    print(
        f"{rows} + {rows} + {rows} rows x {dimensions}: {spent:.2f} CPU s, {wall:.2f} s, +{peak_mb() - before:.0f} MB"
    )


if __name__ == "__main__":
    main(*(int(given) for given in (sys.argv[1:] + ["10000", "64"][len(sys.argv) - 1 :])[:2]))
