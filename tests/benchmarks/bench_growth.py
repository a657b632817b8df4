"""How time and memory of each stage grow with the rows, with fitted exponents; run it by hand.

``python tests/benchmarks/bench_growth.py [--quick]``
Every figure is from a process of its own (forked, so that the libraries are loaded): CPU seconds of
one thread, and MB beyond what stood there before. The plot goes to ``growth.svg`` beside this file,
unless ``--quick``. Linux alone tells memory this way.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import argparse
import contextlib
import ctypes
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from bench_geometry import resident, rows_of
from growth_plot import Line, drawn

from counterproof.metrics.engine.kernel_tiles import KernelSumQuery
from counterproof.metrics.engine.pairwise_pass import pairwise_pass
from counterproof.metrics.engine.tiles import Part
from counterproof.metrics.frechet.bias_corrected import both_estimates, grouped_side
from counterproof.metrics.frechet.moments import Moments
from counterproof.metrics.prdc.balls import balls_between

Work = Callable[[], object]
SIZES = tuple(1000 * 2**power for power in range(7))
MOST = {64: 64_000, 512: 32_000}
MOST_IMAGES = 4000
ROUNDS, ENOUGH = 5, 6.0  # CPU seconds after which no further round is made
SMALL = 4.0  # MB below which memory says nothing


@dataclass(frozen=True)
class Stage:
    """One step of an audit.

    Attributes:
        name: What to call it.
        make: Its work, for so many rows a side of so many dimensions (or so many images).
        power: With which power of the rows its time must grow.
        widths: Dimensions it is measured at; 0 for images.
    """

    name: str
    make: Callable[[int, int], Work]
    power: int
    widths: tuple[int, ...] = tuple(MOST)

    def sizes(self, width: int) -> list[int]:
        """Rows a side that it is measured at."""
        return [n for n in SIZES if n <= MOST.get(width, MOST_IMAGES)]


def moments(n: int, d: int) -> Work:
    """Streamed moments of one side."""
    rows = rows_of(n, d, 1)

    def work() -> object:
        running = Moments.empty(d)
        for start in range(0, n, 1000):
            running = running.add(rows[start : start + 1000])
        return running.finish()

    return work


def frechet(n: int, d: int) -> Work:
    """The distance, the same without its bias, both intervals, and the influence of every row."""
    sides = rows_of(n, d, 1), rows_of(n, d, 2)

    def work() -> object:
        rng = np.random.default_rng(0)
        return both_estimates(grouped_side(sides[0], rng), grouped_side(sides[1], rng), level=0.95)

    return work


def neighbours(n: int, d: int) -> Work:
    """Precision, recall, density and coverage."""
    sides = rows_of(n, d, 1), rows_of(n, d, 2)
    return lambda: balls_between(*sides, 5)


def kernel(n: int, d: int) -> Work:
    """Kernel sums over all pairs of both sides."""
    parts = [Part(rows_of(n, d, seed), np.arange(n)) for seed in (1, 2)]
    every, mine = frozenset({0, 1}), np.ones((n, 1), dtype=bool)
    sums = [KernelSumQuery(rows=every, weights={part: mine}) for part in every]
    return lambda: pairwise_pass(parts, sums=sums)


def encoding(n: int, width: int) -> Work:
    """Features of images of 64 pixels by the embedded network."""
    from counterproof.encoders.batches import encode
    from counterproof.encoders.registry import encoder_for

    image = np.random.default_rng(width).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    encoder = encoder_for("efficientnet", largest=64)
    encode(encoder, [image] * 32, workers=1)
    return lambda: encode(encoder, (image for _ in range(n)), workers=1)


STAGES = (
    Stage("moments", moments, 1),
    Stage("Fréchet with interval", frechet, 1),
    Stage("neighbour pass", neighbours, 2),
    Stage("kernel, all pairs", kernel, 2),
    Stage("encoding, 64 px", encoding, 1, (0,)),
)


def footprint(number: int, n: int, d: int) -> tuple[float, float]:
    """CPU seconds, the median of up to five rounds, and MB beyond what stood there before."""
    stage = STAGES[number]
    stage.make(100, d)()  # libraries are loaded
    work, done = stage.make(n, d), threading.Event()
    _release()
    before, most = resident(), [0.0]

    def watch() -> None:
        while not done.wait(0.005):
            most[0] = max(most[0], resident() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    took: list[float] = []
    while len(took) < ROUNDS and sum(took) < ENOUGH:
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    done.set()
    watcher.join()
    return median(took), most[0]


def _release() -> None:
    """Hand freed memory back to the system, so that what the work takes is seen (glibc)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def apart(stage: Stage, n: int, d: int) -> tuple[float, float]:
    """The footprint, measured in a process of its own."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        took, held = pool.apply(footprint, (STAGES.index(stage), n, d))
    print(f"{stage.name}, {n} x {d}: {took:.4f} CPU s, {held:.1f} MB", file=sys.stderr, flush=True)
    return took, held


def slope(sizes: list[int], values: list[float], least: float = 0.0) -> float | None:
    """The exponent over the upper half of the sizes; None where too little was used to tell.

    >>> round(slope([1, 2, 4, 8], [5.0, 9.0, 16.0, 64.0]), 6)
    2.0
    """
    low = len(sizes) // 2
    kept = [(n, value) for n, value in zip(sizes[low:], values[low:], strict=True) if value > least]
    if len(kept) < 2:
        return None
    return float(np.polyfit(*np.log(kept).T, 1)[0])


def table(lines: list[Line], form: str, least: float, stated: dict[str, int]) -> str:
    """One row for each stage and width, one column for each size."""
    head = f"| stage | d | {' | '.join(f'{n // 1000}k' for n in SIZES)} | exponent |" + (" stated |" if stated else "")
    rows = [head, "|---" * (3 + len(SIZES) + bool(stated)) + "|"]
    for line in lines:
        held = dict(zip(line.sizes, line.values, strict=True))
        cells = [format(held[n], form) if n in held else "" for n in SIZES]
        found = slope(line.sizes, line.values, least)
        cells.append("" if found is None else f"{found:.2f}")
        cells += [str(stated[line.name])] if stated else []
        rows.append(f"| {line.name} | {line.width or '–'} | {' | '.join(cells)} |")
    return "\n".join(rows)


def main() -> None:
    """One Markdown section and the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1k and 2k rows of 64, no plot")
    given = parser.parse_args()
    torch.set_num_threads(1)
    seconds, memory = measured(quick=given.quick)
    print(f"## How cost grows with the rows\n\n`{' '.join(['python', *sys.argv])}`\n\nCPU seconds of one thread:\n")
    print(table(seconds, ".3g", 0.0, {stage.name: stage.power for stage in STAGES}))
    print("\nMB beyond the features:\n")
    print(table(memory, ".0f", SMALL, {}))
    if not given.quick:
        shown = [replace(line, values=[max(1.0, value) for value in line.values]) for line in memory]
        picture = drawn({"CPU seconds": seconds, "MB beyond the features (1 or more)": shown})
        Path(__file__).with_name("growth.svg").write_text(picture, encoding="utf-8")
        print("\n![time and memory against rows, both axes logarithmic](growth.svg)")
    print("\nn rows (of images: n images) on each of two sides; moments take one. Exponents are fitted over the upper")
    print("half of the sizes, where there is enough to tell; stated: what time must grow with in the long run.")


def measured(*, quick: bool) -> tuple[list[Line], list[Line]]:
    """Seconds and MB of every stage, width and size."""
    seconds, memory = [], []
    for stage in STAGES:
        for width in stage.widths[:1] if quick else stage.widths:
            sizes = stage.sizes(width)[:2] if quick else stage.sizes(width)
            if quick and not width:
                continue
            found = [apart(stage, n, width) for n in sizes]
            seconds.append(Line(stage.name, width, sizes, [took for took, _ in found]))
            memory.append(Line(stage.name, width, sizes, [held for _, held in found]))
    return seconds, memory


if __name__ == "__main__":
    main()
