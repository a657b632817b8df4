"""How often intervals of disclosure attacks hold the truth: ``python tests/simulations/simulate_disclosure_rates.py``.

First the interval of the risk alone, for pairs of success rates; then every rate and risk of singling out,
linkability and attribute inference over fresh real rows and one fixed release (the truth of a risk is 0, that of
a rate its mean over the repeats), and the risks over fresh releases of which 10 % are training rows (their truth
is their mean over the repeats). ``[REPEATS [ROWS [SEED]]]``; 1,000 repeats of 300 rows a side by default.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.workbenches import bench

from counterproof.metrics.leakage.attribute_inference import attribute_inference
from counterproof.metrics.leakage.linkability import linkability
from counterproof.metrics.leakage.singling_out import singling_out
from counterproof.metrics.metric import Metric
from counterproof.metrics.sample import Mixed
from counterproof.metrics.statistics.proportions import wilson
from counterproof.metrics.statistics.ratios import excess_risk
from counterproof.metrics.workbench import Workbench

REPEATS = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
ROWS = int(sys.argv[2]) if len(sys.argv) > 2 else 300
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else 3
PAIRS = [
    (0.0, 0.0),
    (0.01, 0.0),
    (0.01, 0.01),
    (0.05, 0.01),
    (0.2, 0.1),
    (0.5, 0.5),
    (0.9, 0.85),
    (0.98, 0.95),
    (1, 0.5),
]
METRICS = (singling_out, linkability, attribute_inference)
KINDS = {"age": "number", "pay": "number", "gain": "number", "job": "category", "town": "category", "sex": "category"}


def people(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Rows with whole numbers, a continuous and a heavy-tailed column, and rare categories."""
    age = rng.integers(18, 80, n)
    pay = np.round(rng.lognormal(3, 0.6, n) + age, 1)
    gain = np.where(rng.random(n) < 0.85, 0, np.round(rng.pareto(1.5, n) * 100))
    job = np.minimum(rng.zipf(1.6, n), 30).astype(str)
    town = (np.minimum(rng.zipf(1.9, n), 15) + (age > 50)).astype(str)
    return pd.DataFrame(
        {"age": age * 1.0, "pay": pay, "gain": gain, "job": job, "town": town, "sex": rng.choice(list("fm"), n)}
    )


def table_bench(train: pd.DataFrame, holdout: pd.DataFrame, release: pd.DataFrame, seed: int) -> Workbench:
    """A workbench over the three tables, without an intake."""
    frame = pd.concat([train, holdout, release], ignore_index=True)
    numbers = [name for name, kind in KINDS.items() if kind == "number"]
    numeric = frame[numbers].rank(pct=True).to_numpy(dtype=np.float32)
    codes = np.stack([pd.factorize(frame[n], sort=True)[0] for n in KINDS if n not in numbers], axis=1)
    cut = np.cumsum([len(train), len(holdout)])
    return bench(
        *(numeric[a:b] for a, b in zip((0, *cut), (*cut, len(frame)), strict=True)),
        seed=seed,
        modality="table",
        frame=frame,
        kinds=KINDS,
        mixed=Mixed(numeric=numeric, codes=codes.astype(np.int32), columns=tuple(KINDS)),
        digests=np.array([repr(row).encode()[:64] for row in frame.itertuples(index=False)]),
    )


def held(estimates: list[tuple[float, float, float]], truth: float) -> float:
    """The share of intervals that hold the truth."""
    return float(np.mean([low <= truth <= high for _, low, high in estimates]))


def simulate(metric: Metric, leak: float) -> None:
    """Print the coverage of everything that a metric measures."""
    found: dict[tuple[str, str], list[tuple[float, float, float]]] = defaultdict(list)
    fixed = people(np.random.default_rng(99), ROWS)
    for repeat in range(REPEATS):
        rng = np.random.default_rng([SEED, repeat])
        train, holdout = people(rng, ROWS), people(rng, ROWS)
        release = fixed
        if leak:
            release = people(rng, ROWS)
            release.iloc[: int(leak * ROWS)] = train.iloc[: int(leak * ROWS)].to_numpy()
            release = release.astype(fixed.dtypes.to_dict())
        at = table_bench(train, holdout, release, seed=0)
        for value in metric.values(at, metric.configure({})):
            if value.estimate is not None and value.field in (("value",) if leak else ("value", "attack", "control")):
                name = str(value.group[0][1]) if value.group else "worst"
                e = value.estimate
                found[(name, value.field)].append((e.value, e.low, e.high))
    print(f"\n### {metric.id}, {'10 % of the release leaked' if leak else 'no leak'}\n")
    print("| where | field | mean | coverage | repeats |\n|---|---|---|---|---|")
    for (name, field), estimates in found.items():
        mean = float(np.mean([value for value, _, _ in estimates]))
        if name == "worst":
            if field != "value":
                continue  # rates of whichever attack came out worst
            cells = [np.mean([v for v, _, _ in e]) for (n, f), e in found.items() if f == "value" and n != "worst"]
            truth = float(max(cells)) if leak else 0.0
        else:
            truth = 0.0 if field == "value" and not leak else mean
        print(f"| {name} | {field} | {mean:.4f} | {held(estimates, truth):.3f} | {len(estimates)} |", flush=True)


def simulate_risk() -> None:
    """Print the coverage of the risk's interval for independent binomial counts."""
    print("## Risk from two binomial counts, 20,000 repeats\n")
    print("| attack | control | n = 100 | 400 | 5,000 |\n|---|---|---|---|---|")
    rng = np.random.default_rng(5)
    for attack, control in PAIRS:
        shown = []
        for n in (100, 400, 5000):
            hits = np.stack([rng.binomial(n, attack, 20_000), rng.binomial(n, control, 20_000)], axis=1)
            pairs, counts = np.unique(hits[hits[:, 1] < n], axis=0, return_counts=True)
            risks = [excess_risk(wilson(int(a), n), wilson(int(c), n)) for a, c in pairs]
            truth = (attack - control) / (1 - control)
            inside = [risk.low <= truth <= risk.high for risk in risks]
            shown.append(f"{np.average(inside, weights=counts):.3f}")
        print(f"| {attack} | {control} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    simulate_risk()
    for metric in METRICS:
        for leak in (0.0, 0.1):
            simulate(metric, leak)
