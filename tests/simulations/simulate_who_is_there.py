"""Planted flaws of coverage.representation and coverage.uncovered_patterns, and fresh rows.

    python tests/simulations/simulate_who_is_there.py [--draws 200] [--rows 1000]

Real rows are train and holdout of ``rows`` each, the release has ``rows``. For each setting: how
often representation fails (a cell beyond the limit at the level adjusted for the cells, or an
alarm), how often uncovered patterns alarm or count a shortage beyond chance, and how often the
interval of the count covers the maximal patterns of the release that the population covers.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.workbenches import bench

from counterproof.metrics.coverage._patterns.lattice import OPEN
from counterproof.metrics.coverage._patterns.search import search_patterns, space_of
from counterproof.metrics.coverage.representation import representation
from counterproof.metrics.coverage.uncovered_patterns import uncovered
from counterproof.metrics.metric import Value
from counterproof.metrics.workbench import Workbench

Rows = dict[str, np.ndarray]
RACES, SHARES = np.array(list("abcd")), np.array([0.5, 0.35, 0.1, 0.05])
SEXES, RICH = np.array(["F", "M"]), np.array([[0.35, 0.45, 0.4, 0.4], [0.5, 0.55, 0.5, 0.6]])
LIMIT = 0.8


def people(rng: np.random.Generator, n: int) -> Rows:
    """Sex, race, age in fifths, and income that depends on sex and race."""
    sex, race = rng.integers(0, 2, n), rng.choice(4, n, p=SHARES)
    rich = rng.random(n) < RICH[sex, race]
    age = rng.integers(0, 5, n).astype(str)
    return {"sex": SEXES[sex], "race": RACES[race], "age": age, "income": np.where(rich, ">50K", "<=50K")}


def kept(rows: Rows, keep: np.ndarray, rng: np.random.Generator) -> Rows:
    """The kept rows, filled up to as many as before from themselves."""
    at = np.flatnonzero(keep)
    at = np.concatenate([at, rng.choice(at, (~keep).sum())])
    return {name: column[at] for name, column in rows.items()}


def thinned(rows: Rows, rng: np.random.Generator) -> Rows:
    """Four fifths of the 10 % group gone."""
    return kept(rows, (rows["race"] != "c") | (rng.random(len(rows["race"])) < 0.2), rng)


def removed(rows: Rows, rng: np.random.Generator) -> Rows:
    """The 5 % group gone."""
    return kept(rows, rows["race"] != "d", rng)


def emptied(rows: Rows, rng: np.random.Generator) -> Rows:
    """No rich row of the 10 % group, with both margins kept."""
    income = rows["income"].copy()
    out = np.flatnonzero((rows["race"] == "c") & (income == ">50K"))
    others = np.flatnonzero((rows["race"] != "c") & (income == "<=50K"))
    income[out], income[rng.permutation(others)[: len(out)]] = "<=50K", ">50K"
    return rows | {"income": income}


def fresh(rows: Rows, rng: np.random.Generator) -> Rows:
    """As they are."""
    return rows


def set_up(rng: np.random.Generator, n: int, flaw: Callable[[Rows, np.random.Generator], Rows]) -> Workbench:
    """A bench of a release with a flaw."""
    parts = [people(rng, n), people(rng, n), flaw(people(rng, n), rng)]
    table = {name: np.concatenate([part[name] for part in parts]).astype(np.str_) for name in parts[0]}
    x = np.zeros((n, 1))
    groups = {name: table[name] for name in ("sex", "race", "age")}
    return bench(x, x, x, groups=groups, label="income", labels=table["income"])


def fails(values: list[Value]) -> bool:
    """Whether the gate on every cell would fail."""
    cells = [value for value in values if value.group]
    level = 1 - 0.05 / len(cells)
    return any(v.alarm or (v.estimate is not None and v.estimate.bound("high", level) < LIMIT) for v in cells)


def population() -> np.ndarray:
    """Shares of sex, race, age and income."""
    rich = np.stack([1 - RICH, RICH], -1)
    return np.broadcast_to(0.5 * SHARES[None, :, None, None] * 0.2 * rich[:, :, None, :], (2, 4, 5, 2))


def truth(view: Workbench, n: int) -> int:
    """Maximal uncovered patterns of the release that the population covers."""
    space = space_of(view, None)
    found = search_patterns(view, space, threshold=30, order=3).found
    shares = population()
    places = {"sex": SEXES, "race": RACES, "age": np.array(list("01234")), "income": np.array(["<=50K", ">50K"])}
    covered = 0
    for pattern in found.patterns[found.maximal]:
        at = tuple(
            slice(None) if code == OPEN else int(np.flatnonzero(places[c.name] == c.values[code])[0])
            for c, code in zip(space.columns, pattern, strict=True)
        )
        covered += bool(n * shares[at].sum() >= 30)
    return covered


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--rows", type=int, default=1000)
    asked = parser.parse_args()
    print(f"{asked.draws} draws, {asked.rows} rows a role")
    print("| release | representation fails | patterns alarm | beyond chance | interval covers | value (mean) |")
    for flaw in (fresh, thinned, emptied, removed):
        rng = np.random.default_rng(5)
        started, told = time.process_time(), []
        for _ in range(asked.draws):
            view = set_up(rng, asked.rows, flaw)
            head = next(v for v in uncovered.values(view, uncovered.configure({})) if v.field == "value")
            e = head.estimate
            assert e is not None
            failed = fails(list(representation.values(view, {})))
            right = truth(view, asked.rows)
            told.append((failed, bool(head.alarm), e.low > 0, e.low <= right <= e.high, e.value))
        cost = (time.process_time() - started) / asked.draws
        print(f"| {flaw.__name__} | " + " | ".join(f"{x:.3f}" for x in np.mean(told, 0)) + f" | {cost * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
