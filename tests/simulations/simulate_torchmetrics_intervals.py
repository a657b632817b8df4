"""How often the intervals of meters and of adapted torchmetrics hold the value.

    python tests/simulations/simulate_torchmetrics_intervals.py [REPEATS]

For the Fréchet meter the truth is the distance of the distributions; for adapted metrics it is their
mean at this many rows, bias and all.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torchmetrics import Metric as Meter
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from helpers.workbenches import bench

from counterproof.metrics.estimate import Estimate
from counterproof.metrics.integrations.from_torchmetrics import from_torchmetrics
from counterproof.metrics.integrations.meters import FrechetDistance

N, D = 400, 8


def of_meter(shift: float, groups: int, repeats: int, rng: np.random.Generator) -> float:
    hits = 0
    for _ in range(repeats):
        meter = FrechetDistance(groups=groups)
        meter.update(torch.from_numpy(rng.normal(size=(N, D))), real=True)
        meter.update(torch.from_numpy(rng.normal(size=(N, D)) + shift), real=False)
        found = meter.estimate()
        hits += found.low <= D * shift**2 <= found.high
    return hits / repeats


def fid(feature: nn.Module) -> Meter:
    return FrechetInceptionDistance(feature=feature)


def kid(feature: nn.Module) -> Meter:
    return KernelInceptionDistance(feature=feature, subsets=10, subset_size=N // 2)


def of_adapted(name: str, shift: float, repeats: int, rng: np.random.Generator) -> float:
    metric = from_torchmetrics({"fid": fid, "kid": kid}[name], id="sim.one", family="fidelity", better="lower")
    found: list[Estimate] = []
    for seed in range(repeats):
        rows = [rng.normal(size=(n, D)) + (shift if i == 2 else 0) for i, n in enumerate((10, N, N))]
        value = next(iter(metric.values(bench(rows[0], rows[1], rows[2], seed=seed), {})))
        assert value.estimate is not None
        found.append(value.estimate)
    truth = np.mean([e.value for e in found])
    return float(np.mean([e.low <= truth <= e.high for e in found]))


if __name__ == "__main__":
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(1)
    print(f"{N} rows a side, {D} dimensions, {repeats} repeats\n\n| interval | shift | holds |\n|---|---|---|")
    for shift in (0.0, 0.4):
        for groups in (5, 10):
            print(f"| FrechetDistance, {groups} groups | {shift} | {of_meter(shift, groups, repeats, rng):.3f} |")
        for name in ("fid", "kid"):
            print(f"| from_torchmetrics, {name} | {shift} | {of_adapted(name, shift, repeats, rng):.3f} |", flush=True)
