"""Coverage of the worst-mix intervals: ``python tests/simulations/simulate_worst_shift.py [REPEATS]``.

Two models are tried on the same rows, their errors correlated. The truth is the mean over the worst ``1 - alpha``
of the groups' true error rates, of one model, and its difference between both.
"""

from __future__ import annotations

import sys

import numpy as np
from helpers.reference_statistics import tail_mean

from counterproof.metrics.estimate import normal_quantile
from counterproof.metrics.fairness._shifts.population import mix_of
from counterproof.metrics.sample import Floats
from counterproof.metrics.statistics.cvar import Risk, Tail, folds_of

REPEATS = int(sys.argv[1]) if len(sys.argv) > 1 else 400
Z = normal_quantile(0.975)
TOGETHER = 0.7  # how often both models' luck on a row is the same


def settings(groups: int) -> dict[str, tuple[Floats, Floats]]:
    """Error rates of the real model and of the release's, by group."""
    flat, spread = np.full(groups, 0.2), np.linspace(0.15, 0.25, groups)
    one = np.eye(groups)[0]
    return {
        "equal": (flat, flat),
        "spread": (spread, spread),
        "one group worse by 0.1": (flat, flat + 0.1 * one),
        "one group worse by 0.05": (flat, flat + 0.05 * one),
        "all worse by 0.05": (spread, spread + 0.05),
    }


def holds(risk: Risk, truth: float) -> bool:
    """Whether the interval covers."""
    return abs(risk.value - truth) <= Z * risk.error(None)


def tails(name: str, real: Floats, made: Floats, share: Floats, n: int, alpha: float) -> str:
    """Coverage of one setting."""
    truth = tail_mean(made, share, alpha)
    change = truth - tail_mean(real, share, alpha)
    one = both = 0
    for repeat in range(REPEATS):
        rng = np.random.default_rng([3, repeat])
        codes = rng.choice(len(share), n, p=share)
        luck = rng.random(n)
        other = np.where(rng.random(n) < TOGETHER, luck, rng.random(n))
        tail = Tail(codes=codes, groups=len(share), folds=folds_of(np.arange(n), rng), alpha=alpha)
        first, second = (tail.risk((u < rate[codes]).astype(float)) for u, rate in ((luck, real), (other, made)))
        one += holds(second, truth)
        both += holds(second.less(first), change)
    told = f"{len(share)} groups, n {n}, alpha {alpha}, {name}"
    return f"{told}: level {one / REPEATS:.3f}, change {both / REPEATS:.3f}"


def stated(n: int) -> str:
    """Coverage of the mean under a stated mix of two columns."""
    held = 0
    for repeat in range(REPEATS):
        rng = np.random.default_rng([4, repeat])
        sex, race = rng.choice(["F", "M"], n, p=[0.3, 0.7]), rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1])
        losses = (rng.random(n) < 0.1 + 0.1 * (sex == "F") + 0.2 * (race == "c")).astype(float)
        columns = {"sex": sex, "race": race}
        mix = mix_of({"sex": {"F": 0.6}, "race": {"c": 0.3, "a": 0.4}}, columns, columns)
        held += holds(mix.risk(losses), 0.1 + 0.1 * 0.6 + 0.2 * 0.3)
    return f"stated mix, n {n}: {held / REPEATS:.3f}"


def main() -> None:
    """Print everything."""
    for n in (1000, 5000):
        print(stated(n), flush=True)
        for alpha in (0.75, 0.9):
            for groups in (2, 5, 10):
                for name, (real, made) in settings(groups).items():
                    print(tails(name, real, made, np.full(groups, 1 / groups), n, alpha), flush=True)
            few = np.array([1 - 5 / n, 5 / n])
            print(tails("a group of 5", np.array([0.2, 0.2]), np.array([0.2, 0.5]), few, n, alpha), flush=True)


if __name__ == "__main__":
    main()
