"""Slices on fresh rows and with a planted one: ``python tests/simulations/simulate_slices.py [REPEATS]``.

Fresh rows: how often any slice of the change is confirmed, and how often the interval of the headline excludes
0. With 90 % of the labels of one slice (women over 74, 8 % of the rows) flipped in the release: how often the
slice, or a part of it, is confirmed.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.records import desk

from counterproof.metrics.fairness.slices import slices

REPEATS = int(sys.argv[1]) if len(sys.argv) > 1 else 60


def people(n: int, seed: int, flip: float = 0.0) -> pd.DataFrame:
    """Seven columns and a label that is harder to tell in one group."""
    rng = np.random.default_rng(seed)
    sex, race = rng.choice(["F", "M"], n, p=[0.4, 0.6]), rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1])
    x, age = rng.normal(size=n), rng.integers(18, 90, n).astype(float)
    label = x + rng.normal(size=n) * np.where(race == "c", 2, 0.7) > 0
    label = label ^ ((sex == "F") & (age > 74) & (rng.random(n) < flip))
    city = rng.choice(list("pqrst"), n)
    return pd.DataFrame(
        {"x": x, "z": rng.normal(size=n), "age": age, "city": city, "sex": sex, "race": race}
        | {"y": np.where(label, "yes", "no")}
    )


def run(n: int, flip: float) -> str:
    """Rates over the repeats."""
    any_found = excluded = named = 0
    started = time.process_time()
    for repeat in range(REPEATS):
        at = 10 * repeat
        frames = {"train": people(n, at + 1), "holdout": people(n, at + 2), "synthetic": people(n, at + 3, flip)}
        view = desk(label="y", groups=["sex"], sources=frames, seed=repeat)
        found = [v for v in slices.values(view, slices.configure({})) if v.field == "change"]
        confirmed = [v for v in found if v.group and not v.reason]
        whole = next(v.estimate for v in found if not v.group)
        any_found += bool(confirmed)
        excluded += whole is not None and not whole.low <= 0 <= whole.high
        named += any("sex = F" in str(v.group[0][1]) or "age ≥" in str(v.group[0][1]) for v in confirmed)
    rates = f"any confirmed {any_found / REPEATS:.3f}, headline excludes 0 {excluded / REPEATS:.3f}"
    spent = (time.process_time() - started) / REPEATS
    return f"n {n}, flipped {flip}: {rates}, part of the planted one named {named / REPEATS:.3f}, {spent:.1f} CPU s"


if __name__ == "__main__":
    for size, share in [(1000, 0.0), (3000, 0.9), (3000, 0.0), (1000, 0.9)]:
        print(run(size, share), flush=True)
