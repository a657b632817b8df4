"""The image suite after encoding on a GPU: seconds, share of the chip's matrix peak, agreement with the CPU.

``python tests/benchmarks/bench_suite.py [--rows 50000] [--dimensions 2048] [--compared 4000] [--quick]``
Three sets of so many rows: train and holdout (which give the floors) and a release. Values and
verdicts are compared with the CPU's on fewer rows. Without a GPU it says so; ``--device cpu`` tries
the script itself.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import numpy as np
import torch
from bench_geometry import rows_of

from counterproof import Record, audit
from counterproof.metrics.engine.kernel_tiles import KernelSumQuery
from counterproof.metrics.engine.knn_graph import side_queries
from counterproof.metrics.engine.pairwise_pass import pairwise_pass
from counterproof.metrics.engine.tiles import Part
from counterproof.metrics.metric import installed

FAMILIES = ("fidelity.", "coverage.")
LEFT_OUT = ("fidelity.detectability",)  # trains models: hours at this size, and none of it geometry
AGREES = 1e-4
ROUNDS = 5


def sets(n: int, d: int) -> dict[str, Any]:
    """Train, holdout, and a release that is a little off."""
    train, holdout, release = (rows_of(n, d, seed).astype(np.float32) for seed in (1, 2, 3))
    return {"train": train, "holdout": holdout, "synthetic": 0.97 * release}


def chosen() -> list[str]:
    """The metrics of the suite."""
    return [name for name in installed() if name.startswith(FAMILIES) and name not in LEFT_OUT]


def timed(work: Callable[[], object], device: str) -> float:
    """Wall seconds until the device is done."""
    began = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def peak(d: int, device: str) -> float:
    """Operations a second of float32 products of the size of a tile, the median of five."""
    side = 1024 if device == "cpu" else 4096
    x, y = (torch.randn(side, d + 2, device=device) for _ in range(2))
    out = torch.empty(side, side, device=device)

    def products() -> None:
        for _ in range(20):
            torch.mm(x, y.T, out=out)

    products()
    return 20 * 2 * side**2 * (d + 2) / median(timed(products, device) for _ in range(ROUNDS))


def one_pass(given: Mapping[str, Any], device: str) -> float:
    """Seconds of one pass for neighbour lists and kernel sums of holdout and release."""
    sides = given["holdout"], given["synthetic"]
    parts = [Part(side, np.arange(len(side))) for side in sides]
    weights = {at: np.ones((len(side), 1), dtype=bool) for at, side in enumerate(sides)}
    sums = [KernelSumQuery(rows=frozenset(weights), weights=weights)]
    return timed(lambda: pairwise_pass(parts, lists=side_queries((0, 1), 28), sums=sums, device=device), device)


def whole(given: Mapping[str, Any], device: str) -> tuple[Record, float]:
    """The suite, and its wall seconds."""
    began = time.perf_counter()
    record = audit(**given, metrics=chosen(), device=device)
    return record, time.perf_counter() - began


def speed(n: int, d: int, device: str) -> list[str]:
    """Table rows: the pass against the peak, then each metric."""
    given, best = sets(n, d), peak(d, device)
    took = median(one_pass(given, device) for _ in range(ROUNDS))
    share = (2 * n) ** 2 * (d + 2) / took / best  # half of the pairs, two operations a dimension
    print(f"pass: {took:.2f} s, {share:.0%} of {best / 1e12:.1f} TF/s", file=sys.stderr, flush=True)
    record, seconds = whole(given, device)
    by_metric: dict[str, float] = {m.metric: m.seconds for m in record.measurements}
    rows = [
        f"| one pass, {n:,} + {n:,} × {d:,} | {took:.2f} | {share:.0%} of {best / 1e12:.1f} TF/s in float32 |",
        f"| the whole suite, floors and intervals included | {seconds:.1f} | {record.verdict} |",
    ]
    return rows + [f"| {name} | {spent:.2f} | |" for name, spent in by_metric.items() if spent >= 0.005]


def agreement(n: int, d: int, device: str) -> list[str]:
    """Sentences on the largest difference from the CPU, and on the verdicts."""
    given = sets(n, d)
    here, there = whole(given, "cpu")[0], whole(given, device)[0]
    verdicts = [{gate.expression: gate.verdict for gate in record.gates} for record in (here, there)]
    values = [
        {(m.metric, m.field, str(m.group)): m.value for m in record.measurements if m.value is not None}
        for record in (here, there)
    ]
    apart = {key: abs(values[1].get(key, np.inf) - value) / max(abs(value), 1e-6) for key, value in values[0].items()}
    worst = max(apart, key=lambda key: apart[key])
    off = [" ".join(key[:2]) for key, gap in apart.items() if gap > AGREES]
    same = "the same" if verdicts[0] == verdicts[1] and here.verdict == there.verdict else "NOT the same"
    return [
        f"At {n:,} rows a set, {len(apart)} values differ from the CPU's by at most {apart[worst]:.1e} "
        f"({' '.join(worst[:2])}); above {AGREES:g}: {', '.join(off) or 'none'}.",
        f"{len(verdicts[0])} gates and the whole: {same} verdicts.",
    ]


def main() -> None:
    """One Markdown section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--dimensions", type=int, default=2048)
    parser.add_argument("--compared", type=int, default=4000, help="rows a set for the comparison with the CPU")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="600 rows of 32")
    given = parser.parse_args()
    n, d, compared = (600, 32, 600) if given.quick else (given.rows, given.dimensions, given.compared)
    print(f"## The image suite after encoding, on a GPU\n\n`{' '.join(['python', *sys.argv])}`\n")
    if given.device == "cuda" and not torch.cuda.is_available():
        print("There is no GPU here: run it where there is one.")
        return
    name = torch.cuda.get_device_name() if given.device == "cuda" else given.device
    print(f"{name}, torch {torch.__version__}\n\n| work | wall s | |\n|---|---|---|")
    print("\n".join(speed(n, d, given.device)), flush=True)
    print("\n" + "\n".join(agreement(compared, d, given.device)))
    print("\nMetrics share one pass, which the first that needs it pays for. The peak is that of float32 products")
    print("of the size of a tile (no TF32), measured on the same device just before.")


if __name__ == "__main__":
    main()
