"""The Fréchet distance against torchmetrics, torch-fidelity and clean-fid, in CPU-seconds of one thread.

``python tests/benchmarks/bench_frechet.py [rows,dimensions ...]``, or ``--quick`` for one tiny case;
peers that cannot be imported are said so.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from counterproof.metrics.fidelity.frechet_distance import frechet_distance_between
from counterproof.metrics.frechet.bias_corrected import both_estimates, grouped_side
from counterproof.metrics.frechet.influence import influence

Rows = NDArray[np.float32]
Run = Callable[[Rows, Rows], float]
CASES = ("1000,2048", "10000,2048")
QUICK = ("200,32",)
REPEATS, REPEATS_OF_SLOW = 5, 3
SLOW = 30.0  # CPU-seconds from which three repeats must do


def ours_plain(left: Rows, right: Rows) -> float:
    """The plain distance with its moments."""
    return frechet_distance_between(left, right)


def ours_interval(left: Rows, right: Rows) -> float:
    """Bias removed, interval, and every row's influence; with too few rows, influence alone."""
    if len(left) < 1.5 * left.shape[1]:
        return influence(left.astype(np.float64), right.astype(np.float64)).value
    rng = np.random.default_rng(0)
    sides = [grouped_side(side.astype(np.float64), rng) for side in (left, right)]
    return both_estimates(sides[0], sides[1], level=0.95)[0].value


def torchmetrics_run() -> Run:
    """Its class on features: streamed sums in float64, then eigenvalues."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    class Given(torch.nn.Module):
        num_features = 0

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return rows

    def run(left: Rows, right: Rows) -> float:
        module = Given()
        module.num_features = left.shape[1]
        fid = FrechetInceptionDistance(feature=module)
        fid.set_dtype(torch.float64)
        for side, real in ((left, True), (right, False)):
            for batch in torch.from_numpy(side).split(1000):
                fid.update(batch, real=real)
        return float(fid.compute())

    return run


def torch_fidelity_run() -> Run:
    """Its two functions."""
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    def run(left: Rows, right: Rows) -> float:
        one, other = (fid_features_to_statistics(torch.from_numpy(side)) for side in (left, right))
        (value,) = fid_statistics_to_metric(one, other, False).values()
        return float(value)

    return run


def clean_fid_run() -> Run:
    """Its function of features."""
    from cleanfid.fid import fid_from_feats

    def run(left: Rows, right: Rows) -> float:
        return float(fid_from_feats(left, right))

    return run


PEERS = {"torchmetrics": torchmetrics_run, "torch-fidelity": torch_fidelity_run, "clean-fid": clean_fid_run}


def runs() -> tuple[dict[str, Run], list[str]]:
    """What can be run here, and what cannot."""
    made: dict[str, Run] = {"counterproof, plain": ours_plain, "counterproof, with interval": ours_interval}
    missing = []
    for name, make in PEERS.items():
        try:
            made[name] = make()
        except Exception as error:  # a peer may break in any way where its torchvision is missing
            missing.append(f"{name} cannot be imported here ({type(error).__name__}).")
    return made, missing


def measured(case: str, every: dict[str, Run]) -> list[str]:
    """The table's rows for one size, all in turn."""
    n, d = (int(part) for part in case.split(","))
    rng = np.random.default_rng(0)
    scales = (1 + 20 * np.arange(d) / d) ** -1.0
    left, right = ((rng.normal(size=(n, d)) * scales).astype(np.float32) for _ in range(2))
    right = right * np.float32(1.05)
    spent: dict[str, list[float]] = {name: [] for name in every}
    values: dict[str, float] = {}
    for repeat in range(REPEATS):
        for name, run in every.items():
            if repeat >= REPEATS_OF_SLOW and spent[name][0] > SLOW:
                continue
            started = time.process_time()
            values[name] = run(left, right)
            spent[name].append(time.process_time() - started)
            print(f"{case} {repeat} {name}: {spent[name][-1]:.2f} s", file=sys.stderr, flush=True)
    plain = median(spent["counterproof, plain"])
    return [
        f"| {n:,} × {d:,} | {name} | {median(spent[name]):.2f} | {len(spent[name])} | "
        f"{median(spent[name]) / plain:.1f} | {values[name]:.9g} |"
        for name in every
    ]


def main(cases: tuple[str, ...]) -> None:
    """One section of Markdown."""
    warnings.simplefilter("ignore", DeprecationWarning)  # clean-fid calls sqrtm(disp=)
    torch.set_num_threads(1)
    every, missing = runs()
    print("## Fréchet distance\n\n`python tests/benchmarks/bench_frechet.py`\n")
    print(
        "| rows × dimensions | what | CPU s, median | runs | times ours | plain distance |\n|---|---|---|---|---|---|"
    )
    with threadpool_limits(limits=1):
        for case in cases:
            print("\n".join(measured(case, every)), flush=True)
    print("\nOne thread, moments included, from float32 features of a decaying spectrum; interleaved in one process.")
    print("`with interval` gives the plain and the unbiased distance, both intervals, and each row's influence.")
    print("\n".join(missing))


if __name__ == "__main__":
    main(QUICK if sys.argv[1:] == ["--quick"] else tuple(sys.argv[1:]) or CASES)
