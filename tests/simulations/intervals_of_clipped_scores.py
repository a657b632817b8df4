"""How often the 95 % intervals of clipped scores, realism, α-precision and β-recall hold the mean at their size.

Run alone: ``python tests/simulations/intervals_of_clipped_scores.py [repeats]``; prints a Markdown table.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.workbenches import bench

from counterproof.metrics.coverage.beta_recall import beta_recall
from counterproof.metrics.coverage.clipped_coverage import clipped_coverage
from counterproof.metrics.fidelity.alpha_precision import alpha_precision
from counterproof.metrics.fidelity.clipped_density import clipped_density
from counterproof.metrics.fidelity.realism import realism

METRICS = (clipped_density, clipped_coverage, realism, alpha_precision, beta_recall)
SCENES = {
    "fresh": (1.0, 0.0, 0.0),
    "wide": (1.25, 0.0, 0.0),
    "narrow": (0.8, 0.0, 0.0),
    "shifted": (1.0, 0.5, 0.0),
    "a third far off": (1.0, 0.0, 1 / 3),
}


def drawn(scene: str, n: int, d: int, seed: int, sources: int) -> Any:
    """A bench; with sources, six rows of each stand close together."""
    scale, shift, bad = SCENES[scene]
    rng = np.random.default_rng([seed, n, d, sources])
    if sources:
        parts = np.repeat(rng.normal(size=(3, n // 6, d)), 6, axis=1) * 0.8 + rng.normal(size=(3, n // 6 * 6, d)) * 0.6
        clusters = np.repeat(np.arange(3 * (n // 6)), 6)
    else:
        parts, clusters = rng.normal(size=(3, n, d)), None
    release = parts[2] * scale + shift
    release[: round(bad * len(release))] += 15
    return bench(parts[0], parts[1], release, seed=seed, clusters=clusters)


def covered(scene: str, n: int, d: int, repeats: int, sources: int = 0) -> dict[str, tuple[float, float, float]]:
    """By field: the mean, the share of intervals that hold it, their mean width."""
    found: dict[str, list[Any]] = {}
    for seed in range(repeats):
        at = drawn(scene, n, d, seed, sources)
        for metric in METRICS:
            for value in metric.values(at, metric.configure({})):
                found.setdefault(f"{metric.id}.{value.field}", []).append(value.estimate)
    made = {}
    for name, estimates in found.items():
        target = float(np.mean([e.value for e in estimates]))
        held = float(np.mean([e.low <= target <= e.high for e in estimates]))
        made[name] = (target, held, float(np.mean([e.high - e.low for e in estimates])))
    return made


def main(repeats: int) -> None:
    """Print the table."""
    print("| scene | n, d | field | mean | held | width |\n|---|---|---|---|---|---|")
    for scene, n, d, sources in [
        *((scene, 300, 8, 0) for scene in SCENES), ("fresh", 600, 32, 0), ("wide", 600, 32, 0), ("wide", 600, 8, 1),
        ("fresh", 600, 8, 1),
    ]:  # fmt: skip
        for name, (mean, held, width) in covered(scene, n, d, repeats, sources).items():
            where = f"{scene}, six rows a source" if sources else scene
            print(f"| {where} | {n}, {d} | {name} | {mean:.3f} | {held:.3f} | {width:.3f} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
