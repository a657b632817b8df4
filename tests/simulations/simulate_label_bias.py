"""False alarms, power and pass rates of label bias: ``python tests/simulations/simulate_label_bias.py [REPEATS]``.

Fresh rows: how often the simultaneous interval of the worst change excludes 0, and how often that of bias
amplification excludes its truth; with a fifth of one group's labels flipped: how often it is found. Last,
how often 5,000 and 1,000 fresh census rows pass, miss or fail the gate over cells.
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.workbenches import bench

from counterproof.metrics.fairness.bias_amplification import bias_amplification
from counterproof.metrics.fairness.label_association import LIMIT, label_association
from counterproof.metrics.metric import Metric, Value
from counterproof.metrics.workbench import Workbench

REPEATS = int(sys.argv[1]) if len(sys.argv) > 1 else 500
RATES = {"F": 0.2, "M": 0.35}


def people(n: int, rng: np.random.Generator, flip: float = 0.0, of: int = 1) -> pd.DataFrame:
    """Two group columns and a label; ``of`` rows of one source are of one group and mostly agree."""
    sources = -(-n // of)
    sex = np.repeat(rng.choice(["F", "M"], sources, p=[0.4, 0.6]), of)[:n]
    race = np.repeat(rng.choice(["a", "b", "c"], sources, p=[0.6, 0.3, 0.1]), of)[:n]
    shared = np.repeat(rng.random(sources), of)[:n]
    luck = np.where(rng.random(n) < (0.7 if of > 1 else 0.0), shared, rng.random(n))
    label = luck < np.vectorize(RATES.get)(sex)
    label ^= (sex == "F") & (rng.random(n) < flip)
    return pd.DataFrame({"sex": sex, "race": race, "label": np.where(label, "yes", "no")})


def held(parts: list[pd.DataFrame], of: int = 1, order: int = 1) -> Workbench:
    """A bench of train, holdout and release."""
    table = pd.concat(parts, ignore_index=True).astype(str)
    rows = [np.zeros((len(part), 1)) for part in parts]
    ends = np.cumsum([0, *map(len, parts)])
    clusters = np.concatenate([np.arange(len(part)) // of + end for part, end in zip(parts, ends, strict=False)])
    groups = {name: table[name].to_numpy(dtype=np.str_) for name in table.columns if name != "label"}
    return bench(
        *rows,
        groups=groups,
        label="label",
        labels=table["label"].to_numpy(dtype=np.str_),
        clusters=clusters if of > 1 else None,
        intersections=order,
    )


def headline(metric: Metric, view: Workbench) -> Value:
    """The value of the data set as a whole."""
    return next(v for v in metric.values(view, {}) if not v.group)


def rates(n: int, *, flip: float, of: int, order: int) -> tuple[float, float, float]:
    """How often the worst change excludes 0, sex's amplification excludes 0, and the worst one lies above 0."""
    worst = wrong = above = 0
    for repeat in range(REPEATS):
        rng = np.random.default_rng([5, repeat])
        view = held([people(n, rng, of=of), people(n, rng, of=of), people(n, rng, flip, of=of)], of, order)
        found = headline(label_association, view).estimate
        worst += found is not None and found.low > 0
        for value in bias_amplification.values(view, {}):
            e = value.estimate
            if e is not None:
                wrong += value.group == (("sex", None),) and not e.low <= 0 <= e.high
                above += not value.group and e.low > 0
    return worst / REPEATS, wrong / REPEATS, above / REPEATS


def census(n: int, draws: int) -> str:
    """Verdicts of the gate over decidable cells, at its plain and at an adjusted confidence."""
    folder = Path(str(files("counterproof") / "data" / "census"))
    whole = pd.concat([pd.read_parquet(folder / f"{r}.parquet") for r in ("train", "holdout", "test")])
    frame = whole[["sex", "race", "income"]].rename(columns={"income": "label"})
    counts = {"pass": 0, "inconclusive": 0, "fail": 0, "no cell": 0}
    cells = []
    for draw in range(draws):
        order = np.random.default_rng([11, draw]).permutation(len(frame))
        parts = [frame.iloc[order[i * n : (i + 1) * n]] for i in range(3)]
        view = held(parts, order=2)
        found = [v.estimate for v in label_association.values(view, {}) if v.group and v.decidable and v.estimate]
        cells.append(len(found))
        worst = [max(e.bound("high", 0.95), -e.bound("low", 0.95)) for e in found]
        sure = 1 - 0.05 / (60 * max(1, len(found)))
        best = [max(e.bound("low", sure), -e.bound("high", sure)) for e in found]
        name = "no cell" if not found else "pass" if max(worst) <= LIMIT else "inconclusive"
        counts["fail" if best and max(best) > LIMIT else name] += 1
    return f"census, n = {n}: {counts}, {np.mean(cells):.1f} decidable cells"


def main() -> None:
    """Print everything."""
    for n, flip, of, order in [(1000, 0, 1, 1), (1000, 0, 1, 2), (1000, 0.2, 1, 1), (1000, 0.2, 1, 2), (1000, 0, 4, 1)]:
        worst, wrong, above = rates(n, flip=flip, of=of, order=order)
        print(f"n {n}, flipped {flip}, rows a source {of}, order {order}: worst change found {worst:.3f}; ", end="")
        print(f"amplification by sex excludes 0 {wrong:.3f}, worst above 0 {above:.3f}", flush=True)
    for n in (1000, 5000):
        print(census(n, REPEATS), flush=True)


if __name__ == "__main__":
    main()
