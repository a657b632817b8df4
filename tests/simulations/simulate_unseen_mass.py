"""How often the interval of the unseen mass holds the mass that is unseen.

Run as ``python tests/simulations/simulate_unseen_mass.py [repeats]``.
"""

from __future__ import annotations

import sys

import numpy as np

from counterproof.metrics.statistics.missing_mass import unseen_mass

SHAPES = {
    "Zipf 1.1": 1 / np.arange(1, 20_001) ** 1.1,
    "Zipf 2": 1 / np.arange(1, 20_001) ** 2.0,
    "40 of one size": np.ones(40),
    "5,000 of one size": np.ones(5000),
    "40 and 60 rare": np.concatenate([np.ones(40), np.full(60, 0.02)]),
}


def main(repeats: int) -> None:
    """Print coverage and mean width by shape and number of rows."""
    rng = np.random.default_rng(0)
    print("| values | rows | mean unseen | held | mean width |\n|---|---|---|---|---|")
    for name, weights in SHAPES.items():
        p = weights / weights.sum()
        for n in (100, 1000, 10_000):
            drawn = rng.multinomial(n, p, repeats)
            truth = np.array([p[row == 0].sum() for row in drawn])
            found = [unseen_mass(row) for row in drawn]
            held = np.mean([e.low <= t <= e.high for e, t in zip(found, truth, strict=True)])
            width = np.mean([e.high - e.low for e in found])
            print(f"| {name} | {n} | {truth.mean():.4f} | {held:.3f} | {width:.4f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
