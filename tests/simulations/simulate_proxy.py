"""How often the interval of ``fairness.proxy`` holds the expected change, and how far refitting moves it.

Run as ``python tests/simulations/simulate_proxy.py [draws] [rows]``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from counterproof.metrics.fairness.proxy import proxy
from counterproof.metrics.metric import Value

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.workbenches import bench

SHARES = {"two": [0.7, 0.3], "rare": [0.9, 0.1], "five": [0.4, 0.25, 0.15, 0.1, 0.1]}


def draw(rows: int, shift: float, seed: int) -> dict[str, Value]:
    """The change by group column, of a release whose groups lie ``shift`` farther apart than real ones."""
    rng = np.random.default_rng([seed, rows])
    groups = {name: rng.choice(len(p), 3 * rows, p=p) for name, p in SHARES.items()}
    x = rng.normal(size=(3 * rows, 12))
    apart = np.where(np.arange(3 * rows) < 2 * rows, 0.5, 0.5 + shift)
    for at, codes in enumerate(groups.values()):
        x[:, at] += apart * codes
    named = {name: codes.astype(np.str_) for name, codes in groups.items()}
    made = bench(x[:rows], x[rows : 2 * rows], x[2 * rows :], groups=named, seed=seed)
    found = (v for v in proxy.values(made, {"learner": "linear"}) if v.field == "change" and v.estimate)
    return {v.group[0][0] if v.group else "farthest": v for v in found}


def main(draws: int, rows: int) -> None:
    """Print coverage by group column and shift."""
    print(f"{draws} draws of {rows} rows a role\n\n| shift | groups | mean | spread | mean error | held |")
    print("|---|---|---|---|---|---|")
    for shift in (0.0, 0.5):
        found = [draw(rows, shift, seed) for seed in range(draws)]
        for name in SHARES:
            made = [e for one in found if name in one and (e := one[name].estimate)]
            values = np.array([e.value for e in made])
            error = np.mean([(e.high - e.low) / 3.92 for e in made])
            held = np.mean([e.low <= values.mean() <= e.high for e in made])
            print(f"| {shift} | {name} | {values.mean():.4f} | {values.std(ddof=1):.4f} | {error:.4f} | {held:.3f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200, int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
