"""One pass over pairs of rows against prdc, clean-fid and faiss, and how its cost grows; run it by hand.

``python tests/benchmarks/bench_geometry.py [--rows N] [--dimensions D] [--rounds R] [--growth N,N,…] [--quick]``
Peers that cannot be imported are said so. Every figure is CPU seconds of one thread, peer and ours
in turn within a round, medians over the rounds.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch

from counterproof.metrics.engine.kernel_tiles import KernelSumQuery
from counterproof.metrics.engine.knn_graph import side_queries
from counterproof.metrics.engine.nearest_neighbours import nearest
from counterproof.metrics.engine.pairwise_pass import pairwise_pass
from counterproof.metrics.engine.shortlist import NeighbourQuery
from counterproof.metrics.engine.tiles import Part
from counterproof.metrics.prdc.balls import balls_between

Work = Callable[[], object]


def rows_of(n: int, d: int, seed: int) -> Any:
    """Rectified mixtures of 32 factors, much like the features of a network."""
    rng = np.random.default_rng(seed)
    root = np.random.default_rng(0).normal(size=(32, d))
    return np.maximum(rng.normal(size=(n, 32)) @ root / 4 + rng.normal(size=(n, d)), 0.0)


def _pass(x: Any, y: Any, *, depth: int = 5, closest: int = 0, kernel: bool = False, lists: bool = True) -> object:
    parts = [Part(x, np.arange(len(x))), Part(y, np.arange(len(y)))]
    one, other = frozenset({0}), frozenset({1})
    wishes = side_queries((0, 1), depth) if lists else []
    if closest:
        wishes += [NeighbourQuery(rows=a, base=b, rim=b, k=closest + 1) for a, b in ((one, other), (other, one))]
    sums = [
        KernelSumQuery(rows=one | other, weights={p: np.ones((len(s), 1), dtype=bool)}) for p, s in ((0, x), (1, y))
    ]
    return pairwise_pass(parts, lists=wishes, sums=sums if kernel else [])


def peers(x: Any, y: Any) -> dict[str, Work | str]:
    """The work of each peer, or why there is none."""
    made: dict[str, Work | str] = {}
    narrow = x.astype(np.float32), y.astype(np.float32)

    def prdc() -> Work:
        from prdc import compute_prdc  # type: ignore[import-not-found]

        return lambda: compute_prdc(real_features=narrow[0], fake_features=narrow[1], nearest_k=5)

    def faiss() -> Work:
        import faiss as library  # type: ignore[import-not-found]

        library.omp_set_num_threads(1)

        def search() -> object:
            index = library.IndexFlatL2(x.shape[1])
            index.add(narrow[0])
            return index.search(narrow[0], 6)

        return search

    def cleanfid() -> Work:
        from cleanfid.fid import kernel_distance  # type: ignore[import-not-found]

        return lambda: kernel_distance(narrow[0], narrow[1])

    for name, load in (("prdc", prdc), ("faiss", faiss), ("clean-fid", cleanfid)):
        try:
            made[name] = load()
        except Exception as error:
            made[name] = f"not importable: {type(error).__name__}"
    return made


def ours(x: Any, y: Any) -> dict[str, Work]:
    """What one pass can be asked for."""
    own = np.arange(len(x))
    return {
        "four quantities": lambda: balls_between(x, y, 5),
        "lists, radii, 6 nearest": lambda: _pass(x, y, depth=28, closest=6),
        "5 nearest of one side": lambda: nearest(x, x, 5, own=own),
        "kernel alone": lambda: _pass(x, y, kernel=True, lists=False),
        "four and kernel": lambda: _pass(x, y, kernel=True),
        "pass alone": lambda: _pass(x, y),
    }


def seconds(work: Work) -> float:
    """CPU seconds of one run."""
    began = time.process_time()
    work()
    return time.process_time() - began


def peak(d: int) -> Work:
    """20 products of the size of a tile."""
    x, y = (torch.randn(1024, d + 2) for _ in range(2))
    out = torch.empty(1024, 1024)
    return lambda: [torch.mm(x, y.T, out=out) for _ in range(20)]


def ratios(n: int, d: int, rounds: int) -> None:
    """The table against the peers."""
    x, y = rows_of(n, d, 1), rows_of(n, d, 2)
    works: dict[str, Work] = {"product": peak(d)}
    absent = []
    for name, work in peers(x, y).items():
        if isinstance(work, str):
            absent.append(f"{name} {work}")
        else:
            works[name] = work
    works |= ours(x, y)
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(seconds(work))
            print(f"{name}: {times[name][-1]:.2f} CPU s", file=sys.stderr, flush=True)
    t = {name: median(taken) for name, taken in times.items()}
    rate = 20 * 2 * 1024**2 * (d + 2) / t["product"] / 1e9
    used = 2 * (2 * n) ** 2 / 2 * (d + 2) / t["pass alone"] / 1e9
    print("| work | CPU s | against | CPU s | ratio |\n|---|---|---|---|---|")
    for mine, theirs, how in (
        ("four quantities", "prdc", "faster"),
        ("5 nearest of one side", "faiss", "faster"),
        ("kernel alone", "clean-fid", "of"),
        ("lists, radii, 6 nearest", "four quantities", "of"),
        ("four and kernel", "pass alone", "of"),
    ):
        if theirs in t:
            ratio = t[theirs] / t[mine] if how == "faster" else t[mine] / t[theirs]
            words = "times as fast" if how == "faster" else "times the cost"
            print(f"| {mine} | {t[mine]:.2f} | {theirs} | {t[theirs]:.2f} | {ratio:.2f} {words} |")
    print(f"| pass alone | {t['pass alone']:.2f} | float32 peak, {rate:.0f} GF/s | | {used / rate:.0%} of it |")
    for line in absent:
        print(f"\n{line}.")


def footprint(name: str, n: int, d: int) -> None:
    """In a process of its own: CPU seconds, and MB beyond what stood there before."""
    x, y = rows_of(n, d, 1), rows_of(n, d, 2)
    theirs = peers(x, y).get(name)
    work = theirs if callable(theirs) else ours(x, y)[name]
    nearest(x[:50], x[:50], 2)  # libraries are loaded
    before, seen, done = resident(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            seen.append(resident() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    took = seconds(work)
    done.set()
    watcher.join()
    print(took, max(seen))


def resident() -> float:
    """MB in memory now (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def apart(name: str, n: int, d: int) -> tuple[float, float]:
    """The footprint of one work."""
    command = [sys.executable, __file__, "--one", name, "--rows", str(n), "--dimensions", str(d)]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    print(f"{name}, {n} x {d}: {made}", file=sys.stderr, flush=True)
    return float(made[-2]), float(made[-1])


def growth(sizes: list[int], dimensions: tuple[int, ...] = (64, 512)) -> None:
    """The table of cost against rows, with fitted exponents."""
    print("\n| rows a side | " + " | ".join(f"CPU s, d={d} | MB beyond the features, d={d}" for d in dimensions) + " |")
    print("|---|" + "---|---|" * len(dimensions))
    found = {(n, d): apart("four and kernel", n, d) for n in sizes for d in dimensions}
    for n in sizes:
        cells = (f"{found[n, d][0]:.2f} | {found[n, d][1]:.0f}" for d in dimensions)
        print(f"| {n} | " + " | ".join(cells) + " |")
    half = sizes[len(sizes) // 2 - 1 :] if len(sizes) > 2 else sizes
    slopes = []
    for d in dimensions:
        for at in (0, 1):
            logs = np.log([max(found[n, d][at], 1e-3) for n in half])
            slopes.append(f"{np.polyfit(np.log(half), logs, 1)[0]:.2f}" if len(half) > 1 else "")
    print("| exponent | " + " | ".join(slopes) + " |")


def main() -> None:
    """One Markdown section."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--dimensions", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--growth", default="1000,2000,4000,8000,16000,32000")
    parser.add_argument("--one", default="")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one round")
    given = parser.parse_args()
    if given.quick:
        given.rows, given.dimensions, given.rounds, given.growth = 400, 32, 1, ""
    torch.set_num_threads(1)
    if given.one:
        footprint(given.one, given.rows, given.dimensions)
        return
    print("## Geometry: one pass over all pairs of rows\n")
    print(f"`python tests/benchmarks/bench_geometry.py {' '.join(sys.argv[1:])}`\n".replace(" `", "`"))
    print(f"{given.rows} + {given.rows} rows of {given.dimensions} features, medians of {given.rounds} rounds.\n")
    ratios(given.rows, given.dimensions, given.rounds)
    ours_mb = apart("four quantities", given.rows, given.dimensions)[1]
    try:
        print(f"\nMemory: {ours_mb:.0f} MB, prdc {apart('prdc', given.rows, given.dimensions)[1]:.0f} MB.")
    except subprocess.CalledProcessError:
        print(f"\nMemory: {ours_mb:.0f} MB.")
    if given.growth:
        growth([int(n) for n in given.growth.split(",")])
    print("\nCPU seconds of one thread. Ratios are read within a table: peer and ours took turns in the same process.")
    print("A pass costs n² products; exponents of time below 2 are work that grows with n, of memory about 1.")


if __name__ == "__main__":
    main()
