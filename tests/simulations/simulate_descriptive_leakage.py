"""How often the 95 % intervals of the five descriptive leakage metrics hold the mean at their size, and what they see.

Run alone: ``python tests/simulations/simulate_descriptive_leakage.py [repeats] [n] [d] [deals]``; prints
a Markdown table. The target is the mean over fresh train, holdout and release (of a collapsed
release, over fresh modes too). *told* is how often a value could be assessed. *sees* is how often a
value lies outside the range of its floor on the side of a leak: false alarms where the release leaks
nothing; it needs at least 20 deals of membership and is most of the cost. 300 repeats at n = 200 in
6 dimensions without deals take about a CPU minute a release.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import t as student

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.workbenches import bench

from counterproof.metrics.estimate import Estimate
from counterproof.metrics.leakage.authenticity import authenticity
from counterproof.metrics.leakage.closer_to_train import closer_to_train
from counterproof.metrics.leakage.data_copying import copying_test
from counterproof.metrics.leakage.likelihood_gap import likelihood_gap
from counterproof.metrics.leakage.nearest_neighbour_ratio import nearest_neighbour_ratio
from counterproof.metrics.metric import Metric
from counterproof.metrics.workbench import Workbench

METRICS = (closer_to_train, nearest_neighbour_ratio, copying_test, authenticity, likelihood_gap)
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


def repeated(rows: int) -> Release:
    """Few fresh rows, again and again: nothing leaked."""
    return lambda rng, train, fresh: fresh[rng.integers(0, rows, len(fresh))]


RELEASES: dict[str, Release] = {
    "fresh": leaky(0.0),
    "shrunk to 0.8": lambda rng, train, fresh: 0.8 * fresh,
    "ten modes, no leak": collapsed,
    "25 rows repeated, no leak": repeated(25),
    "60 rows repeated, no leak": repeated(60),
    "1 % copies": leaky(0.01),
    "2 % copies": leaky(0.02),
    "5 % copies": leaky(0.05),
    "10 % copies": leaky(0.1),
    "overfit: 50 % within 0.3 sd": leaky(0.5, 0.3),
}


def headline(metric: Metric, view: Workbench) -> Estimate | None:
    """The value of one view, where it can be assessed."""
    return next(iter(metric.values(view, metric.configure({})))).estimate


def found(release: Release, n: int, d: int, repeats: int, deals: int) -> Iterator[Floats]:
    """``(metrics, 5)`` value, both ends, mean and spread of the floor, of each repeat; NaN where there is none."""
    for seed in range(repeats):
        rng = np.random.default_rng([seed, n, d])
        train, holdout, fresh = rng.normal(size=(3, n, d))
        at = bench(train, holdout, release(rng, train, fresh), seed=seed)
        made = np.full((len(METRICS), 5), np.nan)
        for row, metric in zip(made, METRICS, strict=True):
            e = headline(metric, at)
            if e is None:
                continue
            row[:3] = e.value, e.low, e.high
            dealt = [headline(metric, at.membership(draw)) for draw in range(deals)]
            null = np.array([one.value for one in dealt if one is not None])
            if len(null) > 1:
                row[3:] = null.mean(), null.std(ddof=1)
        yield made


def line(metric: Metric, told: Floats, deals: int) -> str:
    """What was found of one metric, as the end of a row of the table."""
    told = told[np.isfinite(told[:, 0])]
    if len(told) < 2:
        return f"{metric.id} | {len(told)} | not assessable | | | |"
    value, low, high, null, spread = told.T
    target = value.mean()
    held, error = ((low <= target) & (target <= high)).mean(), ((high - low) / 3.92).mean()
    ratio = error / max(value.std(ddof=1), 1e-12)
    seen = ""
    if deals > 1:
        excess = (value - null) / (spread * np.sqrt(1 + 1 / deals)) * (1 if metric.better == "lower" else -1)
        seen = f"{(excess > student.ppf(0.95, deals - 1)).mean():.2f}"
    return f"{metric.id} | {len(told)} | {target:.3f} | {held:.3f} | {ratio:.2f} | {seen} |"


def main(repeats: int, n: int, d: int, deals: int) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print(f"n = {n} a role, {d} dimensions, {repeats} repeats, {deals} deals\n")
    print("| release | metric | told | mean | held | error over scatter | sees |\n|---|---|---|---|---|---|---|")
    for name, release in RELEASES.items():
        told = np.array(list(found(release, n, d, repeats, deals)))
        for at, metric in enumerate(METRICS):
            print(f"| {name} | {line(metric, told[:, at], deals)}", flush=True)


if __name__ == "__main__":
    main(*(int(text) for text in [*sys.argv[1:], *("1000", "500", "8", "20")[len(sys.argv) - 1 :]]))
