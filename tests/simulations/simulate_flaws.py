"""Spoiled releases of real tables: whether the right question fails, and whether any passes.

Every release starts from fresh real rows, or from the training rows, and is spoiled in one way. None may pass,
and a question that the flaw is about has to fail.

    python tests/simulations/simulate_flaws.py --tables all --n 3000 --draws 1 --results flaws.jsonl
    python tests/simulations/simulate_flaws.py --tables wa_churn,census --flaws near_1,filtered --draws 5

Audits are appended to the results file as ``simulate_policy.py`` does it; a stopped run goes on.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))
from simulations.simulate_policy import Case, Line, audited, blocking, chosen_tables, product_commit, run_cases
from simulations.tables import SEED, Roles, Table, deal, frame_of

Spoil = Callable[[Roles, Table, np.random.Generator], Roles]
NEAREST = 0.25  # share of fresh rows that a filter by distance to the training rows drops
RARE = (0.01, 0.025)  # shares that pass for a category of 1.5 %


@dataclass(frozen=True, kw_only=True)
class Flaw:
    """A way to spoil a release.

    Attributes:
        name: What results call it.
        right: The families that it is about; one of them has to fail.
        spoil: From clean roles, whose release is fresh real rows, to spoiled ones.
    """

    name: str
    right: tuple[str, ...]
    spoil: Spoil


# -- rows of train in the release -------------------------------------------------------------------


def bootstrap(roles: Roles, table: Table, rng: np.random.Generator) -> Roles:
    """Training rows, drawn with replacement."""
    train = roles["train"]
    return roles | {"synthetic": _rows(train, rng.integers(0, len(train), len(roles["synthetic"])))}


def jittered(frame: pd.DataFrame, jitter: float, scale: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Numbers with normal noise of ``jitter`` standard deviations of ``scale``; whole numbers stay whole."""
    out = frame.copy()
    for name in number_columns(frame):
        moved = frame[name] + jitter * scale[name].std() * rng.normal(size=len(frame))
        out[name] = moved.round().astype(frame[name].dtype) if frame[name].dtype.kind in "iu" else moved
    return out


def noisy(roles: Roles, table: Table, rng: np.random.Generator, *, jitter: float) -> Roles:
    """All training rows with noise on their numbers, label and groups untouched."""
    train = roles["train"]
    moved = jittered(train, jitter, train, rng)
    return roles | {"synthetic": moved.assign(**{name: train[name] for name in (table.label, *table.groups)})}


def planted(roles: Roles, table: Table, rng: np.random.Generator, *, share: float, jitter: float = 0.0) -> Roles:
    """Fresh rows, a share of which are training rows, with noise on their numbers."""
    fresh, train = roles["synthetic"], roles["train"]
    count = round(share * len(fresh))
    victims = _rows(train, rng.permutation(len(train))[:count])
    victims = jittered(victims, jitter, train, rng) if jitter else victims
    together = pd.concat([victims, fresh.iloc[count:]], ignore_index=True)
    return roles | {"synthetic": _rows(together, rng.permutation(len(together)))}


def filtered(roles: Roles, table: Table, rng: np.random.Generator) -> Roles:
    """Fresh rows without the quarter nearest to a training row."""
    fresh = roles["synthetic"]
    nearest = gower_to_nearest(fresh, roles["train"]) + 1e-9 * rng.random(len(fresh))
    kept = np.sort(np.argsort(nearest)[round(NEAREST * len(fresh)) :])
    return roles | {"synthetic": _rows(fresh, kept)}


def gower_to_nearest(query: pd.DataFrame, base: pd.DataFrame) -> NDArray[np.float64]:
    """Gower's distance of every row to the nearest row of ``base``, written plainly.

    Numbers differ by their share of the range, all else by 0 or 1; missing differs from all but missing.
    """
    numbers = set(number_columns(base))
    total = np.zeros((len(query), len(base)), dtype=np.float32)
    for name in base.columns:
        if name in numbers:
            span = float(base[name].max() - base[name].min()) or 1.0
            q, b = (frame[name].to_numpy(float) / span for frame in (query, base))
            apart = np.minimum(np.abs(q[:, None] - b[None, :]), 1.0)
            either = np.isnan(q)[:, None] | np.isnan(b)[None, :]
            total += np.where(either, np.isnan(q)[:, None] != np.isnan(b)[None, :], apart).astype(np.float32)
        else:
            codes, _ = pd.factorize(pd.concat([query[name], base[name]]).astype(str))
            total += codes[: len(query), None] != codes[None, len(query) :]
    return np.asarray(total.min(axis=1), dtype=float) / len(base.columns)


def ids_copied(roles: Roles, table: Table, rng: np.random.Generator) -> Roles:
    """Every real row has an id of its own; the release carries those of the training rows."""
    real = [role for role in roles if role != "synthetic"]
    sizes = [len(roles[role]) for role in real]
    ids = np.split(rng.permutation(10 * sum(sizes))[: sum(sizes)] + 100_000, np.cumsum(sizes)[:-1])
    given = dict(zip(real, ids, strict=True))
    given["synthetic"] = rng.permutation(given["train"])[: len(roles["synthetic"])]
    return {role: frame.assign(record_id=[f"R{k}" for k in given[role]]) for role, frame in roles.items()}


# -- releases that are not like real rows -----------------------------------------------------------


def shuffled(roles: Roles, table: Table, rng: np.random.Generator) -> Roles:
    """Every column in an order of its own."""
    fresh = roles["synthetic"]
    mixed = {name: fresh[name].to_numpy()[rng.permutation(len(fresh))] for name in fresh.columns}
    return roles | {"synthetic": pd.DataFrame(mixed)}


def label_flipped(roles: Roles, table: Table, rng: np.random.Generator) -> Roles:
    """Fifteen rows in a hundred get another label, drawn from all that there are."""
    fresh = roles["synthetic"].copy()
    values = list(fresh[table.label].dropna().unique())
    for at in rng.permutation(len(fresh))[: round(0.15 * len(fresh))]:
        others = [value for value in values if value != fresh[table.label].iloc[at]]
        fresh.loc[at, table.label] = others[rng.integers(len(others))]
    return roles | {"synthetic": fresh}


def group_dropped(roles: Roles, table: Table, rng: np.random.Generator) -> Roles:
    """The smallest group of the first group column that 3 % of the rows or more belong to is absent."""
    fresh, name = roles["synthetic"], table.groups[0]
    shares = roles["train"][name].value_counts(normalize=True)
    group = shares[shares >= 0.03].index[-1]
    return roles | {"synthetic": fresh[fresh[name] != group].reset_index(drop=True)}


def number_scaled(roles: Roles, table: Table, rng: np.random.Generator) -> Roles:
    """The number with the most values is multiplied by 1.3."""
    fresh = roles["synthetic"]
    numbers = [name for name in number_columns(fresh) if name not in (table.label, *table.groups)]
    name = max(numbers, key=lambda column: roles["train"][column].nunique())
    scaled = fresh[name] * 1.3
    if fresh[name].dtype.kind in "iu":
        scaled = scaled.round().astype(fresh[name].dtype)
    return roles | {"synthetic": fresh.assign(**{name: scaled})}


def date_later(roles: Roles, table: Table, rng: np.random.Generator) -> Roles:
    """A date column is made, days of two years; those of the release are a year later."""
    dated = {}
    for role, frame in roles.items():
        days = rng.integers(0, 730, len(frame)) + (365 if role == "synthetic" else 0)
        dates = pd.Timestamp("2021-01-01") + pd.to_timedelta(days, unit="D")
        dated[role] = frame.assign(entered=dates.strftime("%Y-%m-%d"))
    return dated


def category_dropped(roles: Roles, table: Table, rng: np.random.Generator) -> Roles:
    """A category of about 1.5 % is absent; a column that has one is made where there is none."""
    found = rare_category(roles["train"], table)
    if found is None:
        names, shares = ("north", "east", "south", "west", "abroad"), (0.4, 0.3, 0.2, 0.085, 0.015)
        roles = {role: frame.assign(branch=rng.choice(names, len(frame), p=shares)) for role, frame in roles.items()}
        found = ("branch", "abroad")
    fresh, (name, value) = roles["synthetic"], found
    return roles | {"synthetic": fresh[fresh[name] != value].reset_index(drop=True)}


def rare_category(frame: pd.DataFrame, table: Table) -> tuple[str, str] | None:
    """Column and value of the category whose share is nearest to 1.5 %, if one is near it."""
    texts = [name for name in frame.columns if not pd.api.types.is_numeric_dtype(frame[name])]
    shares = {
        (name, str(value)): share
        for name in texts
        for value, share in frame[name].value_counts(normalize=True).items()
        if RARE[0] <= share <= RARE[1]
    }
    return min(shares, key=lambda key: abs(shares[key] - 0.015)) if shares else None


def constant_column(roles: Roles, table: Table, rng: np.random.Generator) -> Roles:
    """The first column besides label and groups in which no value has four rows of five is constant."""
    fresh, train = roles["synthetic"], roles["train"]
    shares = {
        name: train[name].value_counts(normalize=True, dropna=False).iloc[0]
        for name in train.columns
        if name not in (table.label, *table.groups)
    }
    name = next((column for column, share in shares.items() if share < 0.8), min(shares, key=lambda c: shares[c]))
    return roles | {"synthetic": fresh.assign(**{name: train[name].mode().iloc[0]})}


def number_columns(frame: pd.DataFrame) -> list[str]:
    """Columns of numbers that are more than codes of two values."""
    numeric = [name for name in frame.columns if frame[name].dtype.kind in "iuf"]
    return [name for name in numeric if frame[name].nunique() > 2]


def _rows(frame: pd.DataFrame, at: NDArray[np.intp]) -> pd.DataFrame:
    return frame.iloc[at].reset_index(drop=True)


FLAWS = {
    flaw.name: flaw
    for flaw in (
        Flaw(name="bootstrap", right=("leakage",), spoil=bootstrap),
        Flaw(name="noise_1", right=("leakage",), spoil=partial(noisy, jitter=0.01)),
        Flaw(name="noise_5", right=("leakage",), spoil=partial(noisy, jitter=0.05)),
        Flaw(name="copies_1", right=("leakage",), spoil=partial(planted, share=0.01)),
        Flaw(name="copies_2", right=("leakage",), spoil=partial(planted, share=0.02)),
        Flaw(name="near_1", right=("leakage",), spoil=partial(planted, share=0.02, jitter=0.01)),
        Flaw(name="near_2", right=("leakage",), spoil=partial(planted, share=0.02, jitter=0.02)),
        Flaw(name="filtered", right=("leakage",), spoil=filtered),
        Flaw(name="ids_copied", right=("leakage",), spoil=ids_copied),
        Flaw(name="shuffled", right=("fidelity",), spoil=shuffled),
        Flaw(name="label_flipped", right=("fidelity", "fairness", "utility"), spoil=label_flipped),
        Flaw(name="group_dropped", right=("coverage", "fairness"), spoil=group_dropped),
        Flaw(name="number_scaled", right=("fidelity",), spoil=number_scaled),
        Flaw(name="date_later", right=("fidelity",), spoil=date_later),
        Flaw(name="category_dropped", right=("coverage",), spoil=category_dropped),
        Flaw(name="constant_column", right=("fidelity",), spoil=constant_column),
    )
}


def flaw_draw(case: Case, table: Table) -> Line:
    """One audit of a spoiled release; ``natural`` is the share of holdout rows that train holds as well.

    Where most rows are natural matches, a few more copies give nobody away and no test can tell them.
    """
    roles = deal(frame_of(table), n=case.rows, draw=case.draw)
    natural = len(roles["holdout"].merge(roles["train"].drop_duplicates())) / case.rows
    rng = np.random.default_rng([SEED, case.draw, list(FLAWS).index(case.flaw)])
    spoiled = FLAWS[case.flaw].spoil(roles, table, rng)
    line = audited(case, **spoiled, label=table.label, groups=table.groups)
    return line | {"natural": round(natural, 3)}


def tell(lines: Sequence[Line]) -> None:
    """Print a line for every flaw, then every audit in which the right question did not fail."""
    print(f"\n{'flaw':<18} audits passed  right failed  questions that failed")
    for name, flaw in FLAWS.items():
        part = [line for line in lines if line["flaw"] == name]
        if part:
            passed = sum(line["verdict"] == "pass" for line in part)
            failed = Counter(family for line in part for family, v in line["families"].items() if v == "fail")
            told = ", ".join(f"{family} {count}" for family, count in failed.most_common())
            found, right = sum(map(right_failed, part)), " or ".join(flaw.right)
            print(f"{name:<18} {len(part):>6} {passed:>6} {found:>13}  {told}   (right: {right})")
    for line in lines:
        if not right_failed(line):
            families = ", ".join(f"{family} {v}" for family, v in line["families"].items()) or line["because"]
            gates = "; ".join(gate["gate"] for gate in blocking(line))
            where = f"{line['table']} (draw {line['draw']}, natural matches {line['natural']:.1%})"
            print(f"not found: {line['flaw']} in {where}: {families}; {gates}")


def right_failed(line: Line) -> bool:
    """Whether a question fails that the flaw is about."""
    return any(line["families"].get(family) == "fail" for family in FLAWS[line["flaw"]].right)


def main() -> None:
    """Read options, run the audits, print what was found."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--tables", default="all", help="all, or names of tables.py with commas between")
    options.add_argument("--flaws", default=",".join(FLAWS))
    options.add_argument("--n", type=int, default=3000)
    options.add_argument("--draws", type=int, default=1)
    options.add_argument("--first", type=int, default=0)
    options.add_argument("--metrics", default="", help="families or metrics, all by default")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "simulate_flaws.jsonl")
    chosen = options.parse_args()
    flaws = chosen.flaws.split(",")
    unknown = [name for name in flaws if name not in FLAWS]
    if unknown:
        raise SystemExit(f"no flaw is called {unknown[0]!r}; there are {', '.join(FLAWS)}")
    cases = [
        (
            Case(table=t.name, size=chosen.n, rows=rows, draw=draw, flaw=flaw, metrics=chosen.metrics),
            partial(flaw_draw, table=t),
        )
        for draw in range(chosen.first, chosen.first + chosen.draws)
        for flaw in flaws
        for t in chosen_tables(chosen.tables)
        if (rows := t.rows_at(chosen.n)) is not None
    ]
    lines = run_cases(cases, results=chosen.results, workers=chosen.workers, commit=product_commit())
    tell(lines)
    print(f"results: {chosen.results}")


if __name__ == "__main__":
    main()
