"""How often the 95 % intervals of the five descriptive leakage metrics hold the mean at their size, and what they see.

Run alone: ``python tests/simulations/simulate_descriptive_leakage.py [repeats]``; prints a Markdown table.
The target is the mean over fresh train, holdout and release. *sees* is how often a value lies outside
the range of its floor on the side of a leak: false alarms where the release leaks nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benches import bench

from counterproof.metrics.authenticity import authenticity
from counterproof.metrics.closeness import closer_to_train, nearest_neighbour_ratio
from counterproof.metrics.copying_test import copying_test
from counterproof.metrics.estimate import Estimate
from counterproof.metrics.likelihood_gap import likelihood_gap
from counterproof.metrics.metric import Metric
from counterproof.metrics.workbench import Workbench

METRICS = (closer_to_train, nearest_neighbour_ratio, copying_test, authenticity, likelihood_gap)
DEALS = 20
Floats = Any
Release = Callable[[np.random.Generator, Floats, Floats], Floats]


def leaky(share: float, noise: float = 0.0) -> Release:
    """Fresh rows, of which a share is overwritten by (noisy) training rows."""

    def make(rng: np.random.Generator, train: Floats, fresh: Floats) -> Floats:
        count = int(share * len(fresh))
        made = fresh.copy()
        made[:count] = train[rng.permutation(len(train))[:count]] + noise * rng.normal(size=(count, train.shape[1]))
        return made

    return make


def collapsed(rng: np.random.Generator, train: Floats, fresh: Floats) -> Floats:
    """Fresh rows gathered around ten of them: few modes, nothing leaked."""
    return fresh[rng.integers(0, 10, len(fresh))] + 0.1 * rng.normal(size=fresh.shape)


RELEASES: dict[str, Release] = {
    "fresh": leaky(0.0),
    "shrunk to 0.8": lambda rng, train, fresh: 0.8 * fresh,
    "ten modes, no leak": collapsed,
    "1 % copies": leaky(0.01),
    "2 % copies": leaky(0.02),
    "10 % copies": leaky(0.1),
    "overfit: 50 % within 0.3 sd": leaky(0.5, 0.3),
}


def headline(metric: Metric, view: Workbench) -> Estimate:
    """The value of one view."""
    value = next(iter(metric.values(view, metric.configure({}))))
    assert value.estimate is not None, value.reason
    return value.estimate


def found(release: Release, n: int, d: int, repeats: int) -> Iterator[Floats]:
    """``(metrics, 5)`` value, both ends, mean and spread of the floor, of each repeat."""
    for seed in range(repeats):
        rng = np.random.default_rng([seed, n, d])
        train, holdout, fresh = rng.normal(size=(3, n, d))
        at = bench(train, holdout, release(rng, train, fresh), seed=seed)
        made = []
        for metric in METRICS:
            e = headline(metric, at)
            null = np.array([headline(metric, at.membership(draw)).value for draw in range(DEALS)])
            made.append((e.value, e.low, e.high, null.mean(), null.std(ddof=1)))
        yield np.array(made)


def main(repeats: int) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print(
        "| release | n, d | metric | mean | floor | held | error over scatter | sees |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for name, release in RELEASES.items():
        for n, d in ((500, 8), (500, 32)):
            told = np.array(list(found(release, n, d, repeats)))
            for metric, (value, low, high, null, spread) in zip(METRICS, told.transpose(1, 2, 0), strict=True):
                target = value.mean()
                held, error = ((low <= target) & (target <= high)).mean(), ((high - low) / 3.92).mean()
                excess = (value - null) / (spread * np.sqrt(1 + 1 / DEALS))
                sees = (excess * (1 if metric.better == "lower" else -1) > 1.729).mean()  # Student, 19 degrees
                ratio = error / max(value.std(ddof=1), 1e-12)
                print(
                    f"| {name} | {n}, {d} | {metric.id} | {target:.3f} | {null.mean():.3f} | {held:.3f} "
                    f"| {ratio:.2f} | {sees:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
