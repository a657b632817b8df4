"""How often fresh real rows pass the gates of uncovered mass, rare rows, independent rows and repeats, and flaws fail.

Run as ``python tests/simulations/simulate_presence.py [draws] [rows]``: train, holdout and release of as
many rows each, of normal columns with two group columns and two skewed category columns; of coarse
categories alone, where rows repeat by nature; and releases with a planted flaw.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd

from counterproof import audit

METRICS = ["coverage.uncovered_mass", "coverage.rare", "coverage.effective_samples", "coverage.duplicates"]
GROUPS = {"mixed": ["sex", "race"], "coarse": ["a"]}


def mixed(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Eight correlated numbers, one of them heavy-tailed, and four categories."""
    numbers = rng.normal(size=(n, 8)) + 0.7 * rng.normal(size=(n, 1))
    numbers[:, 7] = np.exp(numbers[:, 7])
    table = pd.DataFrame(numbers, columns=[f"x{i}" for i in range(8)])
    table["sex"] = rng.choice(["F", "M"], n, p=[0.4, 0.6])
    table["race"] = rng.choice(list("pqrst"), n, p=[0.6, 0.2, 0.1, 0.06, 0.04])
    table.loc[table["race"] == "r", ["x0", "x1"]] += 4
    table["country"] = rng.choice([f"c{i}" for i in range(40)], n, p=_zipf(40))
    table["job"] = rng.choice([f"j{i}" for i in range(15)], n, p=_zipf(15))
    return table


def coarse(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Six columns of a few categories each: about a third of the rows repeat another."""
    return pd.DataFrame({name: rng.choice(list("uvwxyz"), n, p=_zipf(6)) for name in "abcdef"})


def _zipf(k: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    p = 1 / np.arange(1, k + 1)
    return np.asarray(p / p.sum())


def fresh(table: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """No flaw."""
    return table


def clipped(table: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """Numbers clipped at 2.5 % on either side."""
    made = table.copy()
    for name in made.columns[:8]:
        made[name] = made[name].clip(*train[name].quantile([0.025, 0.975]))
    return made


def one_clipped(table: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """One number alone clipped at 2.5 % on either side."""
    return table.assign(x2=table["x2"].clip(*train["x2"].quantile([0.025, 0.975])))


def repeated(table: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """A tenth of the rows repeat others exactly."""
    n = len(table) // 10
    return pd.concat([table.iloc[n:], table.iloc[-n:]], ignore_index=True)


def nudged(table: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """A fifth of the rows are others with a little noise."""
    n = len(table) // 5
    copies = table.iloc[-n:].copy()
    copies["x0"] += 1e-3
    return pd.concat([table.iloc[n:], copies], ignore_index=True)


def displaced(table: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """Rows of one race (a tenth) look like those of the others."""
    made = table.copy()
    made.loc[made["race"] == "r", ["x0", "x1"]] -= 4
    return made


def main(draws: int, rows: int) -> None:
    """Print verdicts of every gate for each kind of release."""
    plans: list[tuple[str, Callable[[int, np.random.Generator], pd.DataFrame], Callable[..., pd.DataFrame]]] = [
        ("mixed", mixed, fresh),
        ("coarse", coarse, fresh),
        *(("mixed", mixed, flaw) for flaw in (clipped, one_clipped, repeated, nudged, displaced)),
    ]
    print(
        f"{draws} draws, {rows} rows a role\n\n| table | release | gate | pass | inconclusive | fail | does not apply |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, make, flaw in plans:
        found: Counter[tuple[str, str]] = Counter()
        for draw in range(draws):
            rng = np.random.default_rng([draw, rows])
            train, holdout, table = (make(rows, rng) for _ in range(3))
            record = audit(
                train=train,
                holdout=holdout,
                synthetic=flaw(table, train),
                groups=GROUPS[name],
                metrics=METRICS,
                seed=draw,
                intersections=min(2, len(GROUPS[name])),
            )
            found.update((f"{gate.metric}.{gate.field}", gate.verdict) for gate in record.gates)
        for gate in sorted({gate for gate, _ in found}):
            counts = [found[gate, verdict] for verdict in ("pass", "inconclusive", "fail", "not_applicable")]
            print(f"| {name} | {flaw.__name__} | {gate} | {' | '.join(map(str, counts))} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20, int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
