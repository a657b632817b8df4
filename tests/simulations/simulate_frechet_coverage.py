"""Does the Fréchet distance's interval cover?

Run: ``OMP_NUM_THREADS=1 python tests/simulations/simulate_frechet_coverage.py [runs [kinds]]``, where kinds are
of: plain, decaying, missing, t5, clustered.

Rows with a known distance: normal or t with 5 degrees of freedom (scaled to the same covariance), in
clusters of four or not, of a flat or a decaying spectrum, with or without directions that do not
vary; the same on both sides, or shifted by 0.1 and widened by 1.2. ``full`` and ``infinity`` must
cover the closed form, ``uncorrected`` the mean of its own runs (its bias stays, as it says).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from counterproof.metrics.estimate import Estimate
from counterproof.metrics.frechet.bias_corrected import both_estimates, grouped_side
from counterproof.metrics.frechet.extrapolation import frechet_infinity
from counterproof.metrics.sample import Floats, Rows

PER_SOURCE = 4


@dataclass(frozen=True)
class World:
    """A population and how it is drawn."""

    d: int
    n: int
    tail: str = "normal"
    spectrum: str = "flat"
    clustered: bool = False
    missing: int = 0

    @property
    def scales(self) -> Floats:
        """Standard deviation of each direction."""
        made = np.ones(self.d) if self.spectrum == "flat" else (1 + 8 * np.arange(self.d) / self.d) ** -1.0
        made[self.d - self.missing :] = 0.0
        return made

    @property
    def sources(self) -> Rows | None:
        """Source record of each row."""
        return np.arange(self.n) // PER_SOURCE if self.clustered else None

    def draw(self, rng: np.random.Generator, *, shifted: bool) -> Floats:
        """One side."""
        z = rng.normal(size=(self.n, self.d))
        if self.clustered:
            centres = rng.normal(size=(-(-self.n // PER_SOURCE), self.d))
            z = np.sqrt(0.5) * (z + centres[np.arange(self.n) // PER_SOURCE])
        if self.tail == "t5":
            z *= np.sqrt(3 / rng.chisquare(5, size=(self.n, 1)))
        return np.asarray((z * 1.2 + 0.1 if shifted else z) * self.scales)

    def truth(self, *, shifted: bool) -> float:
        """The distance of the populations."""
        return float((self.scales**2).sum()) * (0.1**2 + 0.2**2) * shifted


WORLDS = (
    *(World(d, n) for d, n in ((16, 24), (16, 400), (64, 96), (64, 640), (128, 192), (128, 1000))),
    *(World(d, n, spectrum="decaying") for d, n in ((16, 24), (64, 96), (64, 640), (128, 192))),
    *(World(d, n, spectrum="decaying", missing=d // 4) for d, n in ((16, 40), (64, 320))),
    *(World(d, n, tail="t5") for d, n in ((16, 64), (16, 400), (64, 256), (64, 640), (128, 512))),
    *(World(d, n, clustered=True) for d, n in ((16, 512), (64, 2048), (128, 4096))),
)


def one_run(world: World, rng: np.random.Generator, *, shifted: bool) -> tuple[Estimate, Estimate, Estimate]:
    """Full, uncorrected, infinity."""
    left, right = world.draw(rng, shifted=False), world.draw(rng, shifted=shifted)
    sides = (grouped_side(left, rng, world.sources), grouped_side(right, rng, world.sources))
    plain, full, rows = both_estimates(*sides, level=0.95)
    return full, plain, frechet_infinity(left, right, rng, rows=rows, clusters=(world.sources, world.sources))


def line(world: World, runs: int, *, shifted: bool) -> str:
    """One row of the table."""
    rng = np.random.default_rng([world.d, world.n, shifted])
    found = [one_run(world, rng, shifted=shifted) for _ in range(runs)]
    truth = world.truth(shifted=shifted)
    cells = []
    for estimates in zip(*found, strict=True):
        mean = float(np.mean([e.value for e in estimates]))
        aim = mean if "not removed" in estimates[0].method else truth
        hits = np.mean([e.low <= aim <= e.high for e in estimates])
        width = np.mean([e.high - e.low for e in estimates])
        cells.append(f"{hits:.3f} (mean {mean:.3g}, width {width:.2g})")
    kind = f"{world.tail}, {world.spectrum}{', sources of 4' if world.clustered else ''}"
    kind += f", {world.missing} null directions" if world.missing else ""
    return f"| {kind} | {world.d}, {world.n} | {truth:.3g} | " + " | ".join(cells) + " |"


def kind_of(world: World) -> str:
    """The word that chooses it."""
    if world.tail == "t5" or world.clustered:
        return "clustered" if world.clustered else world.tail
    return "missing" if world.missing else world.spectrum.replace("flat", "plain")


def main(runs: int, kinds: list[str]) -> None:
    """The table."""
    print("| rows | d, n | true | full | uncorrected, about its own mean | infinity |")
    print("|---|---|---|---|---|---|")
    for world in (world for world in WORLDS if not kinds or kind_of(world) in kinds):
        for shifted in (False, True):
            print(line(world, runs, shifted=shifted), flush=True)


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["150"])[0]), sys.argv[2:])
