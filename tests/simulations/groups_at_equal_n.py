"""How often the intervals of small and large groups hold the truth: ``python tests/simulations/groups_at_equal_n.py``.

One group of 60 rows a side sets the equal n; the other has 600. The truth of precision, recall, density and
coverage is their mean over many draws of 60 fresh rows, that of the kernel distance its value on 3 x 3,000 rows a side.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.workbenches import bench

from counterproof.metrics.engine.mmd import kernel_distance_between
from counterproof.metrics.prdc.balls import balls_between
from counterproof.metrics.sample import Floats
from counterproof.metrics.shared.partitions import partition_by
from counterproof.metrics.subgroups.losses import loss_gap, losses_of, worst_loss
from counterproof.metrics.subgroups.plan import plan_cells
from counterproof.metrics.subgroups.scores import FIELDS, group_scores

SIZES = {"small": 100, "large": 600}
REPEATS = int(sys.argv[1]) if len(sys.argv) > 1 else 100
CHOSEN = sys.argv[2:]
SETTINGS = {"normal": (8, 0.0, 1.0), "shifted": (8, 0.4, 1.0), "shrunk": (8, 0.0, 0.7), "64 columns": (64, 0.15, 0.9)}


def rows(rng: np.random.Generator, n: int, d: int, shift: float = 0.0, scale: float = 1.0) -> Floats:
    """Normal rows with one heavy-tailed column."""
    made = rng.normal(size=(n, d))
    made[:, 0] = rng.standard_exponential(n)
    return made * scale + shift


def truth(rng: np.random.Generator, d: int, shift: float, scale: float, equal: int) -> Floats:
    """Mean of the five over fresh rows."""
    centre = np.eye(1, d)  # of real rows; their spread is 1
    pairs = [(rows(rng, 3000, d), rows(rng, 3000, d, shift, scale)) for _ in range(3)]
    kernels = [kernel_distance_between(left - centre, right - centre).value for left, right in pairs]
    prdc = [balls_between(rows(rng, equal, d), rows(rng, equal, d, shift, scale)).values for _ in range(600)]
    null = shift == 0 and scale == 1
    return np.array([0.0 if null else np.mean(kernels), *np.mean(prdc, axis=0)])


def main() -> None:
    """Print coverage by setting, group and field."""
    for name, (d, shift, scale) in SETTINGS.items():
        if CHOSEN and name not in CHOSEN:
            continue
        hits = {group: np.zeros(len(FIELDS)) for group in SIZES}
        simultaneous, true, equal = np.zeros(2), None, 0
        names = np.repeat(list(SIZES), list(SIZES.values()))
        for repeat in range(REPEATS):
            rng = np.random.default_rng([7, repeat])
            n = len(names)
            at = bench(
                rows(rng, n, d),
                rows(rng, n, d),
                rows(rng, n, d, shift, scale),
                groups={"g": np.tile(names, 3)},
                seed=repeat,
            )
            plan = plan_cells(at, (partition_by(at, ("g",)),))
            if true is None:
                equal = plan.equal["g"]
                true = truth(np.random.default_rng(1), d, shift, scale, equal)
            found = [group_scores(at, plan, cell, 5) for cell in plan.compared]
            kept = [one for one in found if one is not None]
            for one in kept:
                value, error = np.array(one.values), np.array(one.errors)
                hits[dict(one.cell.group)["g"] or ""] += abs(value - true) <= 1.96 * error
            losses = losses_of(at, plan, kept, 5, "kernel_distance")
            worst, gap = worst_loss(losses, level=0.95, comparisons=2), loss_gap(losses, level=0.95, comparisons=1)
            simultaneous += [worst.low <= true[0] <= worst.high, gap.low <= 0 <= gap.high]
        print(f"{name}: equal n {equal}, worst {simultaneous[0] / REPEATS:.3f}, gap {simultaneous[1] / REPEATS:.3f}")
        for group, count in hits.items():
            print(
                f"  {group}: " + ", ".join(f"{f} {c / REPEATS:.3f}" for f, c in zip(FIELDS, count, strict=True)),
                flush=True,
            )


if __name__ == "__main__":
    main()
