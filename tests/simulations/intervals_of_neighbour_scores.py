"""How often the 95 % intervals of precision, recall, density and coverage hold the mean at their size.

Run alone: ``python tests/simulations/intervals_of_neighbour_scores.py [repeats]``; prints a Markdown table.
The last column is the mean standard error over the scatter of the values.
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.workbenches import bench

from counterproof.metrics.coverage.coverage import coverage
from counterproof.metrics.coverage.recall import recall
from counterproof.metrics.fidelity.density import density
from counterproof.metrics.fidelity.precision import precision

METRICS = (precision, recall, density, coverage)
RELEASES = {"fresh": (1.0, 0.0), "shifted by 0.15, shrunk to 0.9": (0.9, 0.15)}


def found(release: str, n: int, d: int, repeats: int) -> Any:
    """``(metrics, 3, repeats)`` value and both ends of the interval."""
    scale, shift = RELEASES[release]
    made = np.empty((len(METRICS), 3, repeats))
    for seed in range(repeats):
        rng = np.random.default_rng([seed, n, d])
        train, holdout, fresh = rng.normal(size=(3, n, d))
        at = bench(train, holdout, fresh * scale + shift, seed=seed)
        for place, metric in enumerate(METRICS):
            (value,) = metric.values(at, metric.configure({}))
            assert value.estimate is not None
            made[place, :, seed] = value.estimate.value, value.estimate.low, value.estimate.high
    return made


def main(repeats: int) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print("| release | n, d | metric | mean | held | error over scatter |\n|---|---|---|---|---|---|")
    for release, n, d in product(RELEASES, (300, 1000), (8, 64)):
        for metric, (value, low, high) in zip(METRICS, found(release, n, d, repeats), strict=True):
            target = value.mean()
            held, error = ((low <= target) & (target <= high)).mean(), ((high - low) / 3.92).mean()
            ratio = error / value.std(ddof=1)
            print(f"| {release} | {n}, {d} | {metric.id} | {target:.3f} | {held:.3f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
