"""Membership inference: do intervals cover, does the bound on ε hold, what is found, what passes?

    OMP_NUM_THREADS=1 python tests/simulations/simulate_membership.py coverage [runs]
    OMP_NUM_THREADS=1 python tests/simulations/simulate_membership.py power [runs]
    OMP_NUM_THREADS=1 python tests/simulations/simulate_membership.py policy census 5000 [runs]
    OMP_NUM_THREADS=1 python tests/simulations/simulate_membership.py policy TABLE.csv LABEL 1000 [runs]
    OMP_NUM_THREADS=1 python tests/simulations/simulate_membership.py policy FEATURES.npy 2000 [runs]

``coverage`` draws scores whose truth is known (and rows, whose truth is the mean over all runs) and
counts how often 95 % intervals hold it. ``power`` tries the attacks on generators that are better
or worse at forgetting. ``policy`` deals real rows into train, holdout and a release of fresh rows,
SMOTE rows or jittered copies, and judges the default gate.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors

from counterproof.config import Run
from counterproof.loading.load import take_in
from counterproof.measuring.workbench_setup import set_bench
from counterproof.metrics.engine.one_thread import one_thread
from counterproof.metrics.leakage._membership.evaluation import SplitScores, broken_ranks
from counterproof.metrics.leakage.epsilon import epsilon, lower_bounds
from counterproof.metrics.leakage.membership import membership
from counterproof.metrics.metric import Value
from counterproof.metrics.statistics.auc import area_estimate
from counterproof.metrics.statistics.proportions import clopper_pearson

Rows = NDArray[np.float64]
Generator = Callable[[Rows, int, np.random.Generator], Rows]


def say(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


# -- coverage ---------------------------------------------------------------------------------------


def split_of(scores: Rows, member: NDArray[np.bool_], rng: np.random.Generator) -> SplitScores:
    """One attack of given scores, split."""
    choosing = np.zeros(len(member), dtype=bool)
    for side in (member, ~member):
        at = rng.permutation(np.flatnonzero(side))
        choosing[at[: len(at) // 2]] = True
    rank = broken_ranks(scores, rng.random(len(scores)))
    return SplitScores(member=member, choosing=choosing, scores={"made": scores}, rank={"made": rank})


def scores_cover(runs: int) -> None:
    """Binormal scores: area, true and false positives at the threshold of the other half."""
    print("| half | shift | area in 95 % | TPR at 1 % in | FPR in |\n|--:|--:|--:|--:|--:|")
    for half in (20, 50, 250, 1000):
        for shift in (0.0, 0.5, 1.5, 3.0):
            held = np.zeros(3)
            for run in range(runs):
                rng = np.random.default_rng([run, half])
                member = np.repeat([True, False], 2 * half)
                scores = rng.normal(size=4 * half) + shift * member
                split = split_of(scores, member, rng)
                judged = ~split.choosing
                area = area_estimate(scores[judged], member[judged], 0.95)
                threshold = split.threshold("made", 0.01)
                at = scores[split.rank["made"] == threshold][0]
                found = split.guesses("made", threshold, judged)
                right = clopper_pearson(found.right, found.members)
                wrong = clopper_pearson(found.wrong, found.others)
                held += [
                    area.low <= norm.cdf(shift / np.sqrt(2)) <= area.high,
                    right.low <= norm.sf(at - shift) <= right.high,
                    wrong.low <= norm.sf(at) <= wrong.high,
                ]
            print(f"| {half} | {shift} | " + " | ".join(f"{share:.3f}" for share in held / runs) + " |", flush=True)


def bounds_hold(runs: int) -> None:
    """Randomised response of a known ε: how often each 95 % lower bound exceeds it."""
    print("\n| half | true ε | rates too high | one run too high | value too high | median value |")
    print("|--:|--:|--:|--:|--:|--:|")
    for half in (100, 500, 2500):
        for true in (0.0, 1.0, 3.0):
            over, values = np.zeros(3), []
            for run in range(runs):
                rng = np.random.default_rng([run, half, 1])
                member = np.repeat([True, False], 2 * half)
                told = rng.random(4 * half) < np.exp(true) / (1 + np.exp(true))
                split = split_of(np.where(told, member, ~member).astype(float), member, rng)
                made = lower_bounds(split, 0.95)
                chosen = made[max(made, key=lambda method: made[method][0])][1].value
                over += [value > true for value in (made["rates"][1].value, made["one_run"][1].value, chosen)]
                values.append(chosen)
            shares = " | ".join(f"{share:.3f}" for share in over / runs)
            print(f"| {half} | {true} | {shares} | {np.median(values):.2f} |", flush=True)


def rows_cover(runs: int, n: int = 200) -> None:
    """Rows in three dimensions; the truth of each attack is its mean over all runs."""
    print(f"\n{runs} runs\n\n| release | field | truth | 95 % interval holds |\n|---|---|--:|--:|")
    for name in ("fresh", "kernel density"):
        seen: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
        chosen: list[tuple[str, float, float]] = []
        for run in range(runs):
            rng = np.random.default_rng([run, 7])
            train, holdout = rng.normal(size=(2, n, 3))
            made = rng.normal(size=(n, 3)) if name == "fresh" else GENERATORS[name](train, n, rng)
            values = attacked(train, holdout, made, run)
            for value in values:
                if value.estimate is None:
                    continue
                if value.group:
                    e = value.estimate
                    seen[str(value.group[0][1])].append((e.value, e.low, e.high))
                elif value.field == "value":
                    word = value.reason.split("'")[1]
                    chosen.append((word, value.estimate.low, value.estimate.high))
        truth = {attack: float(np.mean([v for v, _, _ in found])) for attack, found in seen.items()}
        for attack, found in seen.items():
            held = np.mean([low <= truth[attack] <= high for _, low, high in found])
            print(f"| {name} | {attack} | {truth[attack]:.3f} | {held:.3f} |")
        held = np.mean([low <= truth[word] <= high for word, low, high in chosen])
        print(f"| {name} | value (the chosen attack) | | {held:.3f} |", flush=True)


# -- generators -------------------------------------------------------------------------------------


def smote(train: Rows, n: int, rng: np.random.Generator) -> Rows:
    """Points between a row and one of its five nearest neighbours."""
    at = rng.integers(0, len(train), n)
    near = NearestNeighbors(n_neighbors=6).fit(train).kneighbors(train[at], return_distance=False)
    other = near[np.arange(n), rng.integers(1, 6, n)]
    return np.asarray(train[at] + rng.random((n, 1)) * (train[other] - train[at]))


def jittered(train: Rows, n: int, rng: np.random.Generator) -> Rows:
    """A kernel density: rows with a quarter of a standard deviation of noise."""
    return np.asarray(
        train[rng.integers(0, len(train), n)] + 0.25 * train.std(0) * rng.normal(size=(n, train.shape[1]))
    )


def mixture(train: Rows, n: int, rng: np.random.Generator) -> Rows:
    """Twenty diagonal Gaussians."""
    model = GaussianMixture(20, covariance_type="diag", random_state=int(rng.integers(1000)), reg_covar=1e-3)
    return np.asarray(rng.permutation(model.fit(train).sample(n)[0]))


def gaussian(train: Rows, n: int, rng: np.random.Generator) -> Rows:
    """One Gaussian."""
    return rng.multivariate_normal(train.mean(0), np.cov(train.T), n)


GENERATORS: dict[str, Generator] = {
    "smote": smote,
    "kernel density": jittered,
    "mixture of 20": mixture,
    "one Gaussian": gaussian,
}


def attacked(train: Any, holdout: Any, made: Any, seed: int, **how: Any) -> list[Value]:
    """What the metric says."""
    sources = {"train": train, "holdout": holdout, "synthetic": made}
    bench = set_bench(take_in(sources, **how), Run(seed=seed))
    with one_thread():
        return [*membership.values(bench, membership.configure({})), *epsilon.values(bench, epsilon.configure({}))]


# -- power ------------------------------------------------------------------------------------------


def population(rng: np.random.Generator, n: int, d: int) -> Rows:
    """Five clusters in ``d`` dimensions, with correlated columns."""
    centres = np.random.default_rng(1).normal(size=(5, d)) * 1.5
    mixing = np.random.default_rng(2).normal(size=(d, d)) / np.sqrt(d)
    return np.asarray(centres[rng.integers(0, 5, n)] + rng.normal(size=(n, d)) @ mixing)


def power(runs: int, n: int = 1000, d: int = 16) -> None:
    """What each attack finds of each generator."""
    names = ["nearest", "ratio", "columns", "density", "narrow_density", "classifier"]
    print(f"\nn = {n} + {n}, release {n}, {d} columns, {runs} runs: mean AUROC on the half that counts\n")
    print("| release | " + " | ".join(names) + " | value | isolated | > 0.5 | TPR at 1 % | ε |")
    print("|---|" + "--:|" * (len(names) + 5))
    plants: dict[str, Generator] = {"fresh rows": lambda t, k, rng: population(rng, k, d), **GENERATORS}
    for share in (0.01, 0.05):
        plants[f"fresh, {share:.0%} copies"] = _planted(share, d)
    for name, make in plants.items():
        areas: dict[str, list[float]] = defaultdict(list)
        for run in range(runs):
            rng = np.random.default_rng([run, 11])
            train, holdout = population(rng, n, d), population(rng, n, d)
            for field, value in _numbers(attacked(train, holdout, make(train, n, rng), run)):
                areas[field].append(value)
        told = [*names, "value", "isolated", "found", "rate", "epsilon"]
        print(f"| {name} | " + " | ".join(f"{np.mean(areas[field]):.3f}" for field in told) + " |", flush=True)


def _planted(share: float, d: int) -> Generator:
    def make(train: Rows, n: int, rng: np.random.Generator) -> Rows:
        made = population(rng, n, d)
        copied = int(share * n)
        made[:copied] = train[rng.permutation(len(train))[:copied]]
        return made

    return make


def _numbers(values: list[Value]) -> Iterator[tuple[str, float]]:
    for value in values:
        if value.estimate is None:
            if value.field == "tpr_at_1":
                yield "rate", np.nan
            continue
        if value.unit == "share of members" and value.field == "tpr_at_1":
            yield "rate", value.estimate.value
        elif value.group:
            yield str(value.group[0][1]), value.estimate.value
        elif value.field == "isolated":
            yield "isolated", value.estimate.value
        elif value.field == "value" and "shown" in value.reason:
            yield "epsilon", value.estimate.value
        elif value.field == "value":
            yield "value", value.estimate.value
            yield "found", float(value.estimate.low > 0.5)


# -- policy -----------------------------------------------------------------------------------------


def census() -> pd.DataFrame:
    """All 15,000 shipped rows."""
    folder = Path(str(files("counterproof") / "data" / "census"))
    parts = [pd.read_parquet(folder / f"{role}.parquet") for role in ("train", "holdout", "test")]
    return pd.concat(parts, ignore_index=True)


def smote_table(train: pd.DataFrame, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """SMOTE for mixed columns: numbers between two neighbours, categories of the first; integers stay whole."""
    numbers = train.select_dtypes("number")
    scaled = ((numbers - numbers.mean()) / numbers.std().replace(0, 1)).fillna(0).to_numpy()
    rest = train[[column for column in train if column not in numbers]].astype(str)
    points = np.hstack([scaled, 0.7 * pd.get_dummies(rest).to_numpy(float)]) if rest.shape[1] else scaled
    at = rng.integers(0, len(train), n)
    near = NearestNeighbors(n_neighbors=6).fit(points).kneighbors(points[at], return_distance=False)
    other = near[np.arange(n), rng.integers(1, 6, n)]
    made = train.iloc[at].reset_index(drop=True).copy()
    first, second = numbers.to_numpy(float)[at], numbers.to_numpy(float)[other]
    between = first + rng.random((n, 1)) * (second - first)
    for place, column in enumerate(numbers):
        values = between[:, place]
        made[column] = np.round(values) if np.array_equal(numbers[column], np.round(numbers[column])) else values
    return made


def policy(source: str, label: str | None, n: int, runs: int) -> None:
    """The default gate on fresh rows and on SMOTE rows."""
    limit = membership.tolerances[0]
    table = not source.endswith(".npy")
    frame: Any = np.load(source) if not table else census() if source == "census" else pd.read_csv(source)
    print(f"\n{source}, n = {n}, {runs} deals, gate value {limit.operator} {limit.limit}\n")
    print("| release | pass | inconclusive | fail | AUROC mean (sd) | largest upper bound | ε > 0 |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for name in ("fresh", "smote"):
        verdicts: Counter[str] = Counter()
        areas, uppers, shown = [], [], 0
        for run in range(runs):
            rng = np.random.default_rng([run, 13])
            order = rng.permutation(len(frame))
            parts = [_some(frame, order[i * n : (i + 1) * n]) for i in range(3)]
            if name == "smote":
                parts[2] = smote_table(parts[0], n, rng) if table else smote(parts[0], n, rng)
            values = attacked(*parts, run, **({"label": label} if label else {}))
            e = next(v.estimate for v in values if v.field == "value" and not v.group)
            assert e is not None
            low, high = e.bound("low", 0.998), e.bound("high", 0.95)
            verdicts["fail" if low > limit.limit else "pass" if high <= limit.limit else "inconclusive"] += 1
            areas.append(e.value)
            uppers.append(high)
            shown += any(v.field == "value" and v.estimate is not None and v.unit is None and "shown" in v.reason
                         and v.estimate.value > 0 for v in values)  # fmt: skip
            say(f"{name} {run}: {e.value:.3f} [{e.low:.3f}, {e.high:.3f}]")
        counts = " | ".join(str(verdicts[v]) for v in ("pass", "inconclusive", "fail"))
        print(f"| {name} | {counts} | {np.mean(areas):.3f} ({np.std(areas):.3f}) | {max(uppers):.3f} | {shown} |",
              flush=True)  # fmt: skip


def _some(frame: Any, at: NDArray[np.intp]) -> Any:
    return frame.iloc[at].reset_index(drop=True) if isinstance(frame, pd.DataFrame) else frame[at]


def main() -> None:
    """Read the words and run."""
    words = sys.argv[1:] or ["coverage"]
    if words[0] == "coverage":
        runs = int(words[1]) if len(words) > 1 else 1000
        scores_cover(runs)
        bounds_hold(runs)
        rows_cover(max(1, 2 * runs // 5))
    elif words[0] == "rows":
        rows_cover(int(words[1]))
    elif words[0] == "power":
        power(int(words[1]) if len(words) > 1 else 20)
    else:
        numbers = [int(word) for word in words[2:] if word.isdigit()]
        label = next((word for word in words[2:] if not word.isdigit()), "income" if words[1] == "census" else None)
        policy(words[1], label, numbers[0], numbers[1] if len(numbers) > 1 else 20)


if __name__ == "__main__":
    main()
