"""What fresh real rows and flawed releases get from ``leakage.rare_values``.

``python tests/simulations/simulate_rare_values.py TABLE.csv [REPEATS [ROWS]]`` deals the rows of a table anew into
train, holdout and a release of fresh rows, and prints how often the default limits pass, and how often an alarm
goes off: for fresh rows, for fresh rows with one column drawn from train's own values (a marginal kept exactly), and
for fresh rows of which 2 % have a fourth of their columns from training rows.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.records import desk

from counterproof.metrics.leakage.rare_values import rare_values

LIMITS = (0.01, 0.02, 0.05)
Flaw = Callable[[pd.DataFrame, pd.DataFrame, np.random.Generator], pd.DataFrame]


def fresh(release: pd.DataFrame, train: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Rows as they are."""
    return release


def marginal(release: pd.DataFrame, train: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The column with the most values, drawn from the training values."""
    name = str(train.nunique().idxmax())
    return release.assign(**{name: rng.choice(train[name].to_numpy(), len(release))})


def parts(release: pd.DataFrame, train: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """2 % of the rows have a fourth of their columns from a training row."""
    made = release.copy()
    for row in range(len(release) // 50):
        columns = rng.choice(train.shape[1], max(2, train.shape[1] // 4), replace=False)
        made.iloc[row, columns] = train.iloc[row, columns]
    return made


def main() -> None:
    """Print one line a flaw."""
    table = pd.read_csv(sys.argv[1]).drop_duplicates(ignore_index=True)
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    n = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
    flaws: list[Flaw] = [fresh, marginal, parts]
    for flaw in flaws:
        passed: Counter[tuple[str, float]] = Counter()
        alarms: Counter[str] = Counter()
        highest: dict[str, list[float]] = {"value": [], "combinations": []}
        for seed in range(repeats):
            rng = np.random.default_rng([17, seed])
            order = rng.permutation(len(table))
            train, holdout, release = (
                table.iloc[order[at * n : (at + 1) * n]].reset_index(drop=True) for at in range(3)
            )
            sources = {"train": train, "holdout": holdout, "synthetic": flaw(release, train, rng)}
            for value in rare_values.values(desk(sources=sources), {}):
                alarms[value.field] += bool(value.alarm)
                if value.estimate is not None:
                    bound = value.estimate.bound("high", 0.95)
                    highest[value.field].append(bound)
                    passed.update((value.field, limit) for limit in LIMITS if bound <= limit and not value.alarm)
        for field, bounds in highest.items():
            rates = ", ".join(f"<= {limit}: {passed[field, limit] / repeats:.2f}" for limit in LIMITS)
            bound = f"{np.median(bounds):.4f}" if bounds else "none"
            print(f"{flaw.__name__}, {field}: alarm {alarms[field] / repeats:.3f}; pass {rates}; upper bound {bound}")


if __name__ == "__main__":
    main()
