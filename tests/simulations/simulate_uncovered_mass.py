"""How often the intervals of uncovered mass hold the expected share, for all rows, groups and the worst group.

Run as ``python tests/simulations/simulate_uncovered_mass.py [draws] [rows]``. The release is fresh, has one
group thinned by 80 %, or is drawn in by 30 % towards the mean.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from counterproof.metrics.coverage.uncovered_mass import uncovered_mass

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.workbenches import bench

Floats = NDArray[np.float64]
GROUPS = ("a", "b", "c", "d")
SHARES = (0.55, 0.25, 0.12, 0.08)
RELEASES = ("fresh", "thinned", "drawn in")
K = 5


def draw(rows: int, release: str, rng: np.random.Generator) -> tuple[Floats, NDArray[np.str_]]:
    """Rows and their groups, in four dimensions."""
    group = rng.choice(GROUPS, rows, p=SHARES)
    x = rng.normal(size=(rows, 4))
    x[:, 0] += 2.0 * np.searchsorted(GROUPS, group)
    if release == "thinned":
        kept = (group != "c") | (rng.random(rows) < 0.2)
        return x[kept], group[kept]
    return (0.7 * x if release == "drawn in" else x), group


def truth(rows: int, release: str, draws: int = 600) -> Floats:
    """Expected shares of all rows and of each group, by brute force over many draws."""
    hits, sizes = np.zeros(len(GROUPS) + 1), np.zeros(len(GROUPS) + 1)
    for seed in range(draws):
        rng = np.random.default_rng([seed, rows, 99])
        (real, group), (made, _) = draw(rows, "fresh", rng), draw(rows, release, rng)
        bare = cKDTree(made).query(real)[0] > cKDTree(real).query(real, K + 1)[0][:, -1]
        inside = np.stack([np.ones(rows, dtype=bool), *(group == name for name in GROUPS)])
        hits, sizes = hits + (inside & bare).sum(1), sizes + inside.sum(1)
    return np.asarray(hits / sizes)


def main(draws: int, rows: int) -> None:
    """Print coverage and width by release and group."""
    print(
        f"{draws} draws of {rows} rows a side\n\n| release | of | expected | held | mean width |\n|---|---|---|---|---|"
    )
    for release in RELEASES:
        expected = dict(zip(("all", *GROUPS), truth(rows, release), strict=True))
        expected["worst"] = max(
            expected[name] for name, share in zip(GROUPS, SHARES, strict=True) if share * rows >= 100
        )
        found: dict[str, list[tuple[bool, float]]] = {}
        for seed in range(draws):
            rng = np.random.default_rng([seed, rows])
            parts = [draw(rows, kind, rng) for kind in ("fresh", "fresh", release)]
            view = bench(*(x for x, _ in parts), groups={"g": np.concatenate([g for _, g in parts])}, seed=seed)
            for value in uncovered_mass.values(view, {"k": K}):
                name = "worst" if value.field == "worst" else value.group[0][1] if value.group else "all"
                if value.estimate is not None and name is not None:
                    e = value.estimate
                    found.setdefault(name, []).append((e.low <= expected[name] <= e.high, e.high - e.low))
        for name, told in found.items():
            held, width = np.mean(told, axis=0)
            print(f"| {release} | {name} | {expected[name]:.4f} | {held:.3f} | {width:.3f} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100, int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
